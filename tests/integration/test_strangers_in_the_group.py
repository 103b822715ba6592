"""The consumer group: whoever else is in it is named, and nothing is lost or counted twice when it has left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from modes.settings import Settings
from modes.wiring.speed import consumer_group, group_token
from tests.support.product import assert_exact, caught_up, produce, worker
from tests.support.shop_events import TOPICS
from tests.support.waiting import until

pytestmark = pytest.mark.integration


@contextmanager
def stranger(settings: Settings, **more: object) -> Iterator[Consumer]:
    """Somebody else's consumer in the workers' group, and in it before this returns."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": consumer_group(settings, group_token(settings)),
            "client.id": "somebody-else",
            "enable.auto.commit": False,
            **{name.replace("_", "."): value for name, value in more.items()},
        }
    )
    consumer.subscribe(list(TOPICS))

    def joined() -> bool:
        consumer.poll(0.2)
        return bool(consumer.assignment())

    try:
        until(joined, within_s=40, what="the stranger's partitions")
        yield consumer
    finally:
        consumer.close()


def log_of(settings: Settings) -> str:
    file: Path = settings.data_dir / "logs" / "process.log"
    return file.read_text() if file.exists() else ""


def test_a_member_of_another_kind_is_named_and_counting_begins_when_it_has_left(settings: Settings) -> None:
    produce(settings, 2, 500)
    with stranger(settings, partition_assignment_strategy="cooperative-sticky") as other, worker(settings):

        def named() -> bool:
            other.poll(0.1)
            return "somebody-else at " in log_of(settings)

        until(named, within_s=40, what="the stranger's name in the log")
        assert "FOURFOLD_GROUP" in log_of(settings)
        other.close()
        caught_up(settings)
        assert_exact(settings)
        assert log_of(settings).count("members of another kind") == 1


@pytest.mark.parametrize(
    "more",
    [{"partition_assignment_strategy": "roundrobin"}, {"group_protocol": "consumer"}],
    ids=["classic", "KIP-848"],
)
def test_a_member_that_takes_partitions_is_named_and_they_are_counted_when_it_has_left(
    settings: Settings, more: dict[str, object]
) -> None:
    produce(settings, 2, 500)
    with stranger(settings, **more) as other, worker(settings):

        def named() -> bool:
            other.poll(0.1)
            return "is no worker of Fourfold" in log_of(settings)

        until(named, within_s=60, what="the stranger's name in the log")
        other.close()
        caught_up(settings)
        assert_exact(settings)
