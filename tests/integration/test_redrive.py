"""Dead letters put right and sent back: each once through kills and rivals, each counted once, the truth agreeing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Producer

from adapters.kafka.access import KafkaAccess
from adapters.kafka.headers import REFERENCE
from adapters.kafka.log import LogReader
from adapters.kafka.repairs import read_repairs
from adapters.kafka.topics import Topics
from core.errors import UnavailableError
from modes.settings import Settings
from producers.dirt import DirtShares
from producers.redriver import redrive
from producers.repair_rules import EXAMPLE
from tests.support.product import assert_exact, caught_up, command, produce, snapshot, worker
from tests.support.shop import KERNEL, SHOP

pytestmark = pytest.mark.integration

#: Letter by letter; in the given transaction it is killed before or after the commit, or waits for a line before it.
CHILD = """
import os, signal, sys
from adapters.kafka.access import KafkaAccess
from adapters.kafka.repairs import Redrive
from modes.pipelines import kernel_of
from modes.settings import Settings
from producers.redriver import redrive
where, number, moment = sys.argv[1], int(sys.argv[2]), sys.argv[3]
commit, count = Redrive._commit, 0
def last(self):
    global count
    count += 1
    if count < number:
        return commit(self)
    self._producer.flush(10)
    if moment == "wait":
        print("waiting", flush=True)
        sys.stdin.readline()
        return commit(self)
    if moment == "after":
        commit(self)
    os.kill(os.getpid(), signal.SIGKILL)
Redrive._commit = last
redrive(KafkaAccess(where), kernel_of(Settings(_env_file=None)), together=1)
"""


@pytest.fixture
def dirty(settings: Settings) -> Settings:
    """A log with hundreds of dead letters, each of them known."""
    shares = {
        f"dirt_{kind}": 0.04
        for kind in ("wrong_type", "wrong_currency", "wrong_topic", "from_future", "missing_field", "broken_json")
    }
    assert all(hasattr(DirtShares(), name.removeprefix("dirt_")) for name in shares)
    dirty = settings.model_copy(update=shares)
    with worker(dirty):
        produce(dirty, seconds=2, rate=1_500)
        caught_up(dirty)
    return dirty


def fourfold(settings: Settings, *arguments: str) -> dict[str, object]:
    done = command(settings, "deadletters", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def redriven(access: KafkaAccess) -> Counter[str]:
    """How often each original went back, as the log has it."""
    found: Counter[str] = Counter()
    with LogReader(access, Topics(access, SHOP.topics).partitions()) as reader:
        for entry in reader.read_to_end():
            found.update(text.decode() for name, text in entry.headers if name == REFERENCE)
    return found


@pytest.mark.timeout(180)
def test_repaired_letters_are_counted_once(dirty: Settings, tmp_path: Path) -> None:
    access = dirty.access
    before = snapshot(dirty)
    assert before is not None
    dry = fourfold(dirty, "fix", "--rule", str(EXAMPLE), "--dry-run")
    fixed = fourfold(dirty, "fix", "--rule", str(EXAMPLE))
    repaired, dead = fixed["repaired"], fixed["dead"]
    assert isinstance(repaired, list)
    assert isinstance(dead, list)
    assert dry["repaired"] == repaired
    assert len(repaired) > 100
    assert {letter["reason"] for letter in dead} >= {"not_json", "missing_field", "wrong_currency"}
    assert not redriven(access)

    sent = fourfold(dirty, "redrive")["sent"]
    assert isinstance(sent, list)
    assert len(sent) == len(repaired)
    assert fourfold(dirty, "redrive")["sent"] == []
    # a repair that is made again does not make a letter of the past go back again
    again = fourfold(dirty, "fix", "--rule", str(EXAMPLE))
    assert again["repaired"] == []
    assert again["redriven_before"] == len(repaired)
    assert set(redriven(access).values()) == {1}
    assert redriven(access).total() == len(repaired)

    with worker(dirty):
        caught_up(dirty)
    assert_exact(dirty)
    after = snapshot(dirty)
    assert after is not None
    assert sum(p.accepted for p in after.positions.values()) == sum(
        p.accepted for p in before.positions.values()
    ) + len(repaired)
    listed = fourfold(dirty, "--limit", "0")
    assert listed["by_state"] == {"redriven": len(repaired), "dead": len(dead)}

    # where one of them went, by its id: the original and what became of it
    traced = command(dirty, "trace", sent[0]["id"], "--json")
    references = [found["redrive_of"] for found in json.loads(traced.stdout)["occurrences"]]
    assert sent[0]["original"] in references


@pytest.mark.timeout(180)
def test_kills_and_rivals_send_none_twice_and_lose_none(dirty: Settings) -> None:
    access = dirty.access
    fixed = fourfold(dirty, "fix", "--rule", str(EXAMPLE))["repaired"]
    assert isinstance(fixed, list)

    def child(number: int, moment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, access.bootstrap, str(number), moment],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    for number, moment, known in ((4, "before", 3), (5, "after", 8)):
        with child(number, moment) as victim:
            victim.communicate(timeout=60)
        assert victim.returncode == -9
        assert len(read_repairs(access, SHOP.topics).redriven) == known
    # what went after the beginning of a stranger's transaction cannot be read until that ends
    stranger = Producer(access.confluent(transactional_id="stranger"))
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce("repairs", b"x", b"order-17", partition=0)
    stranger.flush(10)
    with pytest.raises(UnavailableError, match="somebody else has a transaction open on the topic repairs"):
        redrive(access, KERNEL)
    stranger.abort_transaction(30)
    with child(3, "wait") as rival:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "waiting\n"
        done = redrive(access, KERNEL)
        _, errors = rival.communicate("go on\n", timeout=60)
    assert "another redrive has begun" in errors
    assert done.before == 10
    assert done.sent
    assert not done.refused
    assert set(redriven(access).values()) == {1}
    assert redriven(access).total() == len(fixed)
    with worker(dirty):
        caught_up(dirty)
    assert_exact(dirty)
