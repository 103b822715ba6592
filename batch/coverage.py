"""What a version covers of each partition, as the raw table tells it."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.lake.manifest import PartitionState
from adapters.lake.raw_table import RawTable
from core.cut import Cut
from core.errors import InexactError
from core.position import PartitionKey


class Coverage:
    """The partitions of a cut, in order, and the first offset of each one."""

    def __init__(self, raw: RawTable, cut: Cut) -> None:
        """Raises `InexactError` where the raw table ends before the cut."""
        archived, firsts = raw.positions(), raw.firsts()
        self.sources = sorted(cut.vector)
        for source in self.sources:
            if archived.get(source, 0) < cut.vector[source]:
                raise InexactError(
                    f"{source} is archived up to {archived.get(source, 0)}, the cut is at {cut.vector[source]}: "
                    "archive first (`fourfold batch` does)"
                )
        self.firsts = {source: firsts.get(source, cut.vector[source]) for source in self.sources}
        self._cut = cut
        self._lost = raw.lost()

    def closed(self, source: PartitionKey, state: PartitionState, rows: int) -> PartitionState:
        """`state` with what the `rows` below the cut leave of the offsets: gaps and losses."""
        first = self.firsts[source]
        without_row = self._cut.vector[source] - first - rows
        lost = min(self._lost.get(source, 0), without_row)
        return state._replace(first=first, lost=lost, gaps=without_row - lost)


def clocks_apart(source: PartitionKey, what: str, remedy: str = "") -> InexactError:
    """The error for a record on the wrong side of a cut."""
    return InexactError(
        f"clocks too far apart: on {source} {what}, so nothing is published; set FOURFOLD_CUT_MARGIN_SECONDS above "
        f"the difference of the brokers' clocks{remedy}"
    )


def rows_of(state: PartitionState, end: int) -> int:
    """How many rows a closed state that ends before offset `end` stands for."""
    return end - state.first - state.gaps - state.lost


def not_zero(counters: Mapping[str, int]) -> dict[str, int]:
    """The counters in the form of a manifest."""
    return {name: number for name, number in sorted(counters.items()) if number}
