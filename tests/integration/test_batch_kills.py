"""Batch cycles are killed at an effect of each kind: what was archived and published stays whole and true.

FOURFOLD_TEST_KILLS says how often, FOURFOLD_CHAOS_SEED repeats a run.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from random import Random

import numpy as np
import pytest

from adapters.kafka.dead_letters import read_dead_letters
from core.delta import REJECTED
from modes.launcher import Launch
from modes.settings import Settings, environment
from modes.verdict import judge
from modes.wiring.lake import raw_table, view_store
from serving.verify import Verdict
from tests.support.product import launcher, run, supervised
from tests.support.shop import SHOP
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

KILLS = int(os.environ.get("FOURFOLD_TEST_KILLS", "4"))
SEED = int(os.environ.get("FOURFOLD_CHAOS_SEED", "0")) or Random().randrange(1, 1_000_000)
RATE = int(os.environ.get("FOURFOLD_CHAOS_RATE", "200"))
#: What is seen of a cycle in the lake's folder, in the order in which it comes; a kill follows one of them.
EFFECTS = ("raw/_delta_log/*.json", "views/data/*.parquet", "views/v*.json", "views/CURRENT")


def assert_whole(settings: Settings) -> int:
    """The raw table has each offset once, and as far as its positions say; the number of rows."""
    raw = raw_table(settings)
    rows = 0
    for source, end in raw.positions().items():
        offsets = np.concatenate([batch["offset"].to_numpy() for batch in raw.scan(source, 0, end)] or [np.zeros(0)])
        assert (offsets == np.arange(end)).all(), f"{source}: {len(offsets)} rows up to {end}"
        rows += len(offsets)
    return rows


def traces(settings: Settings, effect: str) -> set[tuple[str, int]]:
    """The files of a kind, and when each was written."""
    found = set()
    for file in settings.lake_dir.glob(effect):
        # an old one may go just now
        with suppress(FileNotFoundError):
            found.add((file.name, file.stat().st_mtime_ns))
    return found


@pytest.mark.timeout(120 + KILLS * 20)
def test_a_batch_process_killed_at_any_point_does_no_harm(settings, say):
    random = Random(SEED)
    settings = settings.model_copy(
        update={"mode": "batch", "epoch_seconds": 0.5, "cut_margin_seconds": 1.0, "rate": RATE}
    )
    store = view_store(settings)
    seen = []
    with supervised(settings) as supervisor:
        supervisor.start("produce", ["produce"], settings.data_dir / "logs" / "produce.log")
        for number in range(KILLS):
            before = store.pointer()
            child = launcher().start(
                Launch(
                    ["modes", "batch", "--every", "1s"],
                    {**os.environ, **environment(settings)},
                    settings.data_dir / f"batch-{number}.log",
                )
            )
            try:
                # in the first cycle, or while those after it go round
                if number % 2:
                    until(lambda now=before: store.pointer() > now, within_s=60, what="a version")
                effect = EFFECTS[number % len(EFFECTS)]
                then = traces(settings, effect)
                until(lambda e=effect, t=then: traces(settings, e) - t, within_s=60, what=effect, every_s=0.002)
                with pytest.raises(subprocess.TimeoutExpired):
                    child.wait(random.uniform(0, 0.05))
            finally:
                child.kill()
                child.wait()
            assert_whole(settings)
            if store.pointer():
                answer, verdict = judge(settings, wait_s=0)
                assert not verdict.differences, verdict.differences[:5]
                seen.append(answer.batch.manifest.version)

    def counted() -> Verdict | None:
        done = run(settings, "batch", "--once")
        assert done.returncode == 0, done.stderr
        _, verdict = judge(settings, wait_s=0)
        assert not verdict.differences, verdict.differences[:5]
        return None if verdict.uncounted else verdict

    # the last records are below a cut when its margin has passed
    verdict = until(counted, within_s=30, what="all records to be below a cut")
    assert verdict.exact
    assert verdict.accuracy == 1.0
    counters = store.current().counters
    rejected = sum(number for name, number in counters.items() if name.startswith(REJECTED))
    assert len(read_dead_letters(settings.access, SHOP).found) == rejected > 0
    say(f"{KILLS} kills, FOURFOLD_CHAOS_SEED={SEED}: {assert_whole(settings):,} rows, versions {seen}")
    assert len(set(seen)) >= KILLS // 2
