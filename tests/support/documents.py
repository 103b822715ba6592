"""Commands that the documents name, as their readers would give them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from typer.main import get_command

from modes.cli import app

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")))
_BLOCK: Final = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?((?:fourfold|make|docker)\s+\S.*)$")
COMMAND_LINE: Final = get_command(app)


def commands() -> dict[str, str]:
    """Each command that a document names, without comments, and the first document that does."""
    found: dict[str, str] = {}
    for document in DOCUMENTS:
        for command in _of((ROOT / document).read_text(encoding="utf-8")):
            found.setdefault(command, document)
    return found


def _of(text: str) -> Iterator[str]:
    for block in _BLOCK.findall(text):
        yield from _known(re.sub(r"\s+#.*", "", line) for line in block.splitlines())
    for line in _BLOCK.sub("", text).splitlines():
        spans = [" ".join(span.replace("\\|", "|").split()) for span in re.findall(r"`([^`]+)`", line.split(" | ")[0])]
        if line.startswith("| `fourfold "):
            # a row of the table of commands: what follows the first one leaves `fourfold` out
            yield from _row(spans)
        else:
            yield from _known(re.findall(r"`([^`]+)`", line))


def _row(spans: list[str]) -> Iterator[str]:
    group = COMMAND_LINE.commands[spans[0].split()[1]]  # type: ignore[attr-defined]
    members = getattr(group, "commands", {})
    for span in spans:
        if span.startswith("--"):
            continue
        first = span.split()[0]
        if first == "fourfold":
            yield span
        elif first in members:
            yield f"fourfold {group.name} {span}"
        else:
            yield f"fourfold {span}"


def _known(lines: Iterator[str] | list[str]) -> Iterator[str]:
    for line in lines:
        matched = _COMMAND.match(line.strip())
        if matched:
            yield " ".join(matched[1].replace("\\|", "|").split())


#: What test_readme.py runs, with small arguments, against one pair of servers.
HERE: Final = frozenset(
    {
        "fourfold topics",
        "fourfold produce",
        "fourfold process",
        "fourfold batch [--once | --every 60s]",
        "fourfold serve",
        "fourfold watch",
        "fourfold recompute [--full] [--engine pandas|duckdb]",
        "fourfold recompute --full",
        "fourfold versions",
        "fourfold rollback N",
        "fourfold quality [--json] [--parquet FILE]",
        "fourfold counts",
        "fourfold counts --json",
        "fourfold status",
        "fourfold verify",
        "fourfold deadletters",
        "fourfold deadletters fix --rule FILE [--dry-run]",
        "fourfold deadletters redrive",
        "fourfold replay start --as v2 [--logic NAME]",
        "fourfold replay status",
        "fourfold replay diff v1 v2",
        "fourfold replay switch v2",
        "fourfold replay rollback",
        "fourfold replay retire v1",
        "fourfold trace EVENT_ID [--json]",
        "fourfold compare etl-elt",
        "fourfold modes",
        "fourfold pipeline list",
        "fourfold pipeline show",
        "fourfold pipeline check FILE",
        "fourfold mode",
        "fourfold contract",
        "fourfold advise [--case daily-sales-reports] [--freshness 1s] [--accuracy exact] …",
        "fourfold advise --report docs/race --case real-time-fraud-detection",
        "fourfold capacity --events-per-second N --keys K",
        "fourfold capacity --report docs/race --events-per-second 50000 --keys 5000",
    }
)
_UP: Final = (
    "e2e/test_up.py::test_ctrl_c_stops_everything_within_five_seconds_and_the_next_run_is_exact_though_servers_die"
)
_EMBEDDED: Final = "e2e/test_up.py::test_servers_outlive_their_command_and_the_batch_commands_work_on_them"
_DRILL: Final = "integration/test_drill.py::test_what_is_kept_is_repaired_whole"
_RACE: Final = "integration/test_race.py::test_an_interrupted_race_leaves_no_process_and_a_report_of_what_is_missing"
_COMPOSE: Final = "e2e/test_compose.py::test_the_terminal_shows_live_counts_and_else_nothing"
#: What takes longer or needs more, and the test that does it. Of targets of `make`, what they run is looked at, too.
ELSEWHERE: Final = {
    "fourfold up": _UP,
    "fourfold up [--rate N] [--seed S] [--workers N] [--duration D] [--plain]": _UP,
    "fourfold embedded start": _EMBEDDED,
    "fourfold embedded stop": _EMBEDDED,
    "fourfold embedded status": _EMBEDDED,
    "fourfold drill bugfix [--mode M|all]": _DRILL,
    "fourfold drill bugfix --mode all": _DRILL,
    "fourfold race": _RACE,
    "fourfold race [--events 300k] [--rate 3000] [--modes M,M] [--faults] [--repeat N] [--quick] [--out DIR]": _RACE,
    "fourfold race --quick": _RACE,
    "fourfold race --faults --repeat 2 --out docs/race": _RACE,
    "fourfold advise": "integration/test_readme.py::test_each_command_of_the_documents_works",
    "fourfold day [--seconds N]": "integration/test_trace.py::test_a_small_day",
    "fourfold batch": "integration/test_batch_kills.py::test_a_batch_process_killed_at_any_point_does_no_harm",
    "fourfold up | head": "unit/modes/test_streams.py::test_what_is_left_for_a_reader_that_has_gone_is_forgotten_and_the_exit_code_stays",
    "fourfold deadletters | cat": "unit/serving/test_tables.py::test_a_pipe_gets_every_row_in_one_line",
    "docker compose logs SERVICE": _COMPOSE,
    "docker compose exec watch fourfold status": "e2e/test_compose.py::test_status_inside_says_where_the_api_is_and_what_is_at_work",
    "docker compose up": _COMPOSE,
    "docker compose up -d": _COMPOSE,
    "make demo": _UP,
    "make setup": "integration/test_embedded.py::test_jars_from_an_empty_repository_and_then_offline",
    "make test": "unit/test_documents.py::test_each_target_of_make_does_what_the_documents_say",
    "make test-unit": "unit/test_documents.py::test_each_target_of_make_does_what_the_documents_say",
    "make test-integration": "unit/test_documents.py::test_each_target_of_make_does_what_the_documents_say",
    "make test-embedded": "unit/test_documents.py::test_each_target_of_make_does_what_the_documents_say",
    "make coverage": "unit/test_documents.py::test_each_target_of_make_does_what_the_documents_say",
    "make check": "unit/test_documents.py::test_each_target_of_make_does_what_the_documents_say",
    "make soak": "integration/test_chaos.py::test_every_sample_is_exact_whatever_is_killed",
    "make bench": "unit/bench/test_report.py::test_options_default_to_all_but_memory_and_growth",
    "make screenshots": "e2e/test_dashboard.py::test_the_picture_is_that_of_the_mode",
}
#: What each target of `make` runs in the end.
TARGETS: Final = {
    "demo": "fourfold up",
    "setup": "fourfold embedded prepare",
    "test": "-m pytest",
    "test-unit": "-m pytest",
    "test-integration": "-m pytest",
    "test-embedded": "-m pytest",
    "coverage": "--cov",
    "check": "lint-imports",
    "soak": "test_chaos.py",
    "bench": "-m bench",
    "screenshots": "-m tests.e2e.screenshots",
}
