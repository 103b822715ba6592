"""Guards: what processors/faust_overrides.py relies on in Faust and aiokafka is still there.

Each fails with what changed and where to look in our code. Behind them: the same internals, driven
by our overrides without a broker.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import struct
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import requires, version
from types import SimpleNamespace
from typing import Any

import aiokafka
import aiokafka.consumer.fetcher as aiokafka_fetcher
import faust
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, Subscription, SubscriptionState, TopicPartitionState
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from faust.app.base import BootStrategy
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage

from core.contract import UNSTAMPED_MS
from core.position import PartitionKey
from processors import faust_overrides
from processors.batches import Batch, Fetched, Stretch
from processors.faust_overrides import (
    BatchApp,
    BatchConsumer,
    BatchFetchResult,
    BatchThread,
    BatchTransport,
    ConsumerOnly,
    RecordBatches,
    install,
)
from processors.record_batches import KeptRecords

STAMP = 1_767_225_600_000
VERSIONS = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
TP = TopicPartition("clicks", 0)


def guard(holds: object, what: str, ours: str) -> None:
    """Fails with what changed in the library and which of our classes or functions relies on it."""
    found = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    assert holds, f"{found}: {what}; see {ours} in processors/faust_overrides.py"


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def names_in(function: object) -> set[str]:
    """Every name and attribute that a function's code mentions."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return names | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


# --- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "expected"), VERSIONS.items())
def test_the_version_is_the_one_that_the_overrides_were_written_for(name: str, expected: str) -> None:
    guard(version(name) == expected, f"the overrides were written for {name} {expected}", "everything")


@pytest.mark.parametrize(("name", "expected"), VERSIONS.items())
def test_the_version_is_pinned(name: str, expected: str) -> None:
    pins = [line for line in requires("fourfold") or [] if line.startswith(name)]
    guard(pins, f"{name} is no dependency any more", "everything")
    assert all(f"=={expected}" in pin for pin in pins), f"pyproject.toml must pin {name}=={expected}"


# --- aiokafka ------------------------------------------------------------------------------------


def test_the_fetcher_makes_its_results_by_the_names_that_are_replaced() -> None:
    made = names_in(aiokafka_fetcher.Fetcher._proc_fetch_request)
    for name in ("PartitionRecords", "FetchResult"):
        guard(name in made, f"Fetcher._proc_fetch_request makes no {name}", "install")
    guard(
        "FetchResult" in names_in(aiokafka_fetcher.Fetcher.fetched_records)
        and {"getall", "has_more"} <= names_in(aiokafka_fetcher.Fetcher.fetched_records),
        "Fetcher.fetched_records does not call FetchResult.getall and has_more",
        "BatchFetchResult",
    )


def test_a_fetch_result_has_what_is_called() -> None:
    result = aiokafka_fetcher.FetchResult
    guard(parameters(result.getall) == ["self", "max_records"], "FetchResult.getall takes more", "BatchFetchResult")
    guard(
        {"_topic_partition", "_partition_records"} <= names_in(result.__init__),
        "FetchResult has other attributes",
        "BatchFetchResult",
    )
    guard(parameters(result.check_assignment) == ["self", "tp"], "check_assignment takes more", "BatchFetchResult")
    for name in ("has_more", "_update_position"):
        guard(parameters(getattr(result, name)) == ["self"], f"FetchResult.{name} takes more", "BatchFetchResult")
    guard(
        "next_fetch_offset" in names_in(result._update_position) and "next_fetch_offset" in names_in(result),
        "FetchResult does not go by next_fetch_offset",
        "RecordBatches",
    )


def test_the_records_of_a_fetch_have_what_is_reached_into() -> None:
    records = aiokafka_fetcher.PartitionRecords
    guard(
        parameters(records.__init__)[1:]
        == [
            "tp",
            "records",
            "aborted_transactions",
            "fetch_offset",
            "key_deserializer",
            "value_deserializer",
            "check_crcs",
            "isolation_level",
        ],
        "PartitionRecords is made of other things",
        "RecordBatches",
    )
    guard(
        {"_tp", "_records", "_aborted_producers", "_check_crcs", "next_fetch_offset"} <= names_in(records.__init__),
        "PartitionRecords has other attributes",
        "RecordBatches",
    )
    for name, argument in (("_consume_aborted_up_to", "batch_offset"), ("_contains_abort_marker", "next_batch")):
        guard(
            parameters(getattr(records, name)) == ["self", argument],
            f"PartitionRecords.{name} takes other things",
            "RecordBatches.take",
        )
    guard(
        {"_consume_aborted_up_to", "_contains_abort_marker", "is_control_batch", "is_transactional", "next_offset"}
        <= names_in(records._unpack_records),
        "aiokafka itself leaves out aborted records in another way",
        "RecordBatches.take",
    )


def test_a_parsed_record_has_what_the_fold_reads() -> None:
    (record,) = list(batch_of(7, [(b"k", b"v")]))
    seen = tuple(getattr(record, name, "missing") for name in ("offset", "timestamp", "key", "value"))
    guard(seen == (7, STAMP, b"k", b"v"), f"a parsed record has {seen}", "RecordBatches")


def test_a_record_batch_tells_its_bounds_before_it_is_parsed() -> None:
    batch = batch_of(7, [(b"k", b"v")] * 3)
    checked = batch.checked
    seen = (
        batch.base_offset,
        batch.next_offset,
        checked.is_control_batch,
        checked.is_transactional,
        checked.validate_crc(),
    )
    guard(seen == (7, 10, False, False, True), f"a record batch has {seen}", "RecordBatches.take")


@pytest.mark.parametrize("name", ["_isolation_level", "_fetch_max_wait_ms", "_fetch_max_bytes"])
def test_a_created_consumer_can_still_be_told_how_to_fetch(name: str) -> None:
    async def make() -> AIOKafkaConsumer:
        made = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
        await made.stop()
        return made

    guard(hasattr(asyncio.run(make()), name), f"AIOKafkaConsumer has no {name}", "BatchThread._create_worker_consumer")
    guard(
        name in names_in(AIOKafkaConsumer.start),
        f"AIOKafkaConsumer.start does not hand {name} to the fetcher",
        "BatchThread._create_worker_consumer",
    )


@pytest.mark.parametrize("name", ["_fetch_max_wait_ms", "_fetch_min_bytes"])
def test_each_fetch_reads_how_long_it_may_wait(name: str) -> None:
    guard(
        name in names_in(aiokafka_fetcher.Fetcher._get_actions_per_node),
        f"a fetch request is not made with the fetcher's {name}",
        "BatchThread._fetch_records",
    )


def test_the_consumer_has_the_parts_that_are_reached_into() -> None:
    guard(
        "_coordinator" in names_in(AIOKafkaConsumer.start), "the consumer has no _coordinator", "BatchThread.on_start"
    )
    guard(
        "_subscription" in names_in(AIOKafkaConsumer.__init__),
        "the consumer has no _subscription",
        "BatchThread._fetch_records",
    )
    coordinator = names_in(GroupCoordinator.__init__) | names_in(GroupCoordinator.__mro__[1].__init__)
    for name in ("_cluster", "_client"):
        guard(name in coordinator, f"the group coordinator has no {name}", "BatchThread.on_start")


def test_the_leader_assigns_through_the_hook_that_is_replaced() -> None:
    guard(
        inspect.iscoroutinefunction(GroupCoordinator._perform_assignment)
        and parameters(GroupCoordinator._perform_assignment) == ["self", "response"],
        "GroupCoordinator._perform_assignment has another signature",
        "BatchThread.on_start",
    )
    guard(
        "_perform_assignment" in names_in(CoordinatorGroupRebalance._on_join_leader),
        "the group's leader does not call _perform_assignment",
        "BatchThread.on_start",
    )
    guard(
        callable(getattr(AIOKafkaClient, "force_metadata_update", None)),
        "AIOKafkaClient.force_metadata_update is gone",
        "BatchThread.on_start",
    )


def test_a_refusal_of_the_group_goes_through_the_hook_that_is_replaced() -> None:
    guard(
        parameters(GroupCoordinator._push_error_to_user) == ["self", "exc"],
        "GroupCoordinator._push_error_to_user has another signature",
        "BatchThread.on_start",
    )
    routine = next(value for name, value in vars(GroupCoordinator).items() if name.endswith("__coordination_routine"))
    guard(
        "_push_error_to_user" in names_in(routine),
        "the coordination routine does not tell refusals through _push_error_to_user",
        "BatchThread.on_start",
    )
    guard(
        callable(getattr(GroupCoordinator, "request_rejoin", None)),
        "GroupCoordinator.request_rejoin is gone",
        "BatchThread.on_start",
    )


def test_positions_of_an_assignment_can_be_read() -> None:
    async def seen() -> tuple[bool, bool, int]:
        assignment = Subscription({"clicks"})
        assignment._assign({TP})
        held = assignment.assignment
        assert isinstance(held, Assignment)
        state = held.state_value(TP)
        assert isinstance(state, TopicPartitionState)
        assert set(held.tps) == {TP}
        before = state.has_valid_position
        state.seek(17)
        return before, state.has_valid_position, state.position

    guard(
        asyncio.run(seen()) == (False, True, 17),
        "TopicPartitionState.position or has_valid_position mean something else",
        "BatchThread._fetch_records",
    )
    guard(
        isinstance(inspect.getattr_static(SubscriptionState, "subscription"), property),
        "SubscriptionState.subscription is no property",
        "BatchThread._fetch_records",
    )


@pytest.mark.parametrize(
    ("name", "is_coroutine"),
    [
        ("offsets_for_times", True),
        ("beginning_offsets", True),
        ("end_offsets", True),
        ("commit", True),
        ("seek", False),
        ("assignment", False),
        ("subscription", False),
    ],
)
def test_the_consumer_has_the_methods_that_are_called(name: str, is_coroutine: bool) -> None:
    method = getattr(AIOKafkaConsumer, name, None)
    guard(method is not None, f"AIOKafkaConsumer.{name} is gone", "BatchThread")
    guard(
        inspect.iscoroutinefunction(method) is is_coroutine,
        f"AIOKafkaConsumer.{name} was {'' if is_coroutine else 'not '}a coroutine",
        "BatchThread",
    )


def test_an_offset_that_is_not_there_is_raised_as_before() -> None:
    code = names_in(aiokafka_fetcher.Fetcher)
    for error in (NoOffsetForPartitionError, OffsetOutOfRangeError):
        guard(error.__name__ in code, f"the fetcher does not raise {error.__name__}", "BatchConsumer._drain_one")


def test_bootstrapping_raises_a_connection_error_where_nobody_listens() -> None:
    guard(inspect.iscoroutinefunction(AIOKafkaClient.bootstrap), "AIOKafkaClient.bootstrap is no coroutine", "install")
    original = getattr(AIOKafkaClient.bootstrap, "__wrapped__", AIOKafkaClient.bootstrap)
    guard(parameters(original) == ["self"], "AIOKafkaClient.bootstrap takes more", "_waiting")

    async def attempt() -> str:
        client = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")
        plain = faust_overrides._waiting.__globals__["AIOKafkaClient"].bootstrap
        try:
            await asyncio.wait_for(plain(client), 1.5)
        except KafkaConnectionError:
            return "error"
        except TimeoutError:
            return "waits"
        finally:
            await client.close()
        return "connected"

    expected = "waits" if hasattr(AIOKafkaClient.bootstrap, "waits_for_broker") else "error"
    guard(asyncio.run(attempt()) == expected, "bootstrapping does not raise KafkaConnectionError", "_waiting")


# --- Faust ---------------------------------------------------------------------------------------


def test_the_app_makes_its_folders_in_the_hook_that_is_replaced() -> None:
    made = names_in(faust.App._create_directories)
    guard("mkdir" in made, "App._create_directories makes no folders", "BatchApp._create_directories")
    assert "mkdir" not in names_in(BatchApp._create_directories)


def test_the_apps_transport_is_made_by_the_hook_that_is_replaced() -> None:
    guard(parameters(faust.App._new_transport) == ["self"], "App._new_transport takes more", "BatchApp._new_transport")
    guard(
        "_new_transport" in names_in(faust.App.transport.fget),  # type: ignore[attr-defined]
        "App.transport is not made by _new_transport",
        "BatchApp._new_transport",
    )
    guard(
        parameters(driver.Transport.__mro__[1].__init__)[:3] == ["self", "url", "app"],
        "a transport is made of other things",
        "BatchApp._new_transport",
    )
    guard(
        "Consumer" in names_in(driver.Transport.create_consumer),
        "Transport.create_consumer does not use the class attribute Consumer",
        "BatchTransport",
    )


def test_the_producer_and_the_web_server_can_be_switched_off() -> None:
    for name in ("enable_kafka_producer", "enable_web"):
        guard(hasattr(BootStrategy, name), f"BootStrategy.{name} is gone", "ConsumerOnly")
    guard("BootStrategy" in names_in(faust.App.__init__), "App does not use its attribute BootStrategy", "BatchApp")
    strategy = ConsumerOnly(SimpleNamespace(conf=SimpleNamespace(web_enabled=True)))
    guard(not strategy._should_enable_kafka_producer(), "the producer starts all the same", "ConsumerOnly")
    guard(not strategy._should_enable_web(), "the web server starts all the same", "ConsumerOnly")


def test_the_consumer_lives_in_a_thread_of_its_own() -> None:
    guard(
        issubclass(driver.Consumer, faust_consumer.ThreadDelegateConsumer),
        "the driver's Consumer is no ThreadDelegateConsumer",
        "BatchConsumer",
    )
    guard(
        "_new_consumer_thread" in names_in(faust_consumer.ThreadDelegateConsumer.__init__),
        "the thread is not made by _new_consumer_thread",
        "BatchConsumer._new_consumer_thread",
    )
    source = inspect.getsource(driver.Consumer._new_consumer_thread)
    guard(
        "AIOKafkaConsumerThread(self, loop=self.loop, beacon=self.beacon)" in source,
        "the thread is made of other things",
        "BatchConsumer._new_consumer_thread",
    )
    guard(
        "_thread" in names_in(faust_consumer.ThreadDelegateConsumer._getmany)
        and "getmany" in names_in(faust_consumer.ThreadDelegateConsumer._getmany),
        "Consumer._getmany does not ask the thread",
        "BatchThread._fetch_records",
    )


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("__post_init__", ["self"]),
        ("_create_worker_consumer", ["self", "transport"]),
        ("on_start", ["self"]),
        ("on_partitions_revoked", ["self", "revoked"]),
        ("_fetch_records", ["self", "consumer", "active_partitions", "timeout", "max_records"]),
        ("_ensure_consumer", ["self"]),
        ("call_thread", ["self", "fun", "args", "kwargs"]),
    ],
)
def test_the_thread_has_the_methods_that_are_replaced_or_called(method: str, expected: list[str]) -> None:
    function = getattr(driver.AIOKafkaConsumerThread, method, None)
    guard(function is not None, f"AIOKafkaConsumerThread.{method} is gone", "BatchThread")
    assert function is not None
    guard(
        parameters(function) == expected,
        f"AIOKafkaConsumerThread.{method} has the parameters {parameters(function)}",
        f"BatchThread.{method}",
    )


def test_polls_go_through_the_threads_fetch() -> None:
    thread = driver.AIOKafkaConsumerThread
    guard("_fetch_records" in names_in(thread.getmany), "getmany does not call _fetch_records", "BatchThread")
    guard(
        "fetched_records" in names_in(thread._fetch_records),
        "_fetch_records does not return what the fetcher has",
        "BatchThread._fetch_records",
    )
    guard(
        "on_partitions_revoked" in names_in(driver.ConsumerRebalanceListener.on_partitions_revoked),
        "the rebalance listener does not tell the thread of revoked partitions",
        "BatchThread.on_partitions_revoked",
    )


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("_drain_messages", ["self", "fetcher"]),
        ("seek_to_committed", ["self"]),
        ("perform_seek", ["self"]),
        ("commit", ["self", "topics", "start_new_transaction"]),
        ("on_buffer_full", ["self", "tp"]),
        ("on_buffer_drop", ["self", "tp"]),
        ("_wait_next_records", ["self", "timeout"]),
        ("assignment", ["self"]),
        ("wait_first", ["self", "coros", "timeout"]),
    ],
)
def test_the_consumer_has_the_methods_that_are_replaced_or_called(method: str, expected: list[str]) -> None:
    function = getattr(driver.Consumer, method, None)
    guard(function is not None, f"Consumer.{method} is gone", "BatchConsumer")
    assert function is not None
    guard(
        parameters(function) == expected,
        f"Consumer.{method} has the parameters {parameters(function)}",
        f"BatchConsumer.{method}",
    )


def test_faust_drains_through_the_method_that_is_replaced() -> None:
    guard(
        "_drain_messages" in names_in(faust_consumer.Fetcher._fetcher.fun),
        "Fetcher._fetcher does not call Consumer._drain_messages",
        "BatchConsumer._drain_messages",
    )
    guard(
        {"flow_active", "suspend_flow", "consumer_stopped_errors"} <= names_in(faust_consumer.Consumer),
        "the consumer has no flow_active, suspend_flow or consumer_stopped_errors",
        "BatchConsumer._drain_messages",
    )
    guard(
        "_getmany" in names_in(faust_consumer.Consumer._wait_next_records),
        "_wait_next_records does not call _getmany",
        "BatchConsumer._drain_one",
    )


def test_faust_seeks_through_the_method_that_is_replaced() -> None:
    guard(
        "seek_to_committed" in names_in(faust_consumer.Consumer.perform_seek),
        "perform_seek does not call seek_to_committed",
        "BatchConsumer.seek_to_committed",
    )
    source = inspect.getsource(Recovery)
    guard(
        "consumer.perform_seek(), timeout=self.app.conf.broker_request_timeout" in " ".join(source.split()),
        "recovery does not bound perform_seek by broker_request_timeout",
        "SEEK_LIMIT_S",
    )


def test_a_message_is_made_of_what_the_drain_loop_gives() -> None:
    guard(
        parameters(ConsumerMessage.__init__)[1:13]
        == [
            "topic",
            "partition",
            "offset",
            "timestamp",
            "timestamp_type",
            "headers",
            "key",
            "value",
            "checksum",
            "serialized_key_size",
            "serialized_value_size",
            "tp",
        ]
        and "generation_id" in parameters(ConsumerMessage.__init__),
        "ConsumerMessage takes other arguments",
        "BatchConsumer._drain_one",
    )


# --- our overrides on those internals ------------------------------------------------------------


@pytest.fixture
def app() -> Iterator[BatchApp]:
    # Faust asks for a loop wherever it is, and would leave one of its own unclosed
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    made = BatchApp("tests", broker="kafka://127.0.0.1:1", web_enabled=False, store="memory://")
    made.book = SimpleNamespace(generation=-1, forget=lambda: None)  # type: ignore[assignment]
    yield made
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiokafka_fetcher, "PartitionRecords", aiokafka_fetcher.PartitionRecords)
    monkeypatch.setattr(aiokafka_fetcher, "FetchResult", aiokafka_fetcher.FetchResult)
    monkeypatch.setattr(AIOKafkaClient, "bootstrap", AIOKafkaClient.bootstrap)


def test_the_app_uses_the_batch_transport_consumer_and_thread(app: BatchApp) -> None:
    async def look() -> tuple[type, type, type]:
        return type(app.transport), type(app.consumer), type(app.batch_consumer.thread)

    assert asyncio.run(look()) == (BatchTransport, BatchConsumer, BatchThread)


def test_a_consumer_of_ours_reads_committed_records_only(app: BatchApp) -> None:
    async def look() -> AIOKafkaConsumer:
        made = app.batch_consumer.thread._create_worker_consumer(app.transport)
        await made.stop()
        return made

    made = asyncio.run(look())
    assert (made._isolation_level, made._fetch_max_wait_ms, made._fetch_max_bytes) == ("read_committed", 250, 16 << 20)


@pytest.mark.usefixtures("_nothing_installed")
def test_installing_twice_wraps_the_bootstrap_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def plain(_self: object) -> None: ...

    monkeypatch.setattr(AIOKafkaClient, "bootstrap", plain)
    install()
    wrapped = AIOKafkaClient.bootstrap
    install()
    assert AIOKafkaClient.bootstrap is wrapped is not plain
    assert aiokafka_fetcher.PartitionRecords is RecordBatches
    assert aiokafka_fetcher.FetchResult is BatchFetchResult


@pytest.mark.usefixtures("_nothing_installed")
def test_bootstrapping_is_tried_again_until_the_broker_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []
    pauses: list[float] = []

    async def plain(_self: object) -> None:
        tries.append(1)
        if len(tries) < 10:
            raise KafkaConnectionError("nobody")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(AIOKafkaClient, "bootstrap", plain)
    monkeypatch.setattr(faust_overrides.asyncio, "sleep", sleep)
    install()
    asyncio.run(AIOKafkaClient.bootstrap(None))
    assert len(tries) == 10
    assert pauses[0] == pytest.approx(0.2)
    assert pauses == sorted(pauses)
    assert pauses[-1] == 3.0


class Log:
    """The bytes of a partition's log, made batch by batch, as a broker sends them."""

    def __init__(self) -> None:
        self.bytes = b""
        self.end = 0
        self.aborted: list[tuple[int, int]] = []

    def batch(self, count: int, producer: int = -1, gap: int = 0) -> Log:
        """So many records `b"<offset>"`; of a transaction if a producer is named."""
        self.bytes += encoded(self.end, [(b"k", str(self.end + n).encode()) for n in range(count)], producer)
        self.end += count + gap
        return self

    def marker(self, producer: int, *, abort: bool) -> Log:
        """The end of a transaction: a control record."""
        self.bytes += encoded(self.end, [(struct.pack(">hh", 0, 0 if abort else 1), b"\0" * 6)], producer, control=True)
        self.end += 1
        return self

    def fetched(self, offset: int = 0, *, check_crcs: bool = False) -> RecordBatches:
        return RecordBatches(
            TP, KeptRecords(self.bytes), self.aborted, offset, None, None, check_crcs, aiokafka_fetcher.READ_COMMITTED
        )


def encoded(
    base: int, records: list[tuple[bytes | None, bytes | None]], producer: int = -1, *, control: bool = False
) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, int(producer >= 0), producer, 0, 0, 1 << 20)
    for at, (key, value) in enumerate(records):
        builder.append(at, STAMP, key, value, [])
    data = bytearray(builder.build())
    # the broker writes the offset; the checksum does not cover it
    struct.pack_into(">q", data, 0, base)
    # and it stamps the batch
    data[22] |= 0x08
    struct.pack_into(">I", data, 17, calc_crc32c(data[21:]))
    if control:
        data[22] |= 0x20
    return bytes(data)


def batch_of(base: int, records: list[tuple[bytes | None, bytes | None]]) -> Any:
    return KeptRecords(encoded(base, records)).next_batch()


def offsets(stretch: Stretch, size: int = 1000) -> list[int]:
    found = [record.offset for part in stretch.slices(size) for record in part]
    assert found == sorted(set(found))
    return found


def taken(records: RecordBatches, at_once: int = 10_000) -> list[int]:
    found: list[int] = []
    while not records.exhausted():
        found += offsets(records.take(at_once))
    return found


def test_every_record_of_a_fetch_is_handed_out_once() -> None:
    log = Log().batch(3).batch(1).batch(5)
    records = log.fetched()
    assert taken(records) == list(range(9))
    assert records.next_fetch_offset == log.end


@pytest.mark.parametrize("at_once", [1, 2, 4, 100])
def test_a_fetch_is_handed_out_in_whole_batches_about_as_large_as_asked(at_once: int) -> None:
    records = Log().batch(3).batch(3).batch(3).fetched()
    seen: list[int] = []
    while not records.exhausted():
        stretch = records.take(at_once)
        assert 1 <= len(stretch) <= at_once
        got = offsets(stretch)
        assert len(got) % 3 == 0
        seen += got
        assert records.next_fetch_offset == seen[-1] + 1
    assert seen == list(range(9))


def test_a_batch_that_begins_before_the_offset_asked_for_is_cut() -> None:
    assert taken(Log().batch(5).batch(5).fetched(3)) == [3, 4, 5, 6, 7, 8, 9]


def test_gaps_of_compaction_are_gone_over() -> None:
    log = Log().batch(2, gap=3).batch(2)
    records = log.fetched()
    assert taken(records) == [0, 1, 5, 6]
    assert records.next_fetch_offset == 7


@pytest.mark.parametrize(
    ("log_append", "stamp", "append_ms"),
    [
        (True, STAMP, STAMP),
        (False, STAMP, UNSTAMPED_MS),
        (False, STAMP * 1000, UNSTAMPED_MS),
        (True, STAMP * 1000, UNSTAMPED_MS),
        (True, -1, UNSTAMPED_MS),
    ],
)
def test_only_the_brokers_own_stamp_is_an_append_time(log_append: bool, stamp: int, append_ms: int) -> None:
    data = bytearray(encoded(7, [(b"k", b"v"), (None, None)]))
    if not log_append:
        data[22] &= ~0x08
    struct.pack_into(">q", data, 35, stamp)
    batch = KeptRecords(bytes(data)).next_batch()
    assert [(r.offset, r.timestamp, r.key, r.value) for r in batch] == [
        (7, append_ms, b"k", b"v"),
        (8, append_ms, None, None),
    ]


def test_aborted_records_and_control_records_are_left_out() -> None:
    log = Log().batch(2).batch(2, producer=7).batch(2, producer=8).marker(7, abort=True).marker(8, abort=False)
    log.batch(1, producer=7).marker(7, abort=False).batch(1)
    log.aborted = [(7, 2)]
    records = log.fetched()
    assert taken(records) == [0, 1, 4, 5, 8, 10]
    assert records.next_fetch_offset == log.end == 11


def test_aborted_records_are_left_out_however_the_fetch_is_taken() -> None:
    log = Log().batch(2, producer=7).batch(2).marker(7, abort=True).batch(2, producer=7).marker(7, abort=True)
    log.batch(2, producer=7).marker(7, abort=False)
    log.aborted = [(7, 0), (7, 5)]
    assert taken(log.fetched(), at_once=1) == [2, 3, 8, 9]


def test_a_fetch_of_control_records_alone_moves_on_and_holds_nothing() -> None:
    log = Log().marker(7, abort=True).marker(8, abort=False)
    records = log.fetched()
    stretch = records.take(100)
    assert len(stretch) == 0
    assert offsets(stretch) == []
    assert (records.exhausted(), records.next_fetch_offset) == (True, 2)


def test_a_batch_whose_checksum_is_wrong_is_never_handed_out() -> None:
    log = Log().batch(2)
    log.bytes = log.bytes[:-1] + b"\xff"
    with pytest.raises(CorruptRecordException):
        log.fetched(check_crcs=True).take(100)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_stretch_is_gone_through_in_slices_without_loss(size: int) -> None:
    stretch = Stretch(1, None, [batch_of(0, [(None, None)] * 4), batch_of(4, [(None, None)] * 5)])
    parts = [[record.offset for record in part] for part in stretch.slices(size)]
    assert [offset for part in parts for offset in part] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(parts)


def test_an_empty_stretch_has_no_slices() -> None:
    assert list(Stretch(5).slices(10)) == []
    assert not Stretch(5)


class Poller:
    """A `BatchThread` on fetches that the test gives, with aiokafka's own book-keeping."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sought: dict[TopicPartition, int] = {}
        self.assigned = True
        self.log = Log()
        self.fetcher = SimpleNamespace()
        self._subscription: Any = None

        async def fetch(*_: object) -> Any:
            if not self.state.has_valid_position:
                return {}
            result = BatchFetchResult(
                TP, assignment=self.assignment, partition_records=self.log.fetched(self.state.position), backoff=0
            )
            found = result.getall(100) if self.log.bytes else ()
            return {TP: found} if found else {}

        async def revoke(*_: object) -> None: ...

        monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", fetch)
        monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_partitions_revoked", revoke)
        self.thread = object.__new__(BatchThread)
        self.thread._generation = 0
        self.thread._chain = {}
        self.thread._consumer = SimpleNamespace(assignment=lambda: {TP}, seek=self._seek)

    def _seek(self, tp: TopicPartition, offset: int) -> None:
        self.sought[tp] = offset
        self.state.seek(offset)

    @property
    def assignment(self) -> Assignment:
        found: Assignment = self._subscription.assignment
        return found

    @property
    def state(self) -> TopicPartitionState:
        return self.assignment.state_value(TP)

    async def open(self) -> Poller:
        self._subscription = Subscription({"clicks"})
        self._subscription._assign({TP})
        return self

    async def poll(self, log: Log | None = None) -> Fetched | None:
        if log is not None:
            self.log = log
        assignment = self.assignment if self.assigned else None
        subscription = SimpleNamespace(assignment=assignment)
        consumer = SimpleNamespace(_subscription=SimpleNamespace(subscription=subscription), _fetcher=self.fetcher)
        fetched: Fetched | None = await self.thread._fetch_records(consumer, None)  # type: ignore[arg-type]
        self.log = Log()
        return fetched

    async def seek(self, offset: int) -> int | None:
        return await self.thread.seek({SOURCE: offset})


SOURCE = PartitionKey("clicks", 0)


def bounds(fetched: Fetched | None) -> tuple[int | None, list[int], int]:
    assert fetched is not None
    (batch,) = fetched.batches
    assert batch.source == SOURCE
    return batch.base, offsets(batch.stretch), batch.end


@pytest.fixture
def poller(monkeypatch: pytest.MonkeyPatch) -> Poller:
    return Poller(monkeypatch)


def log_from(start: int) -> Log:
    log = Log()
    log.end = start
    return log


def test_polls_are_a_chain_of_stretches_without_holes(poller: Poller) -> None:
    async def check() -> None:
        await poller.open()
        generation = await poller.seek(10)
        fetched = await poller.poll(log_from(10).batch(2))
        assert bounds(fetched) == (10, [10, 11], 12)
        assert fetched is not None
        assert fetched.generation == generation
        # control records: the stretch ends behind them
        assert bounds(await poller.poll(log_from(12).batch(1).marker(7, abort=False).marker(7, abort=False))) == (
            12,
            [12],
            15,
        )
        # nothing but control records
        assert bounds(await poller.poll(log_from(15).marker(7, abort=True).marker(7, abort=True))) == (15, [], 17)
        # nothing at all
        assert await poller.poll() is None
        assert bounds(await poller.poll(log_from(17).batch(1))) == (17, [17], 18)

    asyncio.run(check())


def test_fetches_are_paced_while_records_come(poller: Poller) -> None:
    def asked() -> tuple[int, int]:
        return poller.fetcher._fetch_max_wait_ms, poller.fetcher._fetch_min_bytes

    async def check() -> None:
        await poller.open()
        await poller.seek(10)
        await poller.poll(log_from(10).batch(2))
        assert asked() == faust_overrides.BUSY
        await poller.poll()
        assert asked() == faust_overrides.QUIET

    asyncio.run(check())


def test_records_before_any_seek_have_no_base(poller: Poller) -> None:
    async def check() -> None:
        await poller.open()
        poller.state.seek(3)
        assert bounds(await poller.poll(log_from(3).batch(1))) == (None, [3], 4)

    asyncio.run(check())


def test_a_partition_without_a_position_gives_nothing(poller: Poller) -> None:
    async def check() -> None:
        await poller.open()
        assert await poller.poll() is None

    asyncio.run(check())


def test_nothing_is_handed_out_without_an_assignment(poller: Poller) -> None:
    async def check() -> None:
        await poller.open()
        await poller.seek(3)
        poller.assigned = False
        assert await poller.poll(log_from(3).batch(1)) is None

    asyncio.run(check())


def test_a_seek_begins_a_new_generation_and_a_new_chain(poller: Poller) -> None:
    async def check() -> None:
        await poller.open()
        first = await poller.seek(10)
        await poller.poll(log_from(10).batch(2))
        assert first is not None
        assert await poller.seek(7) == first + 1
        assert poller.sought == {TP: 7}
        fetched = await poller.poll(log_from(7).batch(1))
        assert bounds(fetched) == (7, [7], 8)
        assert fetched is not None
        assert fetched.generation == first + 1

    asyncio.run(check())


def test_a_seek_for_another_assignment_moves_nothing(poller: Poller) -> None:
    async def check() -> None:
        await poller.open()
        assert await poller.thread.seek({SOURCE: 10, PartitionKey("sales", 1): 5}) is None
        assert await poller.thread.seek({}) is None
        assert poller.sought == {}
        assert poller.thread._generation == 0

    asyncio.run(check())


def test_revoking_ends_the_generation_and_the_chain(poller: Poller) -> None:
    async def check() -> None:
        await poller.open()
        generation = await poller.seek(10)
        await poller.thread.on_partitions_revoked({TP})
        fetched = await poller.poll(log_from(10).batch(1))
        assert fetched is not None
        assert fetched.generation != generation
        assert fetched.batches[0].base is None

    asyncio.run(check())


class Drained(BatchConsumer):
    """A `BatchConsumer` without its services; what it would ask others is given by the test."""

    def __init__(self, app: BatchApp) -> None:
        self.app = app
        self._needs_seek = False
        self.flow_active = True
        self.handed_on: list[Any] = []
        self.suspend_flow = SimpleNamespace(wait=lambda: None)
        self.next: Any = None
        self.seeks = 0

    async def _wait_next_records(self, *_: object) -> Any:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next, None

    async def perform_seek(self) -> None:
        self.seeks += 1

    async def wait_first(self, *_: Any) -> None: ...

    def callback(self, message: Any) -> None:
        self.handed_on.append(message.value)


@pytest.fixture
def drained(app: BatchApp, monkeypatch: pytest.MonkeyPatch) -> Drained:
    monkeypatch.setattr(faust_overrides, "RESEEK_PAUSE_S", 0)
    app._consumer_generation_id = 1
    return Drained(app)


def test_a_poll_of_the_current_generation_is_handed_to_the_agent_whole(drained: Drained) -> None:
    fetched = drained.next = Fetched(4, [Batch(SOURCE, 0, Stretch(0), 1)])
    drained.app.book.generation = 4
    asyncio.run(drained._drain_one())
    assert drained.handed_on == [fetched]


def test_a_poll_of_another_generation_is_dropped_and_sought_again(drained: Drained) -> None:
    drained.next = Fetched(3, [Batch(SOURCE, 0, Stretch(0), 1)])
    drained.app.book.generation = 4
    asyncio.run(drained._drain_one())
    assert drained.handed_on == []
    assert drained._needs_seek
    asyncio.run(drained._drain_one())
    assert drained.seeks == 1


@pytest.mark.parametrize("error", [NoOffsetForPartitionError({TP: 3}), OffsetOutOfRangeError({TP: 3})])
def test_an_offset_that_is_not_in_the_log_is_sought_again(drained: Drained, error: Exception) -> None:
    drained.next = error
    asyncio.run(drained._drain_one())
    assert drained._needs_seek
    assert drained.handed_on == []


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_poll_without_anything_is_passed_over(drained: Drained, nothing: object) -> None:
    drained.next = nothing
    asyncio.run(drained._drain_one())
    assert drained.handed_on == []
    assert not drained._needs_seek


def test_nothing_is_handed_on_while_the_flow_is_stopped(drained: Drained) -> None:
    drained.next = Fetched(4, [Batch(SOURCE, 0, Stretch(0), 1)])
    drained.app.book.generation = 4
    drained.flow_active = False
    asyncio.run(drained._drain_one())
    assert drained.handed_on == []


def test_the_overrides_name_the_version_of_aiokafka_that_runs() -> None:
    assert aiokafka.__version__ == VERSIONS["aiokafka"]
