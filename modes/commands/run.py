"""`fourfold up` and `fourfold watch`: everything that a mode needs, and live counts of it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

import typer

from core.declaration.pipeline import Pipeline
from modes import running
from modes.invocation import ROLES, RUN, TIME, seconds_of, settings_of
from modes.pipelines import pipeline_of
from modes.supervisor import TICK_S
from modes.up import LINE_EVERY_S, Up, moment_of, title_of
from modes.wiring.answers import live_truth, merge
from modes.wiring.servers import located
from serving.console import moves, out
from serving.live import Live, Picture
from serving.measures import headlines, shown_measures
from serving.parts import standing
from serving.plain import line, opening
from serving.screen import Screen
from serving.terminal import draw

app = typer.Typer()


@app.command(rich_help_panel=RUN)
def up(
    rate: Annotated[float | None, typer.Option(help="Records per second; 0: as fast as possible.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same events.")] = None,
    duration: Annotated[
        float | None,
        typer.Option(parser=seconds_of, metavar=TIME, help="Produce so long (90s, 5m), then stop and verify."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", min=1)] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a moving view.")] = False,
) -> None:
    """Start everything that the mode needs and show live counts."""
    settings = settings_of(rate=rate, seed=seed, workers=workers)
    flat = plain or duration is not None or not moves(sys.stdout)
    raise typer.Exit(Up(settings, out(), plain=flat, duration_s=duration).run())


@app.command(rich_help_panel=ROLES)
def watch(
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a moving view.")] = False,
    every: Annotated[
        float, typer.Option(parser=seconds_of, metavar=TIME, help="From one line to the next: 2s.")
    ] = LINE_EVERY_S,
) -> None:
    """Show live counts of what runs."""
    settings = settings_of()
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    known = running.read(settings.data_dir) or {}
    address = known.get("api") or settings.api_address
    dashboard = f"{address.rstrip('/')}/" if address else ""
    flat = plain or not moves(sys.stdout)
    if not (settings.kafka and settings.redis):
        settings = located(settings)
    if flat:
        # servers that are set may not be there yet
        print("\n".join(opening(settings.mode, dashboard)), flush=True)
    settings = located(settings)
    with ExitStack() as stack:
        truth = stack.enter_context(live_truth(settings))
        source = merge(settings, whole=False)
        stack.callback(source.close)
        pipeline = pipeline_of(settings)
        live = Live(source, truth, pipeline)
        if flat:
            shown = headlines(shown_measures(pipeline))
            while not stop.wait(every):
                picture = live.look()
                print(line(picture, shown, settings.mode, standing(moment_of(settings, picture))), flush=True)
            return
        screen = stack.enter_context(Screen(out()))
        hint = "Ctrl-C ends the watch" + (f".  Dashboard {dashboard}" if dashboard else "")
        while not stop.wait(TICK_S):
            known = running.read(settings.data_dir) or {}
            states = [(r["name"], r["state"]) for r in known.get("roles", [])]
            _show(screen, live.look(), pipeline, title_of(settings), states, hint)


def _show(
    screen: Screen,
    picture: Picture,
    pipeline: Pipeline,
    title: str,
    states: Sequence[tuple[str, str]],
    hint: str,
) -> None:
    screen.show(lambda width, height: draw(picture, pipeline, title, states, hint, width=width, height=height))
