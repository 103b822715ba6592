"""Partitions that are added while everything runs: counted, archived and audited, without a restart."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from core.position import PartitionKey, covers
from modes.catalogue import Role
from modes.crew import Crew
from modes.settings import Settings
from modes.verdict import judge, verdict_lines
from modes.wiring.kafka import ends_source
from modes.wiring.lake import view_store
from tests.support.waiting import until

pytestmark = pytest.mark.integration

WITHIN_S = 90.0


def add_partitions(settings: Settings, **counts: int) -> None:
    admin = AdminClient(settings.access.confluent())
    for future in admin.create_partitions([NewPartitions(*each) for each in counts.items()]).values():
        future.result(10)


def shop(crew: Crew, seconds: int) -> None:
    child = crew.produce("--duration", str(seconds), "--rate", "300", run="")
    until(lambda: crew.tick() or child.state == "done", within_s=WITHIN_S, what="the producers to end")


def test_topics_grow_to_different_sizes_under_lambda(settings: Settings) -> None:
    own = settings.model_copy(
        update={"mode": "lambda", "epoch_seconds": 1.0, "batch_seconds": 1.0, "cut_margin_seconds": 1.0}
    )
    views = view_store(own)
    with Crew(own, without=[Role.PRODUCE, Role.SERVE], batch_every=1.0).start() as crew:
        shop(crew, 1)
        until(lambda: crew.tick() or views.current(), within_s=WITHIN_S, what="a version before")
        add_partitions(own, clicks=7, sales=5)
        shop(crew, 2)
        ends = ends_source(own)()
        assert {s for s in ends if s.partition >= 4} == {
            *(PartitionKey("clicks", number) for number in (4, 5, 6)),
            PartitionKey("sales", 4),
        }
        assert sum(end for source, end in ends.items() if source.partition >= 4) > 50

        def covered() -> bool:
            crew.tick()
            crew.check()
            manifest = views.current()
            return manifest is not None and covers(manifest.cut.vector, ends)

        until(covered, within_s=WITHIN_S, what="a version that covers the new partitions")
        answer, verdict = judge(own)
    assert verdict.exact, verdict.differences[:5]
    assert (verdict.uncounted, verdict.accuracy) == (0, 1.0)
    assert answer.batch is not None
    assert answer.batch.manifest.cut.vector.keys() == ends.keys()


def test_nothing_is_called_exact_while_records_are_not_counted(settings: Settings) -> None:
    answer, verdict = judge(settings, wait_s=0)
    assert (verdict.exact, verdict.uncounted) == (False, 0)
    assert verdict_lines(verdict, answer)[0].startswith("verify: NO VERDICT")
    producer = Producer(settings.access.confluent())
    for number in range(7):
        producer.produce("clicks", b"{}", b"k", number % 4)
    assert producer.flush(10) == 0
    answer, verdict = judge(settings, wait_s=0)
    assert (verdict.exact, verdict.uncounted) == (False, 7)
    assert verdict_lines(verdict, answer)[0].startswith("verify: NOT COMPLETE")
