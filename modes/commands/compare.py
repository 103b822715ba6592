"""`fourfold compare`: two ways to the same answer."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from core.errors import ConfigurationError
from modes.catalogue import Role
from modes.invocation import ACT, Json, has_role, settings_of
from modes.pipelines import pipeline_of
from modes.wiring.lake import raw_table
from serving.console import out
from serving.progress import progress

app = typer.Typer()

ETL_ELT = "etl-elt"


@app.command(rich_help_panel=ACT)
def compare(
    what: Annotated[str, typer.Argument(help="etl-elt.")],
    as_json: Json = False,
) -> None:
    """Measure two ways to the same answer on the archived records: etl-elt (validate before or after the load)."""
    if what != ETL_ELT:
        raise ConfigurationError(f"{what!r} cannot be compared: {ETL_ELT} can")
    settings = settings_of()
    has_role(settings, Role.BATCH)
    from batch.compare import EtlElt

    folder = settings.lake_dir / "compare"
    with progress("starting") as tell:
        comparison = EtlElt(
            raw_table(settings), folder, settings.rules, settings.batch_processes, pipeline_of(settings)
        ).run(tell)
    if as_json:
        print(json.dumps(comparison.as_json()))
    else:
        from serving.compare_table import compare_table

        out().print(compare_table(comparison.as_json()))
