"""Metrics of every role: named as Prometheus asks for, with bounded labels, and listed in docs/metrics.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from adapters.telemetry import process_registry
from batch.cycle import CycleReport
from core.verdict import Reason
from modes.roles.batch import BatchMetrics
from modes.roles.process import WorkerMetrics
from modes.roles.produce import ProducerMetrics
from processors.processor import Work
from producers.role import Stats
from tests.support.api_world import filled
from tests.support.events import CLICKS_0
from tests.support.shop import SHOP

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "metrics.md"
ROLES: Final = ("produce", "process", "batch", "serve")
#: https://prometheus.io/docs/practices/naming: base units, as the last word before _total.
NO_BASE_UNITS: Final = re.compile(
    r"_(ms|millis|milliseconds|micros|nanos|minutes|hours|days|kb|mb|gb|bits|percent)(_|$)"
)
LABELS: Final = {"topic", "partition", "reason", "kind", "phase", "route", "status", "generation", "le"}


def registry_of(role: str, path: Path) -> tuple[CollectorRegistry, Any]:
    """The metrics of a role that has done something, and what must live meanwhile."""
    registry = process_registry()
    if role == "serve":
        world = filled(path)
        for collector in registry._collector_to_names:
            world.registry.register(collector)
        assert TestClient(world.api).get("/healthz").is_success
        return world.registry, world
    if role == "process":
        work = Work(rejected=Counter({Reason.NOT_JSON: 2}))
        book = SimpleNamespace(restores=1, held={})
        worker: Any = SimpleNamespace(
            processor=SimpleNamespace(work=work), book=book, lag={CLICKS_0: 7}, reasons=SHOP.reasons
        )
        registry.register(WorkerMetrics(worker))
    elif role == "batch":
        batch = BatchMetrics(SHOP.reasons)
        batch._last = CycleReport(None, 0, {"archive": 0.5})
        registry.register(batch)
    else:
        producer = ProducerMetrics()
        producer.take(Stats(10, 7, 1, by_kind={"click": 9, "late": 1}))
        registry.register(producer)
    return registry, None


@pytest.fixture(params=ROLES)
def scraped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    registry, world = registry_of(request.param, tmp_path)
    yield request.param, generate_latest(registry).decode()
    if world is not None:
        world.__exit__()


def families(text: str) -> list[Metric]:
    found = [family for family in text_string_to_metric_families(text) if not family.name.endswith("_created")]
    assert found
    return sorted(found, key=lambda family: family.name)


def name_of(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def test_names_are_as_prometheus_asks_for(scraped: tuple[str, str]) -> None:
    for family in families(scraped[1]):
        assert re.fullmatch(r"(fourfold|process|python)_[a-z][a-z0-9_]*", family.name)
        assert not NO_BASE_UNITS.search(family.name), family.name
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        # a total is a counter, and a counter is a total
        assert not family.name.endswith("_total")
        if family.type != "histogram":
            assert not family.name.endswith(("_count", "_sum", "_bucket", "_info")) or family.name == "python_info"


def test_ours_are_sentences_with_labels_of_bounded_number(scraped: tuple[str, str]) -> None:
    for family in families(scraped[1]):
        if family.name.startswith("fourfold_"):
            assert family.documentation[0].isupper() or family.documentation[0] == "1", family.name
            assert family.documentation.endswith("."), family.name
            assert {label for sample in family.samples for label in sample.labels} <= LABELS, family.name


def test_each_role_tells_its_lag_its_dead_letters_and_its_process(scraped: tuple[str, str]) -> None:
    role, text = scraped
    assert "process_resident_memory_bytes " in text
    assert "python_info{" in text
    assert "python_gc_collections_total{" in text
    if role != "batch":
        assert re.search(r"^fourfold_\w+_lag_records(\{.*\})? [0-9.]+$", text, re.MULTILINE)
    if role != "produce":
        reasons = re.findall(r'^fourfold_\w+_dead_letters(?:_total)?\{reason="(\w+)"\}', text, re.MULTILINE)
        assert set(reasons) <= set(SHOP.reasons)
        assert reasons


def test_the_document_lists_them_all(scraped: tuple[str, str]) -> None:
    role, text = scraped
    ours = [family for family in families(text) if family.name.startswith("fourfold_")]
    listed = DOCUMENT.read_text().split(f"## `fourfold {role}`\n", 1)[1].split("\n## ", 1)[0]
    assert [line for line in listed.splitlines() if line.startswith("| `")] == [row(family) for family in ours]


def row(family: Metric) -> str:
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    return f"| `{name_of(family)}` | {family.type} | {', '.join(labels)} | {family.documentation} |"


def test_promtool_has_nothing_to_say(scraped: tuple[str, str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        return
    done = subprocess.run(
        [promtool, "check", "metrics"], check=False, input=scraped[1], text=True, capture_output=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
