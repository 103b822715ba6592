"""The cut: what is said where there is none."""

from __future__ import annotations

import pytest

from adapters.kafka.access import KafkaAccess
from adapters.kafka.cut import CutFinder
from core.errors import UnavailableError
from tests.support.shop import SHOP


def test_a_kafka_without_the_topics_is_not_taken_for_one_that_is_away() -> None:
    finder = CutFinder(KafkaAccess("127.0.0.1:1"), SHOP.topics, epoch_ms=1_000, margin_ms=0)
    with pytest.raises(UnavailableError, match="none of the topics clicks, sales: were they deleted"):
        finder.at(5, [])
    finder.close()
