"""The follower of the log: what ends it is said for what it is, and it tries again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey
from serving.auditor import Auditor, LiveAuditor
from tests.support.events import CLICKS_0
from tests.support.waiting import until


class Log:
    """What an auditor of it does: as the test says."""

    def __init__(self) -> None:
        self.there = True
        self.trouble: BaseException | None = None
        self.made = 0

    def make(self) -> Auditor:
        self.made += 1
        return cast("Auditor", self)

    def answers(self, _: float) -> bool:
        return self.there

    def advance(self, _: float) -> int:
        if self.trouble is not None:
            raise self.trouble
        return 0

    def added(self) -> list[PartitionKey]:
        return []

    def read_too(self, _: list[PartitionKey]) -> None:
        pass

    def log_ends(self) -> dict[PartitionKey, int]:
        return {CLICKS_0: 7}

    def __enter__(self) -> Auditor:
        return cast("Auditor", self)

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def followed(make: Callable[[], Auditor]) -> Iterator[LiveAuditor]:
    follower = LiveAuditor(make)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def test_it_starts_and_then_nothing_is_wrong() -> None:
    log = Log()
    assert LiveAuditor(log.make).trouble() == "the auditor is starting"
    with followed(log.make) as follower:
        until(lambda: follower.log_ends() == {CLICKS_0: 7}, within_s=10, what="the ends")
        assert follower.trouble() == ""
        beats = follower.beats
        until(lambda: follower.beats > beats, within_s=10, what="a beat")
        follower.check()


@pytest.mark.parametrize("error", [KeyError("a bug"), MemoryError(), SystemExit(0)])
def test_what_ends_it_is_not_taken_for_kafka_and_it_tries_again(error: BaseException) -> None:
    log = Log()
    with followed(log.make) as follower:
        until(lambda: follower.trouble() == "", within_s=10, what="a start")
        log.trouble = error
        until(follower.trouble, within_s=10, what="the trouble")
        assert follower.trouble() == f"the auditor failed ({type(error).__name__}: {error}): nothing is audited"
        assert not follower.kafka_seen
        with pytest.raises(type(error)):
            follower.check()
        assert follower.log_ends() is None
        log.trouble = None
        until(lambda: follower.log_ends() is not None, within_s=10, what="its return")
        assert (follower.trouble(), log.made) == ("", 2)
        follower.check()


def test_kafka_that_is_away_is_said_and_no_failure() -> None:
    def away() -> Auditor:
        raise UnavailableError("Kafka does not answer: refused")

    with followed(away) as follower:
        until(lambda: follower.trouble() == "Kafka does not answer", within_s=10, what="the trouble")
        follower.check()
        assert follower.kafka_seen


def test_what_a_person_must_put_right_is_said_in_its_own_words() -> None:
    def wrong() -> Auditor:
        raise ConfigurationError("FOURFOLD_KAFKA_PASSWORD is wrong")

    with followed(wrong) as follower:
        until(lambda: "FOURFOLD_KAFKA_PASSWORD is wrong" in follower.trouble(), within_s=10, what="the trouble")
        with pytest.raises(ConfigurationError):
            follower.check()
