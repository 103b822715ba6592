"""Each part of the bench runs to its end over a small log: what it measures is proved right first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.own_servers, pytest.mark.soak, pytest.mark.timeout(600)]

#: Enough for a speed.
EVENTS = "200000"
PARTS = {
    "catch-up": ["--events", EVENTS, "--contenders", "shipped,two,bare"],
    "freshness": ["--rates", "50", "--freshness-s", "5"],
    "producer": ["--producer-s", "3"],
    "batch": ["--events", "20000"],
    "api": [],
    "replay": ["--replay-events", EVENTS],
    "growth": [
        *("--growth-cells", "10000", "--growth-products", "200"),
        *("--growth-keys", "200", "--growth-events", "5000"),
    ],
}


@pytest.mark.parametrize("part", PARTS)
def test_it_runs_to_its_end(tmp_path: Path, part: str) -> None:
    found = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", part, *PARTS[part], "--repeat", "1", "--json", str(found)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert part in json.loads(found.read_text())["results"]
