from __future__ import annotations

from pathlib import Path

from bench.lap import Lap


def test_a_lap_is_read_as_it_was_written(tmp_path: Path):
    lap = Lap.of(lambda: {"accepted": 3})
    assert lap.counters == {"accepted": 3}
    lap.write(tmp_path / "lap.json")
    assert Lap.read(tmp_path / "lap.json") == lap
