"""Writing against epochs: what fold, sink and Redis use for an event, by how long epochs are.

Append times are the broker's, and a broker gives those of now, so a log of hours cannot be made in seconds. Records are
given their append times here instead, and polls of them to the product's own fold and sink, in this process.
"""

from __future__ import annotations

import asyncio
import gc
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from adapters.kafka.topics import log_identity
from adapters.speed.jobs import FIRST
from adapters.speed.port import Outcome, Step
from bench.options import Options
from bench.redis_use import RedisUse, keep_the_file
from bench.rewriting import Rewriting
from bench.screen import Screen
from bench.stage import Stage
from core.delta import Delta
from core.errors import FourfoldError, InexactError
from core.partition import PartitionFold
from core.position import PartitionKey, Position
from modes.pipelines import kernel_of, pipeline_of
from modes.settings import Settings
from modes.wiring.kafka import topics
from modes.wiring.speed import speed_reader, speed_sink
from modes.wiring.traffic import dirt
from processors.processor import SLICE
from processors.worker import GC_THRESHOLD, POLL_RECORDS
from producers.role import wall_ms
from producers.stream import ShopStream

EPOCHS_S: Final = (10.0, 30.0, 300.0)
#: The records were appended within so long.
SPAN_S: Final = 3_600.0
#: More of them would only take memory.
_MOST_EVENTS: Final = 200_000
_SLICES: Final = 3_600


@dataclass(frozen=True, slots=True)
class EpochLength:
    """What an event costs with epochs of `epoch_s` seconds. `own_us`: CPU of fold, packing and merging, in µs."""

    epoch_s: float
    epochs: int
    events: int
    own_us: float
    redis_s_per_million: float
    redis_bytes: float
    file_bytes: float


class Polled(NamedTuple):
    """A record as a fold sees it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


Poll = dict[PartitionKey, list[Polled]]


def epoch_lengths(here: Stage, options: Options, screen: Screen) -> list[EpochLength]:
    """Measures; its Redis is emptied before. Raises `InexactError` where a view has other sums than its positions say."""
    events, products = min(options.growth_events, _MOST_EVENTS), options.growth_products
    keep_the_file(here.redis)
    screen.say(f"epochs: {events:,} events of {products:,} products, appended within {SPAN_S:,.0f} s")
    stream = ShopStream(options.seed, f"bench-epochs-{options.seed}", dirt(here.settings))
    change = Rewriting(pipeline_of(here.settings), products)
    behind = list(polls(stream, change, events, here.sources(), wall_ms() - int(SPAN_S * 1000)))
    found = []
    for epoch_s in EPOCHS_S:
        here.clear_redis()
        view = here.view(f"epochs{epoch_s:g}", mode="kappa", job=FIRST, epoch_seconds=epoch_s)
        with _as_a_worker():
            found.append(asyncio.run(_measured(here, view, behind, epoch_s)))
        screen.say(f"  {epoch_s:g} s: {found[-1].own_us:.1f} us an event")
    return found


def polls(
    stream: ShopStream, change: Rewriting, events: int, sources: Sequence[PartitionKey], start_ms: int
) -> Iterator[Poll]:
    """So many records, evenly appended within `SPAN_S` from `start_ms` on, as a worker that is behind polls them."""
    partitions = len({source.partition for source in sources})
    offsets = dict.fromkeys(sources, 0)
    slices = min(_SLICES, events)
    poll: Poll = {}
    for place in range(slices):
        append_ms = start_ms + int(place * SPAN_S * 1000 / slices)
        count = events * (place + 1) // slices - events * place // slices
        for record in map(change, stream.take(count, append_ms)):
            source = PartitionKey(record.topic, zlib.crc32(record.key) % partitions)
            poll.setdefault(source, []).append(Polled(offsets[source], append_ms, record.key, record.value))
            offsets[source] += 1
        if sum(map(len, poll.values())) >= POLL_RECORDS:
            yield poll
            poll = {}
    if poll:
        yield poll


@contextmanager
def _as_a_worker() -> Iterator[None]:
    """This process collects garbage as seldom as a worker does."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _measured(here: Stage, view: Settings, behind: Sequence[Poll], epoch_s: float) -> EpochLength:
    sink, kernel, admin = speed_sink(view), kernel_of(view), topics(view)
    partitions = admin.partitions()
    folds = {p: PartitionFold(p, Position(), view.rules, kernel[p.topic]) for p in partitions}
    stored = dict.fromkeys(partitions, "")
    try:
        await sink.begin(view.rules, log_identity(admin.states()))
        await sink.positions(partitions)
        before, cpu_s = RedisUse.of(here.redis), time.process_time()
        for poll in behind:
            steps = []
            for source, records in poll.items():
                fold, delta = folds[source], Delta()
                for first in range(0, len(records), SLICE):
                    part = records[first : first + SLICE]
                    fold.fold(part, part[-1].offset + 1, delta)
                steps.append(Step(source, stored[source], fold.position.encode(), delta))
            outcomes = await sink.apply(steps)
            if set(outcomes.values()) != {Outcome.APPLIED}:
                raise FourfoldError(f"the view does not take a step: {outcomes}")
            stored |= {step.partition: step.new for step in steps}
            # polls of a log of an hour hold ends of epochs, after which a worker merges
            await sink.settle()
        own_s, after = time.process_time() - cpu_s, RedisUse.of(here.redis)
    finally:
        await sink.close()
    events = sum(len(records) for poll in behind for records in poll.values())
    _prove(view, sum(fold.position.accepted for fold in folds.values()))
    spanned = {record.timestamp // view.rules.epoch_ms for poll in behind for part in poll.values() for record in part}
    return EpochLength(
        epoch_s=epoch_s,
        epochs=len(spanned),
        events=events,
        own_us=own_s / events * 1e6,
        redis_s_per_million=(after.cpu_s - before.cpu_s) / events * 1e6,
        redis_bytes=(after.memory - before.memory) / events,
        file_bytes=(after.file - before.file) / events,
    )


def _prove(view: Settings, accepted: int) -> None:
    reader = speed_reader(view)
    try:
        totals = reader.read().totals
    finally:
        reader.close()
    clicks, sales, *_ = totals["all", ""]
    if clicks + sales != accepted:
        raise InexactError(f"the view has {clicks + sales:,} clicks and sales, its positions say {accepted:,}")
