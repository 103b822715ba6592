"""Measures, side by side in one run, and proves each result right before it tells its speed.

Comes in: the product as shipped, and what it is compared with (a stock Faust agent, a bare loop).
Goes out: tables and a JSON document. May touch: servers of its own in a temporary directory,
processes that it starts itself. Not part of the product: nothing imports it.
"""
