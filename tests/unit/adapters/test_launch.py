"""What becomes a server starts under a locale that the system knows."""

from __future__ import annotations

import locale
import os

import pytest

from adapters import launch


@pytest.mark.parametrize(
    ("known", "taken"),
    [
        ({"C.UTF-8", "en_US.UTF-8", "C"}, "C.UTF-8"),
        # macOS before 14
        ({"en_US.UTF-8", "C"}, "en_US.UTF-8"),
        ({"C"}, "C"),
    ],
)
def test_a_locale_that_the_system_does_not_know_is_not_handed_on(
    monkeypatch: pytest.MonkeyPatch, known: set[str], taken: str
) -> None:
    def setlocale(category: int, name: str) -> str:
        if name not in known:
            raise locale.Error("unsupported locale setting")
        return name

    monkeypatch.setattr(locale, "setlocale", setlocale)
    assert launch.known_locale() == taken


def test_a_server_gets_it_whatever_the_terminal_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis does not start under a locale that the system does not know."""
    started = []
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    monkeypatch.setattr(launch, "known_locale", lambda: "en_US.UTF-8")
    for name in ("setsid", "chdir"):
        monkeypatch.setattr(launch.os, name, lambda *_: None)
    monkeypatch.setattr(launch.os, "execv", lambda *command: started.append((command, os.environ["LC_ALL"])))
    launch.become(0, "home", ["server", "--option"])
    assert started == [(("server", ["server", "--option"]), "en_US.UTF-8")]
