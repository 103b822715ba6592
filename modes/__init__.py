"""The four modes as rows of data, the settings, and what puts the parts together.

Comes in: the environment, `.env`, command lines. Goes out: running roles and what people read.
The only place that branches on the mode, reads the environment (`settings.py`) and composes
(`wiring/`).
"""
