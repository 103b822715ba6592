"""The tracer: finds all records of one event id, and decides on them as the pipeline does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from core.cells import Cells
from core.contract import DECODE_ERRORS
from core.declaration.pipeline import Path
from core.delta import Delta
from core.errors import ConfigurationError
from core.events import REDRIVE_OF
from core.kernel.kernel import Kernel, StreamKernel
from core.position import PartitionKey
from core.rules import Rules
from core.verdict import Rejected
from serving.answer import Answer
from serving.history import History
from serving.trace import CountedBy, Occurrence, Place, Trace, Verdict

#: What may be part of an id: next to it, the bytes hold another, longer one.
_OF_A_NAME: Final = rb"[\w.-]"


@dataclass(slots=True)
class _Found:
    """A record of the event, not decided on yet. `before_ms`: the largest append time before it."""

    place: Place
    append_ms: int
    before_ms: int
    epoch: int
    key: bytes | None
    by_id: bool
    producer: str | None
    time_ms: int | None = None
    event: Any = None
    rejected: Rejected | None = None
    speed_verdict: Verdict = Verdict.REJECTED
    redrive_of: str | None = None


class Tracer:
    """Reads all of the history for each event."""

    def __init__(
        self, history: History, rules: Rules, kernel: Kernel, answer: Answer | None, trouble: str = ""
    ) -> None:
        """`answer`: what the views say, read before the history; None where they cannot be asked, for `trouble`."""
        self._history = history
        self._rules = rules
        self._kernel = kernel
        self._measures = tuple(kernel.pipeline.measures)
        self._answer = answer
        self._trouble = trouble

    def trace(self, event_id: str) -> Trace | None:
        """Where the event went; None where no record has this id.

        Rejected records count as found by the `id` that can be decoded, or by their bytes. Raises
        `ConfigurationError` for an empty id, `UnavailableError` where Kafka is away.
        """
        if not event_id:
            raise ConfigurationError(
                "an empty id is the id of no event: name one, as `fourfold deadletters` shows them"
            )
        found = [one for source in self._history.sources for one in self._search(source, event_id)]
        if not found:
            return None
        self._apply_horizon(found)
        # the epoch first, as in `batch.distinct`: whatever is below a cut comes before all else
        found.sort(key=lambda one: (one.epoch, one.append_ms, one.place))
        firsts: dict[str, Place] = {}
        for one in found:
            if one.event is not None:
                firsts.setdefault(self._scope(one), one.place)
        return Trace(event_id, [self._occurrence(one, firsts.get(self._scope(one))) for one in found], self._measures)

    def _search(self, source: PartitionKey, event_id: str) -> Iterator[_Found]:
        needle = event_id.encode("utf-8", "surrogateescape")
        alone = re.compile(rb"(?<!%b)%b(?!%b)" % (_OF_A_NAME, re.escape(needle), _OF_A_NAME))
        kernel = self._kernel[source.topic]
        highest = 0
        for chunk in self._history.read(source):
            appended = chunk["append_ms"].to_numpy()
            # Python's search: Arrow's takes half a second for half a million rows. JSON may write any id with escapes
            for row, value in enumerate(chunk["value"].to_pylist()):
                if value is None or not (needle in value or b"\\" in value):
                    continue
                append_ms = int(appended[row])
                before_ms = max(highest, int(appended[:row].max(initial=0)))
                found = _Found(
                    Place(source, chunk["offset"][row].as_py()),
                    append_ms,
                    before_ms,
                    self._rules.epoch_of(max(before_ms, append_ms)),
                    chunk["key"][row].as_py(),
                    by_id=True,
                    producer=None,
                )
                try:
                    found.time_ms, found.event = kernel.decide.one(value, append_ms)
                except Rejected as rejected:
                    found.rejected = rejected
                    said, found.producer, found.redrive_of = self._head(value)
                    found.by_id = said == event_id
                    if found.by_id or (said is None and alone.search(value)):
                        yield found
                else:
                    if kernel.identity and str(kernel.identity(found.event)) == event_id:
                        _, found.producer, found.redrive_of = self._head(value)
                        yield found
            highest = max(highest, int(appended.max(initial=0)))

    def _scope(self, one: _Found) -> str:
        """Where no other event has its id: the stream, or everywhere."""
        return one.place.source.topic if self._kernel.pipeline.envelope.ids_of_streams else ""

    def _head(self, value: bytes) -> tuple[str | None, str | None, str | None]:
        """The id, the source and the original that a document says, None where it says none."""
        identity = self._kernel.pipeline.envelope.id
        try:
            document = msgspec.json.decode(value)
        except DECODE_ERRORS:
            return None, None, None
        said = None if identity is None else _at(document, identity.path, whole=identity.type.kind == "integer")
        return said, _at(document, ("source",)), _at(document, (REDRIVE_OF,))

    def _apply_horizon(self, found: list[_Found]) -> None:
        """The rule of `core.horizon`. `found`: in offset order of each partition."""
        last_epochs: dict[PartitionKey, int] = {}
        for one in found:
            if one.event is not None:
                source = one.place.source
                last = last_epochs.get(source)
                known = last is not None and last >= one.epoch - self._rules.horizon
                one.speed_verdict = Verdict.DUPLICATE if known else Verdict.ACCEPTED
                last_epochs[source] = one.epoch

    def _occurrence(self, one: _Found, first: Place | None) -> Occurrence:
        counted_by = self._counted_by(one)
        verdict, cells, late = Verdict.REJECTED, Cells(), None
        if one.event is not None and one.time_ms is not None:
            verdict = Verdict.ACCEPTED if one.place == first else Verdict.DUPLICATE
            late = self._is_late(one, one.time_ms)
            has_speed = self._answer is not None and self._answer.speed is not None
            decided = one.speed_verdict if has_speed and counted_by.view != "batch" else verdict
            if decided is Verdict.ACCEPTED and counted_by.view != "gone":
                cells = _cells(self._kernel[one.place.source.topic], one.time_ms, one.event)
        return Occurrence(
            place=one.place,
            append_ms=one.append_ms,
            epoch=one.epoch,
            key=one.key,
            by_id=one.by_id,
            producer=one.producer,
            verdict=verdict,
            speed_verdict=one.speed_verdict,
            counted_by=counted_by,
            rejected=one.rejected,
            first=first if verdict is Verdict.DUPLICATE else None,
            time_ms=one.time_ms,
            late=late,
            cells=cells,
            redrive_of=one.redrive_of,
        )

    def _is_late(self, one: _Found, time_ms: int) -> bool:
        """Whether a valid record before it was so much newer that the watermark had passed it.

        A record is as new as its event time, never newer than its append time: so only those
        appended after that time plus the allowed lateness are decoded, and for most events there
        are none. Records that retention removed before they were archived are not known here.
        """
        limit_ms = time_ms + self._rules.lateness_ms
        if one.before_ms <= limit_ms:
            return False
        decide = self._kernel[one.place.source.topic].decide
        for chunk in self._history.read(one.place.source, one.place.offset):
            appended = chunk["append_ms"].to_numpy()
            for row in np.flatnonzero(appended > limit_ms).tolist():
                try:
                    other_ms, _ = decide.one(chunk["value"][row].as_py(), int(appended[row]))
                except Rejected:
                    continue
                if other_ms > limit_ms:
                    return True
        return False

    def _counted_by(self, one: _Found) -> CountedBy:
        answer, (source, offset) = self._answer, one.place
        if answer is None:
            return CountedBy("unknown", why=self._trouble)
        if answer.batch is not None and offset < answer.batch.cut.vector.get(source, 0):
            return CountedBy("batch", answer.batch.manifest.version)
        if answer.speed is None or offset >= answer.vector.get(source, 0):
            return CountedBy("pending")
        if one.epoch < answer.floor:
            return CountedBy("gone", why="it left the window of the speed view")
        if offset < answer.speed.positions[source].first:
            return CountedBy("gone", why="it came before the speed view began")
        return CountedBy("speed")


def _at(document: Any, path: Path, *, whole: bool = False) -> str | None:
    """The text at a path of a document, None where there is none; of a whole number its digits where these are wanted."""
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    if whole and type(document) is int:
        return str(document)
    return document if isinstance(document, str) else None


def _cells(kernel: StreamKernel, time_ms: int, event: Any) -> Cells:
    delta = Delta()
    delta.keep(0, kernel.aggregate, [time_ms], [event])
    delta.condense()
    return delta.cells()[0]
