"""Before anything waits for Kafka: whether waiting helps, or somebody has to put something right."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from adapters.kafka.access import KafkaAccess
from adapters.kafka.probe import Listener, listener_at, reachable
from adapters.kafka.trouble import said
from adapters.listening import joined
from core.errors import ConfigurationError, FourfoldError

#: All of it together, about.
LIMIT_S: Final = 8.0
_CONNECT_S: Final = 2.0
_METADATA_S: Final = 1.0
_PAUSE_S: Final = 0.3
_MOST_AT_ONCE: Final = 16

Address = tuple[str, int]


def preflight(access: KafkaAccess, limit_s: float = LIMIT_S) -> list[str]:
    """What is doubtful but may pass, in words.

    Returns at once where Kafka is well or away: whoever needs it waits for it, or says so. Raises
    `ConfigurationError`, within about `limit_s`, for what does not pass by itself: a host name that
    nobody knows, a listener that speaks another protocol, a wrong password, brokers that name
    addresses which cannot be reached from here.
    """
    access.ssl_context()
    end = time.monotonic() + limit_s
    known: FourfoldError | None = None
    while True:
        failures = _unreachable(access.addresses)
        if len(failures) == len(access.addresses):
            if not all(_unknown_name(error) for error in failures.values()):
                return []
            if time.monotonic() > end:
                raise _unknown_host(access)
        else:
            answering = [address for address in access.addresses if address not in failures]
            trouble = _look(access, answering, end)
            late = time.monotonic() > end
            if isinstance(trouble, FourfoldError):
                known = trouble
            elif known is None or not late:
                return [trouble] if trouble else []
            # the last look may have had no time for an answer: what the one before found stands
            if late:
                raise known
        threading.Event().wait(_PAUSE_S)


def _look(access: KafkaAccess, answering: Sequence[Address], end: float) -> FourfoldError | str | None:
    """What is wrong now: an error for good, a doubt, or nothing. Errors that time cannot mend are raised."""
    found = _metadata(access, end)
    if isinstance(found, FourfoldError):
        raise found
    if found is None:
        return _misread(access, answering[0])
    named = [(broker.host, broker.port) for broker in found.brokers.values()]
    if not named:
        return None
    failures = _unreachable(named)
    if not failures:
        return None
    gone = ", ".join(f"{joined(*address)} ({_why(error)})" for address, error in sorted(failures.items()))
    at = joined(*answering[0])
    if len(failures) < len(named):
        return f"Kafka at {at} names brokers that cannot be reached from here: {gone}"
    host, port = answering[0]
    if reachable(host, port, _CONNECT_S):
        # it went away meanwhile
        return None
    return ConfigurationError(
        f"Kafka answers at {at} but tells its clients to go to {gone}, which cannot be reached from here: set "
        "advertised.listeners of the broker to an address that this machine reaches (or make that name known here)"
    )


def _metadata(access: KafkaAccess, end: float) -> Any:
    """The cluster's metadata; None where it gives none, an error where it never will."""
    told: list[KafkaError] = []
    try:
        client = AdminClient(access.confluent(socket_connection_setup_timeout_ms=2000) | {"error_cb": told.append})
    except KafkaException as error:
        return ConfigurationError(f"the settings of Kafka cannot be used: {error.args[0].str()}")
    timeout_s = _METADATA_S
    while True:
        try:
            return client.list_topics(timeout=timeout_s)
        except KafkaException:
            client.poll(0)
        for event in told:
            trouble = _refused(event, access)
            if trouble is not None:
                return trouble
        told.clear()
        timeout_s = min(2 * timeout_s, end - time.monotonic())
        if timeout_s <= 0:
            return None


def _refused(error: KafkaError, access: KafkaAccess) -> FourfoldError | None:
    what = f"Kafka at {access.bootstrap} lets nobody in"
    text = error.str()
    if error.code() == KafkaError._SSL:  # noqa: SLF001 - the client's name
        if "verify failed" in text:
            return ConfigurationError(
                f"{what}: its certificate is not of the authority in FOURFOLD_KAFKA_CA_FILE, or not for that name "
                f"({' '.join(text.split())[:160]})"
            )
        return None
    trouble = said(error, what)
    return trouble if isinstance(trouble, ConfigurationError) else None


def _misread(access: KafkaAccess, address: Address) -> FourfoldError | None:
    """Why something accepts connections and gives no metadata; None where it may just be starting."""
    found = listener_at(*address, _CONNECT_S)
    at, protocol = joined(*address), access.protocol
    if found is Listener.STRANGE:
        return ConfigurationError(f"what answers at {at} is no Kafka: check FOURFOLD_KAFKA")
    wanted = None
    if found is Listener.TLS and not protocol.endswith("SSL"):
        wanted = "SSL or SASL_SSL"
    elif found in (Listener.PLAINTEXT, Listener.SASL_PLAINTEXT) and protocol.endswith("SSL"):
        wanted = found.value
    elif found is Listener.SASL_PLAINTEXT and protocol == "PLAINTEXT":
        wanted = "SASL_PLAINTEXT"
    elif found is Listener.PLAINTEXT and protocol == "SASL_PLAINTEXT":
        wanted = "PLAINTEXT"
    if wanted is None:
        return None
    return ConfigurationError(
        f"Kafka at {at} does not speak {protocol}: set FOURFOLD_KAFKA_PROTOCOL to {wanted}, or FOURFOLD_KAFKA to "
        "another of its listeners"
    )


def _unreachable(addresses: Sequence[Address]) -> dict[Address, OSError]:
    with ThreadPoolExecutor(min(len(addresses), _MOST_AT_ONCE)) as pool:
        errors = list(pool.map(lambda address: reachable(address[0], address[1], _CONNECT_S), addresses))
    return {address: error for address, error in zip(addresses, errors, strict=True) if error is not None}


def _unknown_name(error: OSError) -> bool:
    return isinstance(error, socket.gaierror)


def _unknown_host(access: KafkaAccess) -> ConfigurationError:
    names = ", ".join(host for host, _ in access.addresses)
    return ConfigurationError(
        f"FOURFOLD_KAFKA is {access.bootstrap}: the host name {names} is not known here; check it, or write an IP address"
    )


def _why(error: OSError) -> str:
    if _unknown_name(error):
        return "the name is not known"
    return "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
