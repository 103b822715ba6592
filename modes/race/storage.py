"""Storage: bytes that a mode has in Kafka, Redis and Parquet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from redis import Redis

from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring.speed import redis_client


def stored(settings: Settings) -> dict[str, int]:
    """Bytes by store: `kafka` (segments of the topics of events), `redis` (values of the speed view and their keys),
    `raw` (the raw table), `views` (the batch views that are kept).
    """  # noqa: D205 - a list
    client = redis_client(settings)
    try:
        redis = sum(_memory(client, client.scan_iter(f"{{{settings.view}*", count=1000)))
    finally:
        client.close()
    logs = [
        path
        for topic in pipeline_of(settings).topics
        for path in settings.data_dir.rglob(f"{topic}-*/*.log")
        if path.parent.name[-1].isdigit()
    ]
    return {
        "kafka": sum(path.stat().st_size for path in logs),
        "redis": redis,
        "raw": _below(settings.lake_dir / "raw"),
        "views": _below(settings.lake_dir / "views"),
    }


def _memory(client: Redis, keys: Iterable[bytes]) -> Iterable[int]:
    for key in keys:
        yield int(client.memory_usage(key, samples=0) or 0)


def _below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
