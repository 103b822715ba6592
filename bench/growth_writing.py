"""Writing against keys: what a worker and its Redis use for an event, by how many products there are and how events come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from redis import Redis

from adapters.speed.jobs import FIRST
from adapters.speed.keys import ViewKeys
from bench.contender import SHIPPED, running
from bench.log_filler import LogFiller
from bench.options import Options
from bench.proof import Proof, ledger_at, prove
from bench.redis_use import RedisUse, cpu_s_of, keep_the_file
from bench.rewriting import Rewriting
from bench.sampler import Enough, watch
from bench.samples import Sample
from bench.screen import Screen
from bench.stage import stage
from bench.waiting import until
from core.errors import FourfoldError
from core.position import PartitionKey
from modes.pipelines import pipeline_of
from modes.wiring.answers import auditor

#: Redis is asked while it is measured, so seldom.
_EVERY_S: Final = 0.05
_DAY_MS: Final = 86_400_000
#: Below the allowed lateness of a minute.
_UNIQUE_MS: Final = 50_000
_SMALL_BATCH: Final = 20
#: Scattered events, and small batches, are measured with this many numbers of products, the smallest ones.
_FEWER: Final = 2


class Case(NamedTuple):
    """How events come. `back_ms`: as of `Rewriting`. `batch_records`: as of `LogFiller`."""

    name: str
    back_ms: int = 0
    batch_records: int = 0


NOW: Final = Case("events of now")
SCATTERED: Final = Case("scattered over 24 h", back_ms=_DAY_MS)
SMALL: Final = Case(f"batches of {_SMALL_BATCH}, unique times", back_ms=_UNIQUE_MS, batch_records=_SMALL_BATCH)


@dataclass(frozen=True, slots=True)
class Writing:
    """What was used for an event; `redis_bytes` and `file_bytes` are of Redis' memory and of its append-only file."""

    case: str
    products: int
    events: int
    events_per_s: float
    worker_us: float
    redis_s_per_million: float
    redis_bytes: float
    file_bytes: float
    proof: Proof


class Mark(NamedTuple):
    """One look. `opened`: whether the worker had opened all partitions."""

    sample: Sample
    redis_cpu_s: float
    opened: bool


class Spent(NamedTuple):
    """From the opening of the partitions to the last event."""

    events: int
    seconds: float
    worker_cpu_s: float
    redis_cpu_s: float


@dataclass(slots=True)
class _Marks:
    """Takes a look with every sample."""

    redis: Redis
    namespace: str
    partitions: int
    screen: Screen
    all: list[Mark] = field(default_factory=list)

    def __call__(self, sample: Sample) -> None:
        found: bytes | None = self.redis.hget(ViewKeys(self.namespace).view, "partitions")  # type: ignore[assignment]
        self.all.append(Mark(sample, cpu_s_of(self.redis), int(found or 0) >= self.partitions))
        self.screen.note(f"counted {sample.counted:,}")


def writings(options: Options, screen: Screen) -> list[Writing]:
    """Measures. Raises `InexactError` where the worker counts wrong."""
    return [_writing(case, products, options, screen) for case, products in cases(options.growth_keys)]


def cases(keys: Sequence[int]) -> Iterator[tuple[Case, int]]:
    """What is measured with how many products."""
    for case in (NOW, SCATTERED, SMALL):
        for products in sorted(keys)[: None if case is NOW else _FEWER]:
            yield case, products


def spent(marks: Sequence[Mark]) -> Spent:
    """Starting and joining are left out. Raises `FourfoldError` where everything was counted before the first look."""
    start = next(mark for mark in marks if mark.opened or mark.sample.counted)
    total = marks[-1].sample.counted
    end = next(mark for mark in marks if mark.sample.counted == total)
    events = total - start.sample.counted
    if not events:
        raise FourfoldError("too few events to measure a speed: use --growth-events with a larger number")
    return Spent(
        events,
        end.sample.at_s - start.sample.at_s,
        end.sample.cpu_s - start.sample.cpu_s,
        end.redis_cpu_s - start.redis_cpu_s,
    )


def _settled(redis: Redis, namespace: str, partitions: Iterable[PartitionKey]) -> bool:
    """Whether all that was counted is merged: a worker does it in its own time."""
    keys = ViewKeys(namespace)
    pipeline = redis.pipeline(transaction=False)
    for partition in partitions:
        pipeline.hmget(keys.of(partition).state, "merged", "last")
    return all(merged == last for merged, last in pipeline.execute())


def _writing(case: Case, products: int, options: Options, screen: Screen) -> Writing:
    # another log, so other servers
    with stage(keep=options.keep) as here:
        keep_the_file(here.redis)
        view = here.view("growth", mode="kappa", job=FIRST)
        screen.say(f"writing: {case.name}, {products:,} products, {options.growth_events:,} events")
        change = Rewriting(pipeline_of(view), products, case.back_ms)
        filler = LogFiller(here, options.seed, change, case.batch_records)
        filler.append(options.growth_events, lambda n: screen.note(f"filling the log: {n:,}"))
        with auditor(view) as witness:
            ends = witness.ends_now()
        marks = _Marks(here.redis, view.speed_view, len(ends), screen)
        before = RedisUse.of(here.redis)
        with running(SHIPPED, here, view) as worker:
            watch(worker, here.redis, view.speed_view, Enough(sum(ends.values())), marks, _EVERY_S)
            until(lambda: _settled(here.redis, view.speed_view, ends), "the worker to merge what is left", worker)
        after = RedisUse.of(here.redis)
        proof = prove(f"{case.name}, {products:,} products", view, ledger_at(view, ends, lambda _: None))
    used, total = spent(marks.all), sum(ends.values())
    screen.say(f"  right in {proof.cells:,} cells, {used.events / used.seconds:,.0f} events/s")
    return Writing(
        case=case.name,
        products=products,
        events=total,
        events_per_s=used.events / used.seconds,
        worker_us=used.worker_cpu_s / used.events * 1e6,
        redis_s_per_million=used.redis_cpu_s / used.events * 1e6,
        redis_bytes=(after.memory - before.memory) / total,
        file_bytes=(after.file - before.file) / total,
        proof=proof,
    )
