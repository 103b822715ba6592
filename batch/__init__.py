"""The batch layer: archives the log, recomputes the batch view from the archive, publishes it.

Comes in: the log up to a cut. Goes out: the raw table, versions of the batch view.
Touches Kafka and the lake through adapters; tells the speed layer what may expire.
"""
