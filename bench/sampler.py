"""The sampler: watches a run from outside until it has counted enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from redis import Redis

from adapters.speed.jobs import positions_of
from bench.contender import Run
from bench.samples import Sample
from bench.waiting import STALL_S
from core.errors import FourfoldError
from core.position import PartitionKey

EVERY_S: Final = 0.02


def vector_of(redis: Redis, namespace: str) -> dict[PartitionKey, int]:
    """The next offset of each partition, as the view has it: the product's, or the stock agent's."""
    counted = {partition: position.next for partition, position in positions_of(redis, namespace).items()}
    return counted or vector(redis.hgetall(f"{{{namespace}}}:positions"))  # type: ignore[arg-type]


def vector(found: Mapping[bytes, bytes]) -> dict[PartitionKey, int]:
    """The next offset of each partition, from positions by their texts."""
    return {PartitionKey.parse(name.decode()): int(text.split(b",", 1)[0]) for name, text in found.items()}


class Enough:
    """So many records counted; or so many seconds since the first one."""

    def __init__(self, records: int, seconds: float = float("inf")) -> None:
        self._records = records
        self._seconds = seconds
        self._began: float | None = None

    def __call__(self, sample: Sample) -> bool:
        """Whether it is."""
        if self._began is None and sample.counted:
            self._began = sample.at_s
        in_time = self._began is None or sample.at_s - self._began < self._seconds
        return sample.counted >= self._records or not in_time


def watch(
    run: Run,
    redis: Redis,
    namespace: str,
    enough: Enough,
    progress: Callable[[Sample], None],
    every_s: float = EVERY_S,
) -> list[Sample]:
    """Samples until `enough`. Raises `FourfoldError` where the run dies or stands still."""
    samples: list[Sample] = []
    counted, moved_at = -1, time.monotonic()
    while True:
        vector = vector_of(redis, namespace)
        now = time.monotonic()
        run.check()
        sample = Sample(now, vector, *run.usage())
        samples.append(sample)
        progress(sample)
        if enough(sample):
            return samples
        if sample.counted != counted:
            counted, moved_at = sample.counted, now
        elif now - moved_at > STALL_S:
            raise FourfoldError(f"nothing was counted for {STALL_S:g} s, at {counted:,} records")
        time.sleep(max(0.0, every_s - (time.monotonic() - now)))
