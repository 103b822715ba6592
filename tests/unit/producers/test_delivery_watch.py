"""Records that do not arrive are said, with why, and that they go on."""

from __future__ import annotations

from structlog.testing import capture_logs

from core.errors import UnavailableError
from producers.delivery_watch import AGAIN_S, LIMIT_S, DeliveryWatch


class World:
    now = 0.0
    produced = 100
    delivered = 0
    away = False

    def __init__(self) -> None:
        self.watch = DeliveryWatch(lambda: self.produced, lambda: self.delivered, self.why, lambda: self.now)

    def why(self) -> str:
        if self.away:
            raise UnavailableError("Kafka at h:1 does not answer")
        return "fewer replicas"

    def look(self, after_s: float = 1.0) -> None:
        self.now += after_s
        self.watch.look()


def test_records_that_wait_are_said_with_why_and_again_and_that_they_go_on() -> None:
    world = World()
    with capture_logs() as logs:
        for _ in range(int(LIMIT_S) - 1):
            world.look()
        assert not logs
        world.look()
        world.look()
        assert [(entry["records"], entry["reason"]) for entry in logs] == [(100, "fewer replicas")]
        world.away = True
        world.look(AGAIN_S)
        assert logs[-1]["reason"] == "Kafka at h:1 does not answer"
        world.delivered = 40
        world.look()
        assert logs[-1]["event"] == "going on"
        assert len(logs) == 3


def test_a_producer_that_has_nothing_to_send_is_not_waiting() -> None:
    world = World()
    world.produced = world.delivered = 100
    with capture_logs() as logs:
        for _ in range(20):
            world.look()
        world.produced = 101
        world.look()
    assert not logs
