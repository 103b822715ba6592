"""Dead letters of a version: the raw rows that it covers, the version before did not, and the contract rejects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import pyarrow as pa

from adapters.lake.manifest import Manifest
from adapters.lake.raw_table import RawTable
from core.cut import Cut
from core.delta import DeadLetter
from core.kernel.kernel import Kernel, StreamKernel
from core.position import PartitionKey

#: So many are published at once.
_AT_ONCE: Final = 10_000


class LetterSink(Protocol):
    """Where dead letters go (`adapters.kafka.dead_letters`)."""

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when all letters are acknowledged. Raises `UnavailableError`. Repetition is harmless."""


class Letters:
    """Calls are `batch.cycle.KeepLetters`."""

    def __init__(self, raw: RawTable, sink: LetterSink, kernel: Kernel) -> None:
        self._kernel = kernel
        self._raw = raw
        self._sink = sink

    def __call__(self, cut: Cut, previous: Manifest | None) -> int:
        """Publishes what is rejected from the cut of `previous` to `cut`; how many.

        Before the version is published, so that a kill repeats letters and loses none: their keys say which record they
        are of, and readers take one for each. Raises `UnavailableError`.
        """
        firsts = self._raw.firsts()
        covered = {} if previous is None else previous.cut.vector
        held: list[DeadLetter] = []
        count = 0
        for source, end in sorted(cut.vector.items()):
            start = covered.get(source, firsts.get(source, end))
            for chunk in self._raw.scan(source, start, end) if start < end else ():
                held.extend(_rejected(self._kernel[source.topic], source, chunk))
                if len(held) >= _AT_ONCE:
                    count += self._send(held)
        return count + self._send(held)

    def _send(self, held: list[DeadLetter]) -> int:
        count = len(held)
        if held:
            self._sink.send(held)
            held.clear()
        return count


def _rejected(kernel: StreamKernel, source: PartitionKey, chunk: pa.RecordBatch) -> Iterator[DeadLetter]:
    offsets, stamps, keys, values = (chunk[name].to_pylist() for name in ("offset", "append_ms", "key", "value"))
    for place, reason, detail in kernel.decide.all(values, stamps).rejected:
        yield DeadLetter(source, offsets[place], stamps[place], keys[place], values[place], reason, detail)
