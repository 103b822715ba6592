"""The truth header: what a producer says, and that garbage in its place is no claim."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shop import Claim, decode, encode

GOOD = b'["run",1,"accepted","",false,1767225600000,1,0,0,0,"c","p","DE","u",-1]'
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)

CLAIMS = st.builds(
    Claim,
    run=TEXT,
    number=st.integers(0, 2**53),
    verdict=st.sampled_from(["accepted", "duplicate", "rejected"]),
    reason=st.sampled_from(["", "not_json", "from_future"]),
    late=st.booleans(),
    time_ms=st.integers(0, 253_402_300_799_999),
    clicks=st.integers(0, 1),
    sales=st.integers(0, 1),
    units=st.integers(0, 10_000),
    revenue_cents=st.integers(0, 10**12),
    campaign=TEXT,
    product=TEXT,
    country=TEXT,
    user=TEXT,
    hour=st.integers(-1, 23),
)


@given(CLAIMS)
def test_decoding_is_the_inverse_of_encoding(claim: Claim) -> None:
    assert decode(encode(claim)) == claim


def test_a_claim_may_leave_out_what_is_not_said_and_say_more_at_the_end() -> None:
    assert decode(b'["run",1,"accepted"]') == Claim("run", 1, "accepted")
    assert decode(GOOD[:-1] + b',"more"]') == decode(GOOD)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"null",
        b"{}",
        b"[]",
        b'["run",1]',
        b'["run",1,"perhaps"]',
        b'["run","1","accepted"]',
        b'["run",1.5,"accepted"]',
        b'["run",1e400,"accepted"]',
        b'["run",true,"accepted"]',
        b'["\\ud800",1,"accepted"]',
        b"[" * 100_000,
        GOOD[:-1],
        GOOD + b"]",
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_garbage_is_no_claim(value: bytes) -> None:
    assert decode(value) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", -1),
        ("number", 2**63),
        ("number", 10**400),
        ("time_ms", -1),
        ("time_ms", 253_402_300_800_000),
        ("time_ms", 10**400),
        ("clicks", -1),
        ("clicks", 2**31),
        ("sales", 2**31),
        ("units", -1),
        ("units", 2**40),
        ("revenue_cents", -1),
        ("revenue_cents", 2**53),
        ("revenue_cents", 10**400),
        ("hour", 10**6),
        ("run", "x" * 1000),
        ("campaign", "x" * 1000),
        ("product", "x" * 1000),
        ("country", "x" * 1000),
        ("user", "x" * 1000),
        ("reason", "x" * 1000),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_claim_that_no_record_can_honour_is_no_claim(field: str, value: Any) -> None:
    claim: dict[str, Any] = {"run": "run", "number": 1, "verdict": "accepted"}
    assert decode(encode(Claim(**claim))) is not None
    assert decode(_unchecked(Claim(**(claim | {field: value})))) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_claim_or_none(value: bytes) -> None:
    assert decode(value) is None or isinstance(decode(value), Claim)


def _unchecked(claim: Claim) -> bytes:
    import json

    return json.dumps([getattr(claim, name) for name in claim.__struct_fields__]).encode()
