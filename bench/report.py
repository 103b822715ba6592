"""The report: tables for a person, and one document for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from statistics import median
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.api import Api
from bench.batch_layer import TITLES, BatchLayer
from bench.catch_up import RATIOS, CatchUp
from bench.contender import BY_NAME
from bench.freshness import Freshness
from bench.goals import Goal
from bench.growth import Growth
from bench.growth_epochs import SPAN_S
from bench.growth_reading import MEASURES, REQUESTS, REQUESTS_S
from bench.memory import Memory
from bench.options import Options
from bench.producer import Production
from bench.replay import Replays
from bench.slopes import slope_text
from modes.race.machine import Machine

Result = CatchUp | Freshness | Production | BatchLayer | Api | Replays | Memory | Growth


def document(machine: Machine, options: Options, results: Mapping[str, Result]) -> dict[str, Any]:
    """What `--json` writes. Names nothing of the machine but its kind."""
    sizes = {name: value for name, value in asdict(options).items() if name not in ("json_file", "keep")}
    return {
        "machine": asdict(machine),
        "options": sizes,
        "results": {name: asdict(result) for name, result in results.items()},
        "goals": [asdict(goal) | {"part": name, "met": goal.met} for name, r in results.items() for goal in r.goals()],
    }


def show(console: Console, machine: Machine, results: Mapping[str, Result]) -> None:
    """All tables."""
    console.print()
    for result in results.values():
        console.print(_DRAWN[type(result)](result))
        console.print()
    if goals := [goal for result in results.values() for goal in result.goals()]:
        console.print(_goals(goals))
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    console.print(
        Text(
            f"\n{machine.cores} cores, {machine.memory_gb:g} GB, {machine.system}, Python {machine.python}, "
            f"load {machine.load:g} before the run; {packages}",
            style="dim",
        )
    )


def _catch_up(result: CatchUp) -> RenderableType:
    table = _table(f"catch-up: {result.events:,} events that are in the log already")
    for name in ("", "events/s", "min", "max", "CPU s per million", "peak MB", "cells proved"):
        table.add_column(name, justify="left" if not name else "right")
    for name, turns in result.turns.items():
        speeds = result.speeds(name)
        table.add_row(
            BY_NAME[name].title,
            f"[bold]{median(speeds):,.0f}[/bold]",
            f"{min(speeds):,.0f}",
            f"{max(speeds):,.0f}",
            f"{median(turn.speed.cpu_s_per_million for turn in turns):.1f}",
            f"{max(turn.speed.peak_mb for turn in turns):,.0f}",
            f"{min(turn.proof.cells for turn in turns):,}",
        )
    ratios = _table("")
    for name in ("", "events/s", "CPU"):
        ratios.add_column(name, justify="left" if not name else "right")
    for title, one, other, _ in RATIOS:
        if result.turns.get(one) and result.turns.get(other):
            by_speed = next(goal.figure for goal in result.goals() if goal.name == title)
            ratios.add_row(title, f"{by_speed:.2f}x", f"{result.cpu_ratio(one, other):.2f}x")
    notes = [
        "From the first to the last movement of the positions in Redis: starting and joining are left out.",
        "The median of the rounds. Kafka and Redis share the cores with the contenders, two workers included.",
        "CPU: how many times less the first one uses for an event; it minds a busy machine less than events/s do.",
    ]
    if "stock" in result.turns:
        counted = min(turn.proof.records for turn in result.turns["stock"])
        notes.append(f"The stock agent is measured, and proved, on the first {counted:,} records that it counts.")
    return Group(table, ratios, *(Text(note, style="dim") for note in notes))


def _freshness(result: Freshness) -> RenderableType:
    table = _table(f"freshness: append to visible in Redis, one worker, {result.seconds:g} s at each rate")
    for name in ("events/s", "records", "p50 ms", "p99 ms", "max ms", "worker's cores", "prober's longest gap ms"):
        table.add_column(name, justify="right")
    for at in result.rates:
        table.add_row(
            f"{at.rate:,.0f}",
            f"{at.latency.records:,}",
            f"{at.latency.p50_ms:.1f}",
            f"[bold]{at.latency.p99_ms:.1f}[/bold]",
            f"{at.latency.max_ms:.1f}",
            f"{at.cpu_share:.2f}",
            f"{at.longest_gap_ms:.1f}",
        )
    return table


def _production(result: Production) -> RenderableType:
    table = _table("producer: one process, as fast as possible, dirt and headers and all, acknowledged")
    for name in ("events/s", "CPU s per million", "peak MB", "records proved", "duplicates", "rejected"):
        table.add_column(name, justify="right")
    table.add_row(
        f"[bold]{result.speed.events_per_s:,.0f}[/bold]",
        f"{result.speed.cpu_s_per_million:.1f}",
        f"{result.speed.peak_mb:,.0f}",
        f"{result.records:,}",
        f"{result.duplicates:,}",
        f"{result.rejected:,}",
    )
    return table


def _batch(result: BatchLayer) -> RenderableType:
    table = _table(f"batch: {result.events:,} events from the log to a batch view")
    for name in ("", "seconds", "events", "events/s", "CPU s per million", "peak MB", "cells proved"):
        table.add_column(name, justify="left" if not name else "right")
    for name, turns in result.turns.items():
        cells = min(turn.proof.cells for turn in turns)
        table.add_row(
            TITLES[name],
            f"{median(turn.speed.seconds for turn in turns):.2f}",
            f"{turns[0].speed.events:,}",
            f"[bold]{median(result.speeds(name)):,.0f}[/bold]",
            f"{median(turn.speed.cpu_s_per_million for turn in turns):.1f}",
            f"{max(turn.speed.peak_mb for turn in turns):,.0f}",
            f"{cells:,}" if cells else "-",
        )
    notes = (
        "The median of the rounds; the most memory, children included. Starting Python is left out.",
        "The archive is proved by all who count its rows. Plain pandas counts no users and no late events.",
    )
    return Group(table, *(Text(note, style="dim") for note in notes))


def _api(result: Api) -> RenderableType:
    table = _table(f"api: lambda, all roles, {result.rate:,.0f} events/s meanwhile")
    for name in ("requests/s", "p50 ms", "p99 ms", "max ms", "server's cores"):
        table.add_column(name, justify="right")
    table.add_row(
        f"{result.requests_per_s:,.0f}",
        f"{result.latency.p50_ms:.1f}",
        f"[bold]{result.latency.p99_ms:.1f}[/bold]",
        f"{result.latency.max_ms:.1f}",
        f"{result.requests_share:.2f}",
    )
    frames = f"{result.watchers:,} watchers of the stream, {result.frames_per_s:.1f} frames/s each"
    pages = f"As many open dashboards, {result.page_frames_per_s:.1f} frames/s each"
    exact = f"exact in {result.proof.cells:,} cells, batch view v{result.batch_version}"
    notes = (
        "From when a request was due. The clients share the cores with the server, as all roles do.",
        f"{frames}: the server uses {result.watch_share:.2f} cores.",
        f"{pages}: {result.pages_share:.2f} cores.",
        f"Totals never shrank for any client; {exact}.",
    )
    return Group(table, *(Text(note, style="dim") for note in notes))


def _replays(result: Replays) -> RenderableType:
    table = _table(f"replay: {result.events:,} events counted again beside live traffic of {result.rate:,.0f} events/s")
    for name in ("", "events/s", "CPU s per million", "live p50 ms", "live p99 ms", "live max ms"):
        table.add_column(name, justify="left" if not name else "right")
    for number, each in enumerate(result.rounds, 1):
        alone, beside, fresh = each.alone.speed, each.beside.speed, each.fresh
        table.add_row(f"{number} catch-up", f"{alone.events_per_s:,.0f}", f"{alone.cpu_s_per_million:.1f}")
        table.add_row(
            f"{number} replay",
            f"[bold]{beside.events_per_s:,.0f}[/bold]",
            f"{beside.cpu_s_per_million:.1f}",
            f"{fresh.p50_ms:.1f}",
            f"[bold]{fresh.p99_ms:.1f}[/bold]",
            f"{fresh.max_ms:.1f}",
        )
    cells = min(each.compared_cells for each in result.rounds)
    notes = (
        "Catch-up: the first version, nothing else running. Replay: the second one, while the first counts live.",
        f"Both versions are proved against the truth, and equal at the same offsets in {cells:,} cells.",
        "Live: append to visible in the version that answers. CPU of a replay includes that version's.",
    )
    return Group(table, *(Text(note, style="dim") for note in notes))


def _memory(result: Memory) -> RenderableType:
    table = _table(f"memory: one worker, {result.events:,} events at {result.rate:,.0f} events/s")
    table.add_column("events", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("")
    most = max((megabytes for _, megabytes in result.points), default=1.0)
    for counted, megabytes in result.points:
        table.add_row(f"{counted:,}", f"{megabytes:,.0f}", "█" * round(40 * megabytes / most))
    slope = f"slope of the last two thirds {result.slope_mb_per_million:+.2f} MB per million events"
    return Group(table, Text(f"{slope}; exact in {result.proof.cells:,} cells", style="dim"))


def _growth(result: Growth) -> RenderableType:
    return Group(_growth_reading(result), Text(), _growth_writing(result), Text(), _growth_epochs(result))


def _growth_reading(result: Growth) -> RenderableType:
    found = result.reading
    table = _table(f"growth: reading against history, {found.products:,} products in each minute, epochs of 30 s")
    names = (
        "cells",
        "minutes",
        "Redis MB",
        "counts s",
        "first answer s",
        "of spans s",
        "API MB",
        "top 60 min",
        "top all",
        "series",
    )
    for name in names:
        table.add_column(name, justify="right")
    for each in (found.empty, *found.sizes):
        latencies = (each.top_hour, each.top_all, each.series)
        table.add_row(
            f"{each.cells:,}",
            f"{each.minutes:,}",
            f"{each.redis_bytes / 1e6:,.1f}",
            f"{each.counts_s:.2f}",
            f"{each.answer_s:.2f}",
            f"{each.loaded_s:.2f}",
            f"{each.resident_mb:,.0f}",
            *(f"{latency.p50_ms:.1f} / {latency.p99_ms:.1f}" for latency in latencies),
        )
    slopes = _table("")
    for name in ("grows with cells", "slope", *(f"{each.cells:,}" for each in found.sizes)):
        slopes.add_column(name, justify="left" if name == "grows with cells" else "right")
    for name in MEASURES:
        points = dict(found.points(name))
        figures = (f"{points[each.cells]:,.1f}" if each.cells in points else "-" for each in found.sizes)
        slopes.add_row(name, f"[bold]{slope_text(found.slopes[name])}[/bold]", *figures)
    notes = (
        f"Requests: p50 / p99 in ms of {REQUESTS}, or of those within {REQUESTS_S:g} s, none asked before. Answers are proved right.",
        f"Commands begin with Python, which alone takes {found.python_s:.2f} s. The view was filled by the product's sink.",
        "Slope: the power of the cells with which it grows, by least squares over logarithms; 1: in proportion.",
    )
    return Group(table, slopes, *(Text(note, style="dim") for note in notes))


def _growth_writing(result: Growth) -> RenderableType:
    table = _table("growth: writing against keys, one worker behind a log")
    names = (
        "",
        "products",
        "events/s",
        "worker us/event",
        "Redis s/million",
        "Redis B/event",
        "file B/event",
        "cells proved",
    )
    for name in names:
        table.add_column(name, justify="left" if not name else "right")
    for each in result.writing:
        table.add_row(
            each.case,
            f"{each.products:,}",
            f"[bold]{each.events_per_s:,.0f}[/bold]",
            f"{each.worker_us:.1f}",
            f"{each.redis_s_per_million:.2f}",
            f"{each.redis_bytes:,.1f}",
            f"{each.file_bytes:,.1f}",
            f"{each.proof.cells:,}",
        )
    note = "CPU from the opening of the partitions to the last event; bytes when the worker has merged what is left."
    return Group(table, Text(note, style="dim"))


def _growth_epochs(result: Growth) -> RenderableType:
    table = _table(f"growth: writing against epochs, the same records, appended within {SPAN_S:,.0f} s")
    for name in ("epoch s", "epochs", "events", "own us/event", "Redis s/million", "Redis B/event", "file B/event"):
        table.add_column(name, justify="right")
    for each in result.epochs:
        table.add_row(
            f"{each.epoch_s:g}",
            f"{each.epochs:,}",
            f"{each.events:,}",
            f"[bold]{each.own_us:.1f}[/bold]",
            f"{each.redis_s_per_million:.2f}",
            f"{each.redis_bytes:,.1f}",
            f"{each.file_bytes:,.1f}",
        )
    note = "Not by a worker: append times are the broker's. Polls of records go to the product's fold and sink; own: their CPU."
    return Group(table, Text(note, style="dim"))


_DRAWN: Final[Mapping[type, Callable[[Any], RenderableType]]] = {
    CatchUp: _catch_up,
    Freshness: _freshness,
    Production: _production,
    BatchLayer: _batch,
    Api: _api,
    Replays: _replays,
    Memory: _memory,
    Growth: _growth,
}


def _goals(goals: Iterable[Goal]) -> RenderableType:
    table = _table("goals")
    for name in ("", "measured", "goal", ""):
        table.add_column(name, justify="right" if name else "left")
    for goal in goals:
        digits = 2 if goal.bound < 100 else 0
        table.add_row(
            goal.name,
            f"[bold]{goal.figure:,.{digits}f}[/bold]{goal.unit}",
            f"{goal.kind} {goal.bound:,g}{goal.unit}",
            "[green]met[/green]" if goal.met else "[yellow]not met[/yellow]",
        )
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
