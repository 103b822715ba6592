"""The command line of the bench."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.api import api
from bench.batch_layer import batch_layer
from bench.catch_up import catch_up
from bench.freshness import freshness
from bench.growth import Growth, growth
from bench.memory import memory
from bench.options import CONTENDERS, DEFAULT_PARTS, PARTS, Options
from bench.producer import production
from bench.replay import replays
from bench.report import Result, document, show
from bench.screen import Screen
from core.errors import ConfigurationError, FourfoldError
from modes import logs
from modes.race.machine import this_machine

RUN: Final[dict[str, Callable[[Options, Screen], Result]]] = dict(
    zip(PARTS, (catch_up, freshness, production, batch_layer, api, replays, memory, growth), strict=True)
)
INTERRUPTED: Final = 130
#: The picture of growth, beside the file of `--json`.
PICTURE: Final = "growth.svg"


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The options. Exits with 2 where they are wrong."""
    usual = Options()
    parser = argparse.ArgumentParser(
        "python -m bench",
        description="Measures the product beside what it is compared with; every result is proved right first.",
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all but memory and growth"
    )
    add = parser.add_argument
    add("--contenders", default=",".join(CONTENDERS), help="of catch-up, separated by commas (default: all)")
    add("--events", type=_count, default=usual.events, help="in the log of catch-up and batch (%(default)s)")
    add("--stock-events", type=_count, default=usual.stock_events, help="that stock Faust counts (%(default)s)")
    add("--stock-s", type=float, default=usual.stock_s, help="or for so long at most (%(default)s)")
    add(
        "--repeat",
        type=_count,
        default=usual.repeat,
        help="rounds of catch-up, batch and replay, tries of growth (%(default)s)",
    )
    add("--rates", default="5000,50", help="of freshness, events a second (%(default)s)")
    add("--freshness-s", type=float, default=usual.freshness_s, help="seconds at each rate (%(default)s)")
    add("--producer-s", type=float, default=usual.producer_s, help="seconds of producing (%(default)s)")
    add("--replay-events", type=_count, default=usual.replay_events, help="in the log of replay (%(default)s)")
    add("--memory-events", type=_count, default=usual.memory_events, help="(%(default)s)")
    add("--memory-rate", type=float, default=usual.memory_rate, help="events a second (%(default)s)")
    add("--growth-cells", type=_counts, default=usual.growth_cells, help="of the views that growth reads (all sizes)")
    add("--growth-products", type=_count, default=usual.growth_products, help="in each minute of these (%(default)s)")
    add("--growth-keys", type=_counts, default=usual.growth_keys, help="products in the logs of growth (50,5000,50000)")
    add("--growth-events", type=_count, default=usual.growth_events, help="in each of these logs (%(default)s)")
    add("--seed", type=int, default=usual.seed, help="the same seed gives the same shop (%(default)s)")
    add("--json", dest="json_file", type=Path, metavar="FILE", help=f"write everything there, too; {PICTURE} beside it")
    add("--keep", action="store_true", help="leave data and logs of a part where they are")
    given = vars(parser.parse_args(arguments))
    given["parts"] = tuple(given["parts"]) or DEFAULT_PARTS
    given["contenders"] = tuple(given["contenders"].split(","))
    for name, allowed in (("parts", PARTS), ("contenders", CONTENDERS)):
        if wrong := [value for value in given[name] if value not in allowed]:
            parser.error(f"{wrong[0]!r} is none of the {name}: {', '.join(allowed)}")
    try:
        given["rates"] = tuple(float(rate) for rate in given["rates"].split(","))
    except ValueError:
        parser.error(f"--rates {given['rates']}: use numbers separated by commas")
    return Options(**{field.name: given[field.name] for field in fields(Options)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; 0 where all was right, whether goals are met or not."""
    options = parse(arguments)
    logs.configure("error", "console")
    screen = Screen()
    machine = this_machine()
    results: dict[str, Result] = {}
    try:
        with screen.open():
            for part in options.parts:
                screen.say(f"[bold]{part}[/bold]")
                results[part] = RUN[part](options, screen)
    except FourfoldError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        # what was measured before a failure is worth having
        if results:
            show(Console(highlight=False), machine, results)
    if options.json_file:
        for result in results.values():
            if isinstance(result, Growth) and (picture := result.picture()):
                _write(options.json_file.with_name(PICTURE), picture)
        _write(options.json_file, json.dumps(document(machine, options, results), indent=1) + "\n")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def _count(text: str) -> int:
    number = int(text.replace("_", "").replace(",", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: use a positive number")
    return number


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(","))
