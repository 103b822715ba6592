"""Each command that a document names is there, and a test runs it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import COMMAND_LINE, ELSEWHERE, HERE, ROOT, TARGETS, commands

NAMED = commands()


def test_each_command_is_run_by_a_test_and_each_entry_is_named() -> None:
    assert set(NAMED) == HERE | set(ELSEWHERE)
    assert not HERE & set(ELSEWHERE)


@pytest.mark.parametrize("place", sorted(set(ELSEWHERE.values())))
def test_the_tests_that_run_the_others_are_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and what is left of them."""
    found: Any = COMMAND_LINE
    while words and words[0] in getattr(found, "commands", {}):
        found, words = found.commands[words[0]], words[1:]
    return found, words


@pytest.mark.parametrize("command", sorted(name for name in NAMED if name.startswith("fourfold ")))
def test_each_option_that_is_named_is_one(command: str) -> None:
    found, rest = command_of(command.split()[1:])
    assert found is not COMMAND_LINE
    known = {option for parameter in found.params for option in [*parameter.opts, *parameter.secondary_opts]}
    assert set(re.findall(r"--[a-z-]+", " ".join(rest))) <= known


def test_readme_names_every_command() -> None:
    named = {" ".join(command.split()[1:3]) for command in NAMED if command.startswith("fourfold ")}
    words = {word for command in named for word in command.split()[:1]}
    assert set(COMMAND_LINE.commands) - words == set()  # type: ignore[attr-defined]


def test_each_target_of_make_does_what_the_documents_say(tmp_path: Path) -> None:
    assert {name.split()[1] for name in NAMED if name.startswith("make ")} == set(TARGETS)
    for target, runs in TARGETS.items():
        told = subprocess.run(
            ["make", "-n", target, f"PYTHON={ROOT / '.venv/bin/python'}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert runs in told.stdout, target


def test_each_accident_that_is_described_has_a_test() -> None:
    text = (ROOT / "docs/what-can-go-wrong.md").read_text(encoding="utf-8")
    rows = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in text.splitlines() if line.startswith("| ")]
    titles = [number for number, row in enumerate(rows) if row[-1] == "test"]
    described = [row for number, row in enumerate(rows) if number not in titles and not set(row[0]) <= set("-|")]
    assert len(described) > 90
    for row in described:
        named = re.findall(r"`((?:unit|contract|integration|e2e)/[^`]+)`", row[-1])
        assert named, row
        for place in named:
            file, _, name = place.partition("::")
            found = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not name or f"def {name.partition('[')[0]}(" in found, place
