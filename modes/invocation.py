"""What all commands have in common: options, settings, logs."""

from __future__ import annotations

from typing import Annotated

import typer

from modes import logs
from modes.settings import Settings, load

RUN, LOOK, ACT, ROLES = "Run", "Look", "Act and measure", "Roles, one by one"
#: How a time is shown in a command's help.
TIME = "TIME"
#: How a folder or file is shown there.
PATH = "PATH"
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


class _State:
    debug = False


#: `--debug`: tracebacks and debug logs.
state = _State()


def settings_of(*, role: bool = False, **overrides: object) -> Settings:
    """`role`: a process whose log somebody keeps; the others speak only when something is wrong."""
    settings = load(**overrides)
    level = "debug" if state.debug else settings.log_level if role else "warning"
    logs.configure(level, settings.log_format)
    # every command refuses a mode that cannot run, before it does anything
    _ = settings.mode_row
    return settings


def seconds_of(text: str | float) -> float:
    """`60s`, `5m`, `1h` or `60` in seconds, for `typer.Option(parser=…)`. Raises `BadParameter`."""
    said = str(text)
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (said[:-1], said[-1]) if said[-1:] in units else (said, "s")
    try:
        found = float(number) * units[unit]
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise typer.BadParameter(f"{said!r} is no time: use 60s, 5m or 1h")
    return found
