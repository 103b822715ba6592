"""The merge at query time: batch view and speed view of one instant, without loss or repetition.

The steps are those of the design, section 12: take the version once, read the speed epochs from
its cut on together with the floor in one atomic read, and begin again if the floor has passed it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from adapters.speed.port import Snapshot, SpeedReader
from core.declaration.pipeline import Pipeline
from core.errors import UnavailableError
from core.sketch import Sketch, union_count
from serving.answer import NO_BATCH_VIEW, Answer, merged

if TYPE_CHECKING:
    # loaded by those who read one: pyarrow takes half a second
    from adapters.lake.batch_view import BatchView, BatchViews

_TRIES: Final = 20


class GapError(UnavailableError):
    """Batch view and speed view do not meet: any number would be wrong."""


class Users(NamedTuple):
    """A number of distinct users, and whether it is exact (a sketch errs by about 0.8 %)."""

    number: int
    exact: bool


NOBODY: Final = Users(0, exact=True)


class Merge:
    """Answers from a speed view, a batch view, or both. For one thread."""

    def __init__(
        self,
        speed: SpeedReader | None,
        views: BatchViews | None,
        pipeline: Pipeline,
        wall: Callable[[], float] = time.time,
        *,
        whole: bool = True,
    ) -> None:
        """Without `views` all comes from the speed view; without `speed` all from the batch view.

        `wall`: seconds since 1970. `whole`: as `SpeedReader.read` takes it.
        """
        self._whole = whole
        self._speed = speed
        self._views = views
        self._zero = pipeline.zero
        self._wall = wall

    def answer(self) -> Answer:
        """The answer now.

        Raises `UnavailableError` where a store is away or there is no batch view to answer from,
        `GapError` where the views do not meet.
        """
        if self._views is None:
            assert self._speed is not None
            return merged(self._zero, self._speed.read(whole=self._whole), None)
        if self._speed is None:
            view = self._views.current()
            failing = self._failing(self._views, view)
            if view is None:
                raise UnavailableError(
                    f"there is no batch view yet ({failing[0]})"
                    if failing
                    else "there is no batch view yet: the batch role makes one (`fourfold batch --once`)"
                )
            return merged(self._zero, None, view, *failing)
        return self._of_both(self._views, self._speed)

    @staticmethod
    def users(answer: Answer, start: int, end: int) -> Users:
        """Distinct users of minutes `start` (included) to `end` (left out), as of `answer`; from any thread.

        Exact where the batch view has all of these minutes. Raises `UnavailableError`.
        """
        if answer.speed is not None and answer.speed.loading:
            raise UnavailableError(answer.speed.loading)
        known = answer.batch.users(start, end) if answer.batch else set()
        moving = answer.speed.users.between(start, end) if answer.speed else []
        if not moving:
            return Users(len(known), exact=True)
        return Users(union_count([*moving, Sketch.of(known)]), exact=False)

    def close(self) -> None:
        """Closes connections."""
        if self._speed is not None:
            self._speed.close()

    def _failing(self, views: BatchViews, view: BatchView | None) -> tuple[str, ...]:
        """What stops the batch layer, as a state."""
        failing = views.failing()
        if failing is None:
            return ()
        seconds = max(0, int(self._wall()) - failing.since_ms // 1000)
        what = "none" if view is None else "no new one"
        return (f"batch view: {what} for {seconds:,} s: {failing.reason}",)

    def _of_both(self, views: BatchViews, speed: SpeedReader) -> Answer:
        for _ in range(_TRIES):
            view = views.current()
            epoch = view.cut.epoch if view else 0
            snapshot = speed.read(epoch, whole=self._whole)
            if snapshot.floor > epoch:
                # a newer version was published meanwhile, and what it covers has expired
                continue
            failing = self._failing(views, view)
            if view is None:
                return merged(self._zero, snapshot, None, *(failing or (NO_BATCH_VIEW,)))
            _check_contact(view, snapshot)
            return merged(self._zero, snapshot, view, *failing)
        raise GapError(
            f"the speed view begins at epoch {snapshot.floor}, the batch view ends at {epoch}: the events "
            "between are in neither until the next version is published (`fourfold recompute`)"
        )


def _check_contact(view: BatchView, snapshot: Snapshot) -> None:
    for source, position in snapshot.positions.items():
        covered = view.cut.vector.get(source, 0)
        if position.first > covered:
            raise GapError(
                f"the speed view of {source} begins at offset {position.first}, the batch view ends at "
                f"{covered}: the events between are in neither until the next version is published"
            )
