"""`fourfold day`: plays the day profile, and measures what becomes of it in the batch layer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge as in_order
from typing import Any, Final

from adapters.kafka.log import Entry, LogReader
from adapters.lake.manifest import Manifest
from adapters.lake.raw_table import RawTable
from adapters.lake.views import PublishedBeforeError
from batch.funnel import Funnel, Label, RawRow, Stage, measure
from core.declaration.pipeline import Pipeline
from core.delta import ACCEPTED, DUPLICATES, LATE, REJECTED
from core.errors import FourfoldError, UnavailableError
from core.position import PartitionKey, covers
from core.truth import HEADER, Claims
from modes.pipelines import kernel_of, pipeline_of
from modes.settings import Settings
from modes.wiring.kafka import topics, wait_for_topics
from modes.wiring.lake import raw_table, view_store
from producers.emitter import Emitter
from producers.pacer import Pacer
from producers.profile import DAY, NAME, DayStream
from producers.role import Stats, run
from producers.variants import variants_of

#: The batch view must cover the day so long after its last record's epoch and the cut's margin.
COVER_S: Final = 60.0
_PAUSE_S: Final = 0.5

Vector = Mapping[PartitionKey, int]


def day(
    settings: Settings, *, recompute: Callable[[Settings], object], progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Plays a day of `day_seconds` with the seed, archives it, and measures the funnel: the document of `--json`.

    `settings`: with addresses of servers that run. `recompute`: runs one
    batch cycle. `exact` in the document: the counts are the profile's, hour by hour, nothing is missing, and the
    counters of the batch view agree, unless others produced meanwhile (then they are not compared).
    Raises `FourfoldError` where Kafka did not take all records, and as a batch cycle does.
    """
    wait_for_topics(settings)
    # a run of its own: its records are told from all others by its name
    name = f"day-{settings.seed}-{int(time.time()):x}-{os.getpid():x}"
    sources = topics(settings).partitions()
    before = view_store(settings).current()
    starts = _ends(settings, sources)
    began = time.monotonic()
    _produce(settings, name, progress)
    seconds = time.monotonic() - began
    covering = _cover(settings, _ends(settings, sources), recompute, progress)
    progress("measuring")
    # from the cut of the version before: what others produced is counted, too
    first = starts if before is None else {s: min(starts[s], before.cut.vector.get(s, 0)) for s in sources}
    others = _Others(pipeline_of(settings))
    with LogReader(settings.access, sources, None if before is None else first) as reader:
        labels = others.left_out(reader.read_to_end(), name, covering.cut.vector)
        funnel = measure(labels, raw_rows(raw_table(settings), starts, covering.cut.vector), kernel_of(settings))
    return document(funnel, before, covering, others.count) | {"profile": NAME, "run": name, "seconds": seconds}


def _ends(settings: Settings, sources: Sequence[PartitionKey]) -> dict[PartitionKey, int]:
    with LogReader(settings.access, sources) as reader:
        return {source: end for source, (_, end) in reader.bounds().items()}


def _produce(settings: Settings, name: str, progress: Callable[[str], None]) -> None:
    stream = DayStream(settings.seed, name, settings.day_seconds, variants=variants_of(pipeline_of(settings)))
    whole = sum(hour.records for hour in DAY)

    def report(stats: Stats) -> None:
        progress(f"playing the day: {stats.delivered:,} of {whole:,} records")

    stats = run(Emitter(settings.access.confluent()), stream, Pacer(stream.rate), threading.Event(), report)
    if stats.lost or stats.failed:
        raise FourfoldError(
            f"{stats.lost + stats.failed:,} records of the day were not acknowledged by Kafka: "
            "look at its log (`fourfold embedded status`), and play the day again"
        )


def _cover(
    settings: Settings, ends: Vector, recompute: Callable[[Settings], object], progress: Callable[[str], None]
) -> Manifest:
    """The first version that covers what is below `ends`: an epoch must end before, so it takes a while."""
    patience_s = settings.rules.epoch_ms / 1000 + settings.cut_margin_seconds
    end = time.monotonic() + patience_s + COVER_S
    # more cycles before that would make versions that cover half a day
    wait_until = time.monotonic() + patience_s
    progress(f"waiting for the end of the epoch: {patience_s:g} s")
    last = False
    while True:
        current = view_store(settings).current()
        if current is not None and covers(current.cut.vector, ends):
            return current
        if last:
            break
        # a cycle may take longer than all of the time: what began in time counts
        last = time.monotonic() > end
        if time.monotonic() >= wait_until:
            progress("archiving and recomputing")
            try:
                recompute(settings)
            except PublishedBeforeError:
                # a batch role runs, too, and was faster
                continue
        time.sleep(_PAUSE_S)
    raise UnavailableError(
        f"no batch view covers the day {COVER_S:g} s after its end: play it again when this machine does less else, and look "
        "at its clock if that does not help"
    )


class _Others:
    """Counts records below a vector that are not of a run."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._claims = Claims(pipeline)
        self.count = 0

    def left_out(self, entries: Iterable[Entry], name: str, vector: Vector) -> Iterator[Label]:
        """The labels of the run's records. Of their headers only run and hour are read, never the verdict."""
        for entry in entries:
            if entry.offset >= vector.get(entry.source, 0):
                continue
            header = next((value for key, value in entry.headers if key == HEADER), None)
            claim = None if header is None else self._claims.decode(header)
            if claim is not None and claim.run == name and (hour := self._claims.hour(claim)) >= 0:
                yield Label(entry.source, entry.offset, hour)
            else:
                self.count += 1


def raw_rows(raw: RawTable, starts: Vector, ends: Vector) -> Iterator[RawRow]:
    """The rows from `starts` to `ends` of all partitions, in the order of append times."""
    return in_order(
        *(_rows_of(raw, source, starts[source], ends.get(source, 0)) for source in sorted(starts)),
        key=lambda row: row[:3],
    )


def _rows_of(raw: RawTable, source: PartitionKey, start: int, end: int) -> Iterator[RawRow]:
    for chunk in raw.scan(source, start, end):
        columns = (chunk[name].to_pylist() for name in ("append_ms", "offset", "value"))
        for append_ms, offset, value in zip(*columns, strict=True):
            yield RawRow(append_ms, source, offset, value)


def document(funnel: Funnel, before: Manifest | None, after: Manifest, others: int) -> dict[str, Any]:
    """The funnel beside the profile's figures and beside what the batch view counts since `before`.

    `others`: records that the batch view covers since then, and that are not of the funnel.
    """
    added = _counters(after, 1)
    late = after.counters.get(LATE, 0)
    if before is not None:
        added = {name: number + _counters(before, -1)[name] for name, number in added.items()}
        late -= before.counters.get(LATE, 0)
    total = funnel.total
    measured = {
        "accepted": total.unique,
        "duplicates": total.valid - total.unique,
        "rejected": total.source - total.valid,
    }
    agrees = None if others else added == measured
    off = [number for number, stage in enumerate(funnel.hours) if stage != Stage(*DAY[number])]
    return funnel.as_json() | {
        "profile_total": Stage(*(sum(column) for column in zip(*DAY, strict=True))).as_json(),
        "as_profile": not off,
        "hours_off": off,
        "losses": {"rejected": dict(funnel.rejected), "duplicates": measured["duplicates"]},
        # late events are counted: only the batch view knows them, and of all records
        "late": None if others else late,
        "batch_view": {"version": after.version, "others": others, "counters": added, "agrees": agrees},
        "exact": not off and not funnel.missing and agrees is not False,
    }


def _counters(version: Manifest, sign: int) -> dict[str, int]:
    found = version.counters
    rejected = sum(number for name, number in found.items() if name.startswith(REJECTED))
    return {
        "accepted": sign * found.get(ACCEPTED, 0),
        "duplicates": sign * found.get(DUPLICATES, 0),
        "rejected": sign * rejected,
    }
