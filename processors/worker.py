"""One Faust worker: the application, its agent and its timers."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT
from faust.worker import Worker

from adapters.kafka.access import KafkaAccess
from adapters.kafka.continuity import Continuity, Mark
from adapters.kafka.group import Group
from adapters.kafka.topics import Topics, TopicState, log_identity, topic_is_gone, topics_made_anew
from adapters.speed.port import SpeedSink
from core.errors import ConfigurationError, UnavailableError
from core.kernel.kernel import Kernel
from core.position import PartitionKey, Position
from core.rules import Rules
from processors.book import Book
from processors.faust_overrides import BatchApp, ThreadOffsets, install
from processors.flight import Flight
from processors.membership import CLIENT, Membership
from processors.processor import DeadLetterSink, Processor
from processors.watchdog import STALLED_EXIT_CODE, Watchdog

log = structlog.get_logger(__name__)

POLL_RECORDS: Final = 20_000
WATCH_EVERY_S: Final = 2.0
#: How often the log is compared with what was counted of it.
CHECK_LOG_EVERY_S: Final = 10.0
#: Looks in a row that do not find a topic, until it is gone.
MISSED: Final = 2
DISPLAY_COMMIT_EVERY_S: Final = 5.0
#: Session time-out and what depends on it: about 6 s is the floor for a takeover.
SESSION_S: Final = 6.0
#: New objects after which Python looks for cycles among them. Records and events form none, but at
#: Python's own 700 looking through them took a third of a worker's CPU time.
GC_THRESHOLD: Final = 50_000


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker needs to know. Workers with the same `group` share the partitions.

    `starts`: as `Book` takes it. `retention_ms`: how long the log should keep events, -1 for good.
    """

    access: KafkaAccess
    group: str
    rules: Rules
    kernel: Kernel
    starts: Callable[[], Mapping[PartitionKey, Position]] = dict
    poll_records: int = POLL_RECORDS
    retention_ms: int = -1


class _Worker(Worker):
    """Faust's worker, which `ps` shows by its command, as every role."""

    def _setproctitle(self, info: str, *, ident: str = "") -> None: ...


class FaustWorker:
    """A Faust worker that folds into `sink`. One a process."""

    def __init__(self, settings: WorkerSettings, sink: SpeedSink, letters: DeadLetterSink) -> None:
        install()
        self._settings = settings
        self._sink = sink
        self._counted = settings.kernel.pipeline.topics
        self._topics = Topics(settings.access, self._counted)
        self._continuity = Continuity(settings.access, "this view", "begin another view with FOURFOLD_NAMESPACE")
        self._checked_at = time.monotonic()
        self._doubts: list[str] = []
        #: how often in a row a topic was not there
        self._missed = 0
        identity = log_identity(self._topics.states())
        self.book = Book(sink, settings.rules, settings.kernel, identity, settings.starts, self._check_log)
        self.app = _make_app(settings)
        self.app.book = self.book
        self.processor = Processor(
            self.book,
            sink,
            letters,
            settings.rules,
            reject=self._reject,
        )
        self._watchdog = Watchdog(time.monotonic)
        self._membership = Membership(settings.group, Group(settings.access, settings.group).members, self.app.fail)
        #: how often its watchdog has looked: a number that stands still is an event loop that hangs
        self.looks = 0
        self._log_ends: Mapping[PartitionKey, int] = {}
        self._wire()

    @property
    def lag(self) -> dict[PartitionKey, int]:
        """Records that are not counted yet, for each partition of this worker, by the ends that its watch saw last."""
        held = list(self.book.held.items())
        return {
            source: max(0, self._log_ends[source] - state.counted) for source, state in held if source in self._log_ends
        }

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why records may be rejected."""
        return self._settings.kernel.pipeline.reasons

    @property
    def ready(self) -> bool:
        """Whether the worker has joined its group and is not waiting for anything."""
        return self.book.restores > 0 and not self.processor.work.waiting and not self._membership.trouble

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT; the exit code. Raises `FourfoldError` if it cannot go on."""
        worker = _Worker(
            self.app,
            loglevel="WARNING",
            redirect_stdouts=False,
            override_logging=False,
            quiet=True,
        )
        # it would write escape codes into logs
        worker.spinner = None
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        code = 0
        try:
            worker.execute_from_commandline()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        if self.app.failure is not None:
            raise self.app.failure
        return code

    def check(self) -> None:
        """Raises what ended the application or one of its services, if anything did."""
        reason = self.app.failure or (self.app.crash_reason if self.app.crashed else None)
        if reason is not None:
            raise reason

    def stop(self) -> None:
        """Ends the worker, from any thread."""
        os.kill(os.getpid(), signal.SIGTERM)

    def _reject(self) -> None:
        self.app.batch_consumer.reject()

    def _wire(self) -> None:
        app, flight = self.app, Flight(self.processor, self.app.fail)
        topic = app.topic(*self._counted, value_serializer="raw", key_serializer="raw")

        async def count(stream: Any) -> None:
            try:
                async for fetched in stream.noack():
                    await flight.take(fetched)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 - not swallowed: it ends the worker
                app.fail(error)
            finally:
                await flight.close()

        app.agent(topic, name="count")(count)
        app.refused, app.joined, app.watch = self._membership.refused, self._membership.joined, self._keep_watch
        app.timer(DISPLAY_COMMIT_EVERY_S)(self._commit_for_display)

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            await self._watch()

    async def _watch(self) -> None:
        self.looks += 1
        consumer = self.app.batch_consumer
        await self._check_store()
        states = await self._states()
        if not self._check_topics(states):
            self._watchdog.reset()
            return
        try:
            texts = await self._sink.all_positions()
        except Exception as error:  # noqa: BLE001 - away, which is not this worker's stall
            log.debug("watchdog cannot look", error=repr(error))
            self._watchdog.reset()
            return
        positions = {source: Position.decode(text).next for source, text in texts.items()}
        there = {PartitionKey(s.name, number) for s in (states or {}).values() for number in range(s.partitions)}
        ends = await self._ends(there | positions.keys(), positions, kafka_answers=bool(states))
        if ends is None:
            return
        self._log_ends = ends
        await self._check_again({source: Position.decode(text) for source, text in texts.items()})
        self._membership.looked(coordinator=consumer.thread.coordinator_known)
        if self.processor.work.waiting or (self._membership.trouble and not consumer.sources()):
            # not standing still: it says what it waits for
            self._watchdog.reset()
            return
        stalled = self._watchdog.stalled(ends, positions, consumer.sources())
        mine = set(consumer.sources())
        if stalled or any(source not in mine for source in self._watchdog.late):
            taken = await asyncio.to_thread(self._membership.taken, self._watchdog.late)
            stalled = [source for source in stalled if source not in taken]
        if stalled:
            log.error("standing still, ending this worker", partitions=[str(s) for s in stalled])
            os._exit(STALLED_EXIT_CODE)

    async def _ends(
        self, sources: Collection[PartitionKey], positions: Mapping[PartitionKey, int], *, kafka_answers: bool
    ) -> dict[PartitionKey, int] | None:
        """The log's ends as this worker's client sees them; None where it hears nothing."""
        try:
            return await asyncio.wait_for(ThreadOffsets(self.app.batch_consumer).ends(sources), 4)
        except Exception as error:  # noqa: BLE001 - away, which is not this worker's stall
            log.debug("watchdog cannot look", error=repr(error))
        self._watchdog.reset()
        others_hear = kafka_answers and await asyncio.to_thread(self._continuity.answers, sources)
        if self._watchdog.deaf(positions, others_hear=others_hear):
            log.error("Kafka answers others and not this worker, ending it")
            os._exit(STALLED_EXIT_CODE)
        return None

    async def _check_store(self) -> None:
        """Restores positions where the store lost something, also while nothing comes that would show it."""
        try:
            wrong = await self._sink.check()
        except ConfigurationError as error:
            self.app.fail(error)
        except UnavailableError as error:
            if not self.processor.work.waiting:
                log.warning("the store cannot be looked at", reason=str(error))
        else:
            if wrong is not None and self.book.generation >= 0:
                log.error("positions are restored", reason=wrong)
                self.app.batch_consumer.reject()

    async def _states(self) -> Mapping[str, TopicState] | None:
        """The topics of events that there are; None where Kafka is away."""
        try:
            return await asyncio.to_thread(self._topics.states)
        except Exception as error:  # noqa: BLE001 - Kafka is away; its client may also just time out
            log.debug("watchdog cannot look at the topics", error=repr(error))
            return None

    def _check_topics(self, states: Mapping[str, TopicState] | None) -> bool:
        """Whether the topics are those that are counted, as far as Kafka tells."""
        if states is None:
            return True
        if missing := set(self._counted) - states.keys():
            # a broker that has just started may not know them yet
            self._missed += 1
            if self._missed >= MISSED:
                self.app.fail(topic_is_gone(missing))
            return False
        self._missed = 0
        if log_identity(states) != self.book.identity:
            self.app.fail(topics_made_anew())
            return False
        return True

    async def _check_log(self, positions: Mapping[PartitionKey, Position]) -> None:
        marks = {source: Mark(p.next, p.last, p.appended_ms) for source, p in positions.items()}
        await asyncio.to_thread(self._continuity.check, marks)

    async def _check_again(self, positions: Mapping[PartitionKey, Position]) -> None:
        """Now and then: Kafka may come back with older data, and grow, while the worker waits for it."""
        if time.monotonic() - self._checked_at < CHECK_LOG_EVERY_S:
            return
        try:
            await self._check_log(positions)
            await asyncio.to_thread(self._check_settings)
        except ConfigurationError as error:
            self.app.fail(error)
        except Exception as error:  # noqa: BLE001 - Kafka is away
            log.debug("the log cannot be checked", error=repr(error))
            return
        self._checked_at = time.monotonic()

    def _check_settings(self) -> None:
        self._topics.check_settings()
        doubts = self._topics.short_lived(self._settings.retention_ms)
        for doubt in doubts:
            if doubt not in self._doubts:
                log.warning("kafka", doubt=f"{doubt}: records may go before they are counted, and with them duplicates")
        self._doubts = doubts

    async def _commit_for_display(self) -> None:
        if self.app.rebalancing or self.book.generation < 0:
            return
        offsets: dict[PartitionKey, int] = {
            source: held.counted for source, held in self.book.held.items() if held.stored
        }
        consumer = self.app.batch_consumer
        try:
            await consumer.call(consumer.thread.commit_for_display, offsets)
        except Exception as error:  # noqa: BLE001 - shown lag is late, nothing else
            log.debug("cannot commit for display", error=repr(error))


def _make_app(settings: WorkerSettings) -> BatchApp:
    access = settings.access
    return BatchApp(
        settings.group,
        broker="kafka://" + ";kafka://".join(access.bootstrap.split(",")),
        broker_credentials=_credentials(access),
        broker_client_id=CLIENT,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="none",
        web_enabled=False,
        stream_wait_empty=False,
        store="memory://",
        stream_buffer_maxsize=4,
        broker_max_poll_records=settings.poll_records,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=SESSION_S / 4,
        broker_rebalance_timeout=8.0,
        # above the rebalance time-out: a JoinGroup may block that long
        broker_request_timeout=12.0,
        # 0: round robin. Faust's own assignor left one of three workers idle
        table_standby_replicas=0,
        consumer_metadata_max_age_ms=5000,
        consumer_max_fetch_size=4 << 20,
    )


def _credentials(access: KafkaAccess) -> CredentialsT | None:
    context = access.ssl_context()
    if access.protocol.startswith("SASL"):
        return SASLCredentials(
            username=access.username,
            password=access.password,
            ssl_context=context,
            mechanism=access.mechanism,
        )
    return SSLCredentials(context) if context is not None else None
