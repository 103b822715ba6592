"""The auditor: a plain consumer of headers, offsets and append times that knows the truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Final, Self

import structlog

from adapters.kafka.access import KafkaAccess
from adapters.kafka.log import Entry, LogReader
from core import truth
from core.declaration.pipeline import Pipeline
from core.errors import FourfoldError, UnavailableError
from core.ledger import ForgottenError, Ledger, Truth
from core.position import PartitionKey, covers
from core.rules import Rules
from serving.answer import Answer

log = structlog.get_logger(__name__)

#: Entries between two condensations of the ledger while it reads towards a vector.
CONDENSE_EVERY: Final = 500_000
#: How often a follower asks whether Kafka is there, in seconds.
ASK_EVERY_S: Final = 2.0
#: A follower that failed tries again after so long, first and at most, in seconds.
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0


class Auditor:
    """Reads the log from its start into a ledger. Methods may be called from one thread."""

    def __init__(
        self,
        access: KafkaAccess,
        partitions: Callable[[], Collection[PartitionKey]],
        rules: Rules,
        pipeline: Pipeline,
        follows: bool = False,
    ) -> None:
        """`partitions`: those there are now; more may be added. `follows`: as of `LogReader`.

        Raises `UnavailableError` where Kafka does not answer.
        """
        self._access = access
        self._partitions = partitions
        self._rules = rules
        self._pipeline = pipeline
        self._follows = follows
        self._open()

    def _open(self) -> None:
        rules = self._rules
        self.ledger = Ledger(
            self._pipeline, epoch_ms=rules.epoch_ms, horizon=rules.horizon, lateness_ms=rules.lateness_ms
        )
        sources = self._partitions()
        if not sources:
            raise UnavailableError("the topics are not there yet")
        self._reader = LogReader(self._access, sources, follows=self._follows)
        for source, (start, _) in self._reader.bounds().items():
            self.ledger.begins(source, start)
        self._ends: dict[PartitionKey, int] = {}

    def added(self) -> list[PartitionKey]:
        """Partitions that are not read yet. Raises `UnavailableError` where Kafka does not answer."""
        return [source for source in self._partitions() if source not in self._reader.sources]

    def read_too(self, added: Collection[PartitionKey]) -> None:
        """Reads these partitions from the log's start. Raises `UnavailableError` where Kafka does not answer."""
        for source, (start, _) in self._reader.add(added).items() if added else ():
            self.ledger.begins(source, start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._reader.close()

    def restart(self) -> None:
        """Begins again at the log's start: a view went back behind what was condensed."""
        self.close()
        self._open()

    def advance(self, timeout_s: float) -> int:
        """Takes what has arrived; the number of records. Waits up to `timeout_s` for the first."""
        got = self._reader.read(timeout_s)
        for entry in got:
            if isinstance(entry, Entry):
                header = next((value for name, value in entry.headers if name == truth.HEADER), None)
                self.ledger.add(entry.source, entry.offset, entry.append_ms, header)
                self._ends[entry.source] = entry.offset + 1
            else:
                self._ends[entry.source] = entry.offset
        return len(got)

    def reached(self, vector: Mapping[PartitionKey, int]) -> bool:
        """Whether everything below `vector` has been read."""
        return covers(self._ends, vector)

    def answers(self, timeout_s: float) -> bool:
        """Whether Kafka answers within `timeout_s`."""
        return self._reader.answers(timeout_s)

    def ends_now(self) -> dict[PartitionKey, int]:
        """The end of each partition there is now, asked of Kafka. Raises `UnavailableError`."""
        self.read_too(self.added())
        return {source: end for source, (_, end) in self._reader.bounds().items()}

    def log_ends(self) -> dict[PartitionKey, int]:
        """The end of each partition as the last fetch saw it, or how far it was read if later."""
        ends = self._reader.cached_ends()
        return {s: max(ends.get(s, 0), self._ends.get(s, 0)) for s in self._reader.sources}

    def read_until(
        self,
        vector: Mapping[PartitionKey, int],
        *,
        quiet_s: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Reads up to `vector`, condensing on the way.

        Raises `UnavailableError` where nothing arrives for `quiet_s` seconds before that.
        """
        last, taken, condensed = clock(), 0, 0
        while not self.reached(vector):
            got = self.advance(0.5)
            if got:
                last = clock()
                taken += got
                progress(taken)
            elif clock() - last > quiet_s:
                raise UnavailableError(
                    f"the log gave nothing for {quiet_s:g} s: the truth at the view's offsets "
                    "cannot be read (is Kafka up, has retention removed records?)"
                )
            if taken - condensed > CONDENSE_EVERY:
                condensed = taken
                self.condense(vector)

    def condense(self, vector: Mapping[PartitionKey, int], floor: int = 0) -> None:
        """Keeps sums only below `vector`, as far as the log has been read."""
        ends = self._ends
        self.ledger.forget({s: min(ends.get(s, 0), o) for s, o in vector.items()}, floor)


class LiveAuditor(threading.Thread):
    """An auditor that follows the log in a thread of its own and answers for recent vectors."""

    def __init__(self, make: Callable[[], Auditor]) -> None:
        """`make` connects; it is called in the thread and again after Kafka was away."""
        super().__init__(name="auditor", daemon=True)
        self._make = make
        self._lock = threading.Lock()
        self._auditor: Auditor | None = None
        self._away = True
        self._asked = False
        self._why = ""
        self._failure: BaseException | None = None
        self._beats = 0
        self._ended = threading.Event()
        self._restart = threading.Event()

    def run(self) -> None:
        """Follows the log until `stop`.

        What fails is tried again, and said: `check` raises it, `trouble` has it in words.
        """
        pause_s = FIRST_PAUSE_S
        while not self._ended.is_set():
            self._beats += 1
            try:
                self._once()
            except UnavailableError as error:
                self._away = self._asked = True
                self._why = str(error).split(": ", 1)[0]
                self._ended.wait(FIRST_PAUSE_S)
            except BaseException as error:  # noqa: BLE001 - said in `trouble`, raised by `check`
                self._failed(error)
                self._ended.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _once(self) -> None:
        try:
            with self._make() as auditor:
                self._auditor = auditor
                self._follow(auditor)
        finally:
            with self._lock:
                self._auditor = None

    def _failed(self, error: BaseException) -> None:
        known, self._failure = self._failure, error
        if repr(known) == repr(error):
            return
        if isinstance(error, FourfoldError):
            log.error("the auditor cannot go on", reason=str(error))
        else:
            log.error("the auditor failed", exc_info=(type(error), error, error.__traceback__))

    def check(self) -> None:
        """Raises what made it fail, if it does not follow the log now."""
        if self._failure is not None:
            raise self._failure

    @property
    def beats(self) -> int:
        """A number that grows while it works."""
        return self._beats

    @property
    def audits(self) -> bool:
        """It does."""
        return True

    @property
    def kafka_seen(self) -> bool:
        """Whether it can tell if Kafka is away."""
        return self._asked and self._failure is None

    def trouble(self) -> str:
        """Why there are no ends of the log, and no truth; empty where there are."""
        failure = self._failure
        if failure is not None:
            words = str(failure) if isinstance(failure, FourfoldError) else f"{type(failure).__name__}: {failure}"
            return f"the auditor failed ({words}): nothing is audited"
        if not self._asked:
            return "the auditor is starting"
        return (self._why or "Kafka does not answer") if self._away else ""

    def _follow(self, auditor: Auditor) -> None:
        asked = float("-inf")
        while not self._ended.is_set():
            if time.monotonic() - asked > ASK_EVERY_S:
                # without the lock: an answer may take a while, and pictures go on
                self._away = not (auditor.answers(ASK_EVERY_S) and self._look_for_partitions(auditor))
                asked, self._asked = time.monotonic(), True
            if self._restart.is_set():
                self._restart.clear()
                with self._lock:
                    auditor.restart()
            with self._lock:
                auditor.advance(0.02)
            self._beats += 1
            self._failure, self._why = None, ""
            self._ended.wait(0.01)

    def _look_for_partitions(self, auditor: Auditor) -> bool:
        """Whether Kafka says which there are."""
        try:
            added = auditor.added()
            with self._lock:
                auditor.read_too(added)
        except UnavailableError:
            return False
        return True

    def stop(self) -> None:
        """Ends the thread, within a second or so."""
        self._ended.set()
        self.join(5)

    def log_ends(self) -> dict[PartitionKey, int] | None:
        """The end of each partition; None while Kafka is away."""
        with self._lock:
            return None if self._auditor is None or self._away else self._auditor.log_ends()

    def truth(self, answer: Answer) -> tuple[Truth, Truth] | None:
        """(ideal truth, what the answer must be) at its vector; None while the log has not been read so far."""
        vector = answer.vector
        with self._lock:
            auditor = self._auditor
            if auditor is None or not auditor.reached(vector):
                return None
            ledger = auditor.ledger
            floor = max(answer.floor, ledger.sound_from)
            try:
                found = ledger.truths(vector, answer.cut_epoch, floor)
            except ForgottenError:
                self._restart.set()
                return None
            auditor.condense(vector, floor)
            ledger.settle(answer.cut_epoch)
        return found
