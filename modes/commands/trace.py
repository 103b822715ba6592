"""`fourfold trace`: what became of one event."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from core.errors import FourfoldError
from modes.invocation import LOOK, Json, settings_of
from modes.pipelines import pipeline_of
from modes.wiring.servers import located
from serving.console import out
from serving.harmless import safe
from serving.progress import progress

app = typer.Typer()


@app.command(rich_help_panel=LOOK)
def trace(
    event_id: Annotated[str, typer.Argument(help="The event's id.")],
    as_json: Json = False,
) -> None:
    """Where one event went: its records, their verdicts, the cells they count in."""
    from modes.trace import trace as find

    with progress("reading the archive and the log"):
        settings = located(settings_of())
        found = find(settings, event_id)
    if found is None:
        raise FourfoldError(f"no record in the log or in the archive has the id {safe(event_id, 64)}")
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        from serving.measures import shown_measures
        from serving.trace_text import trace_text

        out().print(trace_text(found, shown_measures(pipeline_of(settings))))
