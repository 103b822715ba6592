"""The state file: which processes and ports belong to a data directory."""

from __future__ import annotations

from pathlib import Path

import msgspec

from adapters.durable import write_whole
from adapters.embedded.process import ProcessIdentity


class ServerRecord(msgspec.Struct, frozen=True):
    """What is known of one server.

    ports: kept after a stop, so that the next start has the same address.
    process: None when stopped in order.
    owner: the process that the server dies with; None when detached. Kept when the owner stopped it at its own end, and
    forgotten when somebody else stopped it.
    """

    ports: tuple[int, ...]
    process: ProcessIdentity | None = None
    owner: ProcessIdentity | None = None

    def orphaned(self) -> bool:
        """Whether the owner is gone, so that the server is about to end, or ought to."""
        return self.owner is not None and not self.owner.alive()


class StateFile:
    """`state.json`: one record a server, replaced as a whole, so that a reader never sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> ServerRecord | None:
        """The record of one server, or None."""
        return self._all().get(name)

    def write(self, name: str, record: ServerRecord) -> None:
        """Replace the record of one server. The caller holds the directory's lock."""
        write_whole(self._path, msgspec.json.format(msgspec.json.encode(self._all() | {name: record})))

    def ports_of_others(self, name: str) -> frozenset[int]:
        """Ports that belong to the other servers of the directory, whether they listen now or not."""
        return frozenset(port for other, record in self._all().items() if other != name for port in record.ports)

    def _all(self) -> dict[str, ServerRecord]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, ServerRecord])
        except (FileNotFoundError, msgspec.DecodeError):
            # A damaged file is no loss: running servers are found again by their working directory.
            return {}
