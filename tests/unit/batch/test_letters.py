"""Rejected records where no worker sees them: the batch layer keeps each as a dead letter, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from batch.cycle import Cycle
from batch.letters import Letters
from batch.recompute import Recompute
from core.delta import REJECTED, DeadLetter
from core.errors import UnavailableError
from core.verdict import Rejected
from modes.catalogue import MODES, Role
from tests.support.batch_world import HALF, LOG, WHOLE, BatchWorld
from tests.support.shop import KERNEL


class Sink:
    """Takes letters while it is there."""

    def __init__(self) -> None:
        self.sent: list[DeadLetter] = []
        self.away = False

    def send(self, letters: Sequence[DeadLetter]) -> None:
        if self.away:
            raise UnavailableError("Kafka takes no dead letters")
        self.sent.extend(letters)


def rejected_of_the_log() -> dict[tuple[object, int], tuple[object, str]]:
    """By place: reason and detail."""
    found = {}
    for row in LOG:
        try:
            KERNEL[row.source.topic].decide.one(row.value, row.append_ms)
        except Rejected as verdict:
            found[row.source, row.offset] = (verdict.reason, verdict.detail)
    return found


def test_each_rejected_record_is_kept_once_and_before_the_version_that_counts_it(tmp_path: Path) -> None:
    world, sink = BatchWorld(tmp_path), Sink()
    cycle = world.cycle(Recompute, letters=Letters(world.raw, sink, KERNEL))
    world.cut = HALF
    sink.away = True
    with pytest.raises(UnavailableError, match="takes no dead letters"):
        cycle.run()
    assert world.views.current() is None
    sink.away = False
    cycle.run()
    first = len(sink.sent)
    assert first > 0
    world.cut = WHOLE
    version = cycle.run().version
    assert version is not None
    assert len(sink.sent) > first
    cycle.run(full=True)
    expected = {
        place: verdict
        for place, verdict in rejected_of_the_log().items()
        if place[1] < WHOLE.vector.get(place[0], 0)  # type: ignore[call-overload]
    }
    assert {(letter.source, letter.offset): (letter.reason, letter.detail) for letter in sink.sent} == expected
    assert len(sink.sent) == len(expected)
    counted = Counter(REJECTED + letter.reason for letter in sink.sent)
    assert counted == {name: n for name, n in version.counters.items() if name.startswith(REJECTED)}


def test_whoever_sees_records_first_keeps_what_is_rejected() -> None:
    assert {name: mode.keeps_letters for name, mode in MODES.items()} == {
        "batch": Role.BATCH, "streaming": Role.PROCESS, "lambda": Role.PROCESS, "kappa": Role.PROCESS,
    }  # fmt: skip


def test_a_cycle_without_letters_keeps_none(tmp_path: Path) -> None:
    cycle = BatchWorld(tmp_path).cycle(Recompute)
    assert isinstance(cycle, Cycle)
    assert "letters" not in cycle.run().seconds
