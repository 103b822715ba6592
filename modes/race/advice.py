"""Advice: which mode fits what somebody needs, by the figures of a race, and what would change that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from core.errors import ConfigurationError
from modes.catalogue import MODES, Mode
from modes.race.report import amount
from modes.settings import usual_of

Figures = Mapping[str, Mapping[str, float]]

HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S
#: Totals that err by less are good, in percent.
GOOD: Final = 99.0
WHOLE: Final = 100.0
TEAMS: Final = ("small", "large")
ACCURACIES: Final = ("exact", "good")
_OTHERWISE: Final = {"exact": "if accuracy had to be exact", "good": "if good accuracy were enough"}


@dataclass(frozen=True, slots=True)
class Needs:
    """`freshness_s`: so old may an answer be. `history_s`: so far back must it reach. `accuracy`: `exact`, whenever a
    repetition comes, or `good`. `repair`: whether history must be right again after an error of logic. `budget`: a
    month at the race's rate, 0 for no limit. `team`: `small` takes the simplest mode, `large` the cheapest.
    """  # noqa: D205 - a list

    freshness_s: float = 60.0
    accuracy: str = "exact"
    history_s: float = 30 * DAY_S
    repair: bool = True
    budget: float = 0.0
    team: str = "small"


#: The course's questions, in its words.
CASES: Final = {
    "daily-sales-reports": Needs(freshness_s=DAY_S, accuracy="exact", history_s=365 * DAY_S, repair=True),
    "real-time-fraud-detection": Needs(freshness_s=1.0, accuracy="good", history_s=HOUR_S, repair=False),
    "monthly-financial-analysis": Needs(freshness_s=DAY_S, accuracy="exact", history_s=7 * 365 * DAY_S, repair=True),
}


class Check(NamedTuple):
    """One need and one mode. `says`: with the figure."""

    need: str
    met: bool
    says: str


@dataclass(frozen=True, slots=True)
class Advice:
    """`checks`: mode to what became of each need. `fits`: whether the mode meets them all."""

    mode: str
    fits: bool
    reasons: Sequence[str]
    changes: Sequence[str]
    checks: Mapping[str, Sequence[Check]]


def advise(document: Mapping[str, Any], needs: Needs) -> Advice:
    """The advice. Raises `ConfigurationError` where the report has no mode."""
    found = document["summary"]
    if not found:
        raise ConfigurationError("the report has no mode in it: the race was interrupted; run `fourfold race` again")
    checks = _checks(document, needs)
    mode = _best(found, checks, needs)
    fits = all(check.met for check in checks[mode])
    currency = document["prices"]["currency"]
    return Advice(mode, fits, _reasons(mode, found, checks, needs, currency), _changes(document, mode, needs), checks)


def _checks(document: Mapping[str, Any], needs: Needs) -> dict[str, list[Check]]:
    """Mode to what becomes of each need."""
    currency = document["prices"]["currency"]
    asked = WHOLE if needs.accuracy == "exact" else GOOD
    out = {}
    for mode, figures in document["summary"].items():
        row = MODES[mode]
        fresh, accuracy = figures["freshness_p99"]["max"], figures["accuracy"]["min"]
        month = figures["month"]["max"]
        cycle = f", with a batch cycle of {document['settings'][mode]['batch_seconds']:g} s"
        says = f"99 % of its records were in an answer after {amount(fresh, 's')}" + ("" if row.speed_view else cycle)
        out[mode] = [
            Check("freshness", fresh <= needs.freshness_s, says),
            Check("accuracy", accuracy >= asked, f"its numbers were {amount(accuracy, '%')} right in the end"),
            _history(row, needs),
            _repair(row, figures, needs),
        ]
        if needs.budget:
            out[mode].append(Check("budget", month <= needs.budget, f"a month costs {amount(month, currency)}"))
    return out


def _history(row: Mode, needs: Needs) -> Check:
    if not row.speed_expires:
        return Check("history", True, "it keeps all history")
    window_s = usual_of("window_hours") * HOUR_S
    reaches = needs.history_s <= window_s
    says = f"it answers for its window, {span(window_s)} unless set longer"
    return Check("history", reaches, f"{says}; {span(needs.history_s)} is asked for" if reaches else says)


def _repair(row: Mode, figures: Figures, needs: Needs) -> Check:
    if "unrepaired" not in figures:
        able = not row.speed_expires
        says = f"after an error of logic: {row.repair} (not measured in this race)"
        if not able and not needs.repair:
            says = f"history need not be repaired ({says})"
        return Check("repair", able or not needs.repair, says)
    lost, seconds = figures["unrepaired"]["max"], figures["repair"]["max"]
    if not lost:
        return Check("repair", met=True, says=f"an error of logic was repaired in {amount(seconds, 's')}")
    says = f"of what an error of logic had counted wrong, {amount(lost, '%')} was never repaired"
    if needs.repair:
        return Check("repair", met=False, says=says)
    return Check("repair", met=True, says=f"history need not be repaired (it would not be: {says})")


def _best(found: Mapping[str, Figures], checks: Mapping[str, Sequence[Check]], needs: Needs) -> str:
    first = "own_lines" if needs.team == "small" else "month"
    second = "month" if needs.team == "small" else "own_lines"

    def rank(mode: str) -> tuple[float, ...]:
        missed = sum(not check.met for check in checks[mode])
        return missed, found[mode][first]["median"], found[mode][second]["median"]

    return min(found, key=rank)


def _reasons(
    mode: str, found: Mapping[str, Figures], checks: Mapping[str, Sequence[Check]], needs: Needs, currency: str
) -> list[str]:
    reasons = [f"{check.need}: {check.says}" + ("" if check.met else ", which is not enough") for check in checks[mode]]
    fitting = [other for other in found if other != mode and all(check.met for check in checks[other])]
    for other in found:
        if other == mode:
            continue
        missed = [check for check in checks[other] if not check.met]
        if missed:
            reasons.append(f"not {other}: {'; '.join(check.says for check in missed)}")
    for other in fitting:
        mine, its = found[mode], found[other]
        what = (
            f"{its['own_lines']['median']:,.0f} lines of its own against {mine['own_lines']['median']:,.0f}"
            if needs.team == "small"
            else f"{amount(its['month']['median'], currency)} a month against {amount(mine['month']['median'], currency)}"
        )
        reasons.append(f"{other} would do as well, with {what}")
    return reasons


def _changes(document: Mapping[str, Any], mode: str, needs: Needs) -> list[str]:
    """What would lead to another mode, one need at a time, the smallest step first."""
    tried: dict[str, list[tuple[str, Needs]]] = {
        "freshness": [
            (f"if answers could be {span(s)} old", replace(needs, freshness_s=s))
            for s in (60.0, 15 * 60.0, HOUR_S, DAY_S)
            if s > needs.freshness_s
        ] + [
            (f"if answers had to be fresher than {span(s)}", replace(needs, freshness_s=s))
            for s in (60.0, 10.0, 1.0)
            if s < needs.freshness_s
        ],
        "accuracy": [
            (words, replace(needs, accuracy=name)) for name, words in _OTHERWISE.items() if name != needs.accuracy
        ],
        "history": [
            (f"if {span(s)} of history were asked for", replace(needs, history_s=s)) for s in (HOUR_S, 30 * DAY_S) if s != needs.history_s
        ],
        "repair": [
            ("if history had not to be repaired" if needs.repair else "if history had to be repaired", replace(needs, repair=not needs.repair))
        ],
        "team": [(f"with a {name} team", replace(needs, team=name)) for name in TEAMS if name != needs.team],
        "budget": [("without a limit to the budget", replace(needs, budget=0.0))] if needs.budget else [],
    }  # fmt: skip
    out = []
    for steps in tried.values():
        for words, other in steps:
            checks = _checks(document, other)
            best = _best(document["summary"], checks, other)
            if best != mode and all(check.met for check in checks[best]):
                out.append(f"{words}: {best}")
                break
    return out


def span(seconds: float) -> str:
    """A length of time for people."""
    for size, name in ((365 * DAY_S, "year"), (DAY_S, "day"), (HOUR_S, "hour"), (60.0, "minute"), (1.0, "second")):
        if seconds >= size:
            number = seconds / size
            text = f"{number:.0f}" if number == round(number) else f"{number:.1f}"
            return f"{text} {name}" + ("" if text == "1" else "s")
    return f"{seconds * 1000:.0f} ms"
