"""The speed view's store: cells per epoch, and the position of each partition beside them.

Comes in: steps (positions to move and what the records in between add). Goes out: snapshots.
May touch: Redis. `memory.py` is its twin without a server and passes the same contract tests.
"""
