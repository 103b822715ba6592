"""What a load takes in one mode, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from serving.table import Column, Table


def capacity_table(mode: str, lines: Iterable[tuple[str, float, str, str]]) -> Table:
    """Draws lines of (what, amount, its unit, the formula that gave it)."""
    table = Table(Column("what"), Column("amount", right=True), Column("formula", folds=True), title=mode)
    for what, amount, unit, formula in lines:
        number = f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.2f}"
        table.add(what, f"{number} {unit}".strip(), Text(formula, "dim"))
    return table
