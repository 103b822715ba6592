"""Raw rows of one partition to typed columns, in offset order, by the kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from adapters.lake.manifest import PartitionState
from core.cells import MINUTE_MS
from core.contract import UNSTAMPED_MS
from core.declaration.pipeline import Pipeline
from core.delta import LATE, REJECTED
from core.errors import InexactError
from core.kernel.kernel import StreamKernel
from core.kernel.order import epoch_ranges, lateness
from core.position import PartitionKey
from core.rules import Rules

#: The columns of an accepted event that every pipeline has.
_COMMON: Final = (
    ("offset", pa.int64()),
    ("append_ms", pa.int64()),
    ("epoch", pa.int64()),
    ("late", pa.bool_()),
    ("minute", pa.int32()),
    ("id", pa.string()),
    ("user", pa.string()),
)
#: So many events and their texts stay in the processor's cache from decoding until they are in columns.
_PIECE_ROWS: Final = 4_096
_LAST_MINUTE: Final = 2**31 - 1


def typed_schema(pipeline: Pipeline) -> pa.Schema:
    """Of an accepted event, or of one that may turn out to be a duplicate: dimensions and measures by their names."""
    return pa.schema(
        [
            *_COMMON,
            *((dimension, pa.string()) for dimension in pipeline.dimensions),
            *((measure, pa.int64()) for measure in pipeline.measures),
        ]
    )


class PartitionTyping:
    """Takes the rows of one partition, chunk by chunk.

    `schema`: of what it gives. `state` and `counters` (`rejected:<reason>`, and `late` with duplicates) cover what was taken.
    """

    def __init__(self, source: PartitionKey, state: PartitionState, rules: Rules, pipeline: Pipeline) -> None:
        self.state = state
        self.counters: Counter[str] = Counter()
        self._source = source
        self._rules = rules
        self._kernel = StreamKernel(pipeline, source.topic)
        self.schema = typed_schema(pipeline)
        self._ids_of_streams = pipeline.envelope.ids_of_streams
        self._user = None if pipeline.distinct_users is None else pipeline.distinct_users.name
        self._names = [*pipeline.dimensions, *pipeline.measures]

    def take(self, chunk: pa.RecordBatch) -> pa.Table:
        """The valid ones of the rows (columns offset, append_ms, value; at least one row), by `schema`."""
        pieces = [self._take(chunk.slice(start, _PIECE_ROWS)) for start in range(0, len(chunk), _PIECE_ROWS)]
        return pa.concat_tables(pieces).combine_chunks()

    def _take(self, chunk: pa.RecordBatch) -> pa.Table:
        kernel, stamps = self._kernel, chunk["append_ms"].to_pylist()
        events, times, rejected = kernel.decide.all(chunk["value"].to_pylist(), stamps)
        self.counters.update(REJECTED + rejection.reason for rejection in rejected)
        valid = np.delete(np.arange(len(chunk)), [rejection.place for rejection in rejected])
        parts = epoch_ranges(stamps, self.state.epoch, self._rules.epoch_ms)
        epochs = np.repeat([part.epoch for part in parts], [part.end - part.start for part in parts])
        appended = chunk["append_ms"].to_numpy()
        late, newest = lateness(times, appended[valid].tolist(), self.state.newest_ms, self._rules.lateness_ms)
        self.counters[LATE] += len(late)
        lates = np.zeros(len(events), np.bool_)
        lates[late] = True
        self.state = self.state._replace(epoch=parts[-1].epoch, newest_ms=newest)
        if (stamped := np.flatnonzero(appended != UNSTAMPED_MS)).size:
            last = int(stamped[-1])
            self.state = self.state._replace(appended_ms=int(appended[last]), last=chunk["offset"][last].as_py())
        minutes = np.array(times, np.int64) // MINUTE_MS
        if minutes.max(initial=0) > _LAST_MINUTE:
            raise InexactError(
                f"{self._source} has an event after the year 6053, which no view can hold, and append times "
                "that allow it: a broker's clock is wrong; nothing is published"
            )
        offsets = chunk["offset"].to_numpy()[valid]
        found = kernel.columns.of(events)
        columns = [
            offsets,
            appended[valid],
            epochs[valid],
            lates,
            minutes.astype(np.int32),
            self._ids(events, offsets),
            [None] * len(events) if self._user is None else found[self._user],
            *(found[name] for name in self._names),
        ]
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, self.schema, strict=True)], self.schema)

    def _ids(self, events: Sequence[Any], offsets: np.ndarray) -> list[str]:
        """What no other event has: its id, with its stream where ids are of streams; its place where events have none."""
        identity = self._kernel.identity
        if identity is None:
            return [f"{self._source}:{offset}" for offset in offsets.tolist()]
        ids = map(identity, events)
        if self._ids_of_streams:
            stream = self._kernel.stream
            return [f"{stream}:{each}" for each in ids]
        return list(ids)
