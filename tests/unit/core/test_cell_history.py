"""A history of cells: it says what a dictionary of all that was added would, and its views never change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import cell_history
from core.cell_history import CellHistory, CellHistoryView
from core.cell_table import CellTable
from core.cells import LARGEST, Cell, CellKey, CellOverflowError, Cells, merge

MEASURES = ("clicks", "cents")
SMALLEST = -LARGEST - 1
HOUR = 483_333
DIMENSIONS = ("all", "product")

MINUTES = st.integers(-130, 130) | st.integers(HOUR * 60 - 5, HOUR * 60 + 130) | st.sampled_from([SMALLEST, LARGEST])
NEAR = st.integers(-1_600, 1_600)
NUMBERS = st.integers(-2, 3) | st.sampled_from([2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**40])
HUGE = st.integers(-2, 2) | st.sampled_from([LARGEST, SMALLEST, 2**62, -(2**62)])
VALUES = st.sampled_from(["", "a", "b", "é🙂"])


def tables_of(
    numbers: st.SearchStrategy[int], minutes: st.SearchStrategy[int] = MINUTES
) -> st.SearchStrategy[list[Cells]]:
    keys = st.builds(CellKey, minutes, st.sampled_from(DIMENSIONS), VALUES)
    cells = st.builds(lambda *sums: Cell(sums), numbers, numbers)
    return st.lists(st.dictionaries(keys, cells, max_size=6), max_size=6)


@contextmanager
def adding_up_early() -> Iterator[None]:
    """Runs are added up after a few, and sums of an hour held for a few, as in a long history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_history, "_WAITING", 2)
        patch.setattr(cell_history, "_PART", 1)
        yield


def table_of(cells: Cells) -> CellTable:
    return CellTable.of_cells(MEASURES, cells)


def history_of(*tables: Cells) -> CellHistory:
    history = CellHistory(MEASURES)
    for cells in tables:
        history.add(table_of(cells))
    return history


def without_zeros(cells: Cells) -> Cells:
    return {key: cell for key, cell in cells.items() if any(cell)}


def fits(cells: Cells) -> bool:
    return all(SMALLEST <= number <= LARGEST for cell in cells.values() for number in cell)


def sums_of(cells: Cells, chosen: Callable[[CellKey], bool]) -> dict[tuple[str, str], Cell]:
    out: dict[tuple[str, str], Cell] = {}
    for key, cell in cells.items():
        if chosen(key):
            name = key.dimension, key.value
            out[name] = out[name].plus(cell) if name in out else cell
    return {name: cell for name, cell in out.items() if any(cell)}


def check(view: CellHistoryView, cells: Cells, start: int, end: int) -> None:
    """A view says what these cells say, about all of time and from `start` to `end`."""
    cells = without_zeros(cells)
    for first, last in ((start, end), (-(2**70), 2**70)):
        for only in (None, "product", "nothing"):
            expected = sums_of(cells, lambda key: first <= key.minute < last and only in (None, key.dimension))  # noqa: B023
            assert view.between(first, last, only) == expected
        for dimension in DIMENSIONS:
            for value in ("a", "never"):
                series = {
                    key.minute: cell
                    for key, cell in sorted(cells.items())
                    if (key.dimension, key.value) == (dimension, value) and first <= key.minute < last
                }
                assert list(view.series(dimension, value, first, last).items()) == list(series.items())
        assert view.minutes(first, last) == {key.minute for key in cells if first <= key.minute < last}
    assert view.minutes() == {key.minute for key in cells}
    assert view.cells() == cells
    assert len(view) == len(cells)


@given(tables_of(NUMBERS), MINUTES, MINUTES)
def test_what_was_added_is_there(tables: list[Cells], start: int, end: int) -> None:
    check(history_of(*tables).view(), merge(*tables), start, end)
    with adding_up_early():
        check(history_of(*tables).view(), merge(*tables), start, end)


@given(tables_of(NUMBERS, NEAR), NEAR, NEAR)
def test_a_view_never_changes(tables: list[Cells], start: int, end: int) -> None:
    with adding_up_early():
        history = CellHistory(MEASURES)
        views = [(history.view(), Cells())]
        for cells in tables:
            history.add(table_of(cells))
            views.append((history.view(), merge(views[-1][1], cells)))
        history.roll(2_000, 100)
        for view, cells in views:
            check(view, cells, start, end)


def test_a_view_is_made_once_for_each_change() -> None:
    history = history_of({CellKey(0, "all", ""): Cell((1, 1))})
    view = history.view()
    assert history.view() is view
    history.roll(1, 1)
    rolled = history.view()
    assert rolled is not view
    history.add(CellTable.empty(MEASURES))
    assert history.view() is not rolled


@given(tables_of(NUMBERS, NEAR), st.lists(st.tuples(NEAR, NEAR), min_size=1, max_size=3), NEAR, NEAR)
def test_minutes_become_hours_and_days(
    tables: list[Cells], limits: list[tuple[int, int]], start: int, end: int
) -> None:
    history = CellHistory(MEASURES)
    expected: Cells = {}
    for at, cells in enumerate(tables):
        history.add(table_of(cells))
        expected = merge(expected, cells)
        hours_below, days_below = limits[at % len(limits)]
        history.roll(hours_below, days_below)
        expected = table_of(expected).rolled(hours_below, days_below).cells()
    check(history.view(), expected, start, end)


def test_cells_that_became_zero_are_gone() -> None:
    key, other = CellKey(0, "all", ""), CellKey(1, "all", "")
    history = history_of({key: Cell((1, 2)), other: Cell((1, 0))}, {key: Cell((-1, -2))})
    assert history.view().minutes() == {1}
    check(history.view(), {other: Cell((1, 0))}, 0, 2)
    history.add(table_of({other: Cell((-1, 0))}))
    check(history.view(), {}, 0, 2)


def test_rolling_again_changes_no_hour() -> None:
    history = history_of({CellKey(minute, "all", ""): Cell((1, 1)) for minute in range(0, 3_000, 7)})
    history.roll(2_990, 1_500)
    before = history._hours["all"]
    history.roll(2_990, 1_500)
    assert history._hours["all"] == before
    assert all(held is before[hour] for hour, held in history._hours["all"].items())
    assert set(before) == {0, 24, *range(25, 50)}


@given(tables_of(HUGE, st.integers(0, 2)))
def test_what_does_not_fit_is_refused_at_once_and_changes_nothing(tables: list[Cells]) -> None:
    history = CellHistory(MEASURES)
    held: Cells = {}
    for cells in tables:
        more = merge(held, cells)
        if fits(more):
            history.add(table_of(cells))
            held = more
        else:
            with pytest.raises(CellOverflowError):
                history.add(table_of(cells))
    check(history.view(), held, 0, 2)
    rolled = merge(*({key._replace(minute=0): cell} for key, cell in held.items()))
    if fits(rolled):
        history.roll(60, 0)
        check(history.view(), rolled, 0, 2)
    else:
        with pytest.raises(CellOverflowError):
            history.roll(60, 0)
        check(history.view(), held, 0, 2)


def test_an_overflow_names_its_cell() -> None:
    history = history_of(
        {CellKey(1, "product", "kettle"): Cell((LARGEST, 1))}, {CellKey(1, "product", "q"): Cell((1, 1))}
    )
    with pytest.raises(CellOverflowError, match="clicks of product 'kettle' at 1970-01-01T00:01"):
        history.add(table_of({CellKey(0, "all", ""): Cell((1, 1)), CellKey(1, "product", "kettle"): Cell((1, 0))}))
    assert history.view().minutes() == {1}


def test_hours_and_days_that_begin_below_64_bits_are_refused() -> None:
    cells = {CellKey(SMALLEST, "all", "v"): Cell((1, 1)), CellKey(SMALLEST + 1_440, "all", ""): Cell((1, 1))}
    for limits in ((SMALLEST + 1, SMALLEST), (SMALLEST, SMALLEST + 1)):
        history = history_of(cells)
        with pytest.raises(CellOverflowError, match="minute of all 'v'"):
            history.roll(*limits)
        check(history.view(), cells, SMALLEST, 0)


def test_sums_over_minutes_are_exact_however_large() -> None:
    cells = {CellKey(minute, "all", ""): Cell((LARGEST, SMALLEST)) for minute in range(150)}
    view = history_of(cells).view()
    assert view.between(0, 150) == {("all", ""): Cell((150 * LARGEST, 150 * SMALLEST))}
    assert view.between(0, 60) == {("all", ""): Cell((60 * LARGEST, 60 * SMALLEST))}
    assert {type(number) for number in view.between(0, 150)["all", ""]} == {int}


@pytest.mark.parametrize("largest", [3, 2**31 // 60, 2**31, LARGEST // 60, LARGEST // 60 + 1])
def test_sums_of_whole_hours_are_those_of_their_minutes(largest: int) -> None:
    cells = {
        CellKey(minute, "product", value): Cell((largest, -minute))
        for minute in range(HOUR * 60 - 1, HOUR * 60 + 121)
        for value in "abc"
    }
    view = history_of(cells).view()
    for _ in range(2):
        check(view, cells, HOUR * 60, HOUR * 60 + 60)
        check(view, cells, HOUR * 60 + 1, HOUR * 60 + 121)


def test_sums_of_an_hour_are_made_once() -> None:
    cells = {CellKey(minute, "product", value): Cell((1, 1)) for minute in range(60) for value in "abc"}
    history = history_of(cells)
    history.view().between(0, 60)
    (run,) = history._hours["product"][0].runs
    totals = run._totals
    assert totals is not None
    assert totals[1].tolist() == [[60] * 3] * 2
    history.add(table_of({CellKey(60, "product", "a"): Cell((1, 1))}))
    history.view().between(0, 61)
    assert history._hours["product"][0].runs[0]._totals is totals


def test_many_small_additions_leave_few_runs() -> None:
    history = CellHistory(MEASURES)
    for n in range(2_000):
        history.add(table_of({CellKey(n % 60, "product", f"p{n % 700}"): Cell((1, n))}))
        assert len(history._hours["product"][0].runs) <= 16
    expected = merge(*({CellKey(n % 60, "product", f"p{n % 700}"): Cell((1, n))} for n in range(2_000)))
    assert history.view().cells() == expected


def test_only_tables_of_the_same_measures_are_added() -> None:
    history = CellHistory(MEASURES)
    with pytest.raises(ValueError, match="cents"):
        history.add(CellTable.empty(("clicks",)))


def test_an_empty_history_has_nothing() -> None:
    for history in (history_of(), history_of({}), history_of({CellKey(0, "all", ""): Cell((0, 0))})):
        history.roll(9, 9)
        check(history.view(), {}, 0, 9)


def test_readers_are_right_while_the_writer_adds() -> None:
    history = CellHistory(MEASURES)
    history.add(table_of({CellKey(0, "all", ""): Cell((1, 1))}))
    views = [history.view()]
    done, wrong = Event(), []

    def read() -> None:
        while not done.is_set():
            view = views[-1]
            total, size = view.between(0, 10**6, "all")["all", ""], len(view)
            series = view.series("all", "", 0, 10**6)
            if total != Cell(map(sum, zip(*series.values(), strict=True))) or size != len(view.cells()):
                wrong.append((total, size))

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for n in range(300):
            history.add(table_of({CellKey(n % 50, "all", ""): Cell((1, n)), CellKey(n, "all", f"v{n}"): Cell((1, 1))}))
            views.append(history.view())
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not wrong
    assert views[0].cells() == {CellKey(0, "all", ""): Cell((1, 1))}
    assert views[-1].between(0, 10**6)["all", ""] == Cell((301, 1 + sum(range(300))))
