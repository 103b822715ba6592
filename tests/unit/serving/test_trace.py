"""trace: every record of one id, decided on as the pipeline decides, whatever the bytes are."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from adapters.kafka.raw_reader import COLUMNS, Piece
from adapters.lake.batch_view import BatchView
from adapters.lake.manifest import Manifest
from adapters.speed.memory import MemoryStore
from adapters.speed.port import Step
from core.cells import CellKey
from core.cut import Cut
from core.delta import Delta
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey, Position
from core.rules import Rules
from core.verdict import Reason, Rejected
from serving.answer import Answer, merged
from serving.history import History
from serving.trace import Occurrence, Place, Trace, Verdict
from serving.trace_text import SHOWN, trace_text
from serving.tracer import Tracer
from tests.support.events import CLICKS_0, CLICKS_1, NOW_MINUTE, NOW_MS, SALES_0, Record, as_bytes, click, sale
from tests.support.raw_log import Row, archive, cut_at, expected, last_cut, shop_log
from tests.support.shop import KERNEL, SHOP, SHOWN_MEASURES, ZERO, cell_of, fold_of
from tests.support.speed_stores import apply

RULES = Rules(epoch_ms=1_000, horizon=1, lateness_ms=2_000)
EPOCH = NOW_MS // 1_000


class FakeLog:
    """Stands for `RawReader`: a log that begins at offset `low` of each partition."""

    def __init__(self, rows: Iterable[Row], low: int = 0) -> None:
        self.rows = list(rows)
        self.low = low
        self._spans: dict[PartitionKey, tuple[int, int]] = {}

    def bounds(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, tuple[int, int]]:
        ends = dict.fromkeys(sources, 0)
        for row in self.rows:
            ends[row.source] = row.offset + 1
        return {source: (min(self.low, end), end) for source, end in ends.items()}

    def begin(self, spans: Mapping[PartitionKey, tuple[int, int]]) -> None:
        self._spans = {source: span for source, span in spans.items() if span[0] < span[1]}

    @property
    def left(self) -> list[PartitionKey]:
        return sorted(self._spans)

    def read(self, _timeout_s: float) -> list[Piece]:
        source, (start, end) = self._spans.popitem()
        rows = [row for row in self.rows if row.source == source and start <= row.offset < end]
        columns = [[getattr(row, name) for row in rows] for name in COLUMNS.names]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, COLUMNS, strict=True)]
        return [Piece(source, pa.record_batch(arrays, COLUMNS), end)]


class SilentLog(FakeLog):
    """A log that gives nothing."""

    def read(self, _timeout_s: float) -> list[Piece]:
        return []


def row(offset: int, value: object, append_ms: int = NOW_MS, source: PartitionKey = CLICKS_0) -> Row:
    return Row(source, offset, append_ms, b"user-1", value if isinstance(value, bytes | None) else as_bytes(value))


def sources_of(rows: Iterable[Row]) -> list[PartitionKey]:
    return sorted({row.source for row in rows})


def tracer(rows: Sequence[Row], answer: Answer | None = None, rules: Rules = RULES, trouble: str = "") -> Tracer:
    return Tracer(History(None, FakeLog(rows), sources_of(rows)), rules, KERNEL, answer, trouble)  # type: ignore[arg-type]


def found(rows: Sequence[Row], event_id: str = "e", answer: Answer | None = None) -> Sequence[Occurrence]:
    trace = tracer(rows, answer).trace(event_id)
    return trace.occurrences if trace else []


def speed_answer(rows: Sequence[Row], view: BatchView | None = None) -> Answer:
    """The speed view of the whole log, merged with a batch view."""
    store = MemoryStore(SHOP)
    for source in sources_of(rows):
        own = [Record(r.offset, r.append_ms, r.value) for r in rows if r.source == source]
        fold, delta = fold_of(source, Position(), RULES), Delta()
        fold.fold(own, own[-1].offset + 1, delta)
        apply(store, Step(source, "", fold.position.encode(), delta))
    return merged(ZERO, store.snapshot(), view)


def batch_view(vector: Mapping[PartitionKey, int], epoch: int, version: int = 7) -> BatchView:
    return BatchView(Manifest(version, Cut(epoch, vector), RULES.encode(), "v1", "pandas", True, 0), {}, Path())


def test_a_sale_and_the_cells_it_counts_in() -> None:
    (one,) = found([row(0, sale(id="e"), source=SALES_0)])
    assert (one.place, one.verdict, one.late, one.epoch) == (Place(SALES_0, 0), Verdict.ACCEPTED, False, EPOCH)
    assert (one.key, one.producer, one.time_ms) == (b"user-1", "/tests", NOW_MS)
    cell = cell_of(0, 1, 2, 2500)
    assert one.cells == {
        CellKey(NOW_MINUTE, "all", ""): cell,
        CellKey(NOW_MINUTE, "campaign", "spring"): cell,
        CellKey(NOW_MINUTE, "product", "cup"): cell,
        CellKey(NOW_MINUTE, "country", "DE"): cell,
    }


def test_nothing_of_that_id() -> None:
    rows = [row(0, click(id="e-12")), row(1, sale(id="x", order_id="e"), source=CLICKS_1), row(2, None)]
    assert tracer(rows).trace("e") is None
    with pytest.raises(ConfigurationError, match="empty id"):
        tracer(rows).trace("")


def test_the_first_in_append_time_is_accepted_over_all_partitions() -> None:
    rows = [
        row(0, click(id="e"), NOW_MS + 5, CLICKS_0),
        row(0, click(id="e"), NOW_MS + 4, CLICKS_1),
        row(1, click(id="e"), NOW_MS + 4, CLICKS_1),
    ]
    places = [(one.place, one.verdict, one.first) for one in found(rows)]
    first = Place(CLICKS_1, 0)
    assert places == [
        (first, Verdict.ACCEPTED, None),
        (Place(CLICKS_1, 1), Verdict.DUPLICATE, first),
        (Place(CLICKS_0, 0), Verdict.DUPLICATE, first),
    ]


def test_an_epoch_never_goes_back_and_comes_before_the_append_time() -> None:
    rows = [
        row(0, click(id="other"), NOW_MS + 3_000, CLICKS_0),
        row(1, click(id="e"), NOW_MS, CLICKS_0),
        row(0, click(id="e"), NOW_MS + 1_000, CLICKS_1),
    ]
    assert [(one.place.source, one.epoch) for one in found(rows)] == [(CLICKS_1, EPOCH + 1), (CLICKS_0, EPOCH + 3)]


@pytest.mark.parametrize(
    ("value", "reason", "by_id"),
    [
        (as_bytes(click(id="e", country="x")), Reason.BAD_FORMAT, True),
        (as_bytes(click(id="e"))[:-5], Reason.NOT_JSON, False),
        (b"\xff\xfe e \x00", Reason.NOT_JSON, False),
        (b'["e"]', Reason.WRONG_TYPE, False),
        (b'{"id":5,"e":1}', None, False),
    ],
)
def test_rejected_records_are_listed(value: bytes, reason: Reason | None, *, by_id: bool) -> None:
    one, sound = found([row(0, value), row(1, click(id="e"))])
    assert one.rejected is not None
    assert reason in (None, one.rejected.reason)
    assert (one.verdict, one.by_id, one.late, one.cells) == (Verdict.REJECTED, by_id, None, {})
    assert sound.verdict is Verdict.ACCEPTED


def test_broken_bytes_of_a_longer_id_are_not_of_this_one() -> None:
    assert not found([row(0, b'{"id":"e-1", '), row(1, b'{"id":"order-e", '), row(2, b'{"id":"x","y":"e"}')])


def test_an_id_written_with_escapes() -> None:
    escaped = as_bytes(click(id="XX")).replace(b"XX", rb"\u00e4\"")
    assert [one.by_id for one in found([row(0, escaped), row(1, click(id='ä"'))], 'ä"')] == [True, True]


def test_lateness_is_that_of_the_fold() -> None:
    rows = [
        row(0, click(NOW_MS + 5_000, id="new"), NOW_MS + 6_000),
        row(1, click(NOW_MS + 3_000, id="in-time"), NOW_MS + 6_000),
        row(2, click(NOW_MS + 2_999, id="late"), NOW_MS + 6_000),
        row(0, click(NOW_MS, id="stale"), NOW_MS + 6_000, CLICKS_1),
        row(1, b"garbage", NOW_MS + 6_000, CLICKS_1),
        row(2, click(NOW_MS, id="alone"), NOW_MS + 6_000, CLICKS_1),
    ]
    late = {name: found(rows, name)[0].late for name in ("new", "in-time", "late", "stale", "alone")}
    assert late == {"new": False, "in-time": False, "late": True, "stale": False, "alone": False}


def test_the_view_that_counts_it() -> None:
    rows = [row(offset, click(NOW_MS, id="e"), NOW_MS + offset * 5_000) for offset in range(4)]
    answer = speed_answer(rows[:3], batch_view({CLICKS_0: 1}, EPOCH + 1))
    one, two, three, four = found(rows, answer=answer)
    assert (one.counted_by.view, one.counted_by.version, one.differs) == ("batch", 7, False)
    # beyond the horizon: the speed view takes it for another event until a batch view covers it
    for again in (two, three):
        assert (again.counted_by.view, again.verdict, again.speed_verdict) == (
            "speed",
            Verdict.DUPLICATE,
            Verdict.ACCEPTED,
        )
        assert again.differs
        assert again.cells
    assert four.counted_by.view == "pending"


def test_a_duplicate_within_the_horizon_counts_nowhere() -> None:
    rows = [row(offset, click(id="e"), NOW_MS + offset * 1_000) for offset in range(4)]
    _, *again = found(rows, answer=speed_answer(rows))
    # each one is remembered anew
    assert {one.speed_verdict for one in again} == {Verdict.DUPLICATE}
    assert not any(one.differs or one.cells for one in again)


def test_what_no_view_counts_any_more() -> None:
    rows = [row(offset, click(id="e"), NOW_MS + offset * 5_000) for offset in range(2)]
    whole = speed_answer(rows)
    windowed = Answer(ZERO, vector=whole.vector, floor=EPOCH + 5, speed=whole.speed)
    one, two = found(rows, answer=windowed)
    assert (one.counted_by.view, one.cells) == ("gone", {})
    assert two.counted_by.view == "speed"
    assert {one.counted_by.why for one in tracer(rows, trouble="Redis is away").trace("e").occurrences} == {  # type: ignore[union-attr]
        "Redis is away"
    }


def test_archive_and_log_are_one_history(tmp_path: Path) -> None:
    """Every id of a dirty log, against the reference of the batch layer; the log begins behind what is archived."""
    rules = Rules(epoch_ms=1_000)
    log = shop_log(3, 250)
    cut = cut_at(log, rules.epoch_of(log[170].append_ms), rules)
    raw = archive(tmp_path, [r for r in log if r.offset < cut.vector[r.source]])
    low = min(cut.vector.values())
    assert low > 0
    tracer = Tracer(History(raw, FakeLog(log, low), sources_of(log)), rules, KERNEL, None)  # type: ignore[arg-type]
    reference = expected(log, last_cut(log, rules), rules)
    ids = {event.id for event in map(valid, log) if event}
    assert ids == reference.ids
    late = duplicates = 0
    for event_id in sorted(ids):
        trace = tracer.trace(event_id)
        assert trace is not None
        verdicts = [one.verdict for one in trace.occurrences if one.rejected is None]
        assert verdicts.count(Verdict.ACCEPTED) == 1
        duplicates += verdicts.count(Verdict.DUPLICATE)
        late += sum(one.verdict is Verdict.ACCEPTED and one.late is True for one in trace.occurrences)
    assert duplicates == reference.counters["duplicates"] > 0
    assert late == reference.counters["late"] > 0


def valid(row: Row) -> Any:
    try:
        return KERNEL[row.source.topic].decide.one(row.value, row.append_ms)[1]
    except Rejected:
        return None


def test_a_silent_log_is_told() -> None:
    rows = [row(0, click(id="e"))]
    times = iter(range(100))
    history = History(None, SilentLog(rows), [CLICKS_0], quiet_s=5, clock=lambda: next(times))  # type: ignore[arg-type]
    with pytest.raises(UnavailableError, match="clicks:0 for 5 s"):
        Tracer(history, RULES, KERNEL, None).trace("e")


def drawn(trace: Trace) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(trace_text(trace, SHOWN_MEASURES))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_text_and_json() -> None:
    rows = [row(offset, click(NOW_MS, id="e"), NOW_MS + offset * 5_000) for offset in range(3)]
    rows.append(row(3, as_bytes(click(id="e", source="\x1b[2J[red]")).replace(b'"2', b'"no'), NOW_MS + 10_000))
    trace = tracer(rows, speed_answer(rows, batch_view({CLICKS_0: 1}, EPOCH + 1))).trace("e")
    assert trace is not None
    text = drawn(trace)
    for words in (
        "e: 4 records",
        "batch view v7",
        "duplicate of clicks:0:0",
        "one more event",
        "·[2J[red]",
        "campaign",
    ):
        assert words in text
    assert "\x1b" not in text
    document = json.loads(json.dumps(trace.as_json()))
    assert [one["verdict"] for one in document["occurrences"]] == ["accepted", "duplicate", "duplicate", "rejected"]
    assert document["occurrences"][1]["first"] == {"topic": "clicks", "partition": 0, "offset": 0}
    assert document["occurrences"][3]["reason"] == "bad_format"


def test_hostile_keys_and_ids_are_drawn_as_they_are() -> None:
    hostile = "[/x]\x1b[2J"
    trace = tracer([Row(CLICKS_0, 0, NOW_MS, hostile.encode(), as_bytes(click(id=hostile)))]).trace(hostile)
    assert trace is not None
    text = drawn(trace)
    assert text.count("[/x]·[2J") == 2
    assert "\x1b" not in text


def test_a_long_trace_is_cut_short_on_the_terminal() -> None:
    trace = tracer([row(offset, click(id="e")) for offset in range(SHOWN + 3)]).trace("e")
    assert trace is not None
    assert "and 3 more" in drawn(trace)
