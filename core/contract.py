"""What holds of the records of every pipeline: their times, how deep they nest, and what decoding may raise."""

from __future__ import annotations

from typing import Final

import msgspec

from core.rfc3339 import LATEST_MS
from core.verdict import Reason, Rejected

#: An event time may be this far ahead of its append time (clocks differ), no further.
FUTURE_LIMIT_MS: Final = 5 * 60_000
#: No shop of ours is older: 2000-01-01. Bounds the number of minutes that input can open.
OLDEST_MS: Final = 946_684_800_000

#: The append time of a record that the broker did not stamp. Its own stamp says nothing about when it was
#: appended, so such a record begins no epoch and is rejected.
UNSTAMPED_MS: Final = 0

#: Characters of an RFC 3339 time with an offset.
SHORTEST_TIME: Final = 20
LONGEST_TIME: Final = 40
#: JSON nested deeper is rejected: the verdict must not depend on how deep the caller's stack is.
DEEPEST: Final = 200

#: What decoding raises for bytes that are no event: not JSON, not UTF-8, None, nested too deep.
DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError)


def append_time(stamp_ms: int, *, by_broker: bool) -> int:
    """What counts as the append time of a record, in ms.

    Args:
        stamp_ms: The record's own timestamp.
        by_broker: Whether the broker wrote it (timestamp type LogAppendTime). A topic that was CreateTime
            keeps its old records as they are after it is altered.

    Returns:
        `stamp_ms`, or `UNSTAMPED_MS` for a stamp that is none of the broker's.
    """
    return stamp_ms if by_broker and 0 < stamp_ms <= LATEST_MS else UNSTAMPED_MS


def not_stamped() -> Rejected:
    """The rejection of a record without an append time, whatever it holds."""
    return Rejected(Reason.NOT_STAMPED, "not stamped by the broker: written while the topic was CreateTime")
