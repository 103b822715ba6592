"""`fourfold counts` and `fourfold verify`: the numbers, and whether they are right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from core.cells import Cell
from core.errors import UnavailableError
from core.position import PartitionKey
from modes.invocation import LOOK, Json, settings_of
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring.answers import answer_of, provenance
from modes.wiring.kafka import ends_source
from modes.wiring.servers import located
from serving.harmless import safe
from serving.live import counts_document
from serving.measures import shown_measures
from serving.plain import totals_text
from serving.progress import progress

app = typer.Typer()


@app.command(rich_help_panel=LOOK)
def counts(as_json: Json = False) -> None:
    """The counts now, with their provenance."""
    settings = located(settings_of())
    document = counts_of(settings)
    if as_json:
        print(json.dumps(document))
        return
    totals, quality, source = document["totals"], document["quality"], document["provenance"]
    print(totals_text(Cell(totals.values()), shown_measures(pipeline_of(settings))))
    print(
        f"accepted {quality['accepted']:,}  duplicates {quality['duplicates']:,}  late {quality['late']:,}"
        f"  rejected {sum(quality['rejected'].values()):,}"
    )
    for reason, number in quality["rejected"].items():
        print(f"  {safe(reason)} {number:,}")
    batch = "" if source["batch_version"] is None else f", batch view v{source['batch_version']}"
    print(
        f"from the view {source['namespace']}{batch}, lag {source['lag_events']} records, "
        f"watermark {source['watermark']}"
    )
    for said in source["states"]:
        print(f"  {said}")


@app.command(rich_help_panel=LOOK)
def verify(as_json: Json = False) -> None:
    """Compare the counts with the truth ledger, cell by cell. Exit code 1 if they differ or lack records."""
    from modes.verdict import judge, verdict_lines

    settings = located(settings_of())
    with progress("reading the log") as tell:
        answer, verdict = judge(settings, tell)
    if as_json:
        print(json.dumps(verdict.as_json()))
    else:
        print("\n".join(verdict_lines(verdict, answer)))
    raise typer.Exit(0 if verdict.exact else 1)


def counts_of(settings: Settings) -> dict[str, Any]:
    """The counts now, as JSON. Raises `UnavailableError`."""
    answer = answer_of(settings, whole=False)
    return counts_document(answer, pipeline_of(settings).measures, provenance(settings).of(answer, _log_ends(settings)))


def _log_ends(settings: Settings) -> Mapping[PartitionKey, int]:
    ends = ends_source(settings)()
    if not ends:
        raise UnavailableError("the topics are not there yet")
    return ends
