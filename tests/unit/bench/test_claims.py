from __future__ import annotations

from adapters.kafka.log import Entry
from bench.claims import Claims
from core.position import PartitionKey
from core.truth import HEADER, Verdict
from tests.support.shop import SHOP, Claim, encode


def entry(number: int, verdict: Verdict = "accepted") -> Entry:
    return Entry(PartitionKey("clicks", 0), 0, 0, None, None, [(HEADER, encode(Claim("run", number, verdict)))])


def claims(*entries: Entry) -> Claims:
    found = Claims(SHOP)
    for each in entries:
        found.add(each)
    return found


def test_a_whole_log_has_no_trouble():
    found = claims(entry(2), entry(1), entry(3, "rejected"), entry(1, "duplicate"), entry(300))
    assert found.trouble() == ["296 events that are missing"]
    found = claims(*map(entry, range(1, 300)), entry(5, "duplicate"), entry(300, "rejected"))
    assert found.trouble() == []
    assert (found.records, found.duplicates, found.rejected) == (301, 1, 1)


def test_what_is_wrong_is_told():
    assert claims(entry(1), entry(1)).trouble() == ["1 events that are there twice by accident"]
    assert claims(entry(1), entry(7, "duplicate")).trouble() == ["1 duplicates without an original"]
    bare = Entry(PartitionKey("clicks", 0), 0, 0, None, None, [])
    assert claims(entry(1), bare).trouble() == ["1 records without a claim"]
