"""growth: how writing to the speed view and reading from it grow with history, keys and epochs."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.goals import Goal
from bench.growth_epochs import EpochLength, epoch_lengths
from bench.growth_reading import MEASURES, Readings, readings
from bench.growth_writing import Writing, writings
from bench.log_log import log_log
from bench.options import Options
from bench.screen import Screen
from bench.slopes import slope_text
from bench.stage import stage


@dataclass(slots=True)
class Growth:
    """Reading against history, writing against keys, writing against epochs."""

    reading: Readings
    writing: list[Writing] = field(default_factory=list)
    epochs: list[EpochLength] = field(default_factory=list)

    def goals(self) -> list[Goal]:
        """None: it is a picture of what is."""
        return []

    def picture(self) -> str:
        """Reading against history, with slopes, as SVG."""
        found = self.reading
        lines = {f"{name} (slope {slope_text(found.slopes[name])})": found.points(name) for name in MEASURES}
        return log_log(
            "Reading against history", f"cells of {found.products:,} products", "milliseconds, megabytes", lines
        )


def growth(options: Options, screen: Screen) -> Growth:
    """Measures. Raises `InexactError` where something is counted wrong."""
    with stage(keep=options.keep) as here:
        result = Growth(readings(here, options, screen), epochs=epoch_lengths(here, options, screen))
    result.writing = writings(options, screen)
    return result
