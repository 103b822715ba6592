"""Commands of the batch and serving layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.lake.manifest import Manifest
from core.errors import ConfigurationError, FourfoldError, UnavailableError
from core.rfc3339 import to_text
from modes.apart import apart
from modes.catalogue import Role
from modes.invocation import ACT, LOOK, PATH, ROLES, TIME, Json, seconds_of, settings_of
from modes.paths import path_of
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.wiring import ENGINES, located, raw_table, speed_reader, view_store
from serving.batch_version_table import batch_versions_table
from serving.console import out
from serving.harmless import safe
from serving.progress import progress
from serving.quality_table import quality_table

Engine = Annotated[str, typer.Option(help=f"What recomputes: {', '.join(ENGINES)}.")]
ETL_ELT = "etl-elt"
IfInMode = Annotated[bool, typer.Option("--if-in-mode", help="End quietly where the mode has no such role.")]
AcceptLoss = Annotated[
    bool, typer.Option("--accept-loss", help="Go on where retention removed records before they were archived.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(rich_help_panel=ROLES)(batch)
    app.command(rich_help_panel=ROLES)(serve)
    app.command(rich_help_panel=ACT)(recompute)
    app.command(rich_help_panel=ACT)(rollback)
    app.command(rich_help_panel=LOOK)(versions)
    app.command(rich_help_panel=LOOK)(quality)
    app.command(rich_help_panel=LOOK)(trace)
    app.command(rich_help_panel=ACT)(day)
    app.command(rich_help_panel=ACT)(compare)


def has_role(settings: Settings, role: Role, *, quietly: bool = False) -> None:
    """Ends the command where the mode has no such role. Raises `ConfigurationError`."""
    if role in settings.mode_row.roles:
        return
    if quietly:
        raise typer.Exit(0)
    raise ConfigurationError(
        f"the mode {settings.mode} has no role {role}: it has {', '.join(settings.mode_row.roles)}"
    )


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

    role(located(settings), None if once else interval, _engine(engine), accept_loss=accept_loss)


def serve(if_in_mode: IfInMode = False) -> None:
    """Serve the HTTP API: totals, series, top lists, a live stream."""
    settings = settings_of(role=True)
    has_role(settings, Role.SERVE, quietly=if_in_mode)
    from modes.roles.serve import serve as role

    role(located(settings))


def recompute(
    full: Annotated[bool, typer.Option("--full", help="From all raw rows, not from what is new.")] = False,
    engine: Engine = ENGINES[0],
    accept_loss: AcceptLoss = False,
) -> None:
    """Make a new version of the batch view now."""
    settings = settings_of()
    has_role(settings, Role.BATCH)
    engine = _engine(engine)
    settings = located(settings)
    from modes.roles.batch import recompute as role

    with progress("recomputing"):
        report = role(settings, engine, full=full or engine != ENGINES[0], accept_loss=accept_loss)
    if report.version is None:
        print("nothing new since the current version: no epoch has ended (--full recomputes all the same)")
        return
    print(f"version {report.version.version} is current: {report.archived:,} records archived")
    for phase, seconds in report.seconds.items():
        print(f"  {phase:10} {seconds:8.3f} s")


def versions(as_json: Json = False) -> None:
    """The versions of the batch view that are kept."""
    settings = settings_of()
    store = view_store(settings)
    current, kept = store.pointer(), store.versions()
    documents = [_document(version, settings, current) for version in kept]
    if as_json:
        print(json.dumps({"current": current or None, "versions": documents}))
    elif kept:
        out().print(batch_versions_table(documents))
    else:
        print("no versions yet: the batch role makes them (`fourfold batch --once`)")


def rollback(version: Annotated[int, typer.Argument(help="The version to go back to.")]) -> None:
    """Go back to an earlier version of the batch view; the next cycle goes on from it."""
    settings = settings_of()
    has_role(settings, Role.BATCH)
    store = view_store(settings)
    target = next((kept for kept in store.versions() if kept.version == version), None)
    if target is not None and settings.mode_row.speed_view:
        _check_speed_reaches(located(settings), target)
    store.rollback(version)
    print(f"version {version} is current")


def quality(
    as_json: Json = False,
    version: Annotated[int | None, typer.Option(help="Of an earlier version.")] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(parser=path_of, metavar=PATH, help="Write the table of checks to this Parquet file."),
    ] = None,
) -> None:
    """The quality report of the batch view."""
    settings = settings_of()
    store = view_store(settings)
    try:
        manifest = store.current() if version is None else store.manifest(version)
    except FileNotFoundError:
        raise ConfigurationError(f"there is no version {version}: see `fourfold versions`") from None
    if manifest is None:
        raise UnavailableError("there is no batch view yet: the batch role makes one (`fourfold batch --once`)")
    if parquet is not None:
        from batch.quality_report import Report

        try:
            # by a handle: pandas takes some names for an address, or for somebody's home
            with parquet.open("wb") as file:
                Report.from_json(manifest.quality).frame().to_parquet(file)
        except OSError as error:
            raise ConfigurationError(f"{parquet} cannot be written: {error.strerror or error}") from error
        print(f"{parquet}: {len(manifest.quality['checks'])} checks of version {manifest.version}")
    elif as_json:
        print(json.dumps({"version": manifest.version, **manifest.quality}))
    else:
        out().print(quality_table(manifest.quality, f"quality of version {manifest.version}"))


def trace(
    event_id: Annotated[str, typer.Argument(help="The event's id.")],
    as_json: Json = False,
) -> None:
    """Where one event went: its records, their verdicts, the cells they count in."""
    from modes.trace import trace as find

    with progress("reading the archive and the log"):
        found = find(located(settings_of()), event_id)
    if found is None:
        raise FourfoldError(f"no record in the log or in the archive has the id {safe(event_id, 64)}")
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        from serving.trace_text import trace_text

        out().print(trace_text(found))


def day(
    seconds: Annotated[float, typer.Option(help="How long the day takes; 0: as fast as possible.", min=0)] = 60,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same events.")] = None,
    as_json: Json = False,
) -> None:
    """Play a day of 24 hours, and measure what is left after validation and after transformation; in separate servers."""
    usual = settings_of(seed=seed, day_seconds=seconds)
    has_role(usual, Role.BATCH)
    from modes.day import day as play
    from modes.roles.batch import recompute as role

    with progress("starting") as tell, apart(usual, "day", tell) as settings:
        document = play(
            settings,
            recompute=lambda chosen: role(chosen, ENGINES[0], full=False, accept_loss=False),
            progress=tell,
        )
    if as_json:
        print(json.dumps(document))
    else:
        from serving.funnel_table import funnel_table

        out().print(funnel_table(document))
    raise typer.Exit(0 if document["exact"] else 1)


def compare(
    what: Annotated[str, typer.Argument(help="etl-elt.")],
    as_json: Json = False,
) -> None:
    """Measure two ways to the same answer on the archived records: etl-elt (validate before or after the load)."""
    if what != ETL_ELT:
        raise ConfigurationError(f"{what!r} cannot be compared: {ETL_ELT} can")
    settings = settings_of()
    has_role(settings, Role.BATCH)
    from batch.compare import EtlElt

    folder = settings.lake_dir / "compare"
    with progress("starting") as tell:
        comparison = EtlElt(
            raw_table(settings), folder, settings.rules, settings.batch_processes, pipeline_of(settings)
        ).run(tell)
    if as_json:
        print(json.dumps(comparison.as_json()))
    else:
        from serving.compare_table import compare_table

        out().print(compare_table(comparison.as_json()))


def _engine(name: str) -> str:
    if name not in ENGINES:
        raise ConfigurationError(f"--engine {name!r} is none of {', '.join(ENGINES)}")
    return name


def _check_speed_reaches(settings: Settings, target: Manifest) -> None:
    reader = speed_reader(settings)
    try:
        floor = reader.read(target.cut.epoch).floor
    finally:
        reader.close()
    if floor > target.cut.epoch:
        raise ConfigurationError(
            f"the speed view no longer reaches back to version {target.version}, so answers would miss events: go back "
            "one version at most, or use `fourfold recompute --full`"
        )


def _document(version: Manifest, settings: Settings, current: int) -> dict[str, Any]:
    return {
        "version": version.version,
        "current": version.version == current,
        "created": to_text(version.created_ms),
        "cut_epoch": version.cut.epoch,
        "cut_time": to_text(version.cut.epoch * settings.rules.epoch_ms),
        "accepted": version.counters.get("accepted", 0),
        "duplicates": version.counters.get("duplicates", 0),
        "engine": version.engine,
        "full": version.full,
        "files": len(version.files()),
        "quality": {name: version.quality[name] for name in ("passed", "total")} if version.quality else None,
    }
