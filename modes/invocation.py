"""What all commands have in common: options, settings, logs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import structlog
import typer

from core.errors import ConfigurationError
from modes import logs
from modes.catalogue import ENGINES, Role
from modes.pipelines import pipeline_of
from modes.settings import Settings, doubts, load

log = structlog.get_logger(__name__)

RUN, LOOK, ACT, ROLES = "Run", "Look", "Act and measure", "Roles, one by one"
#: How a time is shown in a command's help.
TIME = "TIME"
#: How a folder or file is shown there.
PATH = "PATH"
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
IfInMode = Annotated[bool, typer.Option("--if-in-mode", help="End quietly where the mode has no such role.")]

Engine = Annotated[str, typer.Option(help=f"What recomputes: {', '.join(ENGINES)}.")]

AcceptLoss = Annotated[
    bool, typer.Option("--accept-loss", help="Go on where retention removed records before they were archived.")
]


class _State:
    debug = False


#: `--debug`: tracebacks and debug logs.
state = _State()


def settings_of(*, role: bool = False, counting: bool = True, **overrides: object) -> Settings:
    """The settings of a command.

    Args:
        role: Whether it is a process whose log somebody keeps; the others speak only when something is wrong.
        counting: Whether the pipeline that is set must be one that can be counted.
        overrides: Options of the command line, by setting.

    Raises:
        ConfigurationError: A setting is invalid.
    """
    settings = load(**overrides)
    level = "debug" if state.debug else settings.log_level if role else "warning"
    logs.configure(level, settings.log_format)
    _say_doubts(role=role)
    # every command refuses a mode, a pipeline or a logic that cannot run, before it does anything
    _ = settings.mode_row
    if counting:
        pipeline_of(settings)
    return settings


def _say_doubts(*, role: bool) -> None:
    """Says what is doubtful about names of settings: to whoever gave the command, or once in the log of a lone role."""
    if os.environ.get("FOURFOLD_OWNER"):
        # the command that started this role has said it
        return
    for doubt in doubts():
        if role:
            log.warning("settings", doubt=doubt)
        else:
            print(f"fourfold: {doubt}", file=sys.stderr)


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


def has_role(settings: Settings, role: Role, *, quietly: bool = False) -> None:
    """Ends the command where the mode has no such role. Raises `ConfigurationError`."""
    if role in settings.mode_row.roles:
        return
    if quietly:
        raise typer.Exit(0)
    raise ConfigurationError(
        f"the mode {settings.mode} has no role {role}: it has {', '.join(settings.mode_row.roles)}"
    )


def engine_of(name: str) -> str:
    """What recomputes, of its name. Raises `ConfigurationError`."""
    if name not in ENGINES:
        raise ConfigurationError(f"--engine {name!r} is none of {', '.join(ENGINES)}")
    return name
