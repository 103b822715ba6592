"""Why a record is rejected: the reasons that every pipeline has, and the rejection that carries one."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Each rejected record has exactly one: of these, or of a rule that the pipeline declares (`Pipeline.reasons`)."""

    NOT_JSON = "not_json"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BAD_FORMAT = "bad_format"
    OUT_OF_RANGE = "out_of_range"
    FROM_FUTURE = "from_future"
    NOT_STAMPED = "not_stamped"


class Rejected(Exception):  # noqa: N818 - a verdict, not an error of the program
    """A record breaks the contract. `detail` is for people; `reason` is for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
