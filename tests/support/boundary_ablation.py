"""The lambda boundary with exactly one rule switched off.

`python -m tests.support.boundary_ablation RULE batch` is `fourfold batch` without the rule. The
product has no such switches: its classes are patched here, in the process that has the rule.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from batch.cycle import Cycle, CycleReport
from core.cut import Cut
from modes.cli import main
from modes.settings import Settings
from modes.wiring.answers import merge
from serving.answer import Answer, merged
from serving.merge import Merge
from tests.support.shop import ZERO


class Ablation(NamedTuple):
    """What a rule's absence changes in the batch process, and in the reader."""

    batch: Callable[[], None]
    reader: Callable[[Settings], Merge]


def nothing() -> None:
    """The product as it is."""


def floor_before_publication() -> None:
    """Rule 3: the speed view expires before the version that covers it is published."""
    run: Any = Cycle.run

    def run_eagerly(self: Cycle, **options: Any) -> CycleReport:
        find_cut: Any = self._find_cut

        def find_and_expire() -> Cut:
            cut: Cut = find_cut()
            assert self._floor is not None
            self._floor.raise_floor(cut.epoch)
            return cut

        self._find_cut = find_and_expire
        try:
            report: CycleReport = run(self, **options)
        finally:
            self._find_cut = find_cut
        return report

    Cycle.run = run_eagerly  # type: ignore[method-assign]


class PointerTwice(Merge):
    """Rule 5: the version is not taken once: the speed epochs begin at the cut that it knew before."""

    _epoch = 0

    def answer(self) -> Answer:
        views, speed = self._views, self._speed
        assert views is not None
        assert speed is not None
        snapshot = speed.read(self._epoch)
        view = views.current()
        self._epoch = view.cut.epoch if view else 0
        return merged(ZERO, snapshot, view)


def pointer_twice(settings: Settings) -> Merge:
    """A reader without rule 5."""
    whole = merge(settings)
    return PointerTwice(whole._speed, whole._views)


ABLATIONS: Final[dict[str, Ablation]] = {
    "floor-after-publication": Ablation(floor_before_publication, merge),
    "version-taken-once": Ablation(nothing, pointer_twice),
}


if __name__ == "__main__":
    rule = sys.argv.pop(1)
    ABLATIONS[rule].batch()
    main()
