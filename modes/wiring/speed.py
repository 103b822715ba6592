"""The speed view put together: its reader, its writer, its versions."""

from __future__ import annotations

from redis import ConnectionPool, Redis
from redis.asyncio import Redis as AsyncRedis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from adapters.speed.first_look import check_server
from adapters.speed.job_reader import JobReader
from adapters.speed.jobs import RedisJobs
from adapters.speed.keys import view_of
from adapters.speed.port import SpeedReader
from adapters.speed.redis_floor import RedisFloor
from adapters.speed.redis_group import GroupedSink, RedisGroup
from adapters.speed.redis_reader import RedisReader
from core.declaration.pipeline import Pipeline
from core.errors import ConfigurationError
from core.rollup import Rollup
from modes.pipelines import pipeline_of
from modes.settings import Settings

REDIS_TIMEOUT_S = 3.0


def redis_client(settings: Settings, retries: int = 3) -> Redis:
    """A connection. Raises `ConfigurationError` for an invalid address.

    `retries`: after a connection that was lost. A server that is silent for `REDIS_TIMEOUT_S` is not asked again: whoever
    looks at counts must hear of it.
    """
    again = Retry(ExponentialWithJitterBackoff(base=0.1, cap=1), retries, supported_errors=(RedisConnectionError,))
    _check_address(settings)
    return Redis.from_url(
        settings.redis, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S, retry=again
    )


def check_redis(settings: Settings) -> None:
    """Raises `ConfigurationError` where the Redis is not what it must be; one that is away passes."""
    if not settings.mode_row.speed_view:
        return
    client = redis_client(settings, retries=0)
    try:
        check_server(client)
    finally:
        client.close()


def jobs(settings: Settings) -> RedisJobs:
    """The registry of job versions. Raises as `redis_client`."""
    return RedisJobs(redis_client(settings), settings.view)


def job_registry(settings: Settings) -> RedisJobs | None:
    """The registry of job versions; None where the mode has none, or only one is wanted. Raises as `redis_client`."""
    return jobs(settings) if settings.mode_row.job_versions and not settings.job else None


def rollup_of_view(settings: Settings, pipeline: Pipeline) -> Rollup | None:
    """How fine event time is kept where no epoch of the view expires; None where epochs do."""
    return pipeline.rollup if settings.mode_row.keeps_all else None


def speed_reader(settings: Settings, *, by_epoch: bool = True) -> SpeedReader:
    """A reader of the speed view: where the mode has job versions, of the one that answers. Raises as `check_redis`.

    `by_epoch`: as `RedisReader` takes it.
    """
    check_redis(settings)
    pipeline, client = pipeline_of(settings), redis_client(settings)
    rollup = rollup_of_view(settings, pipeline)
    if not settings.mode_row.job_versions or settings.job:
        return RedisReader(client, settings.speed_view, pipeline, by_epoch=by_epoch, rollup=rollup)
    return JobReader(
        RedisJobs(client, settings.view).read,
        lambda job: RedisReader(client, view_of(settings.view, job.name), pipeline, by_epoch=by_epoch, rollup=rollup),
    )


def group_token(settings: Settings) -> str:
    """What the speed view's consumer group ends with. Raises `UnavailableError`, and as `redis_client`."""
    group = RedisGroup(redis_client(settings), settings.speed_view)
    try:
        return group.token()
    finally:
        group.close()


def consumer_group(settings: Settings, token: str) -> str:
    """The consumer group of the speed view: no other view has it, wherever that is, and whatever is set."""
    return f"{settings.group}.{settings.speed_view}.{token}"


def job_start(settings: Settings) -> str:
    """The start of the job version that this worker counts, or "". Raises as `group_token`."""
    if not (settings.job and settings.mode_row.job_versions):
        return ""
    registry = jobs(settings)
    try:
        return registry.start_of(settings.job)
    finally:
        registry.close()


def speed_sink(settings: Settings, token: str = "", start: str = "") -> GroupedSink:
    """A writer of the speed view, in the group of its token (`group_token`) where it is in one.

    `start`: of the job version that is counted (`job_start`).

    Raises `ConfigurationError` for an invalid address.
    """
    _check_address(settings)
    client = AsyncRedis.from_url(settings.redis, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=1.0)
    pipeline = pipeline_of(settings)
    return GroupedSink(client, settings.speed_view, pipeline, token, start, rollup=rollup_of_view(settings, pipeline))


def speed_floor(settings: Settings) -> RedisFloor:
    """What raises the floor of the speed view. Raises as `redis_client`."""
    return RedisFloor(redis_client(settings), settings.view)


def _check_address(settings: Settings) -> None:
    """Raises `ConfigurationError` for an invalid address of a Redis, or one with unknown parameters."""
    try:
        # what a parameter is worth is found out when a connection is made, which connects to nothing yet
        ConnectionPool.from_url(settings.redis).make_connection()
    except TypeError as error:
        # its words name it: "… got an unexpected keyword argument 'x'"
        name = str(error).split("'")[-2] if "unexpected keyword" in str(error) else ""
        why = f"{name} is no parameter of it" if name else "its parameters are not to be understood"
        raise _bad_redis(settings, why) from None
    except (ValueError, RedisError) as error:
        raise _bad_redis(settings, str(error)) from None


def _bad_redis(settings: Settings, why: str) -> ConfigurationError:
    form = "use redis://host:port/0 or rediss://, an IPv6 host in brackets"
    if "@" in settings.redis:
        form += ", and in a password %2F %3F %23 %40 %25 for / ? # @ %"
    return ConfigurationError(f"FOURFOLD_REDIS is no address of a Redis ({why}): {form}")
