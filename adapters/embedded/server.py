"""One embedded server: the life cycle that Kafka and Redis share."""

from __future__ import annotations

import re
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from adapters.durable import write_whole
from adapters.embedded import log_tail, ports
from adapters.embedded.directory import LOCK_BOUND_TO_STOP_S, DataDirectory
from adapters.embedded.process import ProcessIdentity, living_in
from adapters.embedded.spawner import spawn
from adapters.embedded.state import ServerRecord
from adapters.embedded.version import Version
from adapters.embedded.waiting import wait_until
from adapters.listening import Place, TakenError
from core.errors import ConfigurationError, UnavailableError

READY_BOUND_S: Final = 90.0
STOP_BOUND_S: Final = 3.0
#: What of the time for a stop is kept back for the kill that follows a SIGTERM without effect.
KILL_RESERVE_S: Final = 0.5
CONSOLE_LIMIT_BYTES: Final = 10 * 1024 * 1024
PROBE_BOUND_S: Final = 2.0

#: As clients of this machine name a server without a password.
_OWN_ADDRESS: Final = re.compile(r"(?:redis://)?(?:127\.0\.0\.1|localhost):([0-9]{1,5})(?:/[0-9]*)?")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server, seen now.

    name: `kafka` or `redis`. pid, address, memory_bytes (resident), uptime_s: None when it does not run.
    healthy: it answered a real request. version: of the program that was started last, or would be now.
    """

    name: str
    version: str
    pid: int | None
    address: str | None
    healthy: bool
    log: Path
    memory_bytes: int | None
    uptime_s: float | None


class EmbeddedServer(ABC):
    """A server process on 127.0.0.1 with its data in `directory.home(name)`.

    `start`, `stop` and `kill` may be called from any process that has the data directory.
    """

    #: Name of the folder, the record and the log.
    name: ClassVar[str]
    #: Name for messages.
    label: ClassVar[str]
    #: How the name of the executable begins.
    program: ClassVar[str]
    #: The first port is the one that clients use.
    port_count: ClassVar[int]

    def __init__(self, directory: DataDirectory, port: int | None, progress: Progress) -> None:
        """port: None means any free one, the same at each start if possible."""
        self._directory = directory
        self._fixed_port = port
        self._progress = progress
        self.home = directory.home(self.name)
        self.log = directory.logs / f"{self.name}.log"
        #: Where standard output and standard error go.
        self.console = self.log
        self._launched_at: float | None = None
        self._before: dict[Path, int] = {}

    @property
    @abstractmethod
    def version(self) -> Version:
        """Version of the program. Raises ConfigurationError if there is none that can run."""

    @abstractmethod
    def address_at(self, port: int) -> str:
        """How clients name this server."""

    @abstractmethod
    def prepare(self, listen_on: tuple[int, ...]) -> list[str]:
        """Make program and data ready for a start; returns the command. The server does not run now.

        listen_on: the ports, the clients' first.
        """

    @abstractmethod
    def answers(self, port: int, process: ProcessIdentity, bound_s: float) -> bool:
        """Whether this very process answers a real request within about `bound_s` seconds."""

    def start(self, *, detached: bool | None = None) -> str:
        """Start it if it does not run, wait until it answers; returns its address.

        detached: it goes on when this process ends; otherwise it ends too. None: as before it was killed.
        Raises UnavailableError (port taken, died at start, no answer) and ConfigurationError.
        """
        self._directory.make_ready()
        with self._directory.locked():
            record = self._record()
            as_before = record is not None and record.process is not None and record.owner is None
            launched = self.launch(detached=as_before if detached is None else detached)
            try:
                return self.await_ready()
            except BaseException:
                if launched:
                    self.begin_stop()
                    self.finish_stop(STOP_BOUND_S)
                raise

    def stop(self, bound_s: float = STOP_BOUND_S) -> None:
        """Stop it if it runs: SIGTERM, and SIGKILL shortly before `bound_s` seconds are over. Data stay."""
        if self.home.exists():
            with self._directory.locked(LOCK_BOUND_TO_STOP_S):
                self.begin_stop()
                self.finish_stop(bound_s)

    def living(self) -> list[ProcessIdentity]:
        """Every process that runs here, whether it is on record or not."""
        return self._running()

    def kill(self) -> None:
        """SIGKILL, as a crash: the record still says that it runs. Returns when the process is gone."""
        process = self.process()
        if process is not None:
            process.send(signal.SIGKILL)
            wait_until(lambda: not process.alive(), STOP_BOUND_S)

    def process(self) -> ProcessIdentity | None:
        """The running process, or None. Healthy or not."""
        record = self._record()
        return record.process if record and record.process and record.process.alive() else None

    def address(self) -> str | None:
        """Its address if the process runs, else None."""
        record = self._record()
        return self.address_at(record.ports[0]) if record and self.process() else None

    def serves(self, address: str) -> bool:
        """Whether an address is this server's, as `start` gave it: it runs there, or nothing else does."""
        named, record = _OWN_ADDRESS.fullmatch(address), self._record()
        if named is None or record is None or record.ports[0] != int(named[1]):
            return False
        return self.process() is not None or ports.is_free(record.ports[0])

    def healthy(self, bound_s: float = PROBE_BOUND_S) -> bool:
        """Whether it answers a real request within about `bound_s` seconds."""
        record, process = self._record(), self.process()
        return bool(record and process and self.answers(record.ports[0], process, bound_s))

    def status(self) -> ServerStatus:
        """What there is to see now. Takes a few seconds when the server does not answer."""
        process = next(iter(self._running()), None)
        return ServerStatus(
            name=self.name,
            version=str(self.writer() or self.version),
            pid=process.pid if process else None,
            address=self.address(),
            healthy=self.healthy(),
            log=self.log,
            memory_bytes=process.memory_bytes() if process else None,
            uptime_s=time.time() - process.created if process else None,
        )

    def launch(self, *, detached: bool) -> bool:
        """Start the process if there is none, and do not wait for it. Returns whether it was started now.

        The caller holds the directory's lock.
        """
        record = self._record()
        if record and record.process and record.process.alive() and not record.orphaned():
            self._refuse_other_port(record)
            return False
        self._end_strays()
        self._refuse_newer_data()
        chosen = self._choose_ports(record)
        try:
            self._spawn(chosen, detached=detached)
        except OSError as error:
            raise self._cannot_start(error) from error
        return True

    def await_ready(self) -> str:
        """Wait until the process that was launched answers; returns its address.

        Raises UnavailableError if it ends, or does not answer in time.
        """
        process, address = self.process(), self.address()
        answered = process is not None and wait_until(lambda: self.healthy() or self.process() is None, READY_BOUND_S)
        if process is None or address is None or self.process() is None:
            raise UnavailableError(self._obituary())
        if not answered:
            raise UnavailableError(
                f"{self.label} runs (process {process.pid}) but has not answered at {address} for {READY_BOUND_S:.0f} "
                f"s; stop the embedded servers and start them again, and see {self.log}"
            )
        if self._launched_at is not None:
            self._progress(f"{self.label} {self.version}: ready in {time.monotonic() - self._launched_at:.1f} s")
            self._launched_at = None
        write_whole(self._marker(), f"{self.version}\n".encode())
        return address

    def record(self) -> ServerRecord | None:
        """What is on record of it; None for nothing."""
        return self._record()

    def put_on_record(self, record: ServerRecord) -> None:
        """Write down again what was lost. The caller holds the directory's lock."""
        self._directory.state.write(self.name, record)

    def launch_again(self, before: ServerRecord) -> None:
        """Start it as it was, at the same address, and do not wait for it. A process that still runs is killed.

        before: how it was last seen running. The caller holds the directory's lock.
        Raises UnavailableError (port taken, disk full, data damaged) and ConfigurationError.
        """
        self._directory.make_ready()
        for process in self._running():
            process.send(signal.SIGKILL)
        wait_until(lambda: not self._running(), STOP_BOUND_S)
        self._refuse_newer_data()
        taken = [port for port in before.ports if not ports.is_free(port)]
        if taken:
            raise UnavailableError(
                f"{self.label} cannot be started again at its address: {ports.user_of(taken[0])} has port {taken[0]} of "
                f"{ports.HOST}; end that"
            )
        try:
            self._spawn(before.ports, detached=before.owner is None)
        except OSError as error:
            raise self._cannot_start(error) from error

    def begin_stop(self) -> None:
        """Send SIGTERM to whatever runs here. The caller holds the directory's lock."""
        for process in self._running():
            process.send(signal.SIGTERM)

    def finish_stop(self, bound_s: float, *, by_owner: bool = False) -> None:
        """Wait for the end, kill what is left, and note that it is stopped. After `begin_stop`.

        by_owner: it stops with its owner, and whoever still uses it may start it again.
        """
        running = self._running()
        if not wait_until(lambda: not any(each.alive() for each in running), max(0.0, bound_s - KILL_RESERVE_S)):
            self._progress(f"{self.label}: did not end in time, killed (its log is recovered at the next start)")
            for process in running:
                process.send(signal.SIGKILL)
            wait_until(lambda: not any(each.alive() for each in running), KILL_RESERVE_S)
        record = self._record()
        if record:
            owner = record.owner if by_owner else None
            self._directory.state.write(self.name, ServerRecord(record.ports, owner=owner))

    def _spawn(self, chosen: tuple[int, ...], *, detached: bool) -> None:
        self.home.mkdir(exist_ok=True)
        command = self.prepare(chosen)
        self._rotate()
        self._before = {path: log_tail.size(path) for path in (self.log, self.console)}
        self._progress(f"{self.label} {self.version}: starting")
        self._launched_at = time.monotonic()
        process = spawn(command, home=self.home, console=self.console, owned=not detached)
        owner = None if detached else ProcessIdentity.own()
        self._directory.state.write(self.name, ServerRecord(chosen, process, owner))

    def _record(self) -> ServerRecord | None:
        return self._directory.state.read(self.name)

    def _running(self) -> list[ProcessIdentity]:
        known = self.process()
        return list(dict.fromkeys([*([known] if known else []), *living_in(self.home, self.program)]))

    def _end_strays(self) -> None:
        """End whatever still has the data: the servers of an owner that was killed a moment ago are still ending."""
        if self._running():
            self._progress(f"{self.label}: ending a process left over from an earlier run")
            self.begin_stop()
            self.finish_stop(STOP_BOUND_S)

    def _choose_ports(self, record: ServerRecord | None) -> tuple[int, ...]:
        avoid = self._directory.state.ports_of_others(self.name)
        if self._fixed_port is None:
            if record and len(record.ports) == self.port_count:
                taken = [port for port in record.ports if not ports.is_free(port)]
                if not taken:
                    return record.ports
                self._progress(f"{self.label}: {ports.user_of(taken[0])} has port {taken[0]}, so it gets another one")
            return ports.free_ports(self.port_count, str(self.home), avoid)
        prefix = f"FOURFOLD_{self.name.upper()}"
        try:
            Place(ports.HOST, self._fixed_port, self.label, prefix).free_port()
        except TakenError:
            raise UnavailableError(
                f"{self.label} cannot listen on port {self._fixed_port} of {ports.HOST}: {ports.user_of(self._fixed_port)} "
                f"has it; end that, or choose another port with {prefix}_PORT, 0 for a free one"
            ) from None
        return (
            self._fixed_port,
            *ports.free_ports(self.port_count - 1, str(self.home), avoid | {self._fixed_port}),
        )

    def _refuse_other_port(self, record: ServerRecord) -> None:
        if self._fixed_port not in {None, record.ports[0]}:
            raise ConfigurationError(
                f"{self.label} runs already at {self.address_at(record.ports[0])}, not on port {self._fixed_port}; "
                "stop the embedded servers first, or choose that port"
            )

    def _marker(self) -> Path:
        return self.home / "written-by"

    def _refuse_newer_data(self) -> None:
        """Raise ConfigurationError for data of a newer version: some servers would start empty instead."""
        writer = self.writer()
        if writer and not self.version.can_read(writer):
            raise ConfigurationError(
                f"the data in {self.home} were written by {self.label} {writer}, which {self.label} {self.version} "
                f"cannot read; install {self.label} {writer} or newer, or remove that directory"
            )

    def writer(self) -> Version | None:
        """Version of the program that last wrote the data, None for no data. Raises ConfigurationError if it is unreadable."""
        try:
            return Version.parse(self._marker().read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{self._marker()} does not say which {self.label} wrote the data there ({error}): write its version into "
                f"it, as 1.2.3, or remove {self.home}, and {self.label} starts without data"
            ) from error

    def _rotate(self) -> None:
        """Keep the log from growing for ever: the program itself rolls nothing over."""
        if log_tail.size(self.console) > CONSOLE_LIMIT_BYTES:
            self.console.replace(self.console.with_suffix(".1.log"))

    def _cannot_start(self, error: OSError) -> UnavailableError:
        return UnavailableError(
            f"{self.label} cannot be started in {self.home}: {error}; put that right and start again"
        )

    def _obituary(self) -> str:
        complaint = log_tail.last_complaint(list(self._before.items()))
        cause = f": {complaint}" if complaint else ""
        return f"{self.label} ended while it was starting{cause} (log: {self.log})"
