from __future__ import annotations

import numpy as np
import pytest

from core.errors import FourfoldError
from core.position import PartitionKey
from modes.race.latency import latencies, summary

A, B = PartitionKey("clicks", 0), PartitionKey("sales", 0)
SEEN = {A: ([1000.0, 1010.0, 1030.0], [10, 12, 20]), B: ([1005.0], [3])}


def test_a_record_is_visible_once_the_next_offset_is_above_its_own():
    found = latencies([(A, 9, 990), (A, 10, 1001), (A, 11, 1002), (A, 12, 1003), (B, 2, 1000)], SEEN)
    assert found.tolist() == [10, 9, 8, 27, 5]


def test_a_record_that_was_never_seen_is_no_result():
    with pytest.raises(FourfoldError, match="never seen"):
        latencies([(A, 20, 1000)], SEEN)
    with pytest.raises(FourfoldError, match="never seen"):
        latencies([(PartitionKey("clicks", 1), 0, 1000)], SEEN)


def test_summary():
    found = summary(np.arange(1, 101, dtype=float))
    assert (found.records, found.p50_ms, found.max_ms) == (100, 50.5, 100)
    assert 99 <= found.p99_ms <= 100


def test_summary_of_nothing_is_no_result():
    with pytest.raises(FourfoldError, match="no records"):
        summary(latencies([], SEEN))
