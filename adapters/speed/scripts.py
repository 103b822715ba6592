"""The scripts that change a view, or look whether it is whole."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

#: They are of the view's own key, and begin with nothing.
_OF_THE_VIEW: Final = ("begin", "register", "publish")


def script(name: str) -> str:
    """The text of `name`.lua; of a partition's with what each of them begins with."""
    folder = files("adapters.speed")
    text = folder.joinpath(f"{name}.lua").read_text()
    return text if name in _OF_THE_VIEW else folder.joinpath("partition.lua").read_text() + text
