"""A worker with exactly one rule of exactly-once counting switched off.

`python -m tests.support.ablation RULE process` is `fourfold process` without the rule. The
product has no such switches: its classes are patched here, in the worker's own process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from adapters.speed import redis_sink
from core.position import PartitionKey
from modes.cli import main
from processors.batches import Fetched
from processors.book import Book
from processors.faust_overrides import BatchConsumer, BatchThread, LogOffsets
from processors.processor import Folded, Processor


def without_warm_up() -> None:
    """After an assignment the duplicate memory is empty."""
    open_partition: Any = Book._open

    async def open_cold(
        self: Book, source: object, text: object, found: object, log_start: object, _warm_from: object
    ) -> object:
        return await open_partition(self, source, text, found, log_start, None)

    _replace(Book, "_open", open_cold)


def without_clean_flag() -> None:
    """After a rebalance state is used again although what it folded may not be in the store."""
    restore: Any = Book.restore

    async def restore_dirty(self: Book, assigned: Iterable[PartitionKey], log_offsets: LogOffsets) -> object:
        for held in self.held.values():
            held.clean, held.cursor, held.sent = True, held.fold.position.next, held.stored
        return await restore(self, assigned, log_offsets)

    _replace(Book, "restore", restore_dirty)


def without_chain() -> None:
    """Batches are counted whatever their generation and wherever they begin."""
    fold, wait_next_records = Processor.fold, BatchConsumer._wait_next_records

    def fold_any(self: Processor, fetched: Fetched) -> Folded | None:
        book = self._book
        batches = [
            batch._replace(base=held.cursor) for batch in fetched.batches if (held := book[batch.source]) is not None
        ]
        return fold(self, Fetched(book.generation, batches)) if batches else None

    async def wait_any(self: BatchConsumer, timeout: float) -> tuple[Fetched | None, object]:  # noqa: ASYNC109 - Faust's
        fetched, active = await wait_next_records(self, timeout)
        return (fetched._replace(generation=self.book.generation) if fetched else None), active

    _replace(Processor, "fold", fold_any)
    _replace(BatchConsumer, "_wait_next_records", wait_any)


def without_compare_and_set() -> None:
    """The store takes every step, whatever position it starts from."""
    text = redis_sink._STEP.text
    for rule, replacement in (
        ("if opened ~= ARGV[1] then return 'conflict opened-again' end", ""),
        ("if position ~= ARGV[2] then return 'conflict ' .. position end", ""),
        # ids that must grow would refuse the step as well
        ("'XADD', LOG, ARGV[4]", "'XADD', LOG, '*'"),
    ):
        assert rule in text
        text = text.replace(rule, replacement)
    _replace(redis_sink, "_STEP", redis_sink._Script("step", text))


def without_read_committed() -> None:
    """Records of aborted transactions are read too."""
    create: Any = BatchThread._create_worker_consumer

    def create_uncommitted(self: BatchThread, transport: object) -> object:
        consumer = create(self, transport)
        consumer._isolation_level = "read_uncommitted"
        return consumer

    _replace(BatchThread, "_create_worker_consumer", create_uncommitted)


def with_all_rules() -> None:
    """The product as it is: what the others are compared with."""


RULES: Final[dict[str, Callable[[], None]]] = {
    "none": with_all_rules,
    "warm-up": without_warm_up,
    "clean-flag": without_clean_flag,
    "chain": without_chain,
    "compare-and-set": without_compare_and_set,
    "read-committed": without_read_committed,
}


def _replace(owner: object, name: str, new: object) -> None:
    assert hasattr(owner, name), name
    setattr(owner, name, new)


if __name__ == "__main__":
    RULES[sys.argv.pop(1)]()
    main()
