"""The truth ledger's entry: what a record ought to count for, said by its producer in a header.

No layer of the pipeline reads it; only the auditor does. This module shares no code with
`core.contract`, `core.partition` and `core.kernel`: it is their independent witness.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

#: Name of the Kafka header.
HEADER: Final = "truth"

Verdict = Literal["accepted", "duplicate", "rejected"]
# No record counts for more: a header that says so is no claim. It also keeps sums below 64 bits.
Text = Annotated[str, Meta(max_length=64)]
Word = Annotated[str, Meta(max_length=32)]
Number = Annotated[int, Meta(ge=0, le=2**62)]
Millis = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
One = Annotated[int, Meta(ge=0, le=1)]
Units = Annotated[int, Meta(ge=0, le=10_000)]
Cents = Annotated[int, Meta(ge=0, le=10**12)]
Hour = Annotated[int, Meta(ge=-1, le=23)]


class Claim(Struct, array_like=True, gc=False, frozen=True):
    """What one record ought to count for.

    `(run, number)` identifies the event: a duplicate repeats that of its original. A record that
    must be rejected has a number of its own and a `reason` (a value of `core.verdict.Reason`).
    `time_ms` is the event time, `late` whether it was delayed by more than the allowed lateness.
    `hour` is the hour of the day profile, -1 without one. Measures are what an accepted event
    adds; money in cents.
    """

    run: Text
    number: Number
    verdict: Verdict
    reason: Word = ""
    late: bool = False
    time_ms: Millis = 0
    clicks: One = 0
    sales: One = 0
    units: Units = 0
    revenue_cents: Cents = 0
    campaign: Text = ""
    product: Text = ""
    country: Text = ""
    user: Text = ""
    hour: Hour = -1


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Claim)


def encode(claim: Claim) -> bytes:
    """The header's value, a JSON array of about 120 bytes."""
    return _encoder.encode(claim)


def decode(value: bytes) -> Claim | None:
    """The claim in a header's value; None where it is not one (the record is not audited)."""
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
