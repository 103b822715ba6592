"""Frames for quality rules: raw records as they were sent, hours and totals."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa

from batch.quality_frames import RawPart, hours_frame, sample_frames, totals_frame
from tests.support.shop import SHOP, cell_of


def batch(first: int, *values: Any, start_ms: int = 0) -> pa.RecordBatch:
    raw = [v if v is None or isinstance(v, bytes) else json.dumps(v).encode() for v in values]
    offsets = list(range(first, first + len(raw)))
    return pa.record_batch(
        {
            "offset": pa.array(offsets, pa.int64()),
            "append_ms": pa.array([start_ms + o for o in offsets], pa.int64()),
            "key": pa.array([b"u"] * len(raw), pa.binary()),
            "value": pa.array(raw, pa.binary()),
        }
    )


def test_fields_are_what_was_sent() -> None:
    time = "1970-01-01T00:00:01.5Z"
    rows = batch(
        7,
        {"id": "e1", "type": "x", "time": time, "data": {"user_id": "u1", "quantity": "2"}},
        {"id": 3, "time": "soon", "data": {"user_id": {"a": [1]}, "quantity": 2, "country": None}},
    )
    frame = sample_frames([RawPart("sales", 2, [rows])], SHOP)["sales"]
    assert frame[["topic", "partition", "offset"]].to_numpy().tolist() == [["sales", 2, 7], ["sales", 2, 8]]
    assert frame["id"].tolist() == ["e1", 3]
    assert frame["time_ms"].tolist() == [1500, None]
    assert frame["user_id"].tolist() == ["u1", b'{"a":[1]}']
    assert frame["quantity"].tolist() == ["2", 2]
    assert frame["country"].isna().all()


def test_hostile_records_are_rows_of_nulls() -> None:
    deep = b'{"data":' + b"[" * 100_000
    digits = b'{"id": ' + b"9" * 10_000 + b"}"
    values = [None, b"", b"\xff\xfe", b"[1]", b"3", b'{"data": 4}', deep, digits, {"time": "9999-12-31T23:59:59-14:00"}]
    frame = sample_frames([RawPart("clicks", 0, [batch(0, *values)])], SHOP)["clicks"]
    assert len(frame) == len(values)
    assert frame["user_id"].isna().all()


def test_only_the_newest_of_all_partitions_are_kept() -> None:
    old = RawPart("clicks", 0, [batch(n, {}, {}, {}) for n in range(0, 30, 3)])
    new = RawPart("clicks", 1, [batch(n, {}, {}, {}, start_ms=27) for n in range(0, 6, 3)])
    frame = sample_frames([old, new], SHOP, limit=7)["clicks"]
    assert sorted(zip(frame["partition"], frame["offset"], strict=True)) == [
        (0, 28), (0, 29), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5),
    ]  # fmt: skip


def test_no_records_give_frames_with_all_columns() -> None:
    none = sample_frames([RawPart("clicks", 0, [])], SHOP)
    assert set(none) == {"clicks", "sales"}
    some = sample_frames([RawPart("clicks", 0, [batch(0, {})])], SHOP)["clicks"]
    assert list(none["clicks"].columns) == list(none["sales"].columns) == list(some.columns)


def test_hours_add_up_their_minutes() -> None:
    frame = hours_frame({119: cell_of(1, 1, 2, 30), 60: cell_of(2), 120: cell_of(0, 1, 1, 5)}, SHOP)
    assert frame.to_numpy().tolist() == [[1, 4, 3, 1, 2, 30], [2, 1, 0, 1, 1, 5]]
    assert hours_frame({}, SHOP).empty


def test_totals_have_shares() -> None:
    counters = {"accepted": 6, "duplicates": 1, "late": 3, "rejected:not_json": 2, "rejected:wrong_type": 1}
    assert totals_frame(counters).iloc[0].to_dict() == {
        "records": 10,
        "accepted": 6,
        "duplicates": 1,
        "late": 3,
        "rejected": 3,
        "duplicate_share": 0.1,
        "late_share": 0.5,
        "rejected_share": 0.3,
    }
    assert pd.isna(totals_frame({}).iloc[0]["rejected_share"])
