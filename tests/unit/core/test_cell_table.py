"""Tables of cells: they say what a dictionary of the same cells would, and refuse what 64 bits cannot hold."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import cell_table
from core.cell_table import CellTable, grouped
from core.cells import LARGEST, Cell, CellKey, CellOverflowError, Cells, merge

MEASURES = ("clicks", "cents")
SMALLEST = -LARGEST - 1
Row = tuple[int, str, str, int, int]

MINUTES = st.integers(-3, 3) | st.integers(29_000_000, 29_003_000) | st.sampled_from([SMALLEST, LARGEST])
VALUES = st.sampled_from(["", "a", "b", "a\0b", "é", "e\u0301", "日本", "🙂", "\ud800", "\udc00", "x" * 300])
NUMBERS = st.integers(-3, 3) | st.integers(-(2**33), 2**33) | st.sampled_from([SMALLEST, LARGEST, LARGEST - 1, 2**62])
DIMENSIONS = st.sampled_from(["all", "product", "größe"])


def rows_of(numbers: st.SearchStrategy[int], minutes: st.SearchStrategy[int] = MINUTES) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.tuples(minutes, DIMENSIONS, VALUES, numbers, numbers), max_size=12)


#: Few rows take another way than many: up to how many they are added up by Python, and up to how many they are sorted.
WAYS = {"few": (64, 512), "sorted": (0, 512), "placed": (0, 0)}


@contextmanager
def going(way: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few, in_order = WAYS[way]
        patch.setattr(cell_table, "_FEW", few)
        patch.setattr(cell_table, "_SORTED", in_order)
        yield


@pytest.fixture(params=WAYS)
def each_way(request: pytest.FixtureRequest) -> Iterator[None]:
    with going(request.param):
        yield


def table_of(rows: Iterable[Row]) -> CellTable:
    columns: dict[str, tuple[list[int], list[str], tuple[list[int], list[int]]]] = {}
    for minute, dimension, value, clicks, cents in rows:
        minutes, values, sums = columns.setdefault(dimension, ([], [], ([], [])))
        minutes.append(minute)
        values.append(value)
        sums[0].append(clicks)
        sums[1].append(cents)
    return CellTable.of_rows(MEASURES, columns)


def cells_of(rows: Iterable[Row]) -> Cells:
    return merge(*({CellKey(minute, dimension, value): Cell(numbers)} for minute, dimension, value, *numbers in rows))


def fits(cells: Cells) -> bool:
    return all(SMALLEST <= number <= LARGEST for cell in cells.values() for number in cell)


def without_zeros(cells: Cells) -> Cells:
    return {key: cell for key, cell in cells.items() if any(cell)}


def totals_of(cells: Cells, chosen: Callable[[CellKey], bool] = lambda _: True) -> dict[tuple[str, str], Cell]:
    out: dict[tuple[str, str], Cell] = {}
    for key, cell in cells.items():
        if chosen(key):
            name = key.dimension, key.value
            out[name] = out[name].plus(cell) if name in out else cell
    return out


def check_made(make: Callable[[], CellTable], expected: Cells) -> None:
    """It holds what is expected, whichever way it goes; where that does not fit, it is refused."""
    for way in WAYS:
        with going(way):
            if fits(expected):
                table = make()
                assert table.cells() == expected
                assert len(table) == len(expected)
                check_order(table)
            else:
                with pytest.raises(CellOverflowError):
                    make()


def check_order(table: CellTable) -> None:
    for rows in table.dimensions.values():
        keys = list(zip(rows.minutes.tolist(), rows.value_ids.tolist(), strict=True))
        assert keys == sorted(set(keys))
        assert len(set(rows.values)) == len(rows.values)


@given(rows_of(NUMBERS))
def test_rows_of_one_key_are_added_up(rows: list[Row]) -> None:
    check_made(lambda: table_of(rows), cells_of(rows))


def test_many_rows_are_added_up() -> None:
    rows = [(29_000_000 + n % 7, "product", f"p{n * n % 101}", n, -n) for n in range(5_000)]
    check_made(lambda: table_of(rows), cells_of(rows))


@given(st.lists(rows_of(NUMBERS), min_size=1, max_size=4))
def test_tables_are_added_up_without_what_became_zero(parts: list[list[Row]]) -> None:
    cells = [cells_of(rows) for rows in parts]
    if all(map(fits, cells)):
        tables = [table_of(rows) for rows in parts]
        check_made(lambda: CellTable.merged(tables), without_zeros(merge(*cells)))
        assert [table.cells() for table in tables] == cells


def test_values_of_which_nothing_is_left_are_forgotten() -> None:
    table = CellTable.merged(
        [table_of([(1, "all", "a", 1, 1), (1, "all", "b", 2, 2)]), table_of([(1, "all", "a", -1, -1)])]
    )
    assert table.dimensions["all"].values == ("b",)
    assert CellTable.merged([table, table_of([(1, "all", "b", -2, -2)])]).dimensions == {}


@pytest.mark.parametrize("tables", [[], [CellTable.empty(("a",)), CellTable.empty(("b",))]])
def test_only_tables_of_the_same_measures_are_added_up(tables: list[CellTable]) -> None:
    with pytest.raises(ValueError, match="measures"):
        CellTable.merged(tables)


@given(rows_of(NUMBERS, st.integers(-3_000, 3_000)), st.integers(-3_100, 3_100), st.integers(-3_100, 3_100))
def test_minutes_become_hours_and_days(rows: list[Row], hours_below: int, days_below: int) -> None:
    if fits(cells_of(rows)):
        rolled = [
            (m // 1_440 * 1_440 if m < days_below else m // 60 * 60 if m < hours_below else m, *rest)
            for m, *rest in rows
        ]
        table = table_of(rows)
        check_made(lambda: table.rolled(hours_below, days_below), cells_of(rolled))


@pytest.mark.parametrize("limits", [(LARGEST, SMALLEST), (SMALLEST, LARGEST), (2**70, -(2**70))])
def test_hours_and_days_that_begin_below_64_bits_are_refused(limits: tuple[int, int]) -> None:
    with pytest.raises(CellOverflowError, match="minute of all"):
        table_of([(SMALLEST, "all", "", 1, 1)]).rolled(*limits)


def test_minutes_from_a_limit_on_stay_wherever_it_is() -> None:
    table = table_of([(SMALLEST, "all", "", 1, 1), (LARGEST, "all", "", 1, 1)])
    assert table.rolled(-(2**70), SMALLEST).cells() == table.cells()
    assert table_of([(LARGEST, "all", "", 1, 1)]).rolled(0, 2**70).distinct_minutes() == {LARGEST // 1_440 * 1_440}


@given(rows_of(NUMBERS))
def test_sums_over_all_minutes_are_cells_of_minute_0(rows: list[Row]) -> None:
    if fits(cells_of(rows)):
        table = table_of(rows)
        check_made(table.summed, cells_of((0, *rest) for _, *rest in rows))


@given(rows_of(NUMBERS))
def test_questions_are_answered_exactly(rows: list[Row]) -> None:
    cells = cells_of(rows)
    if not fits(cells):
        return
    table = table_of(rows)
    assert table.totals() == totals_of(cells)
    assert table.distinct_minutes() == {key.minute for key in cells}


def test_totals_are_python_numbers_of_any_size() -> None:
    total = table_of([(minute, "all", "", LARGEST, SMALLEST) for minute in range(3)]).totals()["all", ""]
    assert total == (3 * LARGEST, 3 * SMALLEST)
    assert {type(number) for number in total} == {int}


@given(rows_of(NUMBERS))
def test_cells_make_the_same_table(rows: list[Row]) -> None:
    cells = cells_of(rows)
    check_made(lambda: CellTable.of_cells(MEASURES, cells), cells)


def test_an_empty_table_has_nothing() -> None:
    for table in (CellTable.empty(MEASURES), CellTable.of_cells(MEASURES, {}), table_of([]).rolled(9, 9)):
        assert (len(table), table.cells(), table.totals()) == (0, {}, {})
        assert (table.distinct_minutes(), table.measures) == (set(), MEASURES)
    assert CellTable.of_rows(MEASURES, {"all": ([], [], ([], []))}).dimensions == {}


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (([2**63], ["v"], ([1], [1])), "minute of product 'v'"),
        (([-(2**63) - 1], ["v"], ([1], [1])), "minute of product 'v'"),
        (([0], ["v"], ([2**63], [1])), "clicks of product 'v'"),
        (([0], ["v"], ([1], [-(2**63) - 1])), "cents of product 'v'"),
        (([0, 0], ["v", "v"], ([1, 1], [2**63, -1])), "cents of product 'v'"),
        (([0, 0, 0], ["v", "w", "w"], ([1, LARGEST, 1], [0, 0, 0])), "clicks of product 'w'"),
    ],
)
def test_an_overflow_names_its_cell(columns: tuple[list[int], list[str], tuple[list[int], ...]], named: str) -> None:
    with pytest.raises(CellOverflowError, match=named):
        CellTable.of_rows(MEASURES, {"all": ([0], [""], ([1], [1])), "product": columns})


@pytest.mark.usefixtures("each_way")
def test_a_sum_that_fits_is_taken_whatever_comes_between() -> None:
    table = table_of([(0, "all", "", LARGEST, SMALLEST), (0, "all", "", LARGEST, 1), (0, "all", "", -LARGEST, -1)])
    assert table.cells() == {CellKey(0, "all", ""): Cell((LARGEST, SMALLEST))}


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("number", [1.0, "1", None])
def test_numbers_are_integers(number: object) -> None:
    with pytest.raises(TypeError, match="clicks of all"):
        CellTable.of_rows(("clicks",), {"all": ([0], [""], ([number],))})


@pytest.mark.parametrize(
    "columns",
    [
        ([0], ["a"], ([1],)),
        ([0], ["a"], ([1], [1], [1])),
        ([0], [], ([1], [1])),
        ([], ["a"], ([1], [1])),
        ([0], ["a"], ([1], [])),
    ],
)
def test_columns_are_as_many_and_as_long_as_they_should_be(
    columns: tuple[list[int], list[str], tuple[list[int], ...]],
) -> None:
    with pytest.raises(ValueError, match="the columns of all"):
        CellTable.of_rows(MEASURES, {"all": columns})


@given(rows_of(NUMBERS))
def test_what_is_packed_comes_back(rows: list[Row]) -> None:
    if fits(cells_of(rows)):
        table = table_of(rows)
        unpacked = CellTable.unpack(table.pack())
        assert (unpacked.measures, unpacked.cells()) == (MEASURES, table.cells())
        assert CellTable.unpack(unpacked.pack(), MEASURES).cells() == table.cells()
        assert unpacked.pack() == table.pack()
        check_order(unpacked)


def test_a_large_table_is_packed_small() -> None:
    rows = [(29_000_000 + minute, "product", f"product-{n}", n % 50, 0) for minute in range(20) for n in range(500)]
    table = table_of(rows)
    packed = table.pack()
    assert CellTable.unpack(packed).cells() == table.cells()
    assert len(packed) < len(rows)


def test_measures_that_are_zero_take_no_room() -> None:
    rows = [(0, "product", f"p{n}", 0, 0) for n in range(50)]
    names = sum(len(name) + 1 for _, _, name, _, _ in rows)
    assert len(table_of(rows).pack()) < names + 100


def test_measures_are_unpacked_in_the_order_that_is_asked_for() -> None:
    table = table_of([(5, "all", "", 1, 2), (5, "product", "a", 3, 4)])
    unpacked = CellTable.unpack(table.pack(), ("cents", "more", "clicks"))
    assert unpacked.measures == ("cents", "more", "clicks")
    assert unpacked.cells() == {CellKey(5, "all", ""): Cell((2, 0, 1)), CellKey(5, "product", "a"): Cell((4, 0, 3))}
    with pytest.raises(ValueError, match="cents"):
        CellTable.unpack(table.pack(), ("clicks", "more"))


def test_the_packed_form_stays_as_it_is() -> None:
    packed = table_of([(-2, "all", "", 1, -2), (258, "all", "é", 3, 0)]).pack()
    body = b"".join(
        (
            struct.pack("<II", 2, 11) + b"\x01\x06\x05" + b"clickscents",
            struct.pack("<II", 1, 3) + b"\x01\x03" + b"all",
            struct.pack("<II", 2, 2) + b"\x01\x00\x01" + "é".encode(),
            struct.pack("<Iq", 2, -2) + b"\x02" + struct.pack("<HH", 0, 260),
            b"\x00" + b"\x01\x01\x03" + b"\x08" + struct.pack("<qq", -2, 0),
        )
    )
    assert packed == b"FCT\x01" + struct.pack("<I", zlib.crc32(b"\0" + body)) + b"\0" + body


SMALL_TABLE = [(1, "all", "", 1, 2), (2, "product", "é", 300, -1), (2, "product", "b", 0, 70_000)]
LARGE_TABLE = [(29_000_000, "product", f"p{n * n}", n, n * n) for n in range(200)]


@pytest.mark.parametrize("rows", [[], SMALL_TABLE, LARGE_TABLE])
def test_damage_is_noticed(rows: list[Row]) -> None:
    packed = table_of(rows).pack()
    for at in range(len(packed)):
        for changed in (packed[at] ^ 1, packed[at] ^ 0x80, 255 - packed[at]):
            with pytest.raises(ValueError, match="packed table"):
                CellTable.unpack(packed[:at] + bytes([changed]) + packed[at + 1 :])
        with pytest.raises(ValueError, match="packed table"):
            CellTable.unpack(packed[:at])
    with pytest.raises(ValueError, match="packed table"):
        CellTable.unpack(packed + b"\0")


def sealed(body: bytes, compressed: int = 0) -> bytes:
    rest = bytes([compressed]) + body
    return b"FCT\x01" + struct.pack("<I", zlib.crc32(rest)) + rest


BODY = table_of(SMALL_TABLE).pack()[9:]


@given(st.integers(0, len(BODY) - 1), st.binary(max_size=4), st.integers(0, 4))
def test_a_body_that_nobody_packed_is_refused_or_a_table(at: int, changed: bytes, left_out: int) -> None:
    try:
        table = CellTable.unpack(sealed(BODY[:at] + changed + BODY[at + left_out :]))
    except ValueError:
        return
    check_order(table)
    assert CellTable.unpack(table.pack()).cells() == table.cells()


NOTHING = struct.pack("<II", 0, 0) + b"\0"
ONE = struct.pack("<II", 1, 0) + b"\0"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "shorter"),
        (b"FCT\x02" + sealed(NOTHING * 2)[4:], "version"),
        (sealed(NOTHING * 2, 2), "damaged"),
        (sealed(b"no zlib", 1), "damaged"),
        (sealed(zlib.compress(NOTHING * 2)[:-1], 1), "damaged"),
        (sealed(NOTHING), "shorter"),
        (sealed(NOTHING * 2 + b"\0"), "longer"),
        (sealed(struct.pack("<II", 2**32 - 1, 0) + b"\0"), "more texts"),
        (sealed(struct.pack("<II", 1, 1) + b"\x03abc"), "3 bytes"),
        (sealed(struct.pack("<II", 1, 1) + b"\x01\x02a"), "other lengths"),
        (sealed(struct.pack("<II", 3, 2) + b"\x08" + struct.pack("<qqq", 2, -1, 1) + b"ab"), "other lengths"),
        (sealed(struct.pack("<II", 2, 2) + b"\x01\x01\x01aa"), "twice"),
        (sealed(struct.pack("<II", 1, 1) + b"\x01\x01\xff"), "utf-8"),
        (sealed(NOTHING + ONE + NOTHING + struct.pack("<Iq", 1, 0) + b"\0\0"), "without values"),
        (sealed(NOTHING + ONE + ONE + struct.pack("<Iq", 0, 0) + b"\0\0"), "more rows"),
        (sealed(NOTHING + ONE + ONE + struct.pack("<Iq", 2**32 - 1, 0) + b"\0\0"), "more rows"),
        (sealed(NOTHING + ONE + ONE + struct.pack("<Iq", 2, 0) + b"\0\0"), "in order"),
        (
            sealed(NOTHING + ONE + ONE + struct.pack("<Iq", 2, 0) + b"\x08" + struct.pack("<qq", 0, -1) + b"\0"),
            "in order",
        ),
    ],
)
def test_what_is_no_packed_table_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CellTable.unpack(data)


@given(st.lists(st.integers(0, 40) | st.integers(SMALLEST, LARGEST), max_size=20))
def test_keys_are_told_apart(keys: list[int]) -> None:
    import numpy as np

    distinct, groups = grouped(np.array(keys, np.int64))
    assert distinct.tolist() == sorted(set(keys))
    assert distinct[groups].tolist() == keys
