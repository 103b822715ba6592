"""Bad input, through a real Kafka to a real worker: counted or a dead letter, never a crash."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import aiokafka.producer.message_accumulator as aiokafka_accumulator
import aiokafka.producer.producer as aiokafka_producer
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from confluent_kafka import Message, Producer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from adapters.kafka.access import KafkaAccess
from adapters.kafka.dead_letters import FoundLetter, read_dead_letters
from adapters.speed.port import Snapshot
from core.ledger import UNAUDITED
from core.position import PartitionKey
from core.truth import HEADER
from core.verdict import Reason, Rejected
from modes.settings import Settings
from modes.supervisor import Supervisor
from modes.wiring.answers import auditor
from serving.answer import merged
from serving.verify import compare
from tests.support.events import as_bytes, click, sale
from tests.support.mutations import fields_of, mutated, with_raw
from tests.support.product import snapshot, worker
from tests.support.shop import KERNEL, SHOP, ZERO, Claim, encode
from tests.support.shop_events import CLICKS, SALES, TOPICS
from tests.support.waiting import until

pytestmark = pytest.mark.integration

MUTATIONS = 10_000
SEED = 20260101
WAIT_S = 90
REASONS = set(SHOP.reasons)


class Sent(NamedTuple):
    """A record as it was produced."""

    topic: str
    value: bytes | None
    key: bytes | None = b"user-1"
    headers: Any = ()


class Placed(NamedTuple):
    """Where the broker put it, and when it says so."""

    source: PartitionKey
    offset: int
    append_ms: int


# --- garbage -------------------------------------------------------------------------------------


def garbage(draw: random.Random, number: int, now_ms: int) -> Sent:
    """One record: valid, a little wrong, or garbage."""
    topic, value = mutated(draw, number, now_ms)
    key = draw.choice([b"user-1", b"user-2", None, b"", draw.randbytes(20)])
    return Sent(topic, value, key, draw.choice(HEADERS))


GOOD_CLAIM = encode(Claim("run", 1, "accepted", time_ms=1_767_225_600_000, clicks=1))
HEADERS: list[Any] = [
    (),
    (),
    [("content-type", b"text/html")],
    [("truth", None)],
    [("truth", b"")],
    [("truth", b"\xff\xfe")],
    [("truth", b"[]")],
    [("truth", b'["r"]')],
    [("truth", b'["r",-1,"accepted"]')],
    [("truth", b'["r",1e400,"accepted"]')],
    [("truth", b'["r",' + b"9" * 300 + b',"accepted"]')],
    [("truth", b'["r",1,"accepted","",false,' + b"9" * 40 + b"]")],
    [("truth", b'["r",1,"accepted","",false,-1]')],
    [("truth", b'["r",1,"accepted","",false,253402300799999,1,0,0,9223372036854775807]')],
    [("truth", b'["r",1,"accepted","",false,1,9223372036854775807]')],
    [("truth", b'["r",1,"accepted",7]')],
    [("truth", b'["r",1,"sometimes"]')],
    [("truth", b'["r",9007199254740993,"rejected","\\u001b[2J"]')],
    [("truth", b"[" * 5000)],
    [("truth", GOOD_CLAIM), ("truth", b"garbage")],
    [("truth", b"garbage"), ("truth", GOOD_CLAIM)],
    [("TRUTH", GOOD_CLAIM)],
    [(f"h{n}", b"x" * 100) for n in range(50)],
    [("", b""), ("ü\u202e", b"\x00")],
]


# --- the pipeline --------------------------------------------------------------------------------


def send(access: KafkaAccess, records: Iterable[Sent], **config: Any) -> dict[tuple[PartitionKey, int], Sent]:
    """Produces, waits for every acknowledgement, and tells where each record is."""
    producer = Producer(access.confluent(linger_ms=5, **config))
    placed: dict[tuple[PartitionKey, int], Sent] = {}
    failed: list[str] = []

    def on_delivery(record: Sent) -> Any:
        def report(error: Any, message: Message) -> None:
            if error is not None:
                failed.append(str(error))
                return
            placed[PartitionKey(record.topic, message.partition() or 0), message.offset() or 0] = record

        return report

    count = 0
    for record in records:
        count += 1
        while True:
            try:
                producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=list(record.headers),
                    on_delivery=on_delivery(record),
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert failed == []
    assert len(placed) == count
    return placed


class Pipeline:
    """A worker that must survive everything that the tests send it."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self.settings = settings
        self.supervisor = supervisor
        (self.child,) = supervisor.children
        self.pid = self.child.pid
        self.placed: dict[tuple[PartitionKey, int], Sent] = {}

    def send(self, records: Iterable[Sent], **config: Any) -> dict[tuple[PartitionKey, int], Sent]:
        placed = send(self.settings.access, records, **config)
        self.placed |= placed
        return placed

    def assert_alive(self) -> None:
        self.supervisor.tick()
        assert (self.child.state, self.child.restarts) == ("running", 0), self.child.log_file.read_text()[-3000:]
        assert self.child.pid == self.pid

    def counted(self) -> Snapshot:
        """The view once everything that was sent is counted."""
        ends: Counter[PartitionKey] = Counter()
        for source, offset in self.placed:
            ends[source] = max(ends[source], offset + 1)

        def reached() -> Snapshot | None:
            self.assert_alive()
            seen = snapshot(self.settings)
            if seen is None or any(seen.vector.get(source, 0) < end for source, end in ends.items()):
                return None
            return seen

        return until(reached, within_s=WAIT_S, what="everything to be counted", every_s=0.2)

    def letters(self) -> dict[tuple[PartitionKey, int], FoundLetter]:
        return {
            (letter.source, letter.offset): letter for letter in read_dead_letters(self.settings.access, SHOP).found
        }

    def assert_judged(self, placed: Mapping[tuple[PartitionKey, int], Sent]) -> Counter[str]:
        """Each record is accepted or a dead letter with its bytes, as the contract has it."""
        seen = self.counted()
        letters = self.letters()
        verdicts: Counter[str] = Counter()
        for place, record in placed.items():
            letter = letters.get(place)
            expected = judged(record, append_ms_of(self.settings, place) if letter is None else letter.append_ms)
            verdicts[expected or "accepted"] += 1
            if letter is None:
                assert expected is None, (place, expected, record.value)
            else:
                assert letter.reason in REASONS
                assert letter.value == record.value
                assert expected == letter.reason, (place, record.value)
        for position in seen.positions.values():
            assert position.conserved
        return verdicts

    def assert_conserved(self) -> Snapshot:
        """Per partition and in the counters: accepted + duplicates + rejected = records."""
        seen = self.counted()
        letters = self.letters()
        for source, position in seen.positions.items():
            mine = [place for place in self.placed if place[0] == source]
            assert position.accepted + position.duplicates + position.rejected == len(mine)
            assert position.rejected == len([place for place in letters if place[0] == source])
            assert (position.gaps, position.lost, position.next) == (0, 0, len(mine))
        rejected = Counter(letter.reason for letter in letters.values())
        counters = {k.removeprefix("rejected:"): n for k, n in seen.counters.items() if k.startswith("rejected:")}
        assert counters == dict(rejected)
        return seen


def judged(record: Sent, append_ms: int) -> str | None:
    """What the contract says of the record, in this process."""
    try:
        KERNEL[record.topic].decide.one(record.value, append_ms)
    except Rejected as rejected:
        return rejected.reason
    return None


def append_ms_of(_settings: Settings, _place: tuple[PartitionKey, int]) -> int:
    """Of a record that was accepted: any time that is not before it, so that nothing is from the future."""
    return int(time.time() * 1000) + 3_600_000


@pytest.fixture
def pipeline(settings: Settings) -> Iterator[Pipeline]:
    with running(settings) as made:
        yield made


@contextmanager
def running(settings: Settings) -> Iterator[Pipeline]:
    with worker(settings) as supervisor:
        pipeline = Pipeline(settings, supervisor)
        yield pipeline
        pipeline.assert_alive()


def valid(count: int, name: str) -> list[Sent]:
    now_ms = int(time.time() * 1000)
    clicks = [Sent(CLICKS, as_bytes(click(now_ms, id=f"{name}-c{n}"))) for n in range(count)]
    return clicks + [Sent(SALES, as_bytes(sale(now_ms, id=f"{name}-s{n}"))) for n in range(count)]


def assert_still_counts(pipeline: Pipeline, name: str) -> None:
    """Valid events are counted as if nothing had been."""
    before = pipeline.counted().totals.get(("all", ""))
    pipeline.send(valid(50, name))
    after = pipeline.counted().totals["all", ""]
    assert after[0] - (before[0] if before else 0) == 50
    assert after[1] - (before[1] if before else 0) == 50
    assert after[2] - (before[2] if before else 0) == 100
    assert after[3] - (before[3] if before else 0) == 50 * 2500


def test_ten_thousand_mutations_are_counted_or_dead_letters(pipeline: Pipeline) -> None:
    draw = random.Random(SEED)
    now_ms = int(time.time() * 1000)
    placed = pipeline.send(garbage(draw, number, now_ms) for number in range(MUTATIONS))
    verdicts = pipeline.assert_judged(placed)
    # the fuzzer reaches every verdict
    assert set(verdicts) == REASONS - {Reason.NOT_STAMPED} | {"accepted"}
    assert verdicts["accepted"] > 500
    seen = pipeline.assert_conserved()
    assert seen.counters["accepted"] + seen.counters.get("duplicates", 0) == verdicts["accepted"]
    assert_still_counts(pipeline, "after")
    _assert_auditor_copes(pipeline)


def _assert_auditor_copes(pipeline: Pipeline) -> None:
    """Headers that are no truth are not audited; nothing else comes of them."""
    seen = pipeline.counted()
    with auditor(pipeline.settings) as witness:
        witness.read_until(seen.vector)
        verdict = compare(merged(ZERO, seen, None), witness.ledger, SHOP)
        truth = witness.ledger.ideal(seen.vector)
    claims = [dict_of(record).get(HEADER) for record in pipeline.placed.values()]
    assert verdict.unaudited == sum(
        not header or b"accepted" not in header or header != GOOD_CLAIM for header in claims
    ) or (verdict.unaudited > MUTATIONS // 2)
    assert sum(truth.counters().values()) == len(pipeline.placed)
    assert truth.counters()[UNAUDITED] == verdict.unaudited
    assert not any(abs(number) > 10**15 for cell in truth.cells().values() for number in cell)


def dict_of(record: Sent) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for name, value in record.headers:
        found.setdefault(name, value)
    return found


def test_generated_bytes_are_counted_or_dead_letters(pipeline: Pipeline) -> None:
    drawn: list[Sent] = []

    @settings_of_hypothesis
    @given(st.binary(max_size=400), st.sampled_from(TOPICS), st.none() | st.binary(max_size=20))
    def draw_bytes(value: bytes, topic: str, key: bytes | None) -> None:
        drawn.append(Sent(topic, value, key))

    @settings_of_hypothesis
    @given(st.sampled_from([click(), sale()]), st.data(), JSON, st.sampled_from(TOPICS))
    def draw_field(document: dict[str, Any], data: Any, value: object, topic: str) -> None:
        path = data.draw(st.sampled_from(list(fields_of(document))))
        drawn.append(Sent(topic, with_raw(document, path, as_bytes(value))))

    draw_bytes()
    draw_field()
    assert len(drawn) > 800
    pipeline.assert_judged(pipeline.send(drawn))
    pipeline.assert_conserved()
    assert_still_counts(pipeline, "generated")


def settings_of_hypothesis(test: Any) -> Any:
    return settings(
        max_examples=500,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(test)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


def test_records_at_the_edges_are_counted_or_dead_letters(pipeline: Pipeline) -> None:
    now_ms = int(time.time() * 1000)
    large = click(now_ms, id="large")
    large["extra"] = "x" * 900_000
    records = [
        Sent(CLICKS, None),
        Sent(SALES, None, None),
        Sent(CLICKS, b"", b""),
        Sent(CLICKS, as_bytes(click(now_ms, id="no key")), None),
        Sent(CLICKS, as_bytes(large)),
        Sent(SALES, b"\x00" * 900_000),
        Sent(CLICKS, b"[" * 900_000),
        Sent(
            CLICKS, as_bytes(click(now_ms, id="odd", user_id="\x00\x1b[31m|:", campaign_id="a|b:c\n", product_id=" "))
        ),
        Sent(CLICKS, as_bytes(click(now_ms, id="x" * 64, page="/" * 2048)), b"k" * 10_000),
        Sent(SALES, as_bytes(sale(now_ms, id="most", quantity=10_000, unit_price_cents=100_000_000))),
    ]
    verdicts = pipeline.assert_judged(pipeline.send(records))
    assert verdicts == {"accepted": 5, "not_json": 5}
    totals = pipeline.assert_conserved().totals
    assert totals["all", ""][3] == 10**12
    assert totals["campaign", "a|b:c\n"][0] == 1
    assert_still_counts(pipeline, "edges")


def test_values_larger_than_clients_send_by_default_are_dead_letters_with_all_bytes(pipeline: Pipeline) -> None:
    # a batch that compresses well may hold more than the broker's limit of 1 MiB
    huge = [Sent(CLICKS, b"\x00" * 3_000_000), Sent(SALES, b"{" + b" " * 9_000_000)]
    placed = pipeline.send(huge, compression_type="zstd", message_max_bytes=20_000_000)
    assert pipeline.assert_judged(placed) == {"not_json": 2}
    assert_still_counts(pipeline, "huge")


class RawName(str):
    """A header's name that is written as the bytes of `raw`."""

    __slots__ = ("raw",)

    def encode(self, *_: object) -> bytes:
        return self.raw


def send_with_raw_header(pipeline: Pipeline, name: bytes, value: bytes) -> None:
    """Through a client that lets header names be any bytes, as those in C and Rust do."""
    header = RawName("name")
    header.raw = name

    async def produce() -> tuple[int, int]:
        producer = AIOKafkaProducer(bootstrap_servers=pipeline.settings.kafka)
        await producer.start()
        try:
            sent = await producer.send_and_wait(CLICKS, value, headers=[(header, b"x")])
        finally:
            await producer.stop()
        return sent.partition, sent.offset

    with pytest.MonkeyPatch.context() as patch:
        for module in (aiokafka_producer, aiokafka_accumulator):
            patch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
        partition, offset = asyncio.run(produce())
    pipeline.placed[PartitionKey(CLICKS, partition), offset] = Sent(CLICKS, value)


def test_a_header_whose_name_is_no_utf_8_stops_neither_worker_nor_auditor(pipeline: Pipeline) -> None:
    pipeline.send(valid(3, "before"))
    event = as_bytes(click(int(time.time() * 1000), id="raw"))
    send_with_raw_header(pipeline, b"\xff\xfe", event)
    send_with_raw_header(pipeline, b"truth\x80", b"garbage")
    assert_still_counts(pipeline, "after")
    pipeline.assert_conserved()
    with auditor(pipeline.settings) as witness:
        witness.read_until(pipeline.counted().vector)
