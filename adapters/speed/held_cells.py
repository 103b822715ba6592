"""The cells of a snapshot: columns by epoch, which look like a mapping to whoever wants them one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from core.cell_history import CellHistory, CellHistoryView
from core.cell_table import CellTable
from core.cells import Cell, CellKey, Cells, merge

Key = tuple[str, str]
_NAMES: Final = "measure {}"


class HeldCells(Mapping[tuple[int, int], Cells]):
    """(epoch, minute) to the cells there. Immutable; the mapping is made when somebody first asks for it."""

    def __init__(self, epochs: Mapping[int, CellHistoryView]) -> None:
        self._epochs = epochs
        self._mapping: dict[tuple[int, int], Cells] | None = None

    @classmethod
    def of(cls, cells: Mapping[tuple[int, int], Mapping[CellKey, Cell]]) -> HeldCells:
        """Of cells that are there one by one."""
        epochs: dict[int, dict[CellKey, Cell]] = {}
        for (epoch, _), part in cells.items():
            epochs.setdefault(epoch, {}).update(part)
        views: dict[int, CellHistoryView] = {}
        for epoch, part in epochs.items():
            width = max((len(cell) for cell in part.values()), default=0)
            measures = tuple(map(_NAMES.format, range(width)))
            history = CellHistory(measures)
            history.add(CellTable.of_cells(measures, part))
            views[epoch] = history.view()
        return cls(views)

    def between(self, start: int, end: int, dimension: str | None = None) -> dict[Key, Cell]:
        """Sums by (dimension, value) over minutes `start` (included) to `end` (left out); of one dimension, or of all."""
        return merge(*(view.between(start, end, dimension) for view in self._epochs.values()))

    def series(self, key: Key, start: int, end: int) -> dict[int, Cell]:
        """Minute to cell of one (dimension, value)."""
        return merge(*(view.series(*key, start, end) for view in self._epochs.values()))

    def merged(self) -> Cells:
        """The cells summed over epochs."""
        return merge(*(view.cells() for view in self._epochs.values()))

    def __getitem__(self, place: tuple[int, int]) -> Cells:
        return self._whole()[place]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def _whole(self) -> dict[tuple[int, int], Cells]:
        if self._mapping is None:
            mapping: dict[tuple[int, int], Cells] = {}
            for epoch, view in self._epochs.items():
                for key, cell in view.cells().items():
                    mapping.setdefault((epoch, key.minute), {})[key] = cell
            self._mapping = mapping
        return self._mapping
