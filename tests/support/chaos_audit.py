"""The audit: samples and dead letters against the truth that the log's headers tell."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from adapters.kafka.access import KafkaAccess
from adapters.kafka.dead_letters import read_dead_letters
from adapters.kafka.log import Entry, LogReader
from adapters.speed.port import Snapshot
from core import truth
from core.cells import Cell
from core.ledger import UNAUDITED, Ledger, Truth
from core.position import PartitionKey
from core.rules import Rules
from serving.answer import Answer
from tests.support.busy import allowed
from tests.support.chaos_pulse import Look
from tests.support.shop import CLAIMS, MEASURES, SHOP, cell_of

#: A log that gives nothing for so long will give nothing more.
QUIET_S: Final = 30.0


class Rejection(NamedTuple):
    """What a dead letter must say."""

    reason: str
    value: bytes | None


class Told:
    """A truth that is asked for by many answers: each of its sums is made once."""

    def __init__(self, true: Truth) -> None:
        self._true = true

    @cached_property
    def cells(self) -> Mapping[Any, Cell]:
        """By minute, dimension and value."""
        return self._true.cells()

    @cached_property
    def totals(self) -> Mapping[tuple[str, str], Cell]:
        """By dimension and value."""
        return self._true.totals()

    @cached_property
    def counters(self) -> Mapping[str, int]:
        """By name."""
        return self._true.counters()


class Audit:
    """Reads the log into a ledger that forgets nothing."""

    def __init__(self, access: KafkaAccess, sources: Sequence[PartitionKey], rules: Rules) -> None:
        self._access = access
        self._reader = LogReader(access, sources)
        self._read = dict.fromkeys(sources, 0)
        self._offsets = {source: array("q") for source in sources}
        self._appended = {source: array("q") for source in sources}
        self._rejected: dict[tuple[PartitionKey, int], Rejection] = {}
        self._ledger = Ledger(SHOP, epoch_ms=rules.epoch_ms, horizon=rules.horizon, lateness_ms=rules.lateness_ms)
        self._asked: tuple[Mapping[PartitionKey, int], int] | None = None
        self._told: Told | None = None
        self.records = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def ends(self) -> dict[PartitionKey, int]:
        """The end of each partition, as Kafka says now."""
        return {source: end for source, (_, end) in self._reader.bounds().items()}

    def read_to(self, vector: Mapping[PartitionKey, int]) -> None:
        """Reads everything below `vector`."""
        last = time.monotonic()
        while any(self._read[source] < offset for source, offset in vector.items()):
            if self._read_some():
                last = time.monotonic()
            assert time.monotonic() - last < allowed(QUIET_S), (
                f"the log gives nothing more: read {self._read}, wanted {vector}"
            )

    def differences(self, snapshot: Snapshot) -> list[str]:
        """Every number of a snapshot that is not the true one at the snapshot's own vector."""
        true = self._ledger.horizon(snapshot.vector, snapshot.floor)
        ever = self._ledger.horizon(snapshot.vector).counters() if snapshot.floor else true.counters()
        positions = snapshot.positions.values()
        return [
            *_unequal("cell", snapshot.merged(), true.cells()),
            *_unequal("total", snapshot.totals, true.totals()),
            *_unequal("counter", _summed(snapshot.quality.values()), true.counters()),
            *_unequal("counter kept by the reader", snapshot.counters, true.counters()),
            *_unequal(
                "sum over positions",
                {
                    "accepted": sum(p.accepted for p in positions),
                    "duplicates": sum(p.duplicates for p in positions),
                    "rejected": sum(p.rejected for p in positions),
                },
                {
                    "accepted": ever.get("accepted", 0),
                    "duplicates": ever.get("duplicates", 0),
                    "rejected": sum(number for name, number in ever.items() if name.startswith("rejected:")),
                },
            ),
            *(f"conservation of {source}: {p}" for source, p in snapshot.positions.items() if not p.conserved),
            *(f"{UNAUDITED}: {number}" for name, number in ever.items() if name == UNAUDITED),
        ]

    def answer_differences(self, answer: Answer) -> list[str]:
        """Every number of a merged answer that is not the true one at the answer's own cut and vector."""
        true = self._expected(answer.vector, answer.cut_epoch)
        return [
            *_unequal("cell", answer.cells(), true.cells),
            *_unequal("total", answer.totals, true.totals),
            *_unequal("counter", answer.counters, true.counters),
        ]

    def document_differences(self, document: Mapping[str, Any]) -> list[str]:
        """As `answer_differences`, for the totals of one dimension as the API gives them."""
        source = document["provenance"]
        vector = {PartitionKey.parse(name): offset for name, offset in source["offsets"].items()}
        true = self._expected(vector, (source["cut"] or {"epoch": 0})["epoch"])
        dimension, quality = document["dimension"], document["quality"]
        seen = {(dimension, row["value"]): _cell(row) for row in document["values"]} | {
            ("all", ""): _cell(document["totals"])
        }
        expected = {key: cell for key, cell in true.totals.items() if key[0] in (dimension, "all")}
        counters = {f"rejected:{reason}": number for reason, number in quality["rejected"].items()}
        counters |= {name: quality[name] for name in ("accepted", "duplicates", "late") if quality[name]}
        return [*_unequal("total by API", seen, expected), *_unequal("counter by API", counters, true.counters)]

    def _expected(self, vector: Mapping[PartitionKey, int], cut_epoch: int) -> Told:
        """Whoever asks in the order of vectors often asks for the same one again."""
        asked = (vector, cut_epoch)
        if self._asked != asked:
            self._asked, self._told = asked, Told(self._ledger.expected(vector, cut_epoch))
        assert self._told is not None
        return self._told

    def forget(self, vector: Mapping[PartitionKey, int]) -> None:
        """Later questions are about this vector and those after it: that makes them cheap."""
        self._ledger.forget(vector)

    def dead_letter_differences(self) -> list[str]:
        """Dead letters that are missing, too many, or not what was rejected."""
        found: dict[tuple[PartitionKey, int], Rejection] = {}
        for letter in read_dead_letters(self._access, SHOP).found:
            found[letter.source, letter.offset] = Rejection(letter.reason, letter.value)
        return list(_unequal("dead letter", found, self._rejected))

    @property
    def rejected(self) -> int:
        """How many records must be rejected."""
        return len(self._rejected)

    def longest_wait(self, looks: Iterable[Look]) -> float:
        """The longest that a record was in the log before it was counted for the first time, in s."""
        worst = 0.0
        counted = dict.fromkeys(self._offsets, 0)
        for look in looks:
            for source, offsets in self._offsets.items():
                position = look.positions.get(source)
                counted[source] = max(counted[source], position.next if position else 0)
                first_left = bisect_left(offsets, counted[source])
                if first_left < len(offsets):
                    worst = max(worst, look.at - self._appended[source][first_left] / 1000)
        return worst

    def _read_some(self) -> int:
        got = self._reader.read(0.2)
        for entry in got:
            if isinstance(entry, Entry):
                self._take(entry)
                self._read[entry.source] = entry.offset + 1
            else:
                self._read[entry.source] = max(self._read[entry.source], entry.offset)
        return len(got)

    def _take(self, entry: Entry) -> None:
        header = next((value for name, value in entry.headers if name == truth.HEADER), None)
        self._ledger.add(entry.source, entry.offset, entry.append_ms, header)
        self._offsets[entry.source].append(entry.offset)
        self._appended[entry.source].append(entry.append_ms)
        claim = CLAIMS.decode(header) if header is not None else None
        if claim is not None and claim.verdict == "rejected":
            self._rejected[entry.source, entry.offset] = Rejection(claim.reason, entry.value)
        self.records += 1


def _cell(row: Mapping[str, int]) -> Cell:
    return cell_of(*(row[measure] for measure in MEASURES))


def _summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            sums[name] = sums.get(name, 0) + number
    return sums


def _unequal(what: str, seen: Mapping[Any, Any], true: Mapping[Any, Any]) -> Iterator[str]:
    if seen == true:
        return
    for key in seen.keys() | true.keys():
        if seen.get(key) != true.get(key):
            yield f"{what} {key}: {seen.get(key)}, truth {true.get(key)}"
