"""The report of a race: a page, a text and a document, and the table for the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from core.errors import ConfigurationError
from modes.race.chart import lines
from modes.race.race import VERSION
from modes.race.summary import BY_NAME, Column
from serving import table as tables

#: What a reader asks, and the columns that answer.
SECTIONS: Final = (
    ("Freshness: append to visible in an answer", ("freshness_p50", "freshness_p95", "freshness_p99", "query_p99")),
    ("Accuracy at the end", ("accuracy", "revenue", "users", "duplicates", "late")),
    ("When something is wrong", ("repair", "unrepaired", "recovery")),
    ("Load", ("throughput",)),
    ("Cost", ("cpu", "memory", "kafka", "redis", "parquet", "money", "month")),
    ("Complexity", ("processes", "stores", "lines", "own_lines", "settings")),
    ("The traffic", ("records", "accepted", "record_bytes")),
)
FRESHNESS: Final = "Freshness, median of the records appended at that moment"
#: A look's share to draw over time.
CURVES: Final[Mapping[str, Callable[[Mapping[str, Any]], float]]] = {
    "Accuracy of the answers of that moment, against the truth at their own offsets": lambda look: look["accuracy"],
    "Revenue of that moment, against the truth at the same offsets": lambda look: look["right"]["revenue_cents"],
    "Distinct users of that moment, against the truth at the same offsets": lambda look: look["right"]["users"],
    "Duplicates recognised by that moment": lambda look: look["right"]["duplicates"],
    "Share of the log that the answers of that moment have": lambda look: look["covered"],
}
#: The largest share that is shown for less than all.
ALMOST: Final = 99.999
_NAMES: Final = ("report.html", "report.md")


def write(document: Mapping[str, Any], out: Path) -> list[Path]:
    """Writes `report.html`, `report.md` and `report.json` into a folder. Raises `ConfigurationError`."""
    around = Environment(
        loader=PackageLoader("modes.race", "templates"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn: dict[str, Any] = {
        "sections": list(sections(document)),
        "charts": charts(document),
        "levels": levels(document),
        "roles": roles(document),
        "claims": claims(document),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        # the figures first: minutes were spent on them
        (out / "report.json").write_text(json.dumps(document, indent=1) + "\n")
        for name in _NAMES:
            (out / name).write_text(around.get_template(f"{name}.j2").render(**document, **drawn))
    except OSError as error:
        raise ConfigurationError(f"--out {out} cannot be written ({error.strerror}): choose another folder") from error
    return [out / name for name in ("report.html", "report.json", "report.md")]


def read(file: Path) -> dict[str, Any]:
    """The document of a report. Raises `ConfigurationError` where it is none."""
    file = file / "report.json" if file.is_dir() else file
    try:
        document = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} is no report of a race ({error}): make one with `fourfold race`") from None
    if not isinstance(document, dict) or document.get("race") != VERSION:
        raise ConfigurationError(f"{file} is no report of a race of version {VERSION}: make one with `fourfold race`")
    lacks = sorted(_lacks(document))
    if lacks:
        raise ConfigurationError(
            f"{file} lacks {', '.join(lacks)}: another version wrote it, or somebody changed it; make one with `fourfold race`"
        )
    return document


def _lacks(document: Mapping[str, Any]) -> Iterator[str]:
    """The names of figures that readers need, and that are not there."""
    yield from (name for name, kind in _NEEDED.items() if not isinstance(document.get(name), kind))
    for name, figures in _NEEDED_OF.items():
        found = document.get(name)
        each = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        for one in each:
            there = one if isinstance(one, dict) else {}
            yield from (f"{name}.{figure}" for figure in figures if figure not in there)


#: What `advise` and `capacity` read: of the document, and of each of its laps, modes and so on.
_NEEDED: Final = {
    "made": str, "plan": dict, "settings": dict, "prices": dict, "machine": dict, "laps": list, "summary": dict,
}  # fmt: skip
_NEEDED_OF: Final = {
    "laps": ("mode", "cpu_s_per_million", "stored", "peak_bytes"),
    "summary": ("freshness_p99", "accuracy", "month", "own_lines"),
    "settings": ("batch_seconds",),
}


def sections(document: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, list[str], str]]]]:
    """(title, rows of (title, figure of each mode, spread)); rows that were not measured are left out."""
    found, spread = document["summary"], document["spread"]
    # where the producers could not send more
    bounds = {lap["mode"] for lap in document["laps"] if lap.get("throughput", {}).get("at_least")}
    rounds = document["plan"]["repeat"]
    for title, names in SECTIONS:
        rows = []
        for name in names:
            column = BY_NAME[name]
            if not any(name in columns for columns in found.values()):
                continue
            figures = [
                ("≥ " if name == "throughput" and mode in bounds else "")
                + (shown(column, columns[name], document["prices"]["currency"]) if name in columns else "-")
                for mode, columns in found.items()
            ]
            around = {"exact": "exact", "code": ""}.get(
                column.kind, f"± {100 * spread[name] / 2:.0f} %" if rounds > 1 else "one round"
            )
            rows.append((column.title, figures, around))
        if rows:
            yield title, rows


def shown(column: Column, figures: Mapping[str, float], currency: str) -> str:
    """The median, and where rounds differ the least and the most."""
    unit = column.unit.format(currency=currency)
    middle = amount(figures["median"], unit)
    if figures["min"] == figures["max"]:
        return middle
    return f"{middle} ({amount(figures['min'], unit)} to {amount(figures['max'], unit)})"


def amount(value: float, unit: str) -> str:
    """A figure with its unit, for people."""
    if unit == "s":
        return f"{value * 1000:,.0f} ms" if value < 1 else f"{value:,.1f} s"
    if unit == "%":
        # what is not whole must not look whole
        return f"{value:.0f} %" if value == round(value) else f"{min(value, ALMOST):.3f} %"
    if unit == "MB":
        return f"{value:,.1f} MB"
    if unit in ("", "events/s"):
        return f"{value:,.0f} {unit}".strip()
    return f"{value:,.2f} {unit}" if value >= 1 else f"{value:.4f} {unit}"


def charts(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The curves of the first round."""
    first = {lap["mode"]: lap for lap in reversed(document["laps"])}
    modes = [mode for mode in document["plan"]["modes"] if mode in first]
    fresh = {mode: [(x, middle) for x, middle, _ in first[mode]["freshness"]["curve"]] for mode in modes}
    drawn = [(FRESHNESS, lines(FRESHNESS, "s", fresh, log=True))]
    for title, share in CURVES.items():
        points = {
            mode: [(look["seconds"], 100 * share(look)) for look in first[mode]["accuracy"]["looks"]] for mode in modes
        }
        drawn.append((title, lines(title, "%", points)))
    # drawn here, and escaped
    return [{"title": title, "svg": Markup(svg), "modes": modes} for title, svg in drawn if svg]  # noqa: S704


def roles(document: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """(role or server, what, figure of each mode): the median of the rounds."""
    modes = list(document["summary"])
    names = dict.fromkeys(name for lap in document["laps"] for name in lap["cpu_s_per_million"])
    rows: list[tuple[str, str, list[str]]] = []
    for title, unit, of in (
        ("CPU a million events", "s", lambda lap: lap["cpu_s_per_million"]),
        ("memory at the peak", "MB", lambda lap: {role: size / 1e6 for role, size in lap["peak_bytes"].items()}),
        ("fresh and exact after its kill -9", "s", lambda lap: lap.get("recovery", {})),
    ):
        for role in [*names, "undisturbed"]:
            found = [
                [of(lap)[role] for lap in document["laps"] if lap["mode"] == mode and role in of(lap)] for mode in modes
            ]
            if any(found):
                name = "the same without a kill" if role == "undisturbed" else role
                rows.append((name, title, [amount(median(each), unit) if each else "-" for each in found]))
    return rows


def claims(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The course's table with the figure beside each word."""
    found, currency = document["summary"], document["prices"]["currency"]
    out = []
    for claim in document["course"]:
        column = BY_NAME[claim["column"]]
        unit = column.unit.format(currency=currency)
        cells = {
            mode: (
                word,
                amount(found[mode][column.name]["median"], unit) if column.name in found.get(mode, {}) else "-",
            )
            for mode, word in claim["says"].items()
        }
        out.append({**claim, "cells": cells})
    return out


def levels(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The demand: under each load, whether a mode sustained it and the cores that it took, without the producers."""
    out = []
    for lap in document["laps"]:
        if lap["round"] == 1 and "throughput" in lap:
            out += [
                {
                    "mode": lap["mode"],
                    "rate": level["rate"],
                    "drain_s": level["drain_s"],
                    "sustained": level["sustained"],
                    "cores": sum(share for role, share in level["cores"].items() if role != "produce"),
                    "by_role": {role: share for role, share in level["cores"].items() if share >= 0.005},  # noqa: PLR2004
                }
                for level in lap["throughput"]["levels"]
            ]
    return out


def table(document: Mapping[str, Any]) -> tables.Table:
    """The summary for a terminal."""
    modes = list(document["summary"])
    columns = [tables.Column(mode, right=True, with_next=mode != modes[-1]) for mode in modes]
    out = tables.Table(tables.Column("measured"), *columns, title="the race")
    for title, rows in sections(document):
        out.heading(title.partition(":")[0])
        for name, figures, _ in rows:
            # a narrow terminal: units of rates are known
            out.add(f" {name}", *[figure.split(" (")[0].removesuffix(" events/s") for figure in figures])
    return out
