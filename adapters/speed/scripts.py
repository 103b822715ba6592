"""The scripts of a view: each begins with `view.lua`, which looks whether the view is whole."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from adapters.speed.redis_errors import foreign


def script(name: str) -> str:
    """The text of `name`.lua, with what every script begins with."""
    folder = files("adapters.speed")
    return folder.joinpath("view.lua").read_text() + folder.joinpath(f"{name}.lua").read_text()


def checked(answer: Any) -> Any:
    """A script's answer. Raises `ConfigurationError` where a key of the view is somebody else's."""
    if isinstance(answer, list) and answer and answer[0] == b"foreign":
        raise foreign(answer[1].decode(errors="replace"), answer[2].decode())
    return answer
