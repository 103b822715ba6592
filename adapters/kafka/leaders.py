"""Questions to the leaders of partitions, which may have moved since this client last heard of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaException

from adapters.kafka.trouble import LEADERS_MOVE, said

T = TypeVar("T")

#: One try: a broker that is frozen or cut off never answers, and its partitions have other leaders soon.
TRY_S: Final = 3.0
_METADATA_S: Final = 2.0
_PAUSE_S: Final = 0.1


def asked_of_leaders(
    client: Consumer,
    ask: Callable[[float], T],
    within_s: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> T:
    """The answer of `ask`, which is given a time-out in seconds.

    A client that lives long and fetches nothing does not hear of new leaders: it says "unknown
    partition" for good, while a new one is well. So it is asked for metadata before each try but
    the first. Raises `UnavailableError` where no broker gives them, and when `within_s` is over;
    `ConfigurationError` for what does not pass by itself.
    """
    end = clock() + within_s
    while True:
        try:
            return ask(max(0.1, min(TRY_S, end - clock())))
        except KafkaException as error:
            reason: Any = error.args[0]
            if reason.code() not in LEADERS_MOVE or clock() >= end:
                raise said(error) from error
        pause(_PAUSE_S)
        try:
            client.list_topics(timeout=_METADATA_S)
        except KafkaException as error:
            raise said(error) from error
