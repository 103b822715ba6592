"""Membership: what keeps a worker out of its group is said with what to do, and not all the time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownError,
)
from structlog.testing import capture_logs

from adapters.kafka.group import Member
from core.errors import ConfigurationError, FourfoldError, UnavailableError
from processors.membership import AGAIN_S, ASK_EVERY_S, CLIENT, COORDINATOR_S, Membership
from tests.support.events import CLICKS_0, CLICKS_1

STRANGER = Member("console-consumer", "10.0.0.7", frozenset({CLICKS_0}))
OWN = Member(f"{CLIENT}-1", "10.0.0.8", frozenset({CLICKS_1}))


class World:
    """A membership with a clock and members that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.members: Sequence[Member] | FourfoldError = [STRANGER, OWN]
        self.failures: list[FourfoldError] = []
        self.it = Membership("shop", self._members, self.failures.append, lambda: self.now)

    def _members(self) -> Sequence[Member]:
        if isinstance(self.members, FourfoldError):
            raise self.members
        return self.members


@pytest.fixture
def world() -> World:
    return World()


class FullError(UnknownError):
    errno = 81


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InconsistentGroupProtocolError(), ("console-consumer at 10.0.0.7", "FOURFOLD_GROUP")),
        (FullError(), ("group.max.size",)),
        (UnknownError("strange"), ("UnknownError", "FOURFOLD_GROUP")),
    ],
)
def test_what_may_pass_is_said_once_and_again_while_it_goes_on(
    world: World, error: KafkaError, said: Sequence[str]
) -> None:
    with capture_logs() as logs:
        for _ in range(5):
            world.it.refused(error)
        assert len(logs) == 1
        assert all(word in logs[0]["reason"] for word in ("shop", *said))
        world.now += AGAIN_S
        world.it.refused(error)
        assert len(logs) == 2
        assert world.it.trouble == logs[0]["reason"]
        world.it.joined()
        assert not world.it.trouble
        assert logs[-1]["event"] == "in the consumer group, going on"
        world.it.joined()
        assert len(logs) == 3
    assert not world.failures


@pytest.mark.parametrize("error", [GroupAuthorizationFailedError("shop"), TopicAuthorizationFailedError({"clicks"})])
def test_a_right_that_is_missing_ends_the_worker(world: World, error: KafkaError) -> None:
    world.it.refused(error)
    (failure,) = world.failures
    assert isinstance(failure, ConfigurationError)
    assert "kafka-acls.sh" in str(failure)


def test_a_group_without_a_coordinator_is_said_after_a_while(world: World) -> None:
    with capture_logs() as logs:
        for _ in range(4):
            world.it.looked(coordinator=False)
            assert not world.it.trouble
            world.now += COORDINATOR_S / 4
        world.now += 1
        world.it.looked(coordinator=False)
        assert "__consumer_offsets" in world.it.trouble
        world.it.looked(coordinator=True)
        assert not world.it.trouble
        assert len(logs) == 2


def test_a_group_that_the_broker_does_not_tell_about_is_one_of_the_newer_protocol(world: World) -> None:
    world.members = []
    with capture_logs() as logs:
        assert world.it.taken([CLICKS_0]) == set()
    assert "KIP-848" in logs[0]["reason"]


def test_partitions_that_a_stranger_reads_are_found_and_said(world: World) -> None:
    with capture_logs() as logs:
        assert world.it.taken([CLICKS_0, CLICKS_1]) == {CLICKS_0}
    assert "console-consumer at 10.0.0.7" in logs[0]["reason"]
    assert world.it.taken([CLICKS_1]) == set()
    world.members = UnavailableError("away")
    assert world.it.taken([CLICKS_0]) == {CLICKS_0}
    world.now += ASK_EVERY_S
    assert world.it.taken([CLICKS_0]) == set()
