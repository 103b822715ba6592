"""What the routes answer from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.cells import MINUTE_MS
from serving.answer import Answer
from serving.log_ends import LogEnds
from serving.provenance import Provenance
from serving.ticker import Ticker
from serving.user_counts import UserCounts

if TYPE_CHECKING:
    # loaded where there is a batch view: pyarrow takes half a second
    from adapters.lake.views import ViewStore

#: Event id to what became of the event; None where it is not in the log. Raises `UnavailableError`.
Trace = Callable[[str], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Sources:
    """`views`: None in a mode without a batch view; `trace`: None where events cannot be traced."""

    ticker: Ticker
    ends: LogEnds
    users: UserCounts
    provenance: Provenance
    views: ViewStore | None
    trace: Trace | None
    wall: Callable[[], float]

    def said(self, answer: Answer) -> dict[str, Any]:
        """The provenance of an answer now."""
        return self.provenance.of(answer, self.ends.newest())

    def minute(self) -> int:
        """The minute now, since 1970."""
        return int(self.wall() * 1000) // MINUTE_MS
