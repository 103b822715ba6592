"""The batch layer put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from adapters.kafka.dead_letters import DeadLetterProducer
from batch.archive import Archive
from batch.completeness import Completeness
from batch.cycle import Cycle, Engine
from batch.letters import Letters
from batch.quality_gate import QualityGate
from batch.quality_rules import Rule, read_rules, usual_rules
from batch.recompute import Recompute
from modes.catalogue import ENGINES, Role
from modes.pipelines import kernel_of, pipeline_of, quality_file
from modes.settings import Settings
from modes.wiring.kafka import cut_finder, topics
from modes.wiring.lake import raw_table, view_store
from modes.wiring.speed import speed_floor


def batch_cycle(
    settings: Settings,
    stack: ExitStack,
    *,
    engine: str = ENGINES[0],
    accept_loss: bool = False,
    moved: Callable[[], object] = lambda: None,
) -> Cycle:
    """A batch cycle; its connections are closed with `stack`. `moved` is called while records arrive in the archive."""
    pipeline = pipeline_of(settings)
    views, raw = view_store(settings), raw_table(settings)
    floor = speed_floor(settings) if settings.mode_row.speed_view else None
    if floor is not None:
        stack.callback(floor.close)
    admin = topics(settings)
    finder = cut_finder(settings)
    stack.callback(finder.close)

    def duckdb() -> Engine:
        # loading it takes as long as the cycle of a small lake
        from batch.duckdb_engine import DuckdbRecompute

        return DuckdbRecompute(raw, views.data, settings.rules, settings.batch_processes, pipeline)

    makers: dict[str, Callable[[], Engine]] = {
        "pandas": lambda: Recompute(raw, views.data, settings.rules, settings.batch_processes, pipeline),
        "duckdb": duckdb,
    }
    keeps_letters = settings.mode_row.keeps_letters is Role.BATCH
    return Cycle(
        lambda: finder.find(admin.partitions),
        Archive(settings.access, raw, accept_loss=accept_loss, moved=moved),
        makers[engine](),
        views,
        QualityGate(raw, views.data, lambda: _quality_rules(settings), time.time, pipeline),
        floor,
        complete=Completeness(raw, views.data, pipeline),
        letters=Letters(raw, DeadLetterProducer(settings.access), kernel_of(settings)) if keeps_letters else None,
    )


def _quality_rules(settings: Settings) -> Sequence[Rule]:
    """Those of the file that is set, else those that come with the pipeline, else what every pipeline can be asked."""
    file = Path(settings.quality_rules) if settings.quality_rules else quality_file(settings)
    return usual_rules(pipeline_of(settings)) if file is None else read_rules(file)
