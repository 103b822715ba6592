"""What runs, and where, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from adapters.embedded.server import ServerStatus
from serving.fields import Fields
from serving.harmless import harmless
from serving.table import Column, Table


def status_text(document: Mapping[str, Any]) -> RenderableType:
    """Draws the document of `fourfold status --json`."""
    parts: list[RenderableType] = [Text(f"mode {document['mode']}, view {document['namespace']}")]
    addresses = Fields(indent=2)
    for name, address in document["addresses"].items():
        addresses.add(name, address or "-")
    parts.append(addresses)
    processes = [*document["servers"], *document["roles"]]
    if processes:
        parts += [Text(), _processes(processes)]
    if not document["roles"]:
        parts.append(Text("  no roles started by `fourfold up` here"))
    if document["parts"]:
        seen = Table(Column("seen from here"), Column("state"), Column("what", folds=True), indent=2)
        for part in document["parts"]:
            seen.add(part["name"], part["state"], part["says"])
        parts += [Text(), seen]
    if document["lag"]:
        lag = Table(Column("partition"), Column("lag", right=True), indent=2)
        for partition, records in document["lag"].items():
            lag.add(partition, f"{records:,}")
        parts += [Text(), lag]
    parts += [Text(f"  trouble: {harmless(trouble)}") for trouble in document["trouble"]]
    return Group(*parts)


def _processes(processes: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(
        Column("process"),
        Column("state"),
        Column("pid", right=True),
        Column("restarts", right=True),
        Column("log", folds=True),
        Column("why", folds=True),
        indent=2,
    )
    for process in processes:
        numbers = (str(process["pid"] or "-"), str(process["restarts"]))
        table.add(process["name"], process["state"], *numbers, process["log"], process.get("reason") or "")
    return table


def servers_table(servers: Iterable[ServerStatus]) -> Table:
    """Draws the list of `fourfold embedded status --json`."""
    table = Table(
        Column("server"),
        Column("state"),
        Column("address"),
        Column("pid", right=True),
        Column("version"),
        Column("memory", right=True),
        Column("log", folds=True),
    )
    for server in servers:
        state = "healthy" if server.healthy else "stopped" if server.pid is None else "not answering"
        memory = f"{server.memory_bytes / 1e6:.0f} MB" if server.memory_bytes else "-"
        pid = str(server.pid or "-")
        table.add(server.name, state, server.address or "-", pid, str(server.version), memory, str(server.log))
    return table
