"""`fourfold deadletters`: look at rejected records, put them right, send them back into the stream."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapters.kafka.dead_letters import FoundLetter, read_dead_letters
from adapters.kafka.repairs import Repair, RepairBook, keep_repairs, place_of, read_repairs
from core.clocks import suspicion, typical_ahead_s
from core.events import DEAD_LETTERS, REPAIRS
from core.verdict import Reason
from modes.invocation import ACT, PATH, Json, settings_of
from modes.paths import path_of
from modes.pipelines import kernel_of, pipeline_of
from modes.settings import Settings
from modes.wiring.kafka import topics
from modes.wiring.servers import located
from producers.redriver import redrive as send_repaired
from producers.repair import repair
from producers.repair_rules import read_repair_rules
from serving.console import out
from serving.dead_letter_table import before_after, fixes_table, letters_table, value_text
from serving.harmless import safe

app = typer.Typer()
group = typer.Typer(help="Rejected records: look at them, put them right, send them back.")
app.add_typer(group, name="deadletters", rich_help_panel=ACT)

#: Letters that are drawn before and after their repair.
_EXAMPLES: Final = 5
#: So much of a record is drawn, at most.
_SHOWN_BYTES: Final = 2000
#: In so many of the newest letters a reason that most have is looked for.
_RECENT: Final = 1_000
_MOST: Final = 0.5
DEAD, REPAIRED, REDRIVEN = "dead", "repaired", "redriven"


@group.callback(invoke_without_command=True)
def deadletters(
    context: typer.Context,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(help="How many to list, the newest; 0: all.", min=0)] = 20,
) -> None:
    """Rejected records: where they were, why they were rejected, their bytes. Without a command: a list."""
    if context.invoked_subcommand is not None:
        return
    settings = located(settings_of())
    letters, foreign = read_dead_letters(settings.access, pipeline_of(settings), None if as_json else _SHOWN_BYTES)
    book = read_repairs(settings.access, pipeline_of(settings).topics) if _has_repairs(settings) else RepairBook()
    states = _states(letters, book)
    shown = letters[-limit:] if limit else letters
    if as_json:
        by_reason = Counter(letter.reason for letter in letters)
        entries = [{**letter.about(), "state": states[letter], "value_base64": _base64(letter)} for letter in shown]
        by_state = Counter(states.values())
        document = {
            "count": len(letters),
            "by_reason": by_reason,
            "by_state": by_state,
            "foreign": {DEAD_LETTERS: foreign, REPAIRS: book.foreign},
            "letters": entries,
        }
        print(json.dumps(document))
        return
    if shown:
        out().print(letters_table((letter, states[letter]) for letter in shown))
    left_out = f"; {foreign:,} records of somebody else left out" if foreign else ""
    last = f", the last {len(shown)} shown" if len(shown) < len(letters) else ""
    print(f"{len(letters):,} dead letters{last}{left_out}")
    if doubt := _clock_doubt(letters[-_RECENT:]):
        print(doubt)


@group.command()
def fix(
    rule: Annotated[
        Path,
        typer.Option(
            parser=path_of, metavar=PATH, help="TOML file of repair rules; producers/repair_rules.toml is an example."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do, keep nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Put dead letters right by rules, and keep them until `redrive`."""
    fixes = read_repair_rules(rule, pipeline_of(settings_of()))
    settings = located(settings_of())
    topics(settings).check()
    book = read_repairs(settings.access, pipeline_of(settings).topics)
    now_ms = int(time.time() * 1000)
    repairs: list[tuple[FoundLetter, Repair]] = []
    left: list[tuple[FoundLetter, str]] = []
    gone = 0
    for letter in read_dead_letters(settings.access, pipeline_of(settings)).found:
        if place_of(letter.source, letter.offset, letter.append_ms) in book.redriven:
            gone += 1
            continue
        found = repair(letter, fixes, kernel_of(settings), now_ms)
        if isinstance(found, Repair):
            repairs.append((letter, found))
        else:
            left.append((letter, found.why))
    if not dry_run:
        keep_repairs(settings.access, [found for _, found in repairs])
    if as_json:
        print(json.dumps(_fix_document(repairs, left, gone, kept=not dry_run)))
        return
    console = out()
    if dry_run:
        for letter, found in repairs[:_EXAMPLES]:
            console.print(before_after(letter, found))
            console.print()
    console.print(fixes_table(repairs, left))
    verb = "would be repaired" if dry_run else "are repaired"
    print(f"{len(repairs):,} letters {verb}, {len(left):,} stay dead, {gone:,} went back into the stream before")
    if repairs and not dry_run:
        print("send them: fourfold deadletters redrive")


@group.command()
def redrive(as_json: Json = False) -> None:
    """Send repaired letters back into the stream, each once however often this runs."""
    settings = located(settings_of())
    topics(settings).check()
    done = send_repaired(settings.access, kernel_of(settings))
    if as_json:
        document = {
            "sent": [_sent(one) for one in done.sent],
            "refused": [{**_sent(one), "why": str(rejected)} for one, rejected in done.refused],
            "before": done.before,
        }
        print(json.dumps(document))
        return
    by_topic = Counter(one.topic for one in done.sent)
    where = ", ".join(f"{count:,} to {topic}" for topic, count in sorted(by_topic.items()))
    print(
        f"{len(done.sent):,} letters went back into the stream{': ' + where if where else ''}; {done.before:,} before"
    )
    for one, rejected in done.refused[:_EXAMPLES]:
        print(f"  not {one.source}:{one.offset}: it would be rejected now, {safe(str(rejected), 100)}")
    if len(done.refused) > _EXAMPLES:
        print(f"  and {len(done.refused) - _EXAMPLES:,} more would be rejected: see --json")


def _clock_doubt(letters: Sequence[FoundLetter]) -> str | None:
    future = [letter for letter in letters if letter.reason == Reason.FROM_FUTURE]
    if len(future) < _MOST * len(letters):
        return None
    return suspicion({f"rejected:{Reason.FROM_FUTURE}": len(future)}, typical_ahead_s(each.detail for each in future))


def _states(letters: Sequence[FoundLetter], book: RepairBook) -> dict[FoundLetter, str]:
    states = {}
    for letter in letters:
        place = place_of(letter.source, letter.offset, letter.append_ms)
        states[letter] = REDRIVEN if place in book.redriven else REPAIRED if place in book.kept else DEAD
    return states


def _has_repairs(settings: Settings) -> bool:
    """Whether topics are from a time when letters could be repaired."""
    return REPAIRS in topics(settings).names()


def _sent(sent: Repair) -> dict[str, Any]:
    return {
        "original": f"{sent.source}:{sent.offset}",
        "topic": sent.topic,
        "id": sent.event_id,
        "fix": sent.fix,
    }


def _fix_document(
    repairs: Sequence[tuple[FoundLetter, Repair]], left: Sequence[tuple[FoundLetter, str]], gone: int, *, kept: bool
) -> Mapping[str, Any]:
    return {
        "kept": kept,
        "repaired": [
            {**letter.about(), "fix": found.fix, "value": value_text(found.value)} for letter, found in repairs
        ],
        "dead": [{**letter.about(), "why": why} for letter, why in left],
        "redriven_before": gone,
    }


def _base64(letter: FoundLetter) -> str | None:
    return None if letter.value is None else base64.b64encode(letter.value).decode()
