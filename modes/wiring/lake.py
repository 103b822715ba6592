"""The lake put together: the master table, and the versions of the batch view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from core.position import PartitionKey, Position
from modes.pipelines import pipeline_of
from modes.settings import Settings

if TYPE_CHECKING:
    # loaded by those who need them: pyarrow takes half a second
    from adapters.lake.raw_table import RawTable
    from adapters.lake.views import ViewStore


def view_store(settings: Settings) -> ViewStore:
    """The versions of the batch view."""
    from adapters.lake.views import ViewStore

    return ViewStore(settings.lake_dir / "views", pipeline_of(settings))


def raw_table(settings: Settings) -> RawTable:
    """The master table."""
    from adapters.lake.raw_table import RawTable

    return RawTable(settings.lake_dir / "raw", pipeline_of(settings).topics)


def cut_positions(settings: Settings) -> Callable[[], Mapping[PartitionKey, Position]]:
    """Where the speed view begins when it has no position: at the cut of the batch view, where there is one."""
    if not settings.mode_row.batch_view:
        return dict
    from adapters.lake.manifest import PartitionState

    store = view_store(settings)

    def positions() -> dict[PartitionKey, Position]:
        manifest = store.current()
        if manifest is None:
            return {}
        found = {}
        for source, offset in manifest.cut.vector.items():
            state = manifest.partitions.get(source, PartitionState())
            found[source] = Position(
                next=offset,
                epoch=manifest.cut.epoch - 1,
                newest_ms=state.newest_ms,
                appended_ms=state.appended_ms,
                first=offset,
                last=state.last,
            )
        return found

    return positions
