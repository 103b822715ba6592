"""A contender: the shortest loop that counts right, with the product's own fold and script.

No Faust, no supervision, no care for rebalancing, lost batches or servers that go away.
"""

from __future__ import annotations

import asyncio
import gc

from aiokafka import AIOKafkaConsumer, TopicPartition

from adapters.kafka.dead_letters import DeadLetterProducer
from adapters.kafka.topics import log_identity
from adapters.speed.port import Step
from bench.child import settings_of_child
from core.delta import Delta
from core.partition import PartitionFold
from core.position import PartitionKey, Position
from modes.pipelines import kernel_of
from modes.settings import Settings
from modes.wiring.kafka import topics
from modes.wiring.speed import speed_sink
from processors.processor import SLICE
from processors.worker import GC_THRESHOLD, POLL_RECORDS


async def count(settings: Settings) -> None:
    """Counts until it is killed."""
    # as the product's worker does
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    sink, letters, rules = speed_sink(settings), DeadLetterProducer(settings.access), settings.rules
    kernel = kernel_of(settings)
    states = topics(settings).states()
    await sink.begin(rules, log_identity(states))
    partitions = [TopicPartition(s.name, n) for s in states.values() for n in range(s.partitions)]
    await sink.positions([PartitionKey(*tp) for tp in partitions])
    folds = {tp: PartitionFold(PartitionKey(*tp), Position(), rules, kernel[tp.topic]) for tp in partitions}
    stored = dict.fromkeys(partitions, "")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 << 20,
        fetch_max_bytes=16 << 20,
    )
    await consumer.start()
    consumer.assign(partitions)
    while True:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=POLL_RECORDS)
        steps, letters_of_poll = [], []
        for tp, records in fetched.items():
            fold, delta = folds[tp], Delta()
            for first in range(0, len(records), SLICE):
                part = records[first : first + SLICE]
                fold.fold(part, part[-1].offset + 1, delta)
            new = fold.position.encode()
            steps.append(Step(PartitionKey(*tp), stored[tp], new, delta))
            letters_of_poll += delta.dead_letters
            stored[tp] = new
        if not steps:
            continue
        if letters_of_poll:
            await letters.publish(letters_of_poll)
        await sink.apply(steps)


if __name__ == "__main__":
    asyncio.run(count(settings_of_child()))
