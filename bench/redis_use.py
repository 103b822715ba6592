"""What a Redis has used so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from redis import Redis


@dataclass(frozen=True, slots=True)
class RedisUse:
    """CPU seconds, bytes of memory, bytes of the append-only file."""

    cpu_s: float
    memory: int
    file: int

    @classmethod
    def of(cls, redis: Redis) -> Self:
        """Now."""
        memory: Any = redis.info("memory")
        persistence: Any = redis.info("persistence")
        return cls(cpu_s_of(redis), memory["used_memory"], persistence["aof_current_size"])


def cpu_s_of(redis: Redis) -> float:
    """CPU seconds, those of its children left out."""
    cpu: Any = redis.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


def keep_the_file(redis: Redis) -> None:
    """From here on the append-only file only grows, so that its size says what was written."""
    redis.config_set("auto-aof-rewrite-percentage", "0")
