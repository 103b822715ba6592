"""Addresses of servers: those that are set, and embedded ones in place of others."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import ConfigurationError, UnavailableError
from modes.settings import Settings, usual_of
from modes.wiring.kafka import check_kafka

if TYPE_CHECKING:
    # loaded where servers are looked for: a role is told the addresses
    from adapters.embedded.keeper import Keeper
    from adapters.embedded.servers import Addresses, EmbeddedServers


def all_embedded(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> EmbeddedServers:
    """Both embedded servers of the data directory, whatever addresses are set.

    Raises `ConfigurationError` for a directory that Java cannot name.
    """
    from adapters.embedded.servers import EmbeddedServers

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
    from adapters.embedded.keeper import Keeper
    from adapters.embedded.servers import Addresses

    check_kafka(settings)
    servers = embedded(settings, progress)
    addresses = servers.start() if servers.used else Addresses("", "")
    try:
        with Keeper(servers, progress, given_up) as keeper:
            yield addressed(settings, addresses), keeper
    finally:
        servers.close()
