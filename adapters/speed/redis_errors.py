"""What an error of Redis means: something that passes, or something that a person must put right.

The one place that classifies them. Codes are looked for in the text as well as in the class: an error
from inside a script reaches us wrapped in one of the script's, with other words by the server's version.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    InvalidResponse,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)

from core.errors import ConfigurationError, FourfoldError, UnavailableError

#: A Redis that takes no writes is waited for so long where it never took any, and so long where it did: a failover
#: takes its time. An unknown name so long where it was never known: services come one after another.
FIRST_S: Final = 10.0
LATER_S: Final = 60.0
NAME_S: Final = 30.0


class WrongServerError(UnavailableError):
    """The server at the other end is not the one that is wanted now: the next try needs a new connection."""


class ReplicaError(WrongServerError):
    """The server is a replica: it takes no writes."""


class UnknownNameError(UnavailableError):
    """The name in the address is unknown."""


#: By kind of trouble, and whether it was once otherwise; what is not here is waited for without end.
_PATIENCE_S: Final[dict[tuple[type[FourfoldError], bool], float]] = {
    (ReplicaError, False): FIRST_S,
    (ReplicaError, True): LATER_S,
    (UnknownNameError, False): NAME_S,
}

_CLUSTER: Final = (
    "FOURFOLD_REDIS is a node of a Redis Cluster, which Fourfold does not support: use a Redis without cluster mode"
)
_REPLICA: Final = (
    "Redis is a replica and takes no writes (READONLY): waiting for a master at this address; let FOURFOLD_REDIS name "
    "the master, or promote this one (REPLICAOF NO ONE)"
)
_PERMISSION: Final = re.compile(r"no permissions to run the '([^']+)' command", re.IGNORECASE)
_NAME_TROUBLE: Final = re.compile(
    r"name or service not known|temporary failure in name resolution|nodename nor servname|"
    r"no address associated with hostname|getaddrinfo failed",
    re.IGNORECASE,
)

#: redis-py takes the code off the text of these; a subclass stands before its parent.
_CODES: Final = (
    (MovedError, "MOVED"),
    (AskError, "ASK"),
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (ClusterCrossSlotError, "CROSSSLOT"),
    (TryAgainError, "TRYAGAIN"),
    (ReadOnlyError, "READONLY"),
    (OutOfMemoryError, "OOM"),
    (BusyLoadingError, "LOADING"),
    (NoPermissionError, "NOPERM"),
)
#: What a text holds, and what that means for good.
_FOR_GOOD: Final[tuple[tuple[str, str], ...]] = (
    (
        "WRONGPASS",
        "Redis refuses the user or the password: put them right in FOURFOLD_REDIS (redis://user:password@host)",
    ),
    ("NOAUTH", "Redis wants a password: put it into FOURFOLD_REDIS (redis://user:password@host:port/0)"),
    (
        "Authentication required",
        "Redis wants a password: put it into FOURFOLD_REDIS (redis://user:password@host:port/0)",
    ),
    (
        "called without any password configured",
        "FOURFOLD_REDIS has a password, and this Redis knows none: take it out of the address, or set requirepass there",
    ),
    ("MOVED ", _CLUSTER),
    ("ASK ", _CLUSTER),
    ("CROSSSLOT", _CLUSTER),
    ("CLUSTERDOWN", _CLUSTER),
    ("protected mode", "Redis is in protected mode and refuses other machines: set a password there (requirepass)"),
    (
        "DB index is out of range",
        "FOURFOLD_REDIS names a database that this Redis does not have: use redis://host:port/0",
    ),
    ("SELECT is not allowed", "FOURFOLD_REDIS names a database that this Redis does not have: use redis://host:port/0"),
    ("unknown command", "this Redis lacks a command that Fourfold needs ({text}): do not rename or disable it"),
    ("NOPROTO", "this Redis is too old: 6.2 or newer is needed"),
    ("Write commands not allowed after non deterministic", "this Redis is too old: 6.2 or newer is needed"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the certificate of Redis cannot be trusted ({text}): add ?ssl_ca_certs=FILE to FOURFOLD_REDIS",
    ),
    ("WRONG_VERSION_NUMBER", "FOURFOLD_REDIS says rediss://, and the server there speaks no TLS: use redis://"),
    ("record layer failure", "FOURFOLD_REDIS says rediss://, and the server there speaks no TLS: use redis://"),
)
#: What passes by itself, or when somebody acts, without a change of settings.
_PASSING: Final[tuple[tuple[str, str], ...]] = (
    ("OOM ", "Redis is full (maxmemory): it takes nothing until there is room; raise maxmemory"),
    ("MISCONF", "Redis cannot write to its disk and therefore takes nothing (MISCONF): look into its log"),
    ("NOREPLICAS", "Redis has fewer replicas than it must have (min-replicas-to-write) and takes nothing"),
    ("LOADING", "Redis is loading its data"),
    ("BUSY ", "Redis is busy with a script"),
    ("max number of clients", "Redis has as many clients as it may have (maxclients)"),
)


def explained(error: Exception, doing: str = "answer") -> FourfoldError:
    """What to raise for an error of redis-py: `UnavailableError` for what passes, `ConfigurationError` for the rest.

    `doing`: what Redis does not do, where nothing better can be said. Never holds a password: redis-py's
    messages name hosts and ports only.
    """
    code = next((f"{code} " for kind, code in _CODES if isinstance(error, kind)), "")
    text = code + " ".join(str(error).split())
    if "READONLY" in text:
        return ReplicaError(_REPLICA)
    if "MASTERDOWN" in text:
        return WrongServerError("Redis is a replica that has lost its master (MASTERDOWN)")
    if "NOPERM" in text or _acl(text):
        return ConfigurationError(_permission(text))
    for code, words in _FOR_GOOD:
        if code in text:
            return ConfigurationError(words.format(text=text) if "{text}" in words else words)
    for code, words in _PASSING:
        if code in text:
            return UnavailableError(words)
    return _by_class(error, text, doing)


def _by_class(error: Exception, text: str, doing: str) -> FourfoldError:
    if isinstance(error, (AuthenticationError, AuthorizationError, AuthenticationWrongNumberOfArgsError)):
        return ConfigurationError(f"Redis refuses the user or the password ({text}): put them right in FOURFOLD_REDIS")
    if isinstance(error, InvalidResponse) or "Protocol error" in text:
        return ConfigurationError(f"what answers at the address in FOURFOLD_REDIS is no Redis ({text[:80]})")
    if _NAME_TROUBLE.search(text):
        return UnknownNameError(f"the host in FOURFOLD_REDIS is unknown ({text}): put its name right")
    hint = ""
    if "closed by server" in text.lower():
        # a proxy before a Redis that is down does the same
        hint = " (if that lasts: is it a Redis, and does it want TLS, rediss://?)"
    return UnavailableError(f"Redis does not {doing}: {text or type(error).__name__}{hint}")


def no_master() -> ReplicaError:
    """A server that says it is a replica, where a master is needed."""
    return ReplicaError(_REPLICA)


def foreign(key: str, kind: str) -> ConfigurationError:
    """A key of the view is of another type: somebody else writes under its name."""
    return ConfigurationError(
        f"the key {key} in Redis holds a {kind}, which is not Fourfold's: somebody else writes under the view's name. "
        f"Delete it (redis-cli DEL '{key}'), and the view is counted again from the log; or set FOURFOLD_NAMESPACE"
    )


def lost(view: str, key: str) -> UnavailableError:
    """A view that lost a key, as a reader says it."""
    return UnavailableError(
        f"Redis lost a key of the view {view} ({key}): no number of it is right until a worker "
        "(`fourfold up` or `fourfold process`) has begun to count it again from the log"
    )


def _acl(text: str) -> bool:
    return "ACL failure" in text or "user executing the script can't" in text


def _permission(text: str) -> str:
    named = _PERMISSION.search(text)
    what = f"the command {named[1]}" if named else "a command or key that Fourfold needs"
    return f"the user in FOURFOLD_REDIS may not use {what} ({text[:160]}): allow it (ACL SETUSER … +@all ~*)"


class Patience:
    """Ends the waiting for what may pass, and does not: it is for good then. For one client."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[type[FourfoldError], float] = {}
        self._was_well: set[type[FourfoldError]] = set()

    def well(self, *kinds: type[FourfoldError]) -> None:
        """Trouble of these kinds is over."""
        for kind in kinds:
            self._since.pop(kind, None)
            self._was_well.add(kind)

    def judged(self, error: FourfoldError) -> FourfoldError:
        """The error, or a `ConfigurationError` with its words where it has lasted too long."""
        kind = type(error)
        limit = _PATIENCE_S.get((kind, kind in self._was_well))
        if limit is None:
            return error
        since = self._since.setdefault(kind, self._clock())
        if self._clock() - since < limit:
            return error
        return ConfigurationError(f"{error} (so for {limit:g} s)")
