"""The history: every record that is kept, the archive first and then what the log has behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa

from adapters.kafka.raw_reader import RawReader
from adapters.lake.raw_table import RawTable
from core.errors import UnavailableError
from core.position import PartitionKey

#: The log may give nothing for so long before its end, in seconds.
QUIET_S: Final = 15.0
_READ_S: Final = 0.05


class History:
    """The records as of its construction. Reads through them need memory for one file at a time."""

    def __init__(
        self,
        raw: RawTable | None,
        log: RawReader,
        sources: Sequence[PartitionKey],
        *,
        quiet_s: float = QUIET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`raw`: None where nothing is archived. Raises `UnavailableError` where Kafka does not answer."""
        self._raw = raw
        self._log = log
        self._quiet_s = quiet_s
        self._clock = clock
        self._archived: Mapping[PartitionKey, int] = raw.positions() if raw else {}
        self._firsts: Mapping[PartitionKey, int] = raw.firsts() if raw else {}
        self._bounds = log.bounds(sources)
        self.sources = sorted(self._bounds.keys() | self._archived.keys())

    def read(self, source: PartitionKey, end: int | None = None) -> Iterator[pa.RecordBatch]:
        """The records of a partition in offset order, those below `end`: columns offset, append_ms, key, value.

        Raises `UnavailableError` where the log gives nothing for `quiet_s` seconds before its end.
        """
        archived = self._archived.get(source, 0)
        if self._raw is not None and archived:
            yield from self._raw.scan(source, self._firsts[source], archived if end is None else min(archived, end))
        low, high = self._bounds.get(source, (0, 0))
        yield from self._read_log(source, max(low, archived), high if end is None else min(high, end))

    def _read_log(self, source: PartitionKey, start: int, end: int) -> Iterator[pa.RecordBatch]:
        self._log.begin({source: (start, end)})
        last = self._clock()
        while self._log.left:
            pieces = self._log.read(_READ_S)
            if pieces:
                last = self._clock()
            elif self._clock() - last > self._quiet_s:
                raise UnavailableError(f"Kafka gives no records of {source} for {self._quiet_s:g} s")
            for piece in pieces:
                if len(piece.rows):
                    yield piece.rows
