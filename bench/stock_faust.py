"""A contender: the same job as a competent user of stock Faust writes it after its documentation.

An agent over both topics takes small batches (`take_events`, which acknowledges after the batch)
and adds each to Redis in one transaction. At least once: after a crash between Redis and Faust's
commit a batch is counted again. One transaction an event (`async for event in stream.events()`)
is the other idiom that the documentation shows: `python -m bench.stock_faust 1` measures it.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import faust
from faust.worker import Worker
from redis.asyncio import Redis

from bench.child import settings_of_child
from bench.stock_tally import StockTally
from core.delta import ACCEPTED, DUPLICATES, LATE, REJECTED
from core.events import DEAD_LETTERS
from core.position import PartitionKey
from core.verdict import Rejected
from modes.pipelines import kernel_of
from modes.settings import Settings

BATCH: Final = 1_000
WITHIN_S: Final = 0.1


def make_app(settings: Settings, batch: int) -> faust.App:
    """The app with its agent."""
    app = faust.App(
        settings.group,
        broker=f"kafka://{settings.kafka}",
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=False,
        stream_publish_on_commit=False,
    )
    topic = app.topic(*kernel_of(settings).pipeline.topics, key_serializer="raw", value_serializer="raw")
    letters = app.topic(DEAD_LETTERS, key_serializer="raw", value_serializer="raw")
    redis = Redis.from_url(settings.redis)
    kernel = kernel_of(settings)
    lateness_ms = settings.rules.lateness_ms
    seen: set[str] = set()
    newest: dict[PartitionKey, int] = {}

    async def look(event: Any, tally: StockTally) -> None:
        message = event.message
        source = PartitionKey(message.topic, message.partition)
        append_ms = round(message.timestamp * 1000)
        tally.passed(source, message.offset)
        try:
            time_ms, found = kernel[source.topic].decide.one(event.value, append_ms)
        except Rejected as verdict:
            tally.quality[REJECTED + verdict.reason] += 1
            key = f"{source}:{message.offset}".encode()
            await letters.send(key=key, value=event.value or b"", headers={"reason": verdict.reason.encode()})
            return
        late = time_ms < newest.get(source, 0) - lateness_ms
        newest[source] = max(newest.get(source, 0), min(time_ms, append_ms))
        if found.id in seen:
            tally.quality[DUPLICATES] += 1
            return
        seen.add(found.id)
        tally.quality[ACCEPTED] += 1
        if late:
            tally.quality[LATE] += 1
        tally.add(source.topic, time_ms, found)

    async def count_batches(stream: Any) -> None:
        async for events in stream.take_events(batch, within=WITHIN_S):
            tally = StockTally(settings.view)
            for event in events:
                await look(event, tally)
            await tally.write(redis)

    async def count_each(stream: Any) -> None:
        async for event in stream.events():
            tally = StockTally(settings.view)
            await look(event, tally)
            await tally.write(redis)

    app.agent(topic, name="count")(count_batches if batch > 1 else count_each)
    return app


def main() -> None:
    """Counts until it is killed."""
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else BATCH
    app = make_app(settings_of_child(), batch)
    Worker(
        app, loglevel="WARNING", redirect_stdouts=False, override_logging=False, quiet=True
    ).execute_from_commandline()


if __name__ == "__main__":
    main()
