"""Commands that say what the modes are, and which one runs."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.text import Text

from modes import running
from modes.catalogue import MODES, mode_named
from modes.invocation import LOOK, Json, settings_of
from serving.console import out
from serving.table import Column, Table

app = typer.Typer()


@app.command(rich_help_panel=LOOK)
def modes(as_json: Json = False) -> None:
    """The four architectures, each a row."""
    chosen = settings_of().mode
    if as_json:
        print(json.dumps({"configured": chosen, "modes": [row.as_json() for row in MODES.values()]}))
        return
    # rows of the catalogue as columns: read from top to bottom on any screen
    last = list(MODES)[-1]
    columns = [Column(f"{name} ←" if name == chosen else name, folds=True, with_next=name != last) for name in MODES]
    table = Table(Column("mode"), *columns)
    documents = [row.as_json() for row in MODES.values()]
    for field in documents[0]:
        if field != "name":
            words = (_words(document[field]) for document in documents)
            table.add(Text(field.replace("_", " "), "dim"), *words)
    out().print(table)
    print(f"FOURFOLD_MODE chooses: now {chosen}")


@app.command(rich_help_panel=LOOK)
def mode(as_json: Json = False) -> None:
    """The mode that runs here, or the one that a start would run."""
    settings = settings_of()
    found = running.read(settings.data_dir)
    name = found["mode"] if found else settings.mode
    document = {
        "running": bool(found),
        "configured": settings.mode,
        **mode_named(name).as_json(),
        "view": settings.model_copy(update={"mode": name}).view,
        "processes": [role["name"] for role in found["roles"] if role["state"] == "running"] if found else [],
    }
    if as_json:
        print(json.dumps(document))
        return
    state = "runs" if found else "would run: nothing that `fourfold up` started runs here"
    print(f"{name} {state}")
    for field in ("roles", "processes", "kafka_keeps", "archive", "speed_state", "answer", "view"):
        if document[field]:
            print(f"  {field.replace('_', ' '):12} {_words(document[field])}")
    if found and name != settings.mode:
        print(f"FOURFOLD_MODE is {settings.mode} in this shell: commands here look at that one's views")


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)
