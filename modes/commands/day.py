"""`fourfold day`: a day of the shop, measured."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from modes.apart import apart
from modes.catalogue import ENGINES, Role
from modes.invocation import ACT, Json, has_role, settings_of
from serving.console import out
from serving.progress import progress

app = typer.Typer()


@app.command(rich_help_panel=ACT)
def day(
    seconds: Annotated[float, typer.Option(help="How long the day takes; 0: as fast as possible.", min=0)] = 60,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same events.")] = None,
    as_json: Json = False,
) -> None:
    """Play a day of 24 hours, and measure what is left after validation and after transformation; in separate servers."""
    usual = settings_of(seed=seed, day_seconds=seconds)
    has_role(usual, Role.BATCH)
    from modes.day import day as play
    from modes.roles.batch import recompute as role

    with progress("starting") as tell, apart(usual, "day", tell) as settings:
        document = play(
            settings,
            recompute=lambda chosen: role(chosen, ENGINES[0], full=False, accept_loss=False),
            progress=tell,
        )
    if as_json:
        print(json.dumps(document))
    else:
        from serving.funnel_table import funnel_table

        out().print(funnel_table(document))
    raise typer.Exit(0 if document["exact"] else 1)
