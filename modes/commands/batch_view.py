"""The batch view: its versions, their quality, a new one, an earlier one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.lake.manifest import Manifest
from core.errors import ConfigurationError, UnavailableError
from core.rfc3339 import to_text
from modes.catalogue import ENGINES, Role
from modes.invocation import ACT, LOOK, PATH, AcceptLoss, Engine, Json, engine_of, has_role, settings_of
from modes.paths import path_of
from modes.settings import Settings
from modes.wiring.lake import view_store
from modes.wiring.servers import located
from modes.wiring.speed import speed_reader
from serving.batch_version_table import batch_versions_table
from serving.console import out
from serving.progress import progress
from serving.quality_table import quality_table

app = typer.Typer()


@app.command(rich_help_panel=ACT)
def recompute(
    full: Annotated[bool, typer.Option("--full", help="From all raw rows, not from what is new.")] = False,
    engine: Engine = ENGINES[0],
    accept_loss: AcceptLoss = False,
) -> None:
    """Make a new version of the batch view now."""
    settings = settings_of()
    has_role(settings, Role.BATCH)
    engine = engine_of(engine)
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


@app.command(rich_help_panel=LOOK)
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


@app.command(rich_help_panel=ACT)
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


@app.command(rich_help_panel=LOOK)
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
