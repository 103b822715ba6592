"""The command line: `fourfold`. Exit codes: 0 done, 1 failed or not exact, 2 wrong use, 130 interrupted."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from adapters.durable import OF_THE_DISK
from adapters.embedded import launch
from adapters.kafka.asyncapi import documents
from core.errors import ConfigurationError, FourfoldError
from core.secrets import without_password
from modes import (
    batch_commands,
    dead_letter_commands,
    drill_commands,
    mode_commands,
    pipeline_commands,
    race_commands,
    replay_commands,
    running,
)
from modes.catalogue import Role
from modes.invocation import LOOK, PATH, ROLES, RUN, TIME, Json, seconds_of, settings_of, state
from modes.paths import path_of
from modes.settings import Settings, environment
from modes.supervisor import Supervisor
from modes.up import LINE_EVERY_S, TICK_S, Up, moment_of, title_of
from modes.verdict import answer_of, judge, verdict_lines
from modes.wiring import (
    all_embedded,
    auditor,
    ends_source,
    job_registry,
    live_truth,
    located,
    merge,
    provenance,
    topics,
    view_store,
    wait_for_topics,
)
from modes.workers import Workers
from serving.console import err, moves, out
from serving.harmless import safe
from serving.live import Live, Picture, Unaudited, counts_document
from serving.parts import parts_of, standing
from serving.plain import line, money, opening
from serving.progress import progress
from serving.screen import Screen
from serving.status_text import servers_table, status_text
from serving.terminal import draw

#: Whoever looks from outside sees within this many seconds what moves.
SEEN_S: Final = 1.0

app = typer.Typer(
    name="fourfold",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="One stream of clicks and sales, four architectures, numbers that prove they are right.",
    epilog="Settings come from the environment and .env (prefix FOURFOLD_). Start with: fourfold up",
)
embedded_app = typer.Typer(no_args_is_help=True, help="Start, stop and see the embedded Kafka and Redis.")
app.add_typer(embedded_app, name="embedded", rich_help_panel="Run")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
) -> None:
    """Options of every command."""
    state.debug = debug


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


@app.command(name="topics", rich_help_panel=ROLES)
def topics_command() -> None:
    """Make the topics, or check those that exist."""
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
    """Send clicks and sales of a synthetic shop to Kafka."""
    settings = located(settings_of(role=True, rate=rate, seed=seed, profile=profile))
    from modes.roles.produce import produce as role

    stats = role(settings, duration, events)
    if stats.lost or stats.failed:
        raise FourfoldError(f"{stats.lost + stats.failed:,} records were not acknowledged by Kafka")


@app.command(rich_help_panel=ROLES)
def process(
    workers: Annotated[int | None, typer.Option(help="Worker processes.", min=1)] = None,
    if_in_mode: batch_commands.IfInMode = False,
) -> None:
    """Count what is in Kafka into Redis: Faust workers."""
    settings = settings_of(role=True, workers=workers)
    batch_commands.has_role(settings, Role.PROCESS, quietly=if_in_mode)
    settings = located(settings)
    if settings.workers == 1 and (settings.job or not settings.mode_row.job_versions):
        from modes.roles.process import process as role

        raise typer.Exit(role(settings))
    raise typer.Exit(_process_many(settings))


def _process_many(settings: Settings) -> int:
    """Supervises workers until SIGTERM or SIGINT. Raises `ConfigurationError` if one can never run."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    supervisor = Supervisor(environment(settings))
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
        source = merge(settings)
        stack.callback(source.close)
        live = Live(source, truth)
        if flat:
            while not stop.wait(every):
                picture = live.look()
                print(line(picture, settings.mode, standing(moment_of(settings, picture))), flush=True)
            return
        screen = stack.enter_context(Screen(out()))
        hint = "Ctrl-C ends the watch" + (f".  Dashboard {dashboard}" if dashboard else "")
        while not stop.wait(TICK_S):
            known = running.read(settings.data_dir) or {}
            states = [(r["name"], r["state"]) for r in known.get("roles", [])]
            _show(screen, live.look(), title_of(settings), states, hint)


def _show(screen: Screen, picture: Picture, title: str, states: Sequence[tuple[str, str]], hint: str) -> None:
    screen.show(lambda width, height: draw(picture, title, states, hint, width=width, height=height))


@app.command(rich_help_panel=LOOK)
def counts(as_json: Json = False) -> None:
    """The counts now, with their provenance."""
    settings = located(settings_of())
    document = _counts(settings)
    if as_json:
        print(json.dumps(document))
        return
    totals, quality, source = document["totals"], document["quality"], document["provenance"]
    print(
        f"clicks {totals['clicks']:,}  sales {totals['sales']:,}  units {totals['units']:,}  "
        f"revenue {money(totals['revenue_cents'])} EUR"
    )
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


def _counts(settings: Settings) -> dict[str, Any]:
    answer = answer_of(settings)
    return counts_document(answer, provenance(settings).of(answer, _log_ends(settings)))


def _log_ends(settings: Settings) -> Any:
    with auditor(settings) as witness:
        return witness.ends_now()


@app.command(rich_help_panel=LOOK)
def verify(as_json: Json = False) -> None:
    """Compare the counts with the truth ledger, cell by cell. Exit code 1 if they differ or lack records."""
    settings = located(settings_of())
    with progress("reading the log") as tell:
        answer, verdict = judge(settings, tell)
    if as_json:
        print(json.dumps(verdict.as_json()))
    else:
        print("\n".join(verdict_lines(verdict, answer)))
    raise typer.Exit(0 if verdict.exact else 1)


@app.command(rich_help_panel=LOOK)
def contract(
    write: Annotated[
        Path | None, typer.Option(parser=path_of, metavar=PATH, help="Folder to write the documents to.")
    ] = None,
) -> None:
    """JSON Schema of the events and AsyncAPI of the topics, generated from the code."""
    if write is None:
        print(documents()["asyncapi.json"], end="")
        return
    for name, text in documents().items():
        try:
            write.mkdir(parents=True, exist_ok=True)
            (write / name).write_text(text)
        except OSError as error:
            raise ConfigurationError(f"{write} cannot be written: {error.strerror or error}") from error
        print(write / name)


@app.command(rich_help_panel=LOOK)
def status(as_json: Json = False) -> None:
    """Addresses, roles with their process ids, lag per partition."""
    settings = settings_of()
    found = running.read(settings.data_dir)
    settings = located(settings)
    document: dict[str, Any] = {
        "mode": found["mode"] if found else settings.mode,
        "addresses": {
            "kafka": settings.kafka,
            "redis": without_password(settings.redis),
            "lake": str(settings.lake_dir) if settings.mode_row.archive else None,
            "api": found.get("api") if found else settings.api_address or None,
        },
        "roles": found["roles"] if found else [],
        "servers": found.get("servers", []) if found else [],
        "lag": None,
        "versions": [manifest.version for manifest in view_store(settings).versions()],
        "parts": [],
        "namespace": settings.view,
        "trouble": [],
    }
    try:
        source = _counts(settings)["provenance"]
        document["lag"] = source["lag"]
        document["parts"] = [] if found else _seen(settings)
        document["trouble"] += source["states"]
    except FourfoldError as error:
        document["trouble"].append(str(error))
    if as_json:
        print(json.dumps(document))
        return
    out().print(status_text(document))


def _seen(settings: Settings) -> list[dict[str, Any]]:
    """The parts of the mode as they look from here, whoever runs them."""
    with ExitStack() as stack:
        source = merge(settings)
        stack.callback(source.close)
        live = Live(source, Unaudited(ends_source(settings)))
        live.look()
        time.sleep(SEEN_S)
        parts = parts_of(moment_of(settings, live.look()))
    return [part._asdict() for part in parts if part.name != Role.SERVE]


@embedded_app.command(name="start")
def embedded_start() -> None:
    """Start Kafka and Redis; they go on when this command ends."""
    settings = settings_of()
    say = _sayer()
    servers = all_embedded(settings, say)
    addresses = servers.start(detached=True)
    for server, address in ((servers.kafka, settings.kafka), (servers.redis, settings.redis)):
        if address and not server.serves(address):
            name = f"FOURFOLD_{server.name.upper()}"
            say(f"{name} names another {server.label}, which all other commands use")
        if (record := server.record()) and record.owner is not None:
            say(f"{server.label} belongs to process {record.owner.pid} and ends with it")
    print(f"FOURFOLD_KAFKA={addresses.kafka}")
    print(f"FOURFOLD_REDIS={addresses.redis}")


@embedded_app.command(name="stop")
def embedded_stop() -> None:
    """Stop Kafka and Redis. Their data stay."""
    settings = settings_of()
    stopped = all_embedded(settings).stop()
    print(f"stopped: {', '.join(stopped)}" if stopped else f"nothing runs in {settings.data_dir}")


@embedded_app.command(name="status")
def embedded_status(as_json: Json = False) -> None:
    """Addresses, process ids and health of Kafka and Redis."""
    found = all_embedded(settings_of()).status()
    if as_json:
        print(json.dumps([asdict(server) for server in found], default=str))
        return
    out().print(servers_table(found))


@embedded_app.command(name="prepare")
def embedded_prepare() -> None:
    """Download what the embedded servers need and make their start-up caches."""
    all_embedded(settings_of(), _sayer()).prepare()


def _sayer() -> Callable[[str], None]:
    """Writes lines to standard error, each whole."""
    console = err()
    return lambda words: console.print(Text(words))


batch_commands.register(app)
dead_letter_commands.register(app)
drill_commands.register(app)
race_commands.register(app)
replay_commands.register(app)
mode_commands.register(app)
pipeline_commands.register(app)


def main() -> None:
    """The console command."""
    owner = os.environ.get("FOURFOLD_OWNER")
    if owner:
        launch.die_with(int(owner))
    try:
        app()
    except FourfoldError as error:
        if state.debug:
            raise
        print(f"fourfold: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        # the disk's, and a person's to put right: a program's own mistakes have other numbers
        if state.debug or error.errno not in OF_THE_DISK:
            raise
        place = error.filename or "a file"
        print(f"fourfold: {place!s} cannot be used ({error.strerror}): put that right, and try again", file=sys.stderr)
        sys.exit(FourfoldError.exit_code)
