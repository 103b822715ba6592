"""The composition root: the only place that knows which parts are put together, one module a part.

What is heavy is loaded where it is used: a role loads what it is made of.
"""
