"""`fourfold race`: the four modes on the same traffic, measured."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from core.errors import ConfigurationError
from modes.catalogue import MODES
from modes.invocation import ACT, settings_of

ALL: Final = "all"
INTERRUPTED: Final = 130


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=ACT)(race)


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


Count = Annotated[int, typer.Option(parser=count_of, metavar="COUNT", help="Events of each mode: 300k.")]


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
    prices: Annotated[Path | None, typer.Option(help="TOML file of prices; its names are in the report.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of report.html, report.md and report.json.")] = Path("race"),
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
    console = Console(stderr=True, highlight=False)
    code = 0
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with console.status("starting") as said:

        def progress(mode: str, number: int, text: str) -> None:
            of = f", round {number} of {plan.repeat}" if plan.repeat > 1 else ""
            left = max(0.0, plan.estimate_s() - (time.monotonic() - began))
            said.update(f"{mode}{of}: {text} · about {left / 60:.0f} min left" if left >= 60 else f"{mode}{of}: {text}")  # noqa: PLR2004

        try:
            run.run(progress)
        except KeyboardInterrupt:
            code = INTERRUPTED
        finally:
            document = run.document()
            files = report.write(document, out)
    plain = Console(highlight=False)
    if document["laps"]:
        plain.print(report.table(document))
    for each in document["missing"]:
        plain.print(f"missing: {each}", style="dim")
    for file in files:
        plain.print(f"{file}")
    raise typer.Exit(code)


#: Shorter traffic shows how parts start, and nothing else.
LEAST_S: Final = 8.0
