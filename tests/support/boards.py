"""Boards of the real product, recorded by `python -m tests.e2e.record_boards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).with_name("boards")


def recorded(name: str) -> dict[str, Any]:
    """A board as the stream sent it."""
    board: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return board
