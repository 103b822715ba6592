"""`fourfold embedded`: Kafka and Redis without Docker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import typer
from rich.text import Text

from modes.invocation import RUN, Json, settings_of
from modes.wiring.servers import all_embedded
from serving.console import err, out
from serving.status_text import servers_table

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="Start, stop and see the embedded Kafka and Redis.")
app.add_typer(group, name="embedded", rich_help_panel=RUN)


@group.command(name="start")
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


@group.command(name="stop")
def embedded_stop() -> None:
    """Stop Kafka and Redis. Their data stay."""
    settings = settings_of()
    stopped = all_embedded(settings).stop()
    print(f"stopped: {', '.join(stopped)}" if stopped else f"nothing runs in {settings.data_dir}")


@group.command(name="status")
def embedded_status(as_json: Json = False) -> None:
    """Addresses, process ids and health of Kafka and Redis."""
    found = all_embedded(settings_of()).status()
    if as_json:
        print(json.dumps([asdict(server) for server in found], default=str))
        return
    out().print(servers_table(found))


@group.command(name="prepare")
def embedded_prepare() -> None:
    """Download what the embedded servers need and make their start-up caches."""
    all_embedded(settings_of(), _sayer()).prepare()


def _sayer() -> Callable[[str], None]:
    """Writes lines to standard error, each whole."""
    console = err()
    return lambda words: console.print(Text(words))
