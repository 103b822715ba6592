"""The crew: a role that says that it can never run ends the command, with its words and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigurationError, FourfoldError
from modes.crew import Crew
from modes.settings import Settings
from modes.supervisor import Child
from modes.up import roles_of


def crew_of(tmp_path: Path, *children: Child) -> Crew:
    crew = Crew(Settings(data_dir=tmp_path, _env_file=None))  # type: ignore[call-arg]
    crew.supervisor.children += children
    return crew


def test_one_that_can_never_run_is_wrong_configuration_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("2026 [info] starting\nfourfold: Redis wants a password\n")
    crew = crew_of(
        tmp_path, Child("serve", [], None, state="running"), Child("process", [], tmp_path / "log", state="failed")
    )
    with pytest.raises(ConfigurationError, match=r"^process cannot run: Redis wants a password$") as caught:
        crew.check()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("state", ["running", "waiting", "done"])
def test_all_others_are_no_reason_to_end(tmp_path: Path, state: str) -> None:
    crew_of(tmp_path, Child("process", [], tmp_path / "log", state=state, short_lives=9)).check()


def test_what_the_roles_need_is_checked_with_them(tmp_path: Path) -> None:
    def gone() -> None:
        raise FourfoldError("Kafka is gone")

    crew = Crew(Settings(data_dir=tmp_path, _env_file=None), needs=gone)  # type: ignore[call-arg]
    with pytest.raises(FourfoldError, match="Kafka is gone"):
        crew.check()


def test_one_that_dies_again_and_again_is_said_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("fourfold: the disk is full\n")
    crew = crew_of(
        tmp_path,
        Child("batch", [], tmp_path / "log", state="waiting", restarts=5, short_lives=5),
        Child("serve", [], None, state="running", restarts=1, short_lives=1),
    )
    assert roles_of(crew.supervisor) == [
        ("batch", "restarting (restarted 5x): died 5 times in a row: the disk is full"),
        ("serve", "up (restarted 1x)"),
    ]
