"""Event times: which texts are times, and what they mean in milliseconds."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.rfc3339 import millis, to_text

NEW_YEAR_MS = 1_767_225_600_000

#: As many texts are kept at most.
MOST_TEXTS = 1 << 16
MOMENTS_MS = st.integers(-30_610_224_000_000, 253_402_300_799_999)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR_MS),
        ("2026-01-01T01:00:00+01:00", NEW_YEAR_MS),
        ("2025-12-31T18:30:00-05:30", NEW_YEAR_MS),
        ("2026-01-01T00:00:00-00:00", NEW_YEAR_MS),
        ("2026-01-01t00:00:00z", NEW_YEAR_MS),
        ("2026-01-01T00:00:00.5Z", NEW_YEAR_MS + 500),
        ("2026-01-01T00:00:00.001Z", NEW_YEAR_MS + 1),
        ("2026-01-01T00:00:00.000999Z", NEW_YEAR_MS),
        ("2026-01-01T00:00:00.123456789Z", NEW_YEAR_MS + 123),
        ("1970-01-01T00:00:00.000Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ],
)
def test_a_time_in_any_of_its_forms(text: str, expected: int) -> None:
    assert millis[text] == expected


@pytest.mark.parametrize("text", ["2025-12-31T23:59:59.9999999Z", "2025-12-31T23:59:59.9995000Z"])
def test_fractions_are_cut_and_never_reach_the_next_minute(text: str) -> None:
    assert millis[text] == NEW_YEAR_MS - 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00Z ",
        "01/02/2026 10:00:00",
        "1767225600000",
        "\uff12026-01-01T00:00:00Z",
        "\ud80026-01-01T00:00:00Z",
    ],
)
def test_a_text_that_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        millis[text]


@pytest.mark.parametrize(
    ("text", "utc", "minutes"),
    [
        ("9999-12-31T23:59:00-23:59", "9999-12-31T23:59:00Z", 1439),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", -1439),
    ],
)
def test_an_offset_may_lead_out_of_the_calendar(text: str, utc: str, minutes: int) -> None:
    assert millis[text] == millis[utc] + minutes * 60_000


@given(MOMENTS_MS)
def test_text_and_milliseconds_are_inverse(moment: int) -> None:
    assert millis[to_text(moment)] == moment


@given(MOMENTS_MS, st.integers(-23 * 60, 23 * 60))
def test_an_offset_does_not_change_the_moment(moment: int, offset_minutes: int) -> None:
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)
    try:
        local = utc.astimezone(timezone(timedelta(minutes=offset_minutes)))
    except OverflowError:
        return
    assert millis[local.isoformat()] == moment


@given(st.text(max_size=45))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(millis[text], int)


@given(st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,9})?([Zz]|[+-]\d\d:\d\d)\Z"))
def test_what_looks_like_a_time_is_one_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(millis[text], int)


def test_the_memory_of_texts_is_bounded() -> None:
    for number in range(MOST_TEXTS + 10):
        millis[to_text(number)]
    assert len(millis) <= MOST_TEXTS


#: Most are times, or nearly.
TEXTS = st.from_regex(
    r"\A(\d{4}|2026)-(\d\d|0[1-9]|1[0-2])-(\d\d|[0-2]\d)[Tt _](\d\d|1\d):(\d\d|[0-5]\d):(\d\d|[0-5]\d|60)"
    r"([.,]\d{0,12})?([Zz ]|[+-](\d\d|0\d):?(\d\d|[0-5]\d)?)?\Z",
)


@given(TEXTS)
@settings(max_examples=500)
def test_it_is_what_a_library_reads(text: str) -> None:
    # one that rounds what is below the millisecond
    cut = re.sub(r"(?<=\.[0-9]{3})[0-9]+", "", text)
    try:
        moment = msgspec.convert(cut, datetime)
    except msgspec.ValidationError:
        moment = None
    if moment is None or moment.tzinfo is None:
        with pytest.raises(ValueError, match=r"."):
            millis[text]
    else:
        assert millis[text] == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
