"""What the kernel of commit 5d670a1 made of `differential_log`, as data, and how these data were made.

In a checkout of 5d670a1, with this file and `differential_log.py` copied beside it:

    python kernel_before.py reasons reasons.bin                 # there: why each record was rejected
    python -m tests.support.kernel_before others reasons.bin others.json   # here: who is judged otherwise
    python kernel_before.py data reasons.bin others.json kernel-5d670a1.json.xz    # there
"""

from __future__ import annotations

import hashlib
import json
import lzma
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

try:
    from tests.support.differential_log import log
except ImportError:
    from differential_log import log  # type: ignore[import-not-found,no-redef]

SEED: Final = 5
SIZES: Final = (100_000, 1_000_000)
SLICE: Final = 250
#: A verdict is its place in here.
VERDICTS: Final = (
    "accepted", "not_json", "unknown_type", "wrong_topic", "missing_field", "wrong_type", "bad_format", "out_of_range",
    "from_future", "wrong_currency", "not_stamped",
)  # fmt: skip


class Placed(NamedTuple):
    """A record as a fold sees it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def folded(fold_of: Any, delta: Any, count: int, without: Collection[int]) -> dict[str, Any]:
    """What folds make of the first `count` records but those whose numbers are in `without`.

    `fold_of`: (topic, partition) to the fold.
    """
    parts: dict[tuple[str, int], list[Placed]] = defaultdict(list)
    for number, sent in enumerate(log(SEED, count)):
        # at 5d670a1 nobody asked who had stamped a record
        if number not in without and sent.append_ms:
            part = parts[sent.topic, sent.partition]
            part.append(Placed(len(part), sent.append_ms, None, sent.value))
    positions = {}
    for (topic, partition), part in sorted(parts.items()):
        fold = fold_of(topic, partition)
        for start in range(0, len(part), SLICE):
            records = part[start : start + SLICE]
            fold.fold(records, records[-1].offset + 1, delta)
        positions[f"{topic}:{partition}"] = list(fold.position)[:10]
    cells = {
        epoch: sorted((tuple(key), tuple(cell)) for key, cell in found.items())
        for epoch, found in delta.cells().items()
    }
    counters: Counter[str] = Counter()
    for epoch, found in delta.quality.items():
        for name, number in found.items():
            if not name.startswith("rejected:"):
                counters[f"{epoch} {name}"] += number
    by_place: dict[tuple[int, int], set[str]] = {place: set() for place in delta.minutes}
    for epoch, minute, found in delta.users():
        by_place.setdefault((epoch, minute), set()).update(found)
    users = sorted((*place, *sorted(found)) for place, found in by_place.items())
    return {
        "positions": positions,
        "cells": sum(map(len, cells.values())),
        "cells_sha256": _digest(sorted(cells.items())),
        "counters": dict(sorted(counters.items())),
        "users_sha256": _digest(users),
    }


def reasons_of(validate: Any, rejected: type[Exception]) -> Iterator[int]:
    """The verdict of each record. `validate`: topic to what takes (value, append time)."""
    for sent in log(SEED, SIZES[-1]):
        try:
            validate(sent.topic)(sent.value, sent.append_ms)
        except rejected as error:
            yield VERDICTS.index(str(error.reason))  # type: ignore[attr-defined]
        else:
            yield 0


def known(path: Path) -> dict[str, Any]:
    """The data."""
    document: dict[str, Any] = json.loads(lzma.decompress(path.read_bytes()))
    return document


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()


def main() -> None:
    """See above."""
    what, *paths = sys.argv[1:]
    if what == "others":
        from core.verdict import Rejected
        from tests.support.shop import KERNEL

        before = Path(paths[0]).read_bytes()
        now = reasons_of(lambda topic: KERNEL[topic].decide.one, Rejected)
        Path(paths[1]).write_text(
            json.dumps([n for n, (a, b) in enumerate(zip(before, now, strict=True)) if (a == 0) != (b == 0)])
        )
        return
    from core.contract import Contract
    from core.delta import Delta
    from core.partition import PartitionFold
    from core.position import PartitionKey, Position
    from core.rules import Rules
    from core.verdict import Rejected

    if what == "reasons":
        Path(paths[0]).write_bytes(bytes(reasons_of(lambda topic: Contract(topic).validate, Rejected)))
        return
    others = set(json.loads(Path(paths[1]).read_text()))

    def fold_of(topic: str, partition: int) -> Any:
        return PartitionFold(PartitionKey(topic, partition), Position(), Rules())  # type: ignore[call-arg]

    document = {
        "verdicts": Path(paths[0]).read_bytes().hex(),
        "others": sorted(others),
        "folded": {str(size): folded(fold_of, Delta(), size, others) for size in SIZES},
    }
    Path(paths[2]).write_bytes(lzma.compress(json.dumps(document).encode(), preset=9))


if __name__ == "__main__":
    main()
