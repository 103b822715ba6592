"""Everything of Faust's and aiokafka's internals that we replace, and nothing else.

Faust hands an agent one message at a time, at four asyncio tasks a message. This transport hands
it one *poll* at a time, fetched by aiokafka as before. `tests/unit/processors/test_overrides.py`
fails with a clear message where a new version changes what this file relies on.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import aiokafka.consumer.fetcher as aiokafka_fetcher
import faust
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from faust.app.base import BootStrategy
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from adapters.addresses import try_all_addresses
from adapters.speed.redis_group import RegroupedError
from core.errors import ConfigurationError
from core.position import PartitionKey
from processors.batches import Batch, Fetched, Stretch
from processors.record_batches import KeptRecords

log = structlog.get_logger(__name__)

#: A longer seek runs into Faust's recovery time-out, which ends its service loop for good.
SEEK_LIMIT_S: Final = 5.0
RESEEK_PAUSE_S: Final = 0.3
#: After the group has refused this worker.
REJOIN_PAUSE_S: Final = 1.0
#: (wait in ms, bytes) that a fetch asks the broker for: it answers when there is so much, or it has waited so long.
#: A quiet log answers at once. A busy one is asked at most 100 times a second: a fetch for each few records took
#: a third of a core at 1,000 events/s.
QUIET: Final = (250, 1)
BUSY: Final = (10, 1 << 16)


class LogOffsets(Protocol):
    """What the partition book asks the log, through the consumer's own thread."""

    async def offsets_at(
        self, times_ms: Mapping[PartitionKey, int]
    ) -> tuple[dict[PartitionKey, int | None], dict[PartitionKey, int]]:
        """The first offset at or after each time (None: no such record), and each log's start."""

    async def ends(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, int]:
        """The end offset of each partition."""


class PartitionBook(Protocol):
    """Who knows where each partition is to be read from."""

    generation: int

    async def restore(self, assigned: Iterable[PartitionKey], log: LogOffsets) -> dict[PartitionKey, int]:
        """Where to read each assigned partition from."""

    def forget(self) -> None:
        """Nothing that was fetched so far may be counted."""


class RecordBatches(aiokafka_fetcher.PartitionRecords):
    """The record batches of a fetch, checked but not parsed.

    Parsing them in the thread that folds them, a slice at a time, keeps records in that thread's
    cache; and `ConsumerRecord`s around them would cost 1.5 µs an event.
    """

    next_fetch_offset: int

    def take(self, max_records: int) -> Stretch:
        """Batches with at least one and about `max_records` records; none at the end."""
        stretch = Stretch(self.next_fetch_offset, max_records)
        while len(stretch) < max_records and self._records.has_next():
            kept = self._records.next_batch()
            batch = kept.checked
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            self.next_fetch_offset = batch.next_offset
            if batch.producer_id is not None:
                self._consume_aborted_up_to(batch.base_offset)
                if batch.is_control_batch and self._contains_abort_marker(batch):
                    self._aborted_producers.discard(batch.producer_id)
                if batch.is_transactional and batch.producer_id in self._aborted_producers:
                    continue
            if not batch.is_control_batch:
                stretch.add(kept)
        return stretch

    def exhausted(self) -> bool:
        """Whether every batch was taken."""
        return not self._records.has_next()


class BatchFetchResult(aiokafka_fetcher.FetchResult):
    """A fetch that gives whole record batches."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> Any:
        """Called by aiokafka; a `Stretch` where it expects a list of records."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return ()
        stretch = self._partition_records.take(max_records or sys.maxsize)
        self._update_position()
        if self._partition_records.exhausted():
            self._partition_records = None
        return stretch


class BatchThread(driver.AIOKafkaConsumerThread):
    """The thread that aiokafka lives in. Every method here runs in that thread's loop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._generation = 0
        #: the next offset expected of each partition, set in one step with the seek
        self._chain: dict[TopicPartition, int] = {}

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets it for its own transactions only
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms, consumer._fetch_min_bytes = QUIET
        consumer._fetch_max_bytes = 16 << 20
        return consumer

    async def on_start(self) -> None:
        """Starts the consumer, and makes the group's leader wait for topic metadata."""
        try_all_addresses()
        await super().on_start()
        assert self._consumer is not None
        coordinator = self._consumer._coordinator
        perform_assignment = coordinator._perform_assignment

        async def with_metadata(response: Any) -> Any:
            # a leader that knows no partitions would assign none, until its metadata ages out
            for _ in range(30):
                topics = self._consumer.subscription() if self._consumer else ()
                if all(coordinator._cluster.partitions_for_topic(topic) for topic in topics):
                    break
                log.warning("metadata is missing at assignment, asking again")
                try:
                    await asyncio.wait_for(coordinator._client.force_metadata_update(), 2)
                except TimeoutError:
                    continue
                await asyncio.sleep(0.1)
            return await perform_assignment(response)

        async def refused(error: KafkaError) -> None:
            # aiokafka waits for somebody to fetch, which nobody does who has no partitions
            await asyncio.to_thread(self._batch_app.refused, error)
            await asyncio.sleep(REJOIN_PAUSE_S)
            # whatever it was, also an end of the heartbeats: from the beginning
            coordinator.request_rejoin()

        coordinator._perform_assignment = with_metadata
        coordinator._push_error_to_user = refused

    @property
    def coordinator_known(self) -> bool:
        """Whether the group has a coordinator, as far as this worker knows; True before it has begun."""
        consumer = self._consumer
        return consumer is None or consumer._coordinator.coordinator_id is not None

    @property
    def _batch_app(self) -> BatchApp:
        app = self.consumer.app
        assert isinstance(app, BatchApp)
        return app

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """From here to the next seek nothing fetched may be counted."""
        self._chain = {}
        self._generation += 1
        await super().on_partitions_revoked(revoked)

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> Any:
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        # nothing came for the time that Faust waits: a second
        fetcher: Any = consumer._fetcher
        fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes = BUSY if fetched else QUIET
        # no await between the fetch and here: atomic against `seek`
        chain = self._chain
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is None:
            return None
        batches = []
        for tp in assignment.tps:
            state = assignment.state_value(tp)
            if state is None or not state.has_valid_position:
                continue
            stretch = fetched.get(tp)
            # behind control records too, which nobody hands out
            end, base = state.position, chain.get(tp)
            if end == base or (base is None and stretch is None):
                continue
            batches.append(Batch(PartitionKey(tp.topic, tp.partition), base, stretch or Stretch(end), end))
            chain[tp] = end
        return Fetched(self._generation, batches) if batches else None

    async def seek(self, plan: Mapping[PartitionKey, int]) -> int | None:
        """Moves to the planned offsets. The new generation; None if the assignment has changed."""
        consumer = self._ensure_consumer()
        offsets = {TopicPartition(*source): offset for source, offset in plan.items()}
        if set(offsets) != consumer.assignment():
            return None
        for tp, offset in offsets.items():
            consumer.seek(tp, offset)
        self._generation += 1
        self._chain = offsets
        return self._generation

    async def offsets_at(
        self, times_ms: Mapping[PartitionKey, int]
    ) -> tuple[dict[PartitionKey, int | None], dict[PartitionKey, int]]:
        """See `LogOffsets.offsets_at`."""
        consumer = self._ensure_consumer()
        times = {TopicPartition(*source): ms for source, ms in times_ms.items()}
        found = await consumer.offsets_for_times(times)
        starts = await consumer.beginning_offsets(list(times))
        return (
            {PartitionKey(*tp): at.offset if at else None for tp, at in found.items()},
            {PartitionKey(*tp): offset for tp, offset in starts.items()},
        )

    async def ends(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, int]:
        """See `LogOffsets.ends`."""
        tps = [TopicPartition(*source) for source in sources]
        if not tps:
            return {}
        ends = await self._ensure_consumer().end_offsets(tps)
        return {PartitionKey(*tp): offset for tp, offset in ends.items()}

    async def read_positions(self) -> dict[PartitionKey, int]:
        """How far each assigned partition has been read."""
        return {PartitionKey(*tp): offset for tp, offset in self._chain.items()}

    async def commit_for_display(self, offsets: Mapping[PartitionKey, int]) -> None:
        """Commits to Kafka what lag displays show. Nothing ever starts from there."""
        consumer = self._ensure_consumer()
        mine = consumer.assignment()
        known = {TopicPartition(*source): offset for source, offset in offsets.items()}
        if known := {tp: offset for tp, offset in known.items() if tp in mine}:
            commit = asyncio.ensure_future(consumer.commit(known))
            # not cancelled: aiokafka would leave its error to the log, as a traceback
            commit.add_done_callback(lambda done: done.cancelled() or done.exception())
            if not (await asyncio.wait({commit}, timeout=SEEK_LIMIT_S))[0]:
                raise TimeoutError("the group's coordinator does not answer")
            commit.result()


class BatchConsumer(driver.Consumer):
    """Faust's side of the consumer: drains polls into the agent, seeks by the partition book."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._needs_seek = True

    @property
    def thread(self) -> BatchThread:
        """The thread that aiokafka lives in."""
        thread = self._thread
        assert isinstance(thread, BatchThread)
        return thread

    @property
    def book(self) -> PartitionBook:
        """The app's partition book."""
        return self._batch_app.book

    @property
    def _batch_app(self) -> BatchApp:
        app = self.app
        assert isinstance(app, BatchApp)
        return app

    def sources(self) -> list[PartitionKey]:
        """The partitions assigned to this worker."""
        return sorted(PartitionKey(tp.topic, tp.partition) for tp in self.assignment())

    def reject(self) -> None:
        """What was fetched is not what comes next: forget it and seek again."""
        self.book.forget()
        self._needs_seek = True

    async def call(self, method: Any, *args: Any) -> Any:
        """Runs a coroutine method of `BatchThread` in its thread."""
        return await self.thread.call_thread(method, *args)

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_full(self, tp: TP) -> None:
        """Polls are few and large: the queue between drain and agent is the only back-pressure."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Redis is the offset store; Faust's own commit would crash the app on errors."""
        return False

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """Called by Faust after every assignment that is not empty: starts from the book."""
        self.reject()
        try:
            await asyncio.wait_for(self._try_to_seek(), SEEK_LIMIT_S)
        except TimeoutError:
            log.warning("seeking took too long, trying again", limit_s=SEEK_LIMIT_S)
        return {}

    async def _try_to_seek(self) -> None:
        try:
            await self._seek()
        except (ConfigurationError, RegroupedError) as error:
            self._batch_app.fail(error)
        except TopicAuthorizationFailedError as error:
            self._batch_app.refused(error)
        except Exception as error:  # noqa: BLE001 - the drain loop tries again, visibly
            log.warning("cannot seek yet, trying again", error=_brief(error))

    async def _seek(self) -> None:
        sources = self.sources()
        if not sources:
            self._needs_seek = False
            return
        log_offsets = ThreadOffsets(self)
        plan = await self.book.restore(sources, log_offsets)
        generation = await self.call(self.thread.seek, plan)
        if generation is not None:
            self.book.generation = generation
            self._needs_seek = False
            self._batch_app.joined()

    async def _drain_messages(self, fetcher: Any) -> None:
        stopped, fetcher_stopped = self._stopped, fetcher._stopped
        while not (stopped.is_set() or fetcher_stopped.is_set()):
            await asyncio.sleep(0)
            if self.should_stop:
                break
            try:
                await self._drain_one()
            except self.consumer_stopped_errors:
                if self.app.should_stop:
                    return
                raise

    async def _drain_one(self) -> None:
        if self.flow_active and self._needs_seek:
            await self.perform_seek()
            if self._needs_seek:
                await asyncio.sleep(RESEEK_PAUSE_S)
                return
        try:
            fetched, _ = await self._wait_next_records(1.0)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError) as error:
            log.warning("the log does not have the offset asked for, seeking again", error=_brief(error))
            self.reject()
            await asyncio.sleep(RESEEK_PAUSE_S)
            return
        except TopicAuthorizationFailedError as error:
            self._batch_app.refused(error)
            await asyncio.sleep(RESEEK_PAUSE_S)
            return
        if not fetched or not self.flow_active:
            return
        assert isinstance(fetched, Fetched)
        if fetched.generation != self.book.generation:
            self._needs_seek = True
            return
        first = fetched.batches[0]
        tp = TP(first.source.topic, first.source.partition)
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            first.end,
            time.time(),
            0,
            None,
            None,
            fetched,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )
        await self.wait_first(self.callback(message), self.suspend_flow.wait())


class ThreadOffsets:
    """`LogOffsets` for callers outside aiokafka's thread."""

    def __init__(self, consumer: BatchConsumer) -> None:
        self._consumer = consumer

    async def offsets_at(
        self, times_ms: Mapping[PartitionKey, int]
    ) -> tuple[dict[PartitionKey, int | None], dict[PartitionKey, int]]:
        """See `LogOffsets.offsets_at`."""
        thread = self._consumer.thread
        answer: tuple[dict[PartitionKey, int | None], dict[PartitionKey, int]]
        answer = await self._consumer.call(thread.offsets_at, times_ms)
        return answer

    async def ends(self, sources: Iterable[PartitionKey]) -> dict[PartitionKey, int]:
        """See `LogOffsets.ends`."""
        answer: dict[PartitionKey, int]
        answer = await self._consumer.call(self._consumer.thread.ends, list(sources))
        return answer


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer


class ConsumerOnly(BootStrategy):
    """Faust's producer is not started: dead letters have their own, idempotent one."""

    enable_kafka_producer = False
    enable_web = False


class BatchApp(faust.App):
    """A Faust app whose agent receives polls and whose positions come from `book`."""

    BootStrategy = ConsumerOnly
    book: PartitionBook
    failure: BaseException | None = None
    #: Called with what the group or the log refuses, outside the app's loop.
    refused: Callable[[KafkaError], None]
    #: Called when this worker has its partitions.
    joined: Callable[[], None]
    #: Begun with the app: its timers begin after the first assignment, which may never come.
    watch: Callable[[], Awaitable[None]] | None = None

    def fail(self, error: BaseException) -> None:
        """The worker cannot go on whatever it tries: stops it; `failure` says why."""
        self.failure = error
        signal.raise_signal(signal.SIGTERM)

    async def on_start(self) -> None:
        """See `watch`."""
        try_all_addresses()
        await super().on_start()
        if self.watch is not None:
            self.add_future(self.watch())

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """There are no tables: nothing is kept on this machine's disk."""

    @property
    def batch_consumer(self) -> BatchConsumer:
        """The app's consumer."""
        consumer = self.consumer
        assert isinstance(consumer, BatchConsumer)
        return consumer


def install() -> None:
    """Replaces what cannot be subclassed, in this process. Call once, before the app is made."""
    aiokafka_fetcher.MemoryRecords = KeptRecords
    aiokafka_fetcher.PartitionRecords = RecordBatches
    aiokafka_fetcher.FetchResult = BatchFetchResult
    if not getattr(AIOKafkaClient.bootstrap, "waits_for_broker", False):
        AIOKafkaClient.bootstrap = _waiting(AIOKafkaClient.bootstrap)


def _waiting(bootstrap: Any) -> Any:
    async def wait_and_bootstrap(self: AIOKafkaClient) -> None:
        """Faust's start ends the process where the broker is away; wait for it instead."""
        pause = 0.2
        while True:
            try:
                await bootstrap(self)
            except KafkaConnectionError as error:
                log.warning("Kafka does not answer, trying again", error=_brief(error), wait_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 1.6, 3.0)
            else:
                return

    wait_and_bootstrap.waits_for_broker = True  # type: ignore[attr-defined]
    return wait_and_bootstrap


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
