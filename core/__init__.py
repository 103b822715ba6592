"""Pure Python: what an event is, what it counts for, and how counts are merged.

Comes in: bytes, offsets, append times. Goes out: cells, positions, verdicts.
Touches nothing: no I/O, no clock, no randomness. Imported by everybody, imports nobody.
"""
