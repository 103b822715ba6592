"""Positions and partition names: their text forms, and that every offset is accounted for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.position import PartitionKey, Position

NUMBERS = st.integers(-(2**70), 2**70)


@given(st.builds(Position, *[NUMBERS] * len(Position._fields)))
def test_decoding_is_the_inverse_of_encoding(position: Position) -> None:
    assert Position.decode(position.encode()) == position


@given(st.text(min_size=1), st.integers(0, 10_000))
def test_parsing_is_the_inverse_of_a_partitions_name(topic: str, partition: int) -> None:
    assert PartitionKey.parse(str(PartitionKey(topic, partition))) == (topic, partition)


def test_a_position_of_before_it_knew_its_last_record_is_read() -> None:
    assert Position.decode("1,2,3,4,5,6,7,8,9,10") == Position(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, last=-1)


@pytest.mark.parametrize("text", ["", "1", "1,2,3", ",".join("1" * 9), ",".join("1" * 12), "1,2,3,4,5,6,7,8,9,x"])
def test_a_text_that_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Position.decode(text)


@pytest.mark.parametrize("text", ["", "clicks", "clicks:", "clicks:x"])
def test_a_text_that_names_no_partition(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        PartitionKey.parse(text)


def test_a_new_position_is_conserved_wherever_it_starts() -> None:
    assert Position().conserved
    assert Position(next=42, first=42).conserved


@given(*[st.integers(0, 100)] * 6)
def test_it_is_conserved_if_every_offset_has_its_count(
    first: int, accepted: int, duplicates: int, rejected: int, gaps: int, lost: int
) -> None:
    position = Position(
        next=first + accepted + duplicates + rejected + gaps + lost,
        first=first,
        accepted=accepted,
        duplicates=duplicates,
        rejected=rejected,
        gaps=gaps,
        lost=lost,
    )
    assert position.conserved
    for field in ("next", "first", "accepted", "duplicates", "rejected", "gaps", "lost"):
        assert not position._replace(**{field: getattr(position, field) + 1}).conserved
