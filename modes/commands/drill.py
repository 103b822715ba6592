"""`fourfold drill`: exercises that show what a mode does when something goes wrong."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

import typer

from core.errors import ConfigurationError
from modes.apart import apart
from modes.bugfix import BugfixDrill
from modes.catalogue import MODES
from modes.invocation import ACT, TIME, Json, seconds_of, settings_of
from modes.settings import Settings
from serving.console import out
from serving.drill_table import drill_table, drills_table
from serving.progress import progress

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="Exercises: what a mode does when something goes wrong.")
app.add_typer(group, name="drill", rich_help_panel=ACT)

ALL: Final = "all"
RATE: Final = 1_000


@group.callback()
def drill() -> None:
    """Exercises: what a mode does when something goes wrong."""


@group.command()
def bugfix(
    mode: Annotated[str | None, typer.Option(help=f"One of {', '.join(MODES)}; {ALL}: one after another.")] = None,
    history: Annotated[
        float,
        typer.Option(parser=seconds_of, metavar=TIME, show_default="45s", help="How long nobody notices the error."),
    ] = 45.0,
    rate: Annotated[float, typer.Option(help="Records per second.", min=1)] = RATE,
    as_json: Json = False,
) -> None:
    """Plant an error (the first logic that the pipeline declares), let history pass, fix it; in servers of its own."""
    usual = settings_of()
    names = list(MODES) if mode == ALL else [mode or usual.mode]
    for name in names:
        if name not in MODES:
            raise ConfigurationError(f"--mode {name!r}: there are {', '.join(MODES)} and {ALL}")
    documents = [_bugfix(usual, name, history, rate) for name in names]
    if as_json:
        print(json.dumps({"drill": "bugfix", "rate": rate, "modes": documents}))
        return
    console = out()
    for document in documents:
        console.print(drill_table(document))
        console.print()
    if len(documents) > 1:
        console.print(drills_table(documents))


def _bugfix(usual: Settings, mode: str, history_s: float, rate: float) -> dict[str, Any]:
    """The drill in servers, a lake and views that nobody else uses."""
    with progress(f"{mode}: starting") as tell, apart(usual, "drill", mode=mode, rate=rate) as settings:
        return BugfixDrill(settings, history_s, lambda text: tell(f"{mode}: {text}")).run()
