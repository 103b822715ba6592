"""The redriver: repaired events go back into the stream, each once, and each with its claim."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from adapters.kafka.access import KafkaAccess
from adapters.kafka.repairs import Redrive, Repair, check_readable, read_repairs
from core.kernel.kernel import Kernel
from core.truth import Claims
from core.verdict import Rejected
from producers.repair import claim_of, still_valid

#: Repairs in one transaction: a kill loses none of them, and readers wait for its end.
TOGETHER: Final = 500


class Redriven(NamedTuple):
    """What went back, and what did not because it would be rejected now, each with why. `before`: what had gone."""

    sent: Sequence[Repair]
    refused: Sequence[tuple[Repair, Rejected]]
    before: int


def _now_ms() -> int:
    return int(time.time() * 1000)


def redrive(
    access: KafkaAccess, kernel: Kernel, clock: Callable[[], int] = _now_ms, together: int = TOGETHER
) -> Redriven:
    """Sends all repairs that wait. `clock`: ms since 1970. Raises `UnavailableError`; run again then, none goes twice."""
    sent: list[Repair] = []
    refused: list[tuple[Repair, Rejected]] = []
    claims = Claims(kernel.pipeline)
    with Redrive(access, kernel.pipeline.envelope.content_type) as transactions:
        check_readable(access)
        # from here on nobody else sends: what is read now is all that has gone
        book = read_repairs(access, kernel.pipeline.topics)
        for repair in book.waiting:
            rejected = still_valid(repair, kernel, clock())
            if rejected is None:
                sent.append(repair)
            else:
                refused.append((repair, rejected))
        for first in range(0, len(sent), together):
            piece = sent[first : first + together]
            transactions.send([(repair, claims.encode(claim_of(repair, kernel.pipeline, claims))) for repair in piece])
    return Redriven(sent, refused, len(book.redriven))
