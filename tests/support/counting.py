"""What counts a log that nobody appends to any more, in any mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import UnavailableError
from core.position import Vector, covers
from modes.catalogue import Role
from modes.crew import Crew
from modes.settings import Settings
from modes.wiring.answers import merge
from serving.answer import Answer
from tests.support.waiting import until


@contextmanager
def counting(settings: Settings, mode: str, horizon: int) -> Iterator[Settings]:
    """All that counts in a mode; nothing produces."""
    own = settings.model_copy(
        update={"mode": mode, "horizon_epochs": horizon, "namespace": f"{settings.namespace}-{mode}-{horizon}"}
    )
    own = own.model_copy(update={"group": own.namespace, "lake": settings.data_dir / own.namespace})
    with Crew(own, without=[Role.PRODUCE, Role.SERVE], batch_every=0.5).start():
        yield own


def whole(settings: Settings, ends: Vector, tick: Callable[[], object] = lambda: None) -> Answer:
    """The answer that counts all, by the batch view alone where there is one. `tick` is called meanwhile."""
    source = merge(settings)

    def found() -> Answer | None:
        tick()
        try:
            answer = source.answer()
        except UnavailableError:
            return None
        vector = answer.cut.vector if answer.cut else {} if settings.mode_row.batch_view else answer.vector
        return answer if covers(vector, ends) else None

    try:
        return until(found, within_s=60, what=f"{settings.mode} to count all")
    finally:
        source.close()
