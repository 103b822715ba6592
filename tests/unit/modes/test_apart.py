"""What plays apart counts into nobody's numbers: its servers, lake and views are its own, and go with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.errors import ConfigurationError
from modes import apart, day, invocation
from modes.cli import app
from modes.commands import day as day_command
from modes.settings import Settings, load


@contextmanager
def served(settings: Settings, _: object) -> Iterator[Settings]:
    """In place of servers that run."""
    yield settings.model_copy(update={"kafka": "k:1", "redis": "redis://r"})


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(apart, "with_servers", served)
    monkeypatch.setattr(invocation.logs, "configure", lambda *_: None)


def test_nothing_of_the_users_is_touched_and_nothing_stays() -> None:
    usual = load(kafka="mine:9092", redis="redis://mine", lake="mine", job="v2", kafka_port=9092, data_dir="data")
    with apart.apart(usual, "day", rate=7) as settings:
        assert (settings.kafka, settings.redis, settings.kafka_port) == ("k:1", "redis://r", 0)
        assert settings.data_dir.parent == Path("data")
        assert settings.lake_dir == settings.data_dir / "lake"
        assert (settings.view, settings.job, settings.rate) == ("day-lambda", "", 7)
        assert settings.data_dir.is_dir()
    assert list(Path("data").iterdir()) == []


def test_a_data_directory_that_cannot_be_written_is_said() -> None:
    settings = load(data_dir="data")
    # a file, since the settings were read
    Path("data").touch()
    with pytest.raises(ConfigurationError, match=r"^data cannot be written \("), apart.apart(settings, "day"):
        pass


def test_a_day_is_played_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []

    def play(settings: Settings, **_: Any) -> dict[str, Any]:
        seen.append(settings)
        return {"exact": True}

    monkeypatch.setattr(day, "day", play)
    done = CliRunner().invoke(app, ["day", "--json", "--seconds", "0"], env={"FOURFOLD_KAFKA": "mine:9092"})
    assert (done.exit_code, done.stdout) == (0, '{"exact": true}\n'), done.exception
    assert (seen[0].kafka, seen[0].namespace) == ("k:1", "day")
    assert day_command.apart is apart.apart
