"""`fourfold status`: what runs, where, and how far behind."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any, Final

import typer

from core.errors import FourfoldError
from core.secrets import without_password
from modes import running
from modes.catalogue import Role
from modes.commands.counts import counts_of
from modes.invocation import LOOK, Json, settings_of
from modes.pipelines import pipeline_of
from modes.settings import Settings
from modes.up import moment_of
from modes.wiring.answers import merge
from modes.wiring.kafka import ends_source
from modes.wiring.lake import view_store
from modes.wiring.servers import located
from serving.console import out
from serving.live import Live, Unaudited
from serving.parts import parts_of
from serving.status_text import status_text

app = typer.Typer()

#: Whoever looks from outside sees within this many seconds what moves.
SEEN_S: Final = 1.0


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
        source = counts_of(settings)["provenance"]
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
        source = merge(settings, whole=False)
        stack.callback(source.close)
        live = Live(source, Unaudited(ends_source(settings)), pipeline_of(settings))
        live.look()
        time.sleep(SEEN_S)
        parts = parts_of(moment_of(settings, live.look()))
    return [part._asdict() for part in parts if part.name != Role.SERVE]
