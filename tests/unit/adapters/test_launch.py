"""What becomes a server starts under a locale that the system knows."""

from __future__ import annotations

import locale

import pytest

from adapters.embedded import launch


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
