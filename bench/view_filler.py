"""Fills a speed view with a long history through the product's own sink, without a log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import msgspec

from adapters.kafka.topics import log_identity
from adapters.speed.port import Outcome, SpeedSink, Step
from bench.history import History, times_in
from bench.rewriting import product_name, with_product
from core.delta import ACCEPTED, Delta
from core.errors import FourfoldError
from core.kernel.kernel import StreamKernel
from core.position import PartitionKey, Position
from modes.pipelines import kernel_of
from modes.settings import Settings
from modes.wiring.kafka import topics
from modes.wiring.speed import job_start, speed_sink
from producers.record import CLICKS, SALES
from producers.role import wall_ms
from producers.shop import Shop

#: What is due is merged after this many epochs at the latest, as a worker does in its own time.
_SETTLE_EPOCHS: Final = 16
_RUN: Final = "bench-growth"
_AT_ONCE: Final = 1_000


@dataclass(slots=True)
class Filled:
    """What is in the view: minutes of the history, events, and their sums."""

    minutes: int = 0
    events: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    clicks: Counter[int] = field(default_factory=Counter)


class ViewFiller:
    """Appends minutes of a history to a view. Between two calls nobody else writes."""

    def __init__(self, settings: Settings, history: History) -> None:
        """`settings`: of one job version, which has been registered."""
        self._settings = settings
        self._history = history
        self._kernel = kernel_of(settings)
        documents = {stream: _documents(stream, history) for stream in (CLICKS, SALES)}
        self._events = {stream: _decoded(self._kernel[stream], found) for stream, found in documents.items()}
        self._sold = [_sold(document) for document in documents[SALES]]
        self.filled = Filled()

    def fill(self, minutes: int, progress: Callable[[Filled], None]) -> None:
        """Goes on until the view has that many minutes; with 0 it is only begun. Raises `FourfoldError`."""
        asyncio.run(self._fill(minutes, progress))

    async def _begun(self, sink: SpeedSink) -> dict[PartitionKey, str | None]:
        admin = topics(self._settings)
        await sink.begin(self._settings.rules, log_identity(admin.states()))
        return await sink.positions(admin.partitions())

    async def _fill(self, minutes: int, progress: Callable[[Filled], None]) -> None:
        sink = speed_sink(self._settings, start=job_start(self._settings))
        try:
            texts = await self._begun(sink)
            stored = {partition: text or "" for partition, text in texts.items()}
            for minute in range(self.filled.minutes, minutes):
                for epoch, shares in self._history.minute(minute):
                    steps = []
                    for number, share in enumerate(shares):
                        for stream, chosen in ((CLICKS, share.clicks), (SALES, share.sales)):
                            source = PartitionKey(stream, number)
                            steps.append(self._step(source, stored[source], epoch, chosen))
                    outcomes = await sink.apply(steps)
                    if set(outcomes.values()) != {Outcome.APPLIED}:
                        raise FourfoldError(f"the view does not take what it is filled with: {outcomes}")
                    stored |= {step.partition: step.new for step in steps}
                    if not epoch % _SETTLE_EPOCHS:
                        await sink.settle()
                self.filled.minutes = minute + 1
                progress(self.filled)
            await sink.settle()
        finally:
            await sink.close()

    def _step(self, source: PartitionKey, old: str, epoch: int, chosen: Sequence[int]) -> Step:
        epoch_ms = self._history.epoch_ms
        before = Position.decode(old) if old else Position()
        delta = Delta()
        if chosen:
            delta.count(epoch, ACCEPTED, len(chosen))
            templates = self._events[source.topic]
            times = times_in(epoch, epoch_ms, len(chosen))
            delta.keep(epoch, self._kernel[source.topic].aggregate, times, [templates[number] for number in chosen])
            delta.condense()
            self._count(source.topic, chosen)
        end_ms = (epoch + 1) * epoch_ms - 1
        after = before._replace(
            next=before.next + len(chosen),
            epoch=epoch,
            newest_ms=end_ms,
            appended_ms=end_ms,
            accepted=before.accepted + len(chosen),
            last=before.next + len(chosen) - 1,
        )
        return Step(source, old, after.encode(), delta)

    def _count(self, stream: str, chosen: Sequence[int]) -> None:
        """What ought to be in the view, counted in another way than the view does."""
        filled = self.filled
        filled.events += len(chosen)
        if stream == CLICKS:
            filled.sums["clicks"] += len(chosen)
            filled.clicks.update(chosen)
            return
        filled.sums["sales"] += len(chosen)
        for number in chosen:
            units, cents = self._sold[number]
            filled.sums["units"] += units
            filled.sums["revenue_cents"] += cents


def _documents(stream: str, history: History) -> list[bytes]:
    """An event of each product; who did it, and all else, is the shop's."""
    shop, now_ms = Shop(Random(history.seed), _RUN), wall_ms()
    values: list[bytes] = []
    while len(values) < history.products:
        values += [
            record.value
            for record in shop.events(_AT_ONCE, now_ms)
            if record.topic == stream and record.value is not None
        ]
    return [with_product(value, product_name(number)) for number, value in enumerate(values[: history.products])]


def _decoded(kernel: StreamKernel, documents: Sequence[bytes]) -> list[Any]:
    """The events, as a worker decodes them."""
    events, _, rejected = kernel.decide.all(documents, [wall_ms()] * len(documents))
    if rejected:
        raise FourfoldError(f"the events of the history are not valid: {rejected[0]}")
    return events


def _sold(document: bytes) -> tuple[int, int]:
    """Units and cents of a sale."""
    data = msgspec.json.decode(document)["data"]
    return data["quantity"], data["quantity"] * data["unit_price_cents"]
