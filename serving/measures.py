"""How measures are written for people: their labels, units and digits, as declared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.declaration.pipeline import Measure, Pipeline

#: A unit that is shown as money with two digits: its code, and that hundredths of it are summed.
_MONEY: Final = re.compile(r"([A-Z]{3}) cents")
#: The number of measures that fit beside each other on a narrow line.
_FEW: Final = 4


@dataclass(frozen=True, slots=True)
class ShownMeasure:
    """A measure as it is shown.

    Attributes:
        place: Of its number in a cell.
        label: What it is.
        money: The code of the money that hundredths are summed of; "" for what is no money.
        column: What is above its numbers: short.
    """

    name: str
    place: int
    label: str
    money: str
    column: str
    detail: bool

    @property
    def heading(self) -> str:
        """What it is, and of which money."""
        return f"{self.label} {self.money}".rstrip()

    def text(self, cell: Sequence[int]) -> str:
        """Its number: `1,234`, or `1,234.56` of money."""
        number = cell[self.place]
        return money(number) if self.money else f"{number:,}"

    def short(self, cell: Sequence[int]) -> str:
        """As `text`, without digits behind the point."""
        number = cell[self.place]
        return f"{number // 100:,}" if self.money else f"{number:,}"

    def said(self, cell: Sequence[int]) -> str:
        """Label, number, and of which money."""
        return f"{self.label} {self.text(cell)} {self.money}".rstrip()


def shown_measures(pipeline: Pipeline) -> list[ShownMeasure]:
    """All measures of a pipeline, in declared order."""
    codes = [money_of(measure.unit) for measure in pipeline.measures.values()]
    often = Counter(codes)
    shown = []
    for place, (measure, code) in enumerate(zip(pipeline.measures.values(), codes, strict=True)):
        label = label_of(measure)
        # two of one money need more than its code
        column = label if not code else code if often[code] == 1 else f"{label} {code}"
        shown.append(ShownMeasure(measure.name, place, label, code, column, measure.detail))
    return shown


def headlines(shown: Sequence[ShownMeasure]) -> list[ShownMeasure]:
    """Those that are shown where there is room for few."""
    return [measure for measure in shown if not measure.detail][:_FEW]


def label_of(measure: Measure) -> str:
    """What a measure is called."""
    return measure.label or measure.name.replace("_", " ")


def money_of(unit: str) -> str:
    """The code of a unit that is shown as money; "" for others."""
    found = _MONEY.fullmatch(unit)
    return found[1] if found else ""


def money(cents: int) -> str:
    """Hundredths with two digits: `1,234.56`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02}"
