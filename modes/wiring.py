"""The composition root: the only place that knows which parts are put together."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from adapters.embedded.keeper import Keeper
from adapters.embedded.servers import Addresses, EmbeddedServers
from adapters.kafka.cut import CutFinder
from adapters.kafka.preflight import preflight
from adapters.kafka.topics import Topics
from adapters.speed.first_look import check_server
from adapters.speed.job_reader import JobReader
from adapters.speed.jobs import RedisJobs, view_of
from adapters.speed.port import SpeedReader
from adapters.speed.redis_floor import RedisFloor
from adapters.speed.redis_group import GroupedSink, RedisGroup
from adapters.speed.redis_reader import RedisReader
from core.errors import ConfigurationError, UnavailableError
from core.position import PartitionKey, Position
from modes.settings import Settings, usual_of
from producers.dirt import DirtShares
from serving.auditor import Auditor, LiveAuditor
from serving.live import TruthSource, Unaudited
from serving.log_ends import LogEnds
from serving.merge import Merge
from serving.provenance import Provenance

if TYPE_CHECKING:
    # loaded by those who need them: pyarrow takes half a second
    from adapters.lake.raw_table import RawTable
    from adapters.lake.views import ViewStore

log = structlog.get_logger(__name__)

REDIS_TIMEOUT_S = 3.0


def all_embedded(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> EmbeddedServers:
    """Both embedded servers of the data directory, whatever addresses are set.

    Raises `ConfigurationError` for a directory that Java cannot name.
    """
    try:
        str(settings.data_dir.absolute()).encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{str(settings.data_dir.absolute())!a} is no UTF-8, and Kafka cannot name it: set FOURFOLD_DATA_DIR"
        ) from None
    return EmbeddedServers(
        settings.data_dir,
        kafka_port=settings.kafka_port or None,
        redis_port=settings.redis_port or None,
        progress=progress,
    )


def embedded(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> EmbeddedServers:
    """The embedded servers of the data directory, those that no other server replaces."""
    servers = all_embedded(settings, progress)
    servers.leave_out(settings.kafka, settings.redis)
    return servers


def located(settings: Settings) -> Settings:
    """The settings with the addresses of embedded servers where none are set.

    Raises `UnavailableError` where they do not run, and as `check_kafka`.
    """
    check_kafka(settings)
    if settings.kafka and settings.redis:
        return settings
    running = embedded(settings).running()
    if running is None:
        raise UnavailableError(
            f"nothing runs in {settings.data_dir}: start with `fourfold up`, or set "
            "FOURFOLD_KAFKA and FOURFOLD_REDIS to servers of your own"
        )
    return addressed(settings, running)


def addressed(settings: Settings, addresses: Addresses) -> Settings:
    """The settings with the addresses of embedded servers where none are set."""
    update = {"redis": settings.redis or addresses.redis}
    if not settings.kafka:
        # whatever is set of TLS and SASL is for another Kafka
        update |= {"kafka": addresses.kafka, "kafka_protocol": usual_of("kafka_protocol")}
    return settings.model_copy(update=update)


@contextmanager
def with_servers(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Iterator[Settings]:
    """The settings with addresses, of embedded servers where none are set: started, and stopped at the end.

    One that dies is started again. Raises `FourfoldError` where they cannot start, and, in the main thread, from within
    what runs meanwhile, where one cannot be started again.
    """
    with _alarm() as sound, kept_servers(settings, progress, sound) as (served, keeper):
        try:
            yield served
        except _Alarm:
            keeper.check()
            raise


class _Alarm(BaseException):
    """What waits in the main thread waits for nothing any more."""


@contextmanager
def _alarm() -> Iterator[Callable[[], None]]:
    """What raises `_Alarm` in the main thread, whatever it waits for; called from another thread.

    Not by SIGINT: where a shell started the command in the background that one is ignored, and roles set it otherwise.
    """
    main, armed = threading.main_thread(), threading.current_thread() is threading.main_thread()

    def raise_it(*_: object) -> None:
        if armed:
            raise _Alarm

    def sound() -> None:
        if armed and main.ident is not None:
            signal.pthread_kill(main.ident, signal.SIGUSR1)

    if not armed:
        yield sound
        return
    before = signal.signal(signal.SIGUSR1, raise_it)
    try:
        yield sound
    finally:
        armed = False
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def kept_servers(
    settings: Settings, progress: Callable[[str], None], given_up: Callable[[], object] = lambda: None
) -> Iterator[tuple[Settings, Keeper]]:
    """As `with_servers`, with who keeps the servers running. `given_up` is called where one cannot be started again."""
    check_kafka(settings)
    servers = embedded(settings, progress)
    addresses = servers.start() if servers.used else Addresses("", "")
    try:
        with Keeper(servers, progress, given_up) as keeper:
            yield addressed(settings, addresses), keeper
    finally:
        servers.close()


def check_kafka(settings: Settings) -> None:
    """Raises `ConfigurationError` where a Kafka is set that cannot be used, however long one waits."""
    if settings.kafka:
        for doubt in preflight(settings.access):
            log.warning("kafka", doubt=doubt)


def topics(settings: Settings) -> Topics:
    """The topics' administration."""
    return Topics(settings.access)


def wait_for_topics(settings: Settings, patience_s: float = 60.0, pause_s: float = 0.5) -> None:
    """Makes the topics, waiting for Kafka where it is away. Raises as `Topics.ensure`."""
    end = time.monotonic() + patience_s
    told = False
    while True:
        try:
            made = topics(settings).ensure(
                partitions=settings.partitions,
                retention_ms=settings.retention_ms,
                replication=settings.replication,
            )
        except UnavailableError as error:
            check_kafka(settings)
            if time.monotonic() > end:
                raise
            if not told:
                log.warning("waiting", reason=str(error))
            told = True
            time.sleep(pause_s)
        else:
            if made:
                log.info("topics made", topics=made)
            return


def redis_client(settings: Settings, retries: int = 3) -> Redis:
    """A connection. Raises `ConfigurationError` for an address that is none.

    `retries`: after a connection that was lost. A server that is silent for `REDIS_TIMEOUT_S` is not asked again: whoever
    looks at counts must hear of it.
    """
    again = Retry(ExponentialWithJitterBackoff(base=0.1, cap=1), retries, supported_errors=(RedisConnectionError,))
    try:
        return Redis.from_url(
            settings.redis, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S, retry=again
        )
    except ValueError as error:
        raise _bad_redis(settings, error) from None


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


def speed_reader(settings: Settings) -> SpeedReader:
    """A reader of the speed view: where the mode has job versions, of the one that answers. Raises as `check_redis`."""
    check_redis(settings)
    client = redis_client(settings)
    if not settings.mode_row.job_versions or settings.job:
        return RedisReader(client, settings.speed_view)
    return JobReader(
        RedisJobs(client, settings.view).read, lambda job: RedisReader(client, view_of(settings.view, job.name))
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


def speed_sink(settings: Settings, token: str = "") -> GroupedSink:
    """A writer of the speed view, in the group of its token (`group_token`) where it is in one.

    Raises `ConfigurationError` for an address that is none.
    """
    try:
        client = AsyncRedis.from_url(settings.redis, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=1.0)
    except ValueError as error:
        raise _bad_redis(settings, error) from None
    return GroupedSink(client, settings.speed_view, token)


def speed_floor(settings: Settings) -> RedisFloor:
    """What raises the floor of the speed view. Raises as `redis_client`."""
    return RedisFloor(redis_client(settings), settings.view)


def view_store(settings: Settings) -> ViewStore:
    """The versions of the batch view."""
    from adapters.lake.views import ViewStore

    return ViewStore(settings.lake_dir / "views")


def raw_table(settings: Settings) -> RawTable:
    """The master table."""
    from adapters.lake.raw_table import RawTable

    return RawTable(settings.lake_dir / "raw")


def cut_positions(settings: Settings) -> Callable[[], Mapping[PartitionKey, Position]]:
    """Where the speed view begins when it has no position: at the cut of the batch view, where there is one."""
    if not settings.mode_row.batch_view:
        return dict
    from adapters.lake.manifest import PartitionState

    store = view_store(settings)

    def positions() -> dict[PartitionKey, Position]:
        manifest = store.current()
        if manifest is None:
            return {}
        found = {}
        for source, offset in manifest.cut.vector.items():
            state = manifest.partitions.get(source, PartitionState())
            found[source] = Position(
                next=offset,
                epoch=manifest.cut.epoch - 1,
                newest_ms=state.newest_ms,
                appended_ms=state.appended_ms,
                first=offset,
                last=state.last,
            )
        return found

    return positions


#: What may recompute; the first one is the usual one.
ENGINES: Final = ("pandas", "duckdb")


def merge(settings: Settings) -> Merge:
    """What answers, made of the views that the mode has."""
    row = settings.mode_row
    speed = speed_reader(settings) if row.speed_view else None
    if not row.batch_view:
        return Merge(speed, None)
    from adapters.lake.batch_view import BatchViews

    return Merge(speed, BatchViews(view_store(settings)))


def provenance(settings: Settings) -> Provenance:
    """What says where an answer comes from."""
    return Provenance(settings.mode, settings.view, settings.rules, settings.batch_seconds, settings.logic)


def auditor(settings: Settings) -> Auditor:
    """An auditor of the log. Raises `UnavailableError` where Kafka does not answer."""
    return Auditor(settings.access, topics(settings).partitions, settings.rules)


@contextmanager
def live_truth(settings: Settings) -> Iterator[TruthSource]:
    """Who follows the log for a live view: the auditor, or, where that is switched off, who knows the log's ends alone."""
    if not settings.audit:
        with LogEnds(ends_source(settings)) as ends:
            yield Unaudited(ends.newest)
        return
    follower = LiveAuditor(lambda: auditor(settings))
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def ends_source(settings: Settings) -> Callable[[], dict[PartitionKey, int]]:
    """Asks Kafka for the end of each partition, over one connection. It raises `UnavailableError`."""
    from adapters.kafka.raw_reader import RawReader

    reader, admin = RawReader(settings.access), topics(settings)

    def ends() -> dict[PartitionKey, int]:
        # each time: partitions can be added
        return {source: end for source, (_, end) in reader.bounds(admin.partitions()).items()}

    return ends


def cut_finder(settings: Settings) -> CutFinder:
    """What finds the places of epochs in the log."""
    return CutFinder(
        settings.access,
        epoch_ms=settings.rules.epoch_ms,
        margin_ms=int(settings.cut_margin_seconds * 1000),
        replication=settings.replication,
    )


def dirt(settings: Settings) -> DirtShares:
    """The shares of dirt."""
    shares = {
        name.removeprefix("dirt_"): getattr(settings, name)
        for name in type(settings).model_fields
        if name.startswith("dirt_")
    }
    return DirtShares(**shares)


def resend_span_ms(settings: Settings) -> tuple[int, int]:
    """After how long the duplicates come that do not come soon. Raises `ConfigurationError`."""
    first, last = (int(part) * 1000 for part in settings.resend_seconds.split("-"))
    if first > last:
        raise ConfigurationError(f"FOURFOLD_RESEND_SECONDS is {settings.resend_seconds}: from-to, the larger one last")
    return first, last


def _bad_redis(settings: Settings, error: ValueError) -> ConfigurationError:
    form = "use redis://host:port/0 or rediss://, an IPv6 host in brackets"
    if "@" in settings.redis:
        form += ", and in a password %2F %3F %23 %40 %25 for / ? # @ %"
    return ConfigurationError(f"FOURFOLD_REDIS is no address of a Redis ({error}): {form}")
