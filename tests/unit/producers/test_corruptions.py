"""Each corruption of a declared field has the reason that the declaration gives."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

import msgspec
import pytest

from core.declaration.pipeline import Field, FieldType, Pipeline
from core.kernel.kernel import Kernel
from core.verdict import Rejected
from producers.corruptions import Corruption, corruptions
from producers.shop import Shop
from producers.variants import VARIANTS, variants_of
from tests.support.edits import EDITS
from tests.support.events import NOW_MS
from tests.support.shop import KERNEL, SHOP
from tests.support.trips import TRIPS, TRIPS_KERNEL

_SHOP: Final = Shop(Random(1), "test")
SOUND: Final = {
    **{stream: _SHOP.stray(stream, NOW_MS).value or b"" for stream in SHOP.streams},
    "trips": msgspec.json.encode(
        {"trip_id": "t1", "started_ms": NOW_MS, "bike": "b", "town": "Rome", "metres": 7, "fare": 12.9}
    ),
    "checks": msgspec.json.encode({"trip_id": "t1", "started_ms": NOW_MS, "bike": "b", "cost": 1.5}),
    "edits": msgspec.json.encode(
        {
            "meta": {"id": "e1", "wiki": "en"},
            "at": NOW_MS // 1000,
            "kind": "edit",
            "cost": 12.9,
            "tip": "1.5",
            "bot": True,
        }
    ),
}
KERNELS: Final = {"shop": KERNEL, "trips": TRIPS_KERNEL, "edits": Kernel(EDITS)}
ALL: Final = [(pipeline, each) for pipeline in (SHOP, TRIPS, EDITS) for each in corruptions(pipeline)]


@pytest.mark.parametrize(
    ("pipeline", "corruption"), ALL, ids=[f"{pipeline.name}: {each.stream} {each.name}" for pipeline, each in ALL]
)
def test_the_reason_is_the_declared_one(pipeline: Pipeline, corruption: Corruption) -> None:
    decide, sound = KERNELS[pipeline.name][corruption.stream].decide, SOUND[corruption.stream]
    decide.one(sound, NOW_MS)
    with pytest.raises(Rejected) as rejected:
        decide.one(corruption.spoil(sound), NOW_MS)
    assert rejected.value.reason == corruption.reason, rejected.value.detail


@pytest.mark.parametrize("pipeline", [SHOP, TRIPS, EDITS], ids=lambda pipeline: pipeline.name)
def test_each_field_is_broken(pipeline: Pipeline) -> None:
    found = {(each.stream, each.field) for each in corruptions(pipeline)}
    assert found == {(stream.name, field) for stream in pipeline.streams.values() for field in stream.fields}


def test_the_shop_s_rule_is_broken_and_each_kind_occurs() -> None:
    assert {each.reason for each in corruptions(SHOP)} == {
        "missing_field",
        "wrong_type",
        "bad_format",
        "out_of_range",
        "wrong_currency",
    }


def test_the_shop_spoils_what_it_did_and_a_field_that_is_declared_since() -> None:
    assert variants_of(SHOP) == VARIANTS
    clicks = SHOP.streams["clicks"]
    device = Field("device", ("data", "device"), FieldType("string", max_length=9))
    more = replace(
        SHOP, streams={**SHOP.streams, "clicks": replace(clicks, fields={**clicks.fields, "device": device})}
    )
    added = variants_of(more)[len(VARIANTS) :]
    assert {(each.kind, each.topics) for each in added} == {
        (kind, ("clicks",)) for kind in ("missing_field", "wrong_type", "out_of_range")
    }
