"""What a Redis must be that holds a view, and what it is at the moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from core.errors import ConfigurationError

log = structlog.get_logger(__name__)

#: A server is asked so often, by each client that lasts.
LOOK_EVERY_S: Final = 2.0
#: Fuller than that it says so.
NEARLY_FULL: Final = 0.9
_FORBIDDEN: Final = (
    "INFO is forbidden to the user in FOURFOLD_REDIS: nobody can tell whether this Redis evicts keys or is a replica "
    "(allow it with ACL SETUSER … +info)"
)
_OLDEST: Final = (6, 2)


@dataclass(frozen=True, slots=True)
class Health:
    """`wrong`: what a person must put right, "" for nothing. `states`: what whoever reads counts must know.

    `advice`: what would be better otherwise. `replica`: it takes no writes.
    """

    wrong: str = ""
    replica: bool = False
    states: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def health_of(info: Mapping[str, Any]) -> Health:
    """Judges what INFO says; what it does not say is taken for right."""
    return Health(_wrong(info), info.get("role") in ("slave", "replica"), tuple(_states(info)), tuple(_advice(info)))


def _wrong(info: Mapping[str, Any]) -> str:
    policy, limit = str(info.get("maxmemory_policy", "noeviction")), _number(info.get("maxmemory"))
    if limit and policy.startswith("allkeys"):
        return (
            f"Redis evicts keys when it is full (maxmemory-policy {policy}, maxmemory {limit:,} bytes), so counts would "
            "vanish: set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in redis.conf)"
        )
    if _number(info.get("cluster_enabled")) or info.get("redis_mode") == "cluster":
        return (
            "FOURFOLD_REDIS is a node of a Redis Cluster (cluster-enabled yes), which Fourfold does not support: use a "
            "Redis without cluster mode"
        )
    if info.get("redis_mode") == "sentinel":
        return "FOURFOLD_REDIS is a Sentinel and not a Redis: let it name the master"
    version = _version(info)
    if version and version < _OLDEST:
        return f"this Redis is {info['redis_version']}: 6.2 or newer is needed"
    return ""


def _states(info: Mapping[str, Any]) -> list[str]:
    states = []
    if info.get("role") in ("slave", "replica"):
        states.append("Redis is a replica: counts may be late, and nothing is counted here")
    used, limit = _number(info.get("used_memory")), _number(info.get("maxmemory"))
    if limit and used > limit:
        states.append("Redis is full (maxmemory): nothing is counted until there is room")
    elif limit and used > NEARLY_FULL * limit:
        states.append(f"Redis is {used / limit:.0%} full (maxmemory)")
    if info.get("aof_last_write_status") == "err" or info.get("rdb_last_bgsave_status") == "err":
        states.append("Redis cannot write to its disk")
    return states


def _advice(info: Mapping[str, Any]) -> list[str]:
    if not info:
        return [_FORBIDDEN]
    advice = []
    policy, limit = str(info.get("maxmemory_policy", "noeviction")), _number(info.get("maxmemory"))
    if policy.startswith("allkeys") and not limit:
        advice.append(f"maxmemory-policy is {policy}: with a maxmemory Redis would evict counts; set it to noeviction")
    elif policy.startswith("volatile"):
        advice.append(f"maxmemory-policy is {policy}: it spares keys without an expiry, noeviction says what is meant")
    if "aof_enabled" in info and not _number(info["aof_enabled"]):
        advice.append(
            "Redis writes no append-only file (appendonly no): after its restart counts are read again from the log as "
            "far as its last snapshot is old, or from the beginning; set appendonly yes"
        )
    return advice


class ServerWatch:
    """Judges a server again and again, says what is new, and raises what is wrong. For one client."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, speaks: bool = False) -> None:
        """`speaks`: advice and states go into the log as well, once each."""
        self._clock = clock
        self._speaks = speaks
        self._looked_at = float("-inf")
        self._said: frozenset[str] = frozenset()
        self.health = Health()

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return self._clock() - self._looked_at >= LOOK_EVERY_S

    def take(self, info: Mapping[str, Any]) -> Health:
        """What INFO said just now, {} where it is forbidden. Raises `ConfigurationError` for what is wrong for good."""
        self._looked_at = self._clock()
        self.health = health = health_of(info)
        if self._speaks:
            words = frozenset((*health.advice, *health.states))
            for line in (*health.advice, *health.states):
                if line not in self._said:
                    log.warning("redis", said=line)
            self._said = words
        if health.wrong:
            # looked at again at once: it may be put right
            self._looked_at = float("-inf")
            raise ConfigurationError(health.wrong)
        return health


def _version(info: Mapping[str, Any]) -> tuple[int, ...]:
    """Its first two numbers; () where it is not said."""
    major, _, rest = str(info.get("redis_version", "")).partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else ()


def _number(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0
