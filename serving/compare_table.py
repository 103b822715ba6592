"""ETL against ELT as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from serving.harmless import safe
from serving.table import Column, Table

_TITLES: Final = {"etl": "ETL: validate, then load", "elt": "ELT: load, then validate"}
#: Of an answer that stands for what raw rows can tell.
_SHOWN: Final = 3


def compare_table(document: Mapping[str, Any]) -> RenderableType:
    """Draws the document of `fourfold compare etl-elt --json`."""
    title = f"{document['rows']:,} raw rows to {document['cells']:,} cells, {document['processes']} processes"
    return Group(
        _steps(document, title),
        Text(f"both ways give the same cells and users, of {document['accepted']:,} events", style="green"),
        Text(),
        _raw_access(document),
        *_answers(document),
    )


def _steps(document: Mapping[str, Any], title: str) -> Table:
    table = _table(title, "step", "seconds", "CPU s", "MB stored")
    for way in ("etl", "elt"):
        table.heading(_TITLES[way])
        for step in document[way]["steps"]:
            table.add(f"  {step['name']}", *_effort(step), _megabytes(step["stored_bytes"]))
        total = document[way]["total"]
        table.add("  until the answer", *_effort(total), _megabytes(total["stored_bytes"]), style="bold")
    return table


def _raw_access(document: Mapping[str, Any]) -> Table:
    table = _table("asked afterwards, of the raw rows: seconds", "question", "ELT: ask", "ETL: load again")
    for asked in document["raw_access"]:
        table.add(asked["question"], *(_effort(effort)[0] for effort in (asked["elt"], asked["etl"]["load_again"])))
    return table


def _answers(document: Mapping[str, Any]) -> Iterator[Text]:
    yield Text("ETL kept no raw rows: it has to read the source and load once more, if the source still has them")
    for asked in document["raw_access"]:
        rows = [f"{safe(str(row[0]), 40)} {row[1]:,}" for row in asked["answer"]]
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        yield Text(f"{asked['question']}: {', '.join(rows[:_SHOWN])}{more}", style="dim")


def _table(title: str, first: str, *numbers: str) -> Table:
    return Table(Column(first, folds=True), *(Column(name, right=True) for name in numbers), title=title)


def _effort(effort: Mapping[str, Any]) -> tuple[str, str]:
    return f"{effort['seconds']:.2f}", f"{effort['cpu_s']:.2f}"


def _megabytes(stored: int | None) -> str:
    return "-" if stored is None else f"{stored / 1e6:.1f}"
