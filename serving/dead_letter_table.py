"""Dead letters and their repairs as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from adapters.kafka.dead_letters import FoundLetter
from adapters.kafka.repairs import Repair
from core.rfc3339 import to_text
from serving.fields import Fields
from serving.table import Column, Table

#: Characters of a record's bytes on a terminal.
_MOST: Final = 200


def letters_table(letters: Iterable[tuple[FoundLetter, str]]) -> Table:
    """Draws letters, each with its state."""
    table = Table(
        Column("record"),
        Column("reason"),
        Column("state"),
        Column("appended"),
        Column("detail", folds=True, most=_MOST),
        Column("bytes", folds=True, most=_MOST),
    )
    for letter, state in letters:
        place = f"{letter.source}:{letter.offset}"
        table.add(place, letter.reason, state, to_text(letter.append_ms), letter.detail, value_text(letter.value))
    return table


def fixes_table(repairs: Sequence[tuple[FoundLetter, Repair]], left: Sequence[tuple[FoundLetter, str]]) -> Table:
    """How many letters of each reason are repaired, how many are not, and why the first of them is not."""
    repaired = Counter(letter.reason for letter, _ in repairs)
    dead = Counter(letter.reason for letter, _ in left)
    why = {letter.reason: text for letter, text in reversed(left)}
    table = Table(
        Column("reason"),
        Column("repaired", right=True, with_next=True),
        Column("stay dead", right=True),
        Column("the first of them", folds=True, most=_MOST),
    )
    for reason in sorted({*repaired, *dead}):
        table.add(reason, f"{repaired[reason]:,}", f"{dead[reason]:,}", why.get(reason, ""))
    return table


def before_after(letter: FoundLetter, found: Repair) -> Fields:
    """One letter as it was and as it will be."""
    fields = Fields()
    fields.add("record", f"{letter.source}:{letter.offset}, {letter.reason}: {letter.detail}")
    fields.add("before", value_text(letter.value))
    fields.add("after", value_text(found.value))
    fields.add("by", f"{found.fix}, to {found.topic}")
    return fields


def value_text(value: bytes | None) -> str:
    """A record's bytes as text; `null` for none."""
    return "null" if value is None else value.decode("utf-8", "replace")
