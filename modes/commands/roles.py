"""The roles of a mode, each a process."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from core.errors import ConfigurationError, FourfoldError
from modes.catalogue import ENGINES, Role
from modes.invocation import (
    ROLES,
    TIME,
    AcceptLoss,
    Engine,
    IfInMode,
    engine_of,
    has_role,
    seconds_of,
    settings_of,
)
from modes.settings import Settings, environment
from modes.wiring.servers import located

app = typer.Typer()


@app.command(name="topics", rich_help_panel=ROLES)
def topics_command() -> None:
    """Make the topics, or check those that exist."""
    from modes.wiring.kafka import topics, wait_for_topics

    settings = located(settings_of(role=True))
    wait_for_topics(settings)
    for topic in topics(settings).states().values():
        print(f"{topic.name}: {topic.partitions} partitions")


@app.command(rich_help_panel=ROLES)
def produce(
    rate: Annotated[float | None, typer.Option(help="Records per second; 0: as fast as possible.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same events.")] = None,
    duration: Annotated[
        float | None, typer.Option(parser=seconds_of, metavar=TIME, help="Produce so long: 90s, 5m.")
    ] = None,
    events: Annotated[
        int | None, typer.Option(help="So many, on a schedule: the same seed gives the same records.", min=1)
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Day profile: module-01.")] = None,
) -> None:
    """Send events of a synthetic shop to Kafka."""
    settings = located(settings_of(role=True, rate=rate, seed=seed, profile=profile))
    from modes.roles.produce import produce as role

    stats = role(settings, duration, events)
    if stats.lost or stats.failed:
        raise FourfoldError(f"{stats.lost + stats.failed:,} records were not acknowledged by Kafka")


@app.command(rich_help_panel=ROLES)
def process(
    workers: Annotated[int | None, typer.Option(help="Worker processes.", min=1)] = None,
    job: Annotated[str | None, typer.Option(help="In kappa: the one job version that is counted.")] = None,
    if_in_mode: IfInMode = False,
) -> None:
    """Count what is in Kafka into Redis: Faust workers."""
    settings = settings_of(role=True, workers=workers, job=job)
    has_role(settings, Role.PROCESS, quietly=if_in_mode)
    settings = located(settings)
    if settings.workers == 1 and (settings.job or not settings.mode_row.job_versions):
        from modes.roles.process import process as role

        raise typer.Exit(role(settings))
    raise typer.Exit(_process_many(settings))


def _process_many(settings: Settings) -> int:
    """Supervises workers until SIGTERM or SIGINT. Raises `ConfigurationError` if one can never run."""
    from modes.fork_server import ForkServer
    from modes.supervisor import TICK_S, Supervisor
    from modes.wiring.speed import job_registry
    from modes.workers import Workers

    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with ForkServer.for_roles([Role.PROCESS]) as launcher:
        supervisor = Supervisor(environment(settings), launcher=launcher)
        workers = Workers(settings, supervisor, job_registry(settings), None)
        try:
            while not stop.wait(TICK_S):
                supervisor.tick()
                workers.tick()
                for child in supervisor.children:
                    if child.state == "failed":
                        raise ConfigurationError(f"{child.name} cannot run: it says why above")
        finally:
            supervisor.stop()
    return 0


@app.command(rich_help_panel=ROLES)
def batch(
    once: Annotated[bool, typer.Option("--once", help="One cycle, then end.")] = False,
    every: Annotated[
        float | None, typer.Option(parser=seconds_of, metavar=TIME, help="From one cycle to the next: 60s, 5m.")
    ] = None,
    engine: Engine = ENGINES[0],
    accept_loss: AcceptLoss = False,
    if_in_mode: IfInMode = False,
) -> None:
    """Archive the log, recompute the batch view and publish it, again and again."""
    settings = settings_of(role=True)
    has_role(settings, Role.BATCH, quietly=if_in_mode)
    interval = every or settings.batch_seconds
    from modes.roles.batch import batch as role

    role(located(settings), None if once else interval, engine_of(engine), accept_loss=accept_loss)


@app.command(rich_help_panel=ROLES)
def serve(if_in_mode: IfInMode = False) -> None:
    """Serve the HTTP API: totals, series, top lists, a live stream."""
    settings = settings_of(role=True)
    has_role(settings, Role.SERVE, quietly=if_in_mode)
    from modes.roles.serve import serve as role

    role(located(settings))
