"""The terminal view: a picture drawn with rich, the same size at each tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from core.cells import Cell
from core.verdict import Reason
from serving.live import Audit, Picture
from serving.plain import error_text, lag_text, money, rate_text, safe, seconds, trouble_of

#: Lines of the view that are not rows of the tables by campaign and product.
_OTHER_LINES: Final = 18
_FEWEST_ROWS, _MOST_ROWS = 3, 12


def draw(
    picture: Picture, title: str, roles: Sequence[tuple[str, str]], hint: str, *, height: int = 25
) -> RenderableType:
    """The whole view. `roles`: (name, state) of each process; `hint`: the last line.

    `height`: lines of the terminal; the tables take what the rest leaves.
    """
    rows = max(_FEWEST_ROWS, min(_MOST_ROWS, height - _OTHER_LINES))
    tables = Table.grid(expand=True, padding=(0, 1))
    tables.add_column(ratio=1)
    tables.add_column(ratio=1)
    tables.add_row(
        _ranking("campaign", picture.by.get("campaign", {}), rows),
        _ranking("product", picture.by.get("product", {}), rows),
    )
    below = Table.grid(expand=True, padding=(0, 1))
    below.add_column(ratio=1)
    below.add_column(ratio=1)
    below.add_row(_quality(picture), _state(picture, roles))
    return Group(_heading(picture, title), tables, below, Text(hint, style="dim", no_wrap=True, overflow="ellipsis"))


def _heading(picture: Picture, title: str) -> Panel:
    numbers = Table.grid(expand=True, padding=(0, 1))
    entries = (
        ("clicks", f"{picture.totals.clicks:,}"),
        ("sales", f"{picture.totals.sales:,}"),
        ("revenue EUR", money(picture.totals.revenue_cents)),
        ("events/s", rate_text(picture)),
        ("users, 15 min", f"{'' if picture.users.exact else '≈'}{picture.users.number:,}"),
    )
    for _ in entries:
        numbers.add_column(justify="center", ratio=1)
    numbers.add_row(*(Text(value, style="bold cyan") for _, value in entries))
    numbers.add_row(*(Text(name, style="dim") for name, _ in entries))
    return Panel(numbers, title=Text(title), title_align="left", border_style="blue")


def _ranking(dimension: str, cells: Mapping[str, Cell], rows: int) -> Table:
    table = Table(expand=True, box=None, padding=(0, 1), header_style="dim")
    table.add_column(dimension, ratio=1, no_wrap=True)
    for name in ("clicks", "sales", "EUR"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = list(cells.items())[:rows]
    for value, cell in shown:
        table.add_row(Text(safe(value, 24)), f"{cell.clicks:,}", f"{cell.sales:,}", f"{cell.revenue_cents // 100:,}")
    for _ in range(rows - len(shown)):
        table.add_row("", "", "", "")
    return table


def _quality(picture: Picture) -> Panel:
    table = Table.grid(expand=True, padding=(0, 1))
    for _ in range(2):
        table.add_column(no_wrap=True)
        table.add_column(justify="right", ratio=1, no_wrap=True)
    pairs = [(reason.replace("_", " "), f"{picture.rejected.get(reason, 0):,}") for reason in Reason]
    pairs += [("duplicates", f"{picture.duplicates:,}"), ("late", f"{picture.late:,}")]
    if len(pairs) % 2:
        pairs.append(("", ""))
    half = len(pairs) // 2
    for left, right in zip(pairs[:half], pairs[half:], strict=True):
        table.add_row(*left, *right)
    total = sum(picture.rejected.values())
    return Panel(table, title=f"rejected {total:,}", title_align="left", border_style="blue")


def _state(picture: Picture, roles: Sequence[tuple[str, str]]) -> Panel:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1)
    style = {Audit.EXACT: "green", Audit.OFF: "bold red"}.get(picture.audit, "yellow")
    table.add_row("live error", Text(error_text(picture), style=style))
    beyond = "-" if picture.beyond is None else f"{picture.beyond:,} duplicates not recognised"
    table.add_row("vs the ideal", beyond)
    table.add_row("lag", f"{lag_text(picture)} records" if picture.lag is not None else "unknown")
    table.add_row("freshness", f"{seconds(picture.age_s)} since the last append")
    table.add_row("batch view", _batch(picture))
    states = Text("  ").join(
        Text(name, style="green") if state == "up" else Text(f"{name} {state}", style="yellow") for name, state in roles
    )
    table.add_row("roles", states if roles else "-")
    trouble = "; ".join(trouble_of(picture))
    table.add_row("trouble", Text(trouble or "none", style="bold red" if trouble else "green"))
    return Panel(table, title="state", title_align="left", border_style="blue")


def _batch(picture: Picture) -> str:
    if picture.version is None:
        return "-"
    share = picture.from_batch / max(1, picture.totals.clicks + picture.totals.sales)
    return f"v{picture.version}, {seconds(picture.batch_age_s)} old, {share:.0%} of all"
