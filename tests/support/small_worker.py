"""A worker without servers: a processor with its book, on a store and a dead-letter topic that do as a test says."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final

from adapters.speed.memory import MemoryStore
from adapters.speed.port import Outcome, Step
from core.delta import DeadLetter
from core.errors import UnavailableError
from core.position import PartitionKey, Position
from core.rules import Rules
from processors.batches import Batch, Fetched, Stretch
from processors.book import Book
from processors.processor import Processor
from tests.support.events import Record, click, records
from tests.support.shop import KERNEL, SHOP

RULES: Final = Rules(epoch_ms=1_000, horizon=1)


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of work that waits for nothing: a loop for each call would cost most of the time."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


class Raw:
    """A record batch as the transport hands it on."""

    def __init__(self, found: Sequence[Record], base: int, end: int) -> None:
        self._found = found
        self.base_offset = base
        self.next_offset = end

    def __iter__(self) -> Iterator[Record]:
        return iter(self._found)


def batch(source: PartitionKey, base: int | None, found: Sequence[Record], end: int | None = None) -> Batch:
    """The stretch from `base` to `end`, by default behind the last record."""
    start = found[0].offset if base is None else base
    if end is None:
        end = found[-1].offset + 1
    raw = [Raw(found, min(start, found[0].offset), end)] if found else []
    return Batch(source, base, Stretch(start, None, raw), end)


class Script(MemoryStore):
    """A store and a dead-letter topic that do as the test says, in the order of `events`."""

    def __init__(self) -> None:
        super().__init__(SHOP)
        self.events: list[str] = []
        self.troubles: list[str] = []
        self.published: list[DeadLetter] = []

    def _trouble(self, name: str) -> str:
        trouble = self.troubles.pop(0) if self.troubles else ""
        self.events.append(f"{name} {trouble}".strip())
        if trouble == "away":
            raise UnavailableError("away")
        return trouble

    async def apply(self, steps: Sequence[Step]) -> dict[PartitionKey, Outcome]:
        trouble = self._trouble("apply")
        if trouble == "conflict":
            return dict.fromkeys((step.partition for step in steps), Outcome.CONFLICT)
        outcomes = await super().apply(steps)
        if trouble == "reply lost":
            raise UnavailableError("the reply was lost")
        return outcomes

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        self._trouble("publish")
        self.published += letters


class Offsets:
    """A log that begins at 0 and has no memory to warm up, unless the test says so."""

    def __init__(self, found: Mapping[PartitionKey, int] | None = None) -> None:
        self.found = dict(found or {})

    async def offsets_at(self, times_ms: Mapping[PartitionKey, int]) -> tuple[dict[Any, Any], dict[Any, int]]:
        return {s: self.found.get(s) for s in times_ms}, dict.fromkeys(times_ms, 0)

    async def ends(self, *_: object) -> dict[PartitionKey, int]:
        raise AssertionError("nobody asks for ends here")


class Worker:
    """A processor with its book; `rejections` counts the seeks that it asks for."""

    def __init__(self, script: Script, rules: Rules = RULES) -> None:
        self.script = script
        self.rejections = 0
        self.pauses: list[float] = []
        self.while_waiting: Callable[[], Any] = lambda: None
        self.book = Book(script, rules, KERNEL, "log")
        self.processor = Processor(self.book, script, script, rules, self._reject, self._sleep)
        script.events.clear()

    def _reject(self) -> None:
        self.rejections += 1
        self.book.forget()

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.while_waiting()

    def restore(self, *sources: PartitionKey, generation: int = 1, found: Any = None) -> dict[PartitionKey, int]:
        plan = done(self.book.restore(sources, Offsets(found)))
        self.book.generation = generation
        self.script.events.clear()
        return plan

    def take(self, *batches: Batch, generation: int = 1) -> None:
        folded = self.processor.fold(Fetched(generation, batches))
        if folded is not None:
            done(self.processor.send(folded))

    @property
    def positions(self) -> dict[PartitionKey, Position]:
        return dict(self.script.snapshot().positions)

    @property
    def totals(self) -> dict[str, int]:
        return dict(self.script.snapshot().counters)


def some(count: int, start: int = 0) -> list[Record]:
    return records([click(id=f"e{n}") for n in range(start, start + count)], start=start)
