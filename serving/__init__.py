"""Answers: reads views, compares them with the truth, and shows them.

Comes in: snapshots of views, headers of the log. Goes out: counts with provenance, verdicts,
terminal views. May touch: the adapters' readers. Never writes to a view.
"""
