"""`.env.example` names every setting with its default; docker-compose.yml passes on all that concern it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from modes.setting_names import COMPOSE_ONLY
from modes.settings import Settings, doubts, load

ROOT = Path(__file__).parents[2]
SETTINGS = {f"FOURFOLD_{name.upper()}" for name in Settings.model_fields}
#: What compose decides itself by having servers of its own.
NOT_IN_COMPOSE = re.compile(r"FOURFOLD_(KAFKA_\w+|REDIS_PORT|DATA_DIR|REPLICATION)$")

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
ASSIGNMENT = re.compile(r"^#?(FOURFOLD_\w+)=(.*)$", re.MULTILINE)


def read(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> Settings:
    """The settings where `.env` is this text, or is not there."""
    monkeypatch.chdir(folder)
    (folder / ".env").write_text(text, encoding="utf-8")
    assert doubts() == []
    return load()


def test_each_setting_is_there_once_and_no_other() -> None:
    named = [name for name, _ in ASSIGNMENT.findall(EXAMPLE)]
    assert sorted(named) == sorted(SETTINGS | COMPOSE_ONLY)


def test_each_has_a_comment_above_it() -> None:
    lines = EXAMPLE.splitlines()
    bare = [line for before, line in pairwise(lines) if ASSIGNMENT.match(line) and before[:2] != "# "]
    assert not bare


@pytest.mark.parametrize("keep", ["as it is", "with every line in force"])
def test_a_copy_gives_the_defaults(keep: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = EXAMPLE if keep == "as it is" else ASSIGNMENT.sub(r"\1=\2", EXAMPLE)
    assert read(monkeypatch, tmp_path, text) == read(monkeypatch, tmp_path, "")


def test_a_line_in_force_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = EXAMPLE.replace("#FOURFOLD_RATE=500", "FOURFOLD_RATE=501")
    assert read(monkeypatch, tmp_path, text).rate == 501


def test_compose_passes_on_every_setting_that_concerns_it() -> None:
    passed = set(re.findall(r"^  (FOURFOLD_\w+):", COMPOSE, re.MULTILINE))
    assert passed == {name for name in SETTINGS if not NOT_IN_COMPOSE.match(name)}


@pytest.mark.parametrize("name", sorted(COMPOSE_ONLY))
def test_compose_and_the_example_agree(name: str) -> None:
    default = dict(ASSIGNMENT.findall(EXAMPLE))[name]
    assert set(re.findall(rf"\$\{{{name}(.*?)\}}", COMPOSE)) == {f":-{default}"}
