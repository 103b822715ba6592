"""`fourfold race`, `advise` and `capacity`: the modes measured on the same traffic, and what follows from it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from core.errors import ConfigurationError
from modes.catalogue import MODES
from modes.invocation import ACT, PATH, TIME, Json, seconds_of, settings_of
from modes.paths import path_of
from serving.capacity_table import capacity_table
from serving.console import err
from serving.console import out as output

if TYPE_CHECKING:
    from modes.race.advice import Needs

app = typer.Typer()

ALL: Final = "all"
#: Where a race writes its report, and the report that comes with a checkout.
OWN: Final = Path("race")
SHIPPED: Final = Path(__file__).parents[2] / "docs" / "race"
INTERRUPTED: Final = 130
#: Shorter traffic shows how parts start, and nothing else.
LEAST_S: Final = 8.0
_MINUTE_S: Final = 60.0


def count_of(text: str | int) -> int:
    """`300k`, `1m` or `300000`. Raises `BadParameter`."""
    said = str(text).lower().replace(",", "").replace("_", "")
    units = {"k": 1_000, "m": 1_000_000}
    number, unit = (said[:-1], said[-1]) if said[-1:] in units else (said, "")
    try:
        found = int(float(number) * units.get(unit, 1))
    except (ValueError, OverflowError):
        found = 0
    if found < 1:
        raise typer.BadParameter(f"{text!r} is no number of events: use 300000, 300k or 1m")
    return found


Count = Annotated[
    int, typer.Option(parser=count_of, metavar="COUNT", show_default="90k", help="Events of each mode: 300k.")
]


@app.command(rich_help_panel=ACT)
def race(
    events: Count = 90_000,
    rate: Annotated[float, typer.Option(help="Records per second.", min=100, max=50_000)] = 3_000,
    modes: Annotated[str, typer.Option(help=f"{', '.join(MODES)}, with commas between; or {ALL}.")] = ALL,
    seed: Annotated[int, typer.Option(help="The same seed gives the same records.")] = 7,
    repeat: Annotated[int, typer.Option(help="Rounds: from two on the spread is known.", min=1, max=20)] = 1,
    faults: Annotated[bool, typer.Option("--faults", help="Each role is killed once, with traffic going on.")] = False,
    repair: Annotated[bool, typer.Option(help="How long an error of logic takes to be put right.")] = True,
    throughput: Annotated[bool, typer.Option(help="How much each mode sustains.")] = True,
    quick: Annotated[
        bool, typer.Option("--quick", help="Under two minutes: a little traffic, one round, no more.")
    ] = False,
    prices: Annotated[
        Path | None,
        typer.Option(parser=path_of, metavar=PATH, help="TOML file of prices; its names are in the report."),
    ] = None,
    out: Annotated[
        Path, typer.Option(parser=path_of, metavar=PATH, help="Folder of report.html, report.md and report.json.")
    ] = OWN,
) -> None:
    """Run the modes one after another on the same traffic, watch each from outside, and write a report."""
    from modes.race import report
    from modes.race.plan import Plan
    from modes.race.prices import read_prices
    from modes.race.race import Race

    usual = settings_of()
    names = tuple(MODES) if modes == ALL else tuple(dict.fromkeys(part.strip() for part in modes.split(",")))
    for name in names:
        if name not in MODES:
            raise ConfigurationError(f"--modes {name!r}: there are {', '.join(MODES)} and {ALL}")
    plan = Plan(events, rate, names, seed, repeat, faults, repair, throughput, usual.logic)
    plan = plan.quick() if quick else plan
    if plan.seconds < LEAST_S:
        raise ConfigurationError(
            f"{plan.events:,} events at {plan.rate:,.0f}/s last {plan.seconds:.1f} s: at least {LEAST_S:g} s are needed"
        )
    run = Race(plan, usual, read_prices(prices), ["fourfold", *sys.argv[1:]])
    console = err()
    code = 0
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with console.status("starting") as moving:
        told = ""

        def progress(mode: str, number: int, text: str) -> None:
            nonlocal told
            of = f", round {number} of {plan.repeat}" if plan.repeat > 1 else ""
            left = max(0.0, plan.estimate_s() - (time.monotonic() - began))
            if not console.is_interactive and told != (told := f"{mode}{of}"):
                # a log of a race: a line for each lap
                console.print(f"{told}: about {left / 60:.0f} min left")
            minutes = f" · about {left / 60:.0f} min left" if left >= _MINUTE_S else ""
            moving.update(Text(f"{mode}{of}: {text}{minutes}"))

        try:
            run.run(progress)
        except KeyboardInterrupt:
            code = INTERRUPTED
        finally:
            document = run.document()
            files = report.write(document, out)
    screen = output()
    if document["laps"]:
        screen.print(report.table(document))
    for each in document["missing"]:
        screen.print(Text(f"missing: {each}", "dim"))
    for file in files:
        print(file)
    raise typer.Exit(code)


Report = Annotated[
    Path | None,
    typer.Option(
        parser=path_of,
        metavar=PATH,
        help="A report of `fourfold race`: its folder, or report.json. Without it: race, or else the one that comes "
        "with Fourfold.",
    ),
]


@app.command(rich_help_panel=ACT)
def advise(
    report: Report = None,
    case: Annotated[str | None, typer.Option(help="One of the course's questions, named above.")] = None,
    freshness: Annotated[
        float | None, typer.Option(parser=seconds_of, metavar=TIME, help="How old an answer may be: 1s, 5m, 24h.")
    ] = None,
    accuracy: Annotated[str | None, typer.Option(help="exact, or good (99 %).")] = None,
    history: Annotated[
        float | None, typer.Option(parser=seconds_of, metavar=TIME, help="How far back answers must reach: 6h, 720h.")
    ] = None,
    repair: Annotated[bool | None, typer.Option(help="Must history be right again after an error of logic?")] = None,
    budget: Annotated[
        float | None, typer.Option(help="A month at the race's rate, at most; 0: no limit.", min=0)
    ] = None,
    team: Annotated[str | None, typer.Option(help="small takes the simplest mode, large the cheapest.")] = None,
    as_json: Json = False,
) -> None:
    """Recommend a mode from a race's report, with the figures, and with what would change the advice.

    Cases: daily-sales-reports, real-time-fraud-detection, monthly-financial-analysis. On a terminal, it asks for what
    is not given.
    """
    from modes.race import advice

    report, document = _found(report)
    if case is not None and case not in advice.CASES:
        raise ConfigurationError(f"--case {case!r}: there are {', '.join(advice.CASES)}")
    usual = advice.CASES[case] if case else advice.Needs()
    given = {
        "freshness_s": freshness, "accuracy": accuracy, "history_s": history, "repair": repair, "budget": budget,
        "team": team,
    }  # fmt: skip
    if case is None and not as_json and sys.stdin.isatty() and all(value is None for value in given.values()):
        given = _asked(usual)
    needs = replace(usual, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    for name, value, known in (("accuracy", needs.accuracy, advice.ACCURACIES), ("team", needs.team, advice.TEAMS)):
        if value not in known:
            raise ConfigurationError(f"--{name} {value!r}: use {' or '.join(known)}")
    found = advice.advise(document, needs)
    if as_json:
        checks = {mode: [check._asdict() for check in of] for mode, of in found.checks.items()}
        print(json.dumps({"report": str(report), "needs": asdict(needs), **asdict(found), "checks": checks}))
        return
    console = output()
    limit = f", {needs.budget:,.0f} a month" if needs.budget else ""
    console.print(
        f"asked for: answers at most {advice.span(needs.freshness_s)} old, {needs.accuracy}, {advice.span(needs.history_s)} of "
        f"history, {'repaired' if needs.repair else 'not repaired'} after errors{limit}, a {needs.team} team",
        style="dim",
    )
    console.print(
        f"[bold]{found.mode}[/bold]" + ("" if found.fits else ", though it does not meet everything; none does")
    )
    for reason in found.reasons:
        console.print(f"  {reason}")
    if found.changes:
        console.print("what would change the advice:")
        for change in found.changes:
            console.print(f"  {change}")
    _say_figures(console, report, document)


def _say_figures(console: Console, report: Path, document: Mapping[str, Any]) -> None:
    console.print(
        f"figures: {report}, made {document['made']}, {document['plan']['rate']:,.0f} events/s",
        style="dim", markup=False, soft_wrap=True,
    )  # fmt: skip


def _found(report: Path | None) -> tuple[Path, dict[str, Any]]:
    """A report and where it is. Raises `ConfigurationError` where there is none, or it lacks what is read."""
    from modes.race.report import read

    if report is None:
        report = OWN if OWN.exists() or not SHIPPED.exists() else SHIPPED
        if report == SHIPPED:
            print(f"no report in ./{OWN}: these are the figures of another machine, {SHIPPED}", file=sys.stderr)
    return report, read(report)


def _asked(usual: Needs) -> dict[str, Any]:
    """The questions, on a terminal."""
    return {
        "freshness_s": seconds_of(typer.prompt("How old may an answer be (1s, 5m, 24h)?", f"{usual.freshness_s:.0f}s")),
        "accuracy": typer.prompt("exact, or good (99 %)?", usual.accuracy),
        "history_s": seconds_of(
            typer.prompt("How far back must answers reach (6h, 720h)?", f"{usual.history_s / 3600:.0f}h")
        ),
        "repair": typer.confirm("Must history be right again after an error of logic?", usual.repair),
        "budget": float(typer.prompt("A month at the race's rate, at most (0: no limit)?", "0")),
        "team": typer.prompt("A small or a large team?", usual.team),
    }


@app.command(rich_help_panel=ACT)
def capacity(
    events_per_second: Annotated[float, typer.Option(help="The load.", min=1, max=1_000_000)],
    keys: Annotated[int, typer.Option(help="Different values of all dimensions.", min=1)] = 1_000,
    mode: Annotated[str, typer.Option(help=f"{', '.join(MODES)}, or {ALL}.")] = ALL,
    history: Annotated[
        float, typer.Option(parser=seconds_of, metavar=TIME, show_default="720h", help="How long what is kept is kept.")
    ] = 30 * 24 * 3600.0,
    replication: Annotated[int, typer.Option(help="Replicas in Kafka.", min=1, max=9)] = 3,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Plan workers, partitions, memory and disks for a load, from the unit costs that a race has measured."""
    from modes.race.capacity import Load, plan

    usual = settings_of()
    report, document = _found(report)
    names = list(document["summary"]) if mode == ALL else [mode]
    if mode != ALL and mode not in MODES:
        raise ConfigurationError(f"--mode {mode!r}: there are {', '.join(MODES)} and {ALL}")
    load = Load(events_per_second, keys, history, replication)
    plans = [plan(document, name, load, usual.window_hours * 3600) for name in names]
    if as_json:
        print(
            json.dumps(
                {
                    "report": str(report),
                    "load": asdict(load),
                    "plans": [{**asdict(p), "lines": [x._asdict() for x in p.lines]} for p in plans],
                }
            )
        )
        return
    console = output()
    for found in plans:
        console.print(
            capacity_table(found.mode, ((line.what, line.amount, line.unit, line.formula) for line in found.lines))
        )
        for what in found.open:
            console.print(f"not planned: {what}", markup=False)
        console.print(f"valid: {found.valid}", style="dim")
        console.print()
    _say_figures(console, report, document)
