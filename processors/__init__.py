"""The speed layer: a Faust application that folds the log into Redis, exactly once.

Comes in: records of the topics of events. Goes out: steps to the speed view's store, dead letters.
May touch: Kafka (through Faust and the adapters) and the store (through `adapters.speed`).
"""
