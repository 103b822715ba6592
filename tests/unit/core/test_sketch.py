"""Sketches of distinct users: unions that nothing but their content matters to, and estimates near the truth."""

from __future__ import annotations

import math
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sketch import LARGEST_COUNT, SPARSE_LIMIT, Sketch, hashes_of, union_count

REGISTERS = 16_384
#: Users enough for sketches on both sides of the limit, of which every slice is a set of users.
HASHES = struct.pack("<12000I", *(zlib.crc32(f"u-{number:06d}".encode()) for number in range(12_000)))


def hashes_between(start: int, size: int) -> bytes:
    return HASHES[4 * start : 4 * (start + size)]


#: Few users, many, and as many as the limit.
PARTS = st.builds(
    hashes_between, st.integers(0, 6_000), st.integers(0, 30) | st.integers(500, 1_400) | st.just(SPARSE_LIMIT)
)


def sketch_of(*parts: bytes) -> Sketch:
    sketch = Sketch()
    for part in parts:
        sketch.add(part)
    return sketch


def merged(*sketches: Sketch) -> Sketch:
    out = Sketch()
    for sketch in sketches:
        out.merge(sketch)
    return out


def numbered(count: int) -> list[str]:
    return [f"u-{number:06d}" for number in range(count)]


def uuids(count: int) -> list[str]:
    draw = random.Random(count)
    drawn = (f"{draw.getrandbits(128):032x}" for _ in range(count))
    return [f"{hexa[:8]}-{hexa[8:12]}-4{hexa[13:16]}-a{hexa[17:20]}-{hexa[20:]}" for hexa in drawn]


def addresses(count: int) -> list[str]:
    return [f"anna.mueller{number}@example.com" for number in range(count)]


def decimals(count: int) -> list[str]:
    return [str(number) for number in range(1_000_000, 1_000_000 + count)]


def registers_of(users: Iterable[str]) -> bytes:
    """The registers as their definition has them, a user at a time."""
    registers = bytearray(REGISTERS)
    for user in users:
        mixed = zlib.crc32(user.encode())
        mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & 0xFFFFFFFF
        mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
        bits = f"{mixed ^ mixed >> 16:032b}"
        register = int(bits[:14], 2)
        registers[register] = max(registers[register], (bits[14:] + "1").index("1") + 1)
    return bytes(registers)


def checked(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def dense(registers: bytes) -> bytes:
    return checked(b"d" + zlib.compress(registers, 1))


def test_hashes_are_the_distinct_checksums_of_the_users() -> None:
    packed = hashes_of(["b", "a", "\N{SNOWMAN}", "b"])
    assert sorted(struct.unpack("<3I", packed)) == sorted(zlib.crc32(user) for user in (b"a", b"b", b"\xe2\x98\x83"))
    assert hashes_of(iter(())) == b""


def test_a_new_sketch_is_empty() -> None:
    assert Sketch().count() == 0
    assert Sketch() == Sketch.of([]) == merged(Sketch())
    assert union_count([]) == union_count([Sketch()]) == 0


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_a_piece_of_a_hash_is_refused_and_adds_nothing(length: int) -> None:
    sketch = Sketch.of(["a"])
    with pytest.raises(ValueError, match=f"{length} bytes are not a whole number"):
        sketch.add(bytes(length))
    assert sketch == Sketch.of(["a"])


@given(PARTS, PARTS)
def test_merging_is_commutative(a: bytes, b: bytes) -> None:
    assert merged(sketch_of(a), sketch_of(b)) == merged(sketch_of(b), sketch_of(a))


@given(PARTS, PARTS, PARTS)
def test_merging_is_associative(a: bytes, b: bytes, c: bytes) -> None:
    left = merged(merged(sketch_of(a), sketch_of(b)), sketch_of(c))
    assert left == merged(sketch_of(a), merged(sketch_of(b), sketch_of(c)))


@given(PARTS, PARTS)
def test_merging_again_changes_nothing(a: bytes, b: bytes) -> None:
    sketch = sketch_of(a, b)
    again = merged(sketch, sketch_of(b), sketch)
    again.add(a)
    assert again == sketch == sketch_of(a, b)


@given(st.lists(PARTS, max_size=4))
def test_merging_equals_adding_everything_at_once_to_the_byte(parts: list[bytes]) -> None:
    backwards = struct.unpack(f"<{sum(map(len, parts)) // 4}I", b"".join(parts))[::-1]
    at_once = sketch_of(struct.pack(f"<{len(backwards)}I", *backwards))
    sketch = merged(*map(sketch_of, parts))
    assert sketch == sketch_of(*parts) == at_once
    assert sketch.pack() == sketch_of(*reversed(parts)).pack() == at_once.pack()


@given(PARTS, PARTS)
def test_sketches_are_equal_by_content_alone(a: bytes, b: bytes) -> None:
    different = set(struct.iter_unpack("<I", a)) != set(struct.iter_unpack("<I", b))
    assert (sketch_of(a) != sketch_of(b)) is different
    assert (sketch_of(a).pack() != sketch_of(b).pack()) is different


@given(st.lists(PARTS, max_size=4))
def test_the_count_of_a_union_is_that_of_the_merge_and_changes_none(parts: list[bytes]) -> None:
    sketches = [sketch_of(part) for part in parts]
    assert union_count(iter(sketches)) == merged(*sketches).count()
    assert sketches == [sketch_of(part) for part in parts]


@given(PARTS, PARTS)
def test_merging_changes_none_but_the_sketch_merged_into(a: bytes, b: bytes) -> None:
    other = sketch_of(b)
    first = merged(sketch_of(a), other)
    first.add(hashes_of(["another"]))
    assert other == sketch_of(b)


@pytest.mark.parametrize("repetitions", [1, 5, 40])
def test_unions_of_many_sparse_sketches_stay_exact_up_to_the_limit(repetitions: int) -> None:
    sketches = [sketch_of(hashes_between(start, 3_000)) for start in (0, 500, SPARSE_LIMIT - 3_000)] * repetitions
    assert union_count(sketches) == SPARSE_LIMIT
    assert sketch_of(b"".join([HASHES[: 4 * SPARSE_LIMIT]] * repetitions)) == sketch_of(HASHES[: 4 * SPARSE_LIMIT])
    sketches.append(Sketch.of(["one more"]))
    assert union_count(sketches) == merged(*sketches).count()
    assert merged(*sketches).pack()[:1] == b"d"


def test_unions_of_very_many_hashes_hold_those_from_all_along() -> None:
    often = [sketch_of(hashes_between(start, 1_000)) for start in (0, 2_000) for _ in range(100)]
    assert union_count(often) == 2_000
    often += [sketch_of(hashes_between(start, 1_050)) for start in (4_000, 6_000) for _ in range(100)]
    assert union_count(often) == merged(*often).count() != SPARSE_LIMIT
    assert merged(*often).pack()[:1] == b"d"


def test_unions_of_sparse_and_dense_sketches_count_both() -> None:
    parts = [numbered(30_000)[start : start + 5_000] for start in range(0, 30_000, 5_000)]
    pieces = [parts[at][:2_500] for at in range(3)] + [parts[at][2_500:] for at in range(3)] + parts[3:]
    assert {Sketch.of(piece).pack()[:1] for piece in pieces} == {b"s", b"d"}
    assert union_count(map(Sketch.of, pieces)) == Sketch.of(numbered(30_000)).count()


@pytest.mark.parametrize("users_of", [numbered, uuids, addresses, decimals])
@pytest.mark.parametrize("count", [1, 100, SPARSE_LIMIT])
def test_few_users_are_counted_exactly(users_of: Callable[[int], list[str]], count: int) -> None:
    assert Sketch.of(users_of(count)).count() == count


@pytest.mark.parametrize("users_of", [numbered, uuids, addresses, decimals])
@pytest.mark.parametrize("count", [SPARSE_LIMIT + 1, 20_000, 200_000])
def test_many_users_are_counted_within_three_percent(users_of: Callable[[int], list[str]], count: int) -> None:
    assert Sketch.of(users_of(count)).count() == pytest.approx(count, rel=0.03)


def test_errors_are_as_often_above_as_below_and_of_their_size() -> None:
    errors = [Sketch.of(f"{seed}/{number}" for number in range(10_000)).count() / 10_000 - 1 for seed in range(25)]
    assert abs(sum(errors) / 25) < 0.003
    assert 0.003 < (sum(error * error for error in errors) / 25) ** 0.5 < 0.01


@pytest.mark.parametrize("users", [numbered(SPARSE_LIMIT + 1), uuids(30_000)], ids=["few", "many"])
def test_registers_are_as_defined(users: list[str]) -> None:
    packed = Sketch.of(users).pack()
    assert zlib.decompress(packed[1:-4]) == registers_of(users)


@pytest.mark.parametrize("count", [5_000, 100_000, 3_000_000, 500_000_000, 2_000_000_000, 4_000_000_000])
def test_registers_as_to_be_expected_of_a_count_give_that_count(count: int) -> None:
    at_most = [math.exp(-count / REGISTERS / 2**rank) for rank in range(19)]
    registers = bytes(bisect_left(at_most, (register + 0.5) / REGISTERS) for register in range(REGISTERS))
    assert Sketch.unpack(dense(registers)).count() == pytest.approx(count, rel=0.001)


def test_full_registers_have_an_estimate() -> None:
    assert Sketch.unpack(dense(bytes([19]) * REGISTERS)).count() == LARGEST_COUNT
    assert Sketch.unpack(dense(bytes([19]) + bytes(REGISTERS - 1))).count() == 1
    assert Sketch.unpack(dense(bytes([1, 19]) * (REGISTERS // 2))).count() < LARGEST_COUNT


def test_a_sketch_is_packed_as_it_was_when_the_first_were_stored() -> None:
    hashes = sorted([zlib.crc32(b"a"), zlib.crc32(b"b")])
    assert Sketch.of(["b", "a"]).pack() == checked(b"s" + struct.pack("<2I", *hashes))
    assert Sketch().pack() == b"s" + struct.pack("<I", zlib.crc32(b"s"))
    assert Sketch.of(numbered(10_000)).pack() == dense(registers_of(numbered(10_000)))


@given(PARTS, PARTS)
def test_a_packed_sketch_is_unpacked_and_goes_on_as_before(a: bytes, b: bytes) -> None:
    sketch = sketch_of(a)
    unpacked = Sketch.unpack(sketch.pack())
    assert unpacked == sketch
    unpacked.add(b)
    assert unpacked == sketch_of(a, b)


@cache
def packed_examples() -> list[bytes]:
    return [Sketch().pack(), Sketch.of(numbered(50)).pack(), Sketch.of(numbered(9_000)).pack()]


@given(st.integers(0, 2), st.integers(0, 10**6), st.integers(1, 255))
def test_damage_is_a_value_error(example: int, place: int, change: int) -> None:
    data = bytearray(packed_examples()[example])
    data[place % len(data)] ^= change
    with pytest.raises(ValueError, match="no sketch of users"):
        Sketch.unpack(bytes(data))


@given(st.integers(0, 2), st.integers(0, 10**6))
def test_truncated_and_lengthened_data_are_value_errors(example: int, place: int) -> None:
    data = packed_examples()[example]
    for other in (data[: place % len(data)], data[place % len(data) + 1 :], data + data[: place % len(data) + 1]):
        with pytest.raises(ValueError, match="no sketch of users"):
            Sketch.unpack(other)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(checked(b""), id="checksum alone"),
        pytest.param(checked(b"x"), id="another kind"),
        pytest.param(checked(b"s" + bytes(3)), id="piece of a hash"),
        pytest.param(checked(b"s" + bytes(8)), id="hash twice"),
        pytest.param(checked(b"s" + struct.pack("<3I", 1, 3, 2)), id="unsorted"),
        pytest.param(checked(b"s" + struct.pack("<4097I", *range(4_097))), id="too many hashes"),
        pytest.param(checked(b"d"), id="no registers"),
        pytest.param(checked(b"d" + bytes([1]) * REGISTERS), id="not deflated"),
        pytest.param(dense(bytes([1]) * (REGISTERS - 1)), id="too few registers"),
        pytest.param(dense(bytes([1]) * (REGISTERS + 1)), id="too many registers"),
        pytest.param(dense(bytes([1]) * (REGISTERS - 1) + bytes([20])), id="register too high"),
        pytest.param(dense(bytes(REGISTERS)), id="empty registers"),
        pytest.param(checked(dense(bytes([1]) * REGISTERS)[:-6]), id="deflated in part"),
        pytest.param(checked(dense(bytes([1]) * REGISTERS)[:-4] + b"x"), id="more than was deflated"),
    ],
)
def test_what_no_sketch_packs_to_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="no sketch of users"):
        Sketch.unpack(data)


def test_registers_that_deflate_well_do_not_fill_the_memory() -> None:
    data = dense(bytes([1]) * 8_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="no sketch of users"):
            Sketch.unpack(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(st.sampled_from([b"s", b"d", b""]), st.binary(max_size=64))
def test_garbage_of_the_right_checksum_is_a_sketch_or_a_value_error(kind: bytes, garbage: bytes) -> None:
    data = checked(kind + garbage)
    try:
        sketch = Sketch.unpack(data)
    except ValueError:
        return
    assert sketch.pack() == data


def test_numpy_is_not_loaded_for_few_users() -> None:
    program = """
import sys
from core.sketch import Sketch, hashes_of, union_count
sketch = Sketch()
sketch.add(hashes_of(map(str, range(3_000))))
sketch.merge(Sketch.unpack(Sketch.of(map(str, range(1_000, 4_096))).pack()))
assert union_count([sketch, sketch]) == sketch.count() == 4_096
assert "numpy" not in sys.modules
sketch.add(hashes_of(["one more"]))
assert "numpy" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=True)
