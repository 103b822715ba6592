from __future__ import annotations

import pytest

from bench.api_clients import grown
from core.errors import InexactError


def test_totals_may_stay_and_grow_but_never_shrink():
    document = b'{"totals": {"clicks": 7, "sales": 3, "units": 9, "revenue_cents": 100}}'
    assert grown(0, document) == 10
    assert grown(10, document) == 10
    with pytest.raises(InexactError, match="said 11 events, and later 10"):
        grown(11, document)
