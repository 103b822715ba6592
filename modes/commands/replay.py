"""`fourfold replay`: commands that reprocess the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn

from modes.invocation import ACT, Json, settings_of
from modes.replay import Progress as Replayed
from modes.replay import Replay
from modes.wiring.servers import located
from serving.console import err, out
from serving.progress import progress
from serving.version_table import diff_table, versions_table

app = typer.Typer()
group = typer.Typer(
    no_args_is_help=True, help="Start the job again from the log's beginning, compare, switch, go back."
)
app.add_typer(group, name="replay", rich_help_panel=ACT)

Name = Annotated[str, typer.Argument(help="The version's name.")]


@group.command()
def start(
    name: Annotated[str, typer.Option("--as", help="The new version's name.")],
    logic: Annotated[str, typer.Option(help="What it decides by: standard, price-only.")] = "standard",
    as_json: Json = False,
) -> None:
    """Count the whole log again under another name, while the version that answers goes on."""
    with Replay(located(settings_of())) as replay:
        replay.start(name, logic)
        look = None
        try:
            with _bar(f"{name} ({logic})") as show:
                for look in replay.follow(name):
                    show(look)
        except KeyboardInterrupt:
            print(f"{name} goes on by itself; see it with `fourfold replay status`")
            raise typer.Exit(130) from None
        active = replay.book().active
    assert look is not None
    if as_json:
        print(json.dumps({"name": name, "logic": logic, "counted": look.counted, "seconds": look.seconds}))
        return
    print(f"{name} has caught up: {look.counted:,} records in {look.seconds:.1f} s, and follows the log from here")
    print(f"compare: fourfold replay diff {active} {name}    let it answer: fourfold replay switch {name}")


@group.command()
def status(as_json: Json = False) -> None:
    """The versions of the job, and which one answers."""
    with Replay(located(settings_of())) as replay:
        versions = replay.standing()
    if as_json:
        print(json.dumps({"versions": versions}))
    elif versions:
        out().print(versions_table(versions))
    else:
        print("no version of the job runs yet: start with `fourfold up` (or `fourfold process`)")


@group.command()
def diff(
    before: Annotated[str, typer.Argument(help="The version to compare with.")],
    after: Annotated[str, typer.Argument(help="The other version.")],
    as_json: Json = False,
) -> None:
    """Compare two versions cell by cell at the same place of the log. Exit code 1 if they differ."""
    settings = located(settings_of())
    with Replay(settings) as replay:
        found, offsets = replay.diff(before, after)
    document = found.as_json(settings.rules.epoch_ms, offsets)
    if as_json:
        print(json.dumps({"before": before, "after": after, **document}))
    else:
        out().print(diff_table(before, after, document))
    raise typer.Exit(0 if found.equal else 1)


@group.command()
def switch(
    name: Name,
    max_diff: Annotated[
        float, typer.Option(help="Percent by which a total may change; 0: no cell may differ.", min=0)
    ] = 0,
    max_lag: Annotated[int, typer.Option(help="Records that it may be behind.", min=0)] = 10_000,
    force: Annotated[bool, typer.Option("--force", help="However far behind or different it is.")] = False,
) -> None:
    """Let another version answer, all readers at one instant."""
    with Replay(located(settings_of())) as replay:
        book = replay.switch(name, most_percent=max_diff, most_lag=max_lag, force=force)
    print(f"{name} answers now" + (f"; back: fourfold replay rollback ({book.previous})" if book.previous else ""))


@group.command()
def rollback() -> None:
    """Let the version that answered before answer again."""
    with Replay(located(settings_of())) as replay:
        print(f"{replay.rollback().active} answers now")


@group.command()
def retire(name: Name) -> None:
    """End a version that does not answer, and free its memory."""
    with Replay(located(settings_of())) as replay:
        replay.retire(name)
    print(f"{name} is retired: its view is gone")


@contextmanager
def _bar(title: str) -> Iterator[Callable[[Replayed], None]]:
    """A bar where one can move, else lines."""
    console = err()
    if not console.is_interactive:
        with progress(title) as tell:
            yield lambda look: tell(f"{title}: {_words(look)}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=console) as screen:
        task = screen.add_task(title, words="starting")
        yield lambda look: screen.update(task, total=look.total, completed=look.counted, words=_words(look))


def _words(look: Replayed) -> str:
    left = "" if look.left_s is None else f", {look.left_s:,.0f} s left"
    return f"{look.counted / max(1, look.total):.1%}, {look.counted:,} of {look.total:,}, {look.rate:,.0f}/s{left}"
