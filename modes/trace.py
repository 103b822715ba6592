"""`fourfold trace`: puts together what finds the records of one event."""

from __future__ import annotations

from adapters.kafka.raw_reader import RawReader
from core.errors import UnavailableError
from modes.pipelines import kernel_of
from modes.settings import Settings
from modes.wiring.answers import answer_of
from modes.wiring.kafka import topics
from modes.wiring.lake import raw_table
from serving.answer import Answer
from serving.history import History
from serving.trace import Trace
from serving.tracer import Tracer


def trace(settings: Settings, event_id: str) -> Trace | None:
    """Where the event went; None where no record has this id. Raises as `Tracer.trace`."""
    answer: Answer | None = None
    trouble = ""
    try:
        # before the log: whatever the views count is found in it
        answer = answer_of(settings)
    except UnavailableError as error:
        trouble = str(error)
    with RawReader(settings.access) as log:
        raw = raw_table(settings) if settings.mode_row.archive else None
        history = History(raw, log, topics(settings).partitions())
        return Tracer(history, settings.rules, kernel_of(settings), answer, trouble).trace(event_id)
