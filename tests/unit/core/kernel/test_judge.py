"""The judge against the contract that stands: the same verdicts, but for what was decided to be otherwise."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.contract import DEEPEST, UNSTAMPED_MS
from core.declaration.reader import read
from core.kernel.json_document import is_sound, too_deep
from core.kernel.judge import Judge, Judged
from core.verdict import Rejected
from producers.variants import VARIANTS
from tests.support.contract_before import Contract
from tests.support.events import NOW_MS, as_bytes, click, sale
from tests.support.mutations import mutated
from tests.support.shop_events import CLICKS, SALES, TOPICS

SHOP = read(Path("pipelines/shop.toml").read_bytes(), "shop.toml")
JUDGES = {topic: Judge(SHOP, topic) for topic in TOPICS}
CONTRACTS = {topic: Contract(topic) for topic in TOPICS}
MUTATIONS = 5_000


def judged(topic: str, value: bytes | None, append_ms: int = NOW_MS) -> Judged | str:
    try:
        return JUDGES[topic].judge(value, append_ms)
    except Rejected as rejected:
        return str(rejected.reason)


def by_contract(topic: str, value: bytes | None, append_ms: int = NOW_MS) -> Any:
    try:
        return CONTRACTS[topic].validate(value, append_ms)
    except Rejected as rejected:
        return str(rejected.reason)


def decided(value: bytes | None) -> bool:
    """Whether a record is of those that the judge is meant to see otherwise: a name twice, depth, UTF-8."""
    if value is None:
        return False
    try:
        value.decode()
        pairs: list[Any] = []
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    import json

    twice = False

    def see(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        pairs.extend(found)
        twice |= len({name for name, _ in found}) < len(found)
        return dict(found)

    json.loads(value, object_pairs_hook=see)
    return twice or too_deep(value)


def test_verdicts_are_those_of_the_contract() -> None:
    draw = random.Random(13)
    seen: Counter[str] = Counter()
    for number in range(MUTATIONS):
        topic, value = mutated(draw, number, NOW_MS)
        found, known = judged(topic, value), by_contract(topic, value)
        if isinstance(found, Judged) and isinstance(known, tuple):
            time_ms, event = known
            assert found.time_ms == time_ms
            assert (found.document["source"], found.document["id"]) == (event.source, event.id)
            assert found.values == msgspec.structs.asdict(event.data)
            seen["accepted"] += 1
        elif isinstance(found, str) and isinstance(known, str):
            seen["rejected" if found == known else f"{known} > {found}"] += 1
        else:
            assert decided(value), (topic, value, found, known)
            seen["decided otherwise"] += 1
    assert seen["accepted"] > 0.03 * MUTATIONS
    assert seen["rejected"] > 0.4 * MUTATIONS
    # several faults in one record: these come before all that a decoder finds in fields
    other = {name.split(" > ")[1] for name in seen if ">" in name}
    assert other <= {"not_json", "wrong_type", "wrong_topic", "from_future"}, seen


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_each_variant_has_its_reason(variant: Any) -> None:
    draw = random.Random(7)
    for topic in variant.topics:
        make = click if topic == CLICKS else sale
        value = as_bytes(make(NOW_MS))
        assert value is not None
        there = (SALES if topic == CLICKS else CLICKS) if variant.elsewhere else topic
        assert judged(there, variant.spoil(value, draw)) == variant.reason


def test_what_was_not_stamped_is_rejected_whatever_it_holds() -> None:
    for value in (as_bytes(click()), b"", None):
        assert judged(CLICKS, value, UNSTAMPED_MS) == "not_stamped"


def test_the_last_of_two_equal_names_counts() -> None:
    value = as_bytes(sale())
    assert value is not None
    both = value.replace(b'"quantity":2', b'"quantity":"two","quantity":3')
    found = judged(SALES, both)
    assert isinstance(found, Judged)
    assert found.values["quantity"] == 3
    assert judged(SALES, value.replace(b'"quantity":2', b'"quantity":3,"quantity":"two"')) == "wrong_type"


@pytest.mark.parametrize(("depth", "sound"), [(DEEPEST - 2, True), (DEEPEST, False), (5_000, False)])
def test_depth_is_that_of_the_record(depth: int, sound: bool) -> None:
    value = as_bytes(click(extra="@"))
    assert value is not None
    nested = value.replace(b'"@"', b"[" * depth + b'"[[["' + b"]" * depth)
    assert is_sound(nested) is sound
    assert isinstance(judged(CLICKS, nested), Judged) is sound


def test_bytes_that_are_no_utf_8_are_no_json_wherever_they_are() -> None:
    value = as_bytes(click(extra="@"))
    assert value is not None
    assert judged(CLICKS, value.replace(b"@", b"\xff")) == "not_json"
    assert not is_sound(value.replace(b"@", b"\xff"))
