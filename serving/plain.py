"""Text without colours or movement: one line a picture, and tables at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.cells import Cell
from serving.live import Audit, Picture
from serving.measures import ShownMeasure


def seconds(age_s: float | None) -> str:
    """An age for people: `12 ms`, `3.4 s`, `5 min`; `-` for none."""
    if age_s is None:
        return "-"
    if age_s < 1:
        return f"{age_s * 1000:.0f} ms"
    if age_s < 120:  # noqa: PLR2004 - two minutes
        return f"{age_s:.1f} s"
    return f"{age_s / 60:.0f} min"


def error_text(picture: Picture) -> str:
    """The live error in words."""
    match picture.audit:
        case Audit.OFF:
            return f"OFF BY {picture.error:,}"
        case Audit.BEHIND:
            return "0 so far, " + ("lag unknown" if picture.lag is None else f"behind by {picture.lag:,}")
        case audit:
            return _ERRORS[audit]


_ERRORS: Final = {
    Audit.UNKNOWN: "unknown",
    Audit.NOTHING: "starting, nothing counted yet",
    Audit.PENDING: "being audited",
    Audit.NOBODY: "not audited (FOURFOLD_AUDIT=false)",
    Audit.EXACT: "0 (exact)",
}


def lag_text(picture: Picture) -> str:
    """Records not counted yet."""
    return "unknown" if picture.lag is None else f"{picture.lag:,}"


def rate_text(picture: Picture) -> str:
    """Records counted a second; `-` while there is no answer."""
    return "-" if picture.away_s is not None else f"{picture.rate:,.0f}"


def trouble_of(picture: Picture) -> tuple[str, ...]:
    """What is wrong, and what a reader must know; first of all that there is no answer, and for how long."""
    said = (*picture.trouble, *picture.states)
    if picture.away_s is None:
        return said
    return (f"no answer for {seconds(picture.away_s)}, counts are the last that were known", *said)


def totals_text(totals: Cell, shown: Sequence[ShownMeasure]) -> str:
    """The sums of everything: labels, numbers and units."""
    return "  ".join(measure.said(totals) for measure in shown)


def opening(mode: str, address: str) -> tuple[str, ...]:
    """What comes before the first line: where people look, and what a line means. `address`: of the dashboard, or empty."""
    where = f"; dashboard: {address}" if address else ""
    return (
        # no word of the lines that follow: scripts wait for those
        f"fourfold counts events in the mode {mode}{where}",
        "each line: all that is counted so far; events/s: counted a second; lag: records in the log that are not counted yet;",
        "  age: since the newest counted record was appended; rejected, duplicates, late: of all so far;",
        "  error: how far the counts are from the truth; batch: version of the batch view, events in it;",
        "  in brackets: what is absent or stands still",
    )


def line(picture: Picture, shown: Sequence[ShownMeasure], mode: str, standing: Sequence[str] = ()) -> str:
    """One compact line. `shown`: the measures in it. `mode`: by its name. `standing`: parts that do not run, or do nothing, in words."""
    text, said = _counts_of(picture, shown, mode), (*trouble_of(picture), *standing)
    return f"{text}  [{'; '.join(said)}]" if said else text


def _counts_of(picture: Picture, shown: Sequence[ShownMeasure], mode: str) -> str:
    if picture.audit is Audit.NOTHING:
        # zeros would look like counts
        return f"{error_text(picture)}  lag {lag_text(picture)}  mode {mode}"
    text = (
        f"{totals_text(picture.totals, shown)}  "
        f"{rate_text(picture)} events/s  lag {lag_text(picture)}  "
        f"age {seconds(picture.age_s)}  rejected {sum(picture.rejected.values()):,}  "
        f"duplicates {picture.duplicates:,}  late {picture.late:,}  error {error_text(picture)}  "
        f"mode {mode}"
    )
    if picture.version is not None:
        text += f"  batch v{picture.version} {picture.from_batch:,} events"
    return text
