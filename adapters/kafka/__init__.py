"""Kafka: access, topics, the log as a reader sees it, dead letters.

Comes in: addresses and credentials from the settings. May touch: the Kafka wire, nothing else.
The processors' consumer is Faust's own (`processors/faust_overrides.py`), with access from here.
"""
