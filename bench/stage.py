"""The stage: servers of our own in a temporary directory, and how processes reach them."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis

from adapters.embedded.servers import EmbeddedServers
from core.errors import FourfoldError
from core.position import PartitionKey
from modes.settings import Settings
from modes.wiring.kafka import topics, wait_for_topics

ROOT: Final = Path(__file__).resolve().parent.parent
_REWRITE_BOUND_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Running servers. `settings` are the product's defaults with these addresses."""

    directory: Path
    settings: Settings
    redis: Redis

    def view(self, name: str, **more: Any) -> Settings:
        """Settings of a view of its own."""
        return self.settings.model_copy(update={"namespace": name, "group": name, **more})

    def environment(self, settings: Settings) -> dict[str, str]:
        """The environment of a process under `settings`; those of whoever runs us do not reach it."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("FOURFOLD_")}
        changed = {
            f"FOURFOLD_{name.upper()}": str(getattr(settings, name)) for name in sorted(settings.model_fields_set)
        }
        return kept | changed | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "FOURFOLD_OWNER": str(os.getpid())}

    def sources(self) -> list[PartitionKey]:
        """All partitions of the topics of events."""
        return topics(self.settings).partitions()

    def clear_redis(self) -> None:
        """Empties Redis and its append-only file, so that every contender finds the same."""
        self.redis.flushall()
        self.redis.bgrewriteaof()
        end = time.monotonic() + _REWRITE_BOUND_S
        while self._rewriting():
            if time.monotonic() > end:
                raise FourfoldError(f"Redis rewrites its append-only file for more than {_REWRITE_BOUND_S:g} s")
            time.sleep(0.05)

    def _rewriting(self) -> bool:
        info: Any = self.redis.info("persistence")
        return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


@contextmanager
def stage(*, keep: bool = False) -> Iterator[Stage]:
    """Servers with empty topics, gone at the end with their data; `keep` leaves data and logs."""
    directory = Path(tempfile.mkdtemp(prefix="fourfold-bench-"))
    try:
        with EmbeddedServers(directory / "servers") as servers:
            running = servers.running()
            if running is None:
                raise FourfoldError("the servers ended as soon as they had started")
            settings = Settings(
                mode="streaming",
                kafka=running.kafka,
                redis=running.redis,
                data_dir=directory,
                _env_file=None,  # type: ignore[call-arg]
            )
            wait_for_topics(settings)
            with Redis.from_url(running.redis) as client:
                yield Stage(directory, settings, client)
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
