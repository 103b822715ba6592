"""The registry of job versions on a real Redis: every change is one step, and what is retired stays gone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from adapters.speed.jobs import JobBook, RedisJobs
from adapters.speed.port import Job, Outcome, Step
from adapters.speed.redis_reader import RedisReader
from adapters.speed.redis_sink import RedisSink
from core.errors import ConfigurationError, UnavailableError
from core.rules import Rules
from tests.support.events import CLICKS_0, at, delta_of
from tests.support.servers import free_port
from tests.support.shop import SHOP, cell_of

pytestmark = [pytest.mark.integration, pytest.mark.versions]

V1, V2 = Job("v1", "standard", 1), Job("v2", "price-only", 2)


@pytest.fixture
def client(servers) -> Iterator[Redis]:
    with Redis.from_url(servers.redis) as client:
        yield client


@pytest.fixture
def jobs(client) -> RedisJobs:
    return RedisJobs(client, f"t{uuid.uuid4().hex[:8]}")


class CountingWorker:
    """A worker of a view that has opened its partition, and may be late with its steps."""

    def __init__(self, servers, view: str, start: str = "") -> None:
        self._runner = asyncio.Runner()
        self._runner.run(self._open(servers.redis, view, start))

    async def _open(self, address: str, view: str, start: str) -> None:
        self._sink = RedisSink(AsyncRedis.from_url(address), view, SHOP, start=start)
        await self._sink.begin(Rules(), "log")
        await self._sink.positions([CLICKS_0])

    def apply(self, step: Step) -> Outcome:
        return self._runner.run(self._sink.apply([step]))[CLICKS_0]

    def close(self) -> None:
        self._runner.run(self._sink.close())
        self._runner.close()


def applied(servers, view: str, *steps: Step, start: str = "") -> list[Outcome]:
    """What becomes of steps that a worker of a view applies."""
    worker = CountingWorker(servers, view, start)
    try:
        return [worker.apply(step) for step in steps]
    finally:
        worker.close()


def begun(servers, view: str, start: str = "") -> None:
    async def work() -> None:
        async with AsyncRedis.from_url(servers.redis) as connection:
            await RedisSink(connection, view, SHOP, start=start).begin(Rules(), "log")

    asyncio.run(work())


def step(old: str, new: int, epoch: int = 0) -> Step:
    return Step(
        CLICKS_0,
        old,
        at(new, epoch),
        delta_of({(epoch, 5): {("all", ""): cell_of(clicks=1)}}, users={(epoch, 5): ["u"]}),
    )


def test_a_version_is_started_switched_to_gone_back_from_and_retired(jobs):
    assert jobs.read() == JobBook()
    assert jobs.ensure(V1) == jobs.ensure(V2) == JobBook({"v1": V1}, "v1")
    assert jobs.start(V2) == jobs.read() == JobBook({"v1": V1, "v2": V2}, "v1")
    with pytest.raises(ConfigurationError, match="there is a version v2 already"):
        jobs.start(V2)
    assert jobs.switch("v2") == jobs.switch("v2") == JobBook({"v1": V1, "v2": V2}, "v2", "v1")
    assert jobs.read().answering == V2
    assert jobs.rollback().active == "v1"
    assert jobs.rollback().active == "v2"
    with pytest.raises(ConfigurationError, match="v2 answers now"):
        jobs.retire("v2")
    assert jobs.retire("v1") == jobs.read() == JobBook({"v2": V2}, "v2")
    with pytest.raises(ConfigurationError, match="no version to go back to"):
        jobs.rollback()
    for call in (jobs.switch, jobs.retire):
        with pytest.raises(ConfigurationError, match="there is no version 'v1': there are v2"):
            call("v1")


@pytest.mark.parametrize("name", ["", "a.b", "{v1}", "x" * 17, "v 2"])
def test_a_name_that_would_not_do_as_a_key_is_refused(jobs, name):
    with pytest.raises(ConfigurationError, match="no name of a version"):
        jobs.start(Job(name, "standard", 1))


def test_of_many_who_start_the_same_version_at_once_one_does(jobs):
    jobs.ensure(V1)

    def start(number: int) -> bool:
        try:
            jobs.start(Job("v2", "standard", number))
        except ConfigurationError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(8))) == 1


def test_a_retired_view_is_gone_and_a_late_worker_does_not_bring_it_back(jobs, servers, client):
    jobs.ensure(V1)
    jobs.start(V2)
    view = jobs.view("v2")
    begun(servers, view)
    steps = [step("", 1)] + [step(at(n, n - 1), n + 1, n) for n in range(1, 450)]
    late = CountingWorker(servers, view)
    assert {late.apply(each) for each in steps} == {Outcome.APPLIED}
    assert jobs.positions("v2")[CLICKS_0].next == 450
    jobs.retire("v2")
    assert client.keys(f"{{{view}*") == [f"{{{view}}}:retired".encode()]
    assert [late.apply(each) for each in (step(at(450, 449), 451, 450), step("", 1))] == [Outcome.CONFLICT] * 2
    with pytest.raises(ConfigurationError, match="was retired"):
        begun(servers, view)
    assert client.keys(f"{{{view}*") == [f"{{{view}}}:retired".encode()]
    late.close()


def test_a_name_that_was_retired_may_be_used_again_from_nothing(jobs, servers, client):
    jobs.ensure(V1)
    jobs.start(V2)
    applied(servers, jobs.view("v2"), step("", 1))
    jobs.retire("v2")
    jobs.start(V2)
    begun(servers, jobs.view("v2"))
    assert jobs.positions("v2") == {}
    assert applied(servers, jobs.view("v2"), step("", 1)) == [Outcome.APPLIED]
    assert RedisReader(client, jobs.view("v2"), SHOP).read().totals == {("all", ""): cell_of(clicks=1)}


def test_a_late_worker_counts_nothing_for_a_version_that_was_started_again(jobs, servers):
    jobs.ensure(V1)
    jobs.start(V2)
    view, before = jobs.view("v2"), jobs.start_of("v2")
    late = CountingWorker(servers, view, before)
    assert late.apply(step("", 1)) is Outcome.APPLIED
    jobs.retire("v2")
    assert jobs.start_of("v2") == ""
    jobs.start(Job("v2", "standard", 9))
    assert late.apply(step("", 1)) is Outcome.CONFLICT
    late.close()
    with pytest.raises(ConfigurationError, match="was retired"):
        begun(servers, view, before)
    assert jobs.positions("v2") == {}
    begun(servers, view, jobs.start_of("v2"))
    assert applied(servers, view, step("", 1), start=jobs.start_of("v2")) == [Outcome.APPLIED]


def test_a_removal_that_was_killed_is_ended_by_another_one(jobs, servers, client, monkeypatch):
    jobs.ensure(V1)
    jobs.start(V2)
    applied(servers, jobs.view("v2"), step("", 1))
    monkeypatch.setattr(jobs, "_remove", lambda _: None)
    jobs.retire("v2")
    assert jobs.read() == JobBook({"v1": V1}, "v1")
    monkeypatch.undo()
    jobs.retire("v2")
    assert client.keys(f"{{{jobs.view('v2')}}}:*") == [f"{{{jobs.view('v2')}}}:retired".encode()]


def test_a_book_that_the_store_lost_is_written_back_and_one_that_is_there_stands(jobs, client):
    known = JobBook({"v1": V1, "v2": V2}, "v2", "v1")
    assert jobs.restore(known) == jobs.read() == known
    assert jobs.restore(JobBook({"v1": V1}, "v1")) == known


def test_without_redis_it_is_said():
    jobs = RedisJobs(Redis(port=free_port()), "t")
    for call in (jobs.read, jobs.rollback, lambda: jobs.start(V1), lambda: jobs.positions("v1")):
        with pytest.raises(UnavailableError, match="Redis does not answer"):
            call()


@pytest.mark.parametrize("field", ["active", "previous"])
def test_a_registry_that_lost_which_version_answers_gets_it_back(jobs, client, field):
    jobs.ensure(V1)
    jobs.start(V2)
    known = jobs.switch("v2")
    client.hdel(f"{{{jobs._namespace}}}:jobs", field)
    assert jobs.restore(known).answering == V2
    client.delete(f"{{{jobs._namespace}}}:jobs")
    assert jobs.restore(known) == known


def test_what_a_damaged_view_has_left_goes_when_it_is_retired(jobs, servers, client):
    jobs.ensure(V1)
    jobs.start(V2)
    view = jobs.view("v2")
    applied(servers, view, step("", 1))
    client.delete(f"{{{view}}}:view")
    jobs.retire("v2")
    assert client.keys(f"{{{view}*") == [f"{{{view}}}:retired".encode()]
