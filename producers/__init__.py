"""The synthetic shop: clicks, sales, dirt, the day profile, and the truth about each record.

Comes in: a seed, a run's name, a rate, wall and monotonic clocks. Goes out: records on the topics
of events, each with its claim in the header `truth`. Touches Kafka, in `emitter` alone;
everything else is a function of its arguments and the seed.
"""
