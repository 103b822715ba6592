"""The kernel against that of commit 5d670a1, of which `tests/data` has what it made of a million records, half of them spoilt.

It differs in what `docs/decisions/0018-one-kernel.md` decides, and in nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from core.delta import Delta
from core.kernel.json_document import too_deep
from core.partition import PartitionFold
from core.position import PartitionKey, Position
from core.rules import Rules
from core.verdict import Rejected
from tests.support.differential_log import log
from tests.support.kernel_before import SEED, SIZES, VERDICTS, folded, known, reasons_of
from tests.support.shop import KERNEL, fold_of

DATA = known(Path("tests/data/kernel-5d670a1.json.xz"))
SHORT = pytest.param(SIZES[0], id="100k")
LONG = pytest.param(SIZES[1], id="1m", marks=pytest.mark.soak)
#: Of several faults another one is named: these come before all that a decoder met in fields.
FIRST = {
    "not_json",
    "wrong_type",
    "wrong_topic",
    "from_future",
    "unknown_type",
    "missing_field",
    "bad_format",
    "out_of_range",
}


def decided(value: bytes | None, append_ms: int) -> bool:
    """Whether a record is of those that are judged otherwise on purpose: a name twice, depth, UTF-8, no stamp."""
    if append_ms == 0:
        return True
    if value is None:
        return False
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return True
    twice = False

    def see(pairs: list[tuple[str, Any]]) -> None:
        nonlocal twice
        twice |= len({name for name, _ in pairs}) < len(pairs)

    try:
        json.loads(text, object_pairs_hook=see)
    except (ValueError, RecursionError):
        return too_deep(value)
    return twice or too_deep(value)


def fold(topic: str, partition: int) -> PartitionFold:
    return fold_of(PartitionKey(topic, partition), Position(), Rules())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [SHORT, LONG])
def test_verdicts_are_those_of_before_but_for_what_was_decided(size: int) -> None:
    before = bytes.fromhex(DATA["verdicts"])
    now = reasons_of(lambda topic: KERNEL[topic].decide.one, Rejected)
    seen: Counter[str] = Counter()
    others = []
    for number, (sent, one, other) in enumerate(zip(islice(log(SEED, SIZES[-1]), size), before, now, strict=False)):
        if one == other:
            seen["equal"] += 1
        elif 0 in (one, other):
            others.append(number)
            assert decided(sent.value, sent.append_ms), (number, sent, VERDICTS[one], VERDICTS[other])
            seen["judged otherwise"] += 1
        else:
            assert sent.append_ms == 0 or VERDICTS[other] in FIRST, (sent, VERDICTS[one], VERDICTS[other])
            seen["another reason"] += 1
    assert others == [number for number in DATA["others"] if number < size]
    assert seen["equal"] > 0.9 * size
    assert seen["judged otherwise"] < 0.03 * size


@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [SHORT, LONG])
def test_positions_cells_counters_and_users_are_those_of_before(size: int) -> None:
    made = folded(fold, Delta(), size, set(DATA["others"]))
    assert made == DATA["folded"][str(size)]
