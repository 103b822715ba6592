"""`fourfold drill`: exercises that show what a mode does when something goes wrong."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from core.errors import ConfigurationError
from modes.apart import apart
from modes.bugfix import BugfixDrill
from modes.catalogue import MODES
from modes.invocation import ACT, TIME, Json, seconds_of, settings_of
from modes.settings import Settings
from serving.drill_table import drill_table, drills_table

drill_app = typer.Typer(no_args_is_help=True, help="Exercises: what a mode does when something goes wrong.")

ALL: Final = "all"
RATE: Final = 1_000


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(drill_app, name="drill", rich_help_panel=ACT)


@drill_app.callback()
def drill() -> None:
    """Exercises: what a mode does when something goes wrong."""


@drill_app.command()
def bugfix(
    mode: Annotated[str | None, typer.Option(help=f"One of {', '.join(MODES)}; {ALL}: one after another.")] = None,
    history: Annotated[
        float,
        typer.Option(parser=seconds_of, metavar=TIME, show_default="45s", help="How long nobody notices the error."),
    ] = 45.0,
    rate: Annotated[float, typer.Option(help="Records per second.", min=1)] = RATE,
    as_json: Json = False,
) -> None:
    """Plant an error (revenue that ignores quantity), let history pass, fix it; in servers of its own."""
    usual = settings_of()
    names = list(MODES) if mode == ALL else [mode or usual.mode]
    for name in names:
        if name not in MODES:
            raise ConfigurationError(f"--mode {name!r}: there are {', '.join(MODES)} and {ALL}")
    console = Console(stderr=True, highlight=False)
    documents = [_bugfix(usual, name, history, rate, console) for name in names]
    if as_json:
        print(json.dumps({"drill": "bugfix", "rate": rate, "modes": documents}))
        return
    out = Console(highlight=False)
    for document in documents:
        out.print(drill_table(document))
        out.print()
    if len(documents) > 1:
        out.print(drills_table(documents))


def _bugfix(usual: Settings, mode: str, history_s: float, rate: float, console: Console) -> dict[str, Any]:
    """The drill in servers, a lake and views that nobody else uses."""
    with (
        console.status(f"{mode}: starting") as said,
        apart(usual, "drill", mode=mode, rate=rate) as settings,
    ):
        return BugfixDrill(settings, history_s, lambda text: said.update(f"{mode}: {text}")).run()
