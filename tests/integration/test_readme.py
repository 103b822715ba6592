"""The commands of README.md and of the other documents do what they say: each is run, one after another, on one log."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Final

import pytest
from click.testing import Result
from typer.testing import CliRunner

from modes import invocation
from modes import settings as settings_module
from modes.cli import app
from modes.commands import race as race_commands
from modes.settings import Settings, environment
from modes.wiring.kafka import topics
from modes.wiring.lake import raw_table
from tests.support import product
from tests.support.documents import HERE, ROOT
from tests.support.waiting import until

pytestmark = pytest.mark.integration

RECORDS: Final = 2_000


class Reader:
    """Somebody who gives the documents' commands in a checkout. `given`: those that were, as the documents have them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.given: set[str] = set()
        self._runner = CliRunner()

    def gives(self, documented: str, arguments: str | None = None) -> Result:
        """Runs a command, by default as it is documented; it ends well, and says something."""
        words = shlex.split(documented.removeprefix("fourfold ") if arguments is None else arguments)
        done = self._runner.invoke(app, words, env=dict(environment(self.settings)))
        assert done.exit_code == 0, (words, done.output, done.exception)
        assert done.stdout.strip(), words
        self.given.add(documented)
        return done

    def runs(self, documented: str, *arguments: str) -> None:
        """As `gives`, in a process of its own: a role."""
        done = product.run(self.settings, *(arguments or documented.split()[1:]))
        assert done.returncode == 0, done.stderr
        self.given.add(documented)


@pytest.fixture
def reader(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Reader:
    monkeypatch.chdir(ROOT)
    # the developer's own are none of a reader's
    monkeypatch.setattr(settings_module, "ENV_FILE", tmp_path / ".env")
    monkeypatch.setattr(race_commands, "OWN", tmp_path / "race")
    monkeypatch.setattr(invocation.logs, "configure", lambda *_: None)
    quick = {"mode": "lambda", "epoch_seconds": 1.0, "cut_margin_seconds": 0.1, "batch_processes": 1, "api_port": 0}
    return Reader(settings.model_copy(update=quick))


def test_each_command_of_the_documents_works(reader: Reader, tmp_path: Path) -> None:
    reader.gives("fourfold modes")
    reader.gives("fourfold pipeline list")
    reader.gives("fourfold pipeline show")
    reader.gives("fourfold pipeline check FILE", f"pipeline check {ROOT / 'pipelines' / 'shop.toml'}")
    reader.gives("fourfold mode")
    reader.gives("fourfold contract")
    for command in HERE:
        if command.startswith(("fourfold advise --", "fourfold capacity --report")):
            reader.gives(command)
    advice = "fourfold advise [--case daily-sales-reports] [--freshness 1s] [--accuracy exact] …"
    reader.gives(advice, "advise --case daily-sales-reports --freshness 1s --accuracy exact")
    reader.gives("fourfold capacity --events-per-second N --keys K", "capacity --events-per-second 1000 --keys 100")
    _of_the_stream(reader)
    _of_the_batch_layer(reader, tmp_path)
    _of_dead_letters(reader)
    _of_serving(reader)
    _of_job_versions(reader)
    assert reader.given == HERE


def _of_the_stream(reader: Reader) -> None:
    settings = reader.settings
    reader.gives("fourfold topics")
    reader.given.add("fourfold counts --json")
    reader.runs("fourfold produce", "produce", "--events", str(RECORDS), "--rate", str(RECORDS))
    with product.worker(settings):
        product.caught_up(settings)
    reader.given.add("fourfold process")
    assert json.loads(reader.gives("fourfold counts", "counts --json").stdout)["totals"]["clicks"] > RECORDS / 2
    assert json.loads(reader.gives("fourfold status", "status --json").stdout)["trouble"] == ["no batch view yet"]
    reader.gives("fourfold verify")


def _of_the_batch_layer(reader: Reader, folder: Path) -> None:
    reader.runs("fourfold batch [--once | --every 60s]", "batch", "--once")
    recompute = "fourfold recompute [--full] [--engine pandas|duckdb]"
    reader.gives("fourfold recompute --full")
    reader.gives(recompute, "recompute --full --engine duckdb")
    known = json.loads(reader.gives("fourfold versions", "versions --json").stdout)
    assert known["current"] == len(known["versions"]) >= 2
    reader.gives("fourfold rollback N", f"rollback {known['current'] - 1}")
    quality = "fourfold quality [--json] [--parquet FILE]"
    reader.gives(quality, "quality")
    reader.gives(quality, "quality --json")
    reader.gives(quality, f"quality --parquet {folder / 'quality.parquet'}")
    reader.gives("fourfold compare etl-elt")
    trace = "fourfold trace EVENT_ID [--json]"
    event = _an_event(reader.settings)
    assert event in reader.gives(trace, f"trace {event} --json").stdout


def _an_event(settings: Settings) -> str:
    """The id of some event that was accepted."""
    for source in topics(settings).partitions():
        for chunk in raw_table(settings).scan(source, 0, RECORDS):
            for value in chunk["value"].to_pylist():
                try:
                    return str(json.loads(value)["id"])
                except (ValueError, KeyError, TypeError):
                    continue
    raise AssertionError("no event is in the raw table")


def _of_dead_letters(reader: Reader) -> None:
    reader.gives("fourfold deadletters", "deadletters --json")
    fix = "fourfold deadletters fix --rule FILE [--dry-run]"
    reader.gives(fix, "deadletters fix --rule producers/repair_rules.toml --dry-run")
    reader.gives(fix, "deadletters fix --rule producers/repair_rules.toml")
    reader.gives("fourfold deadletters redrive")


def _of_serving(reader: Reader) -> None:
    settings = reader.settings
    with product.started(settings, "watch", "--plain", "--every", "0.2"):
        output = settings.data_dir / "output.log"
        until(lambda: "clicks" in output.read_text(encoding="utf-8"), within_s=30, what="a line of counts")
    reader.given.add("fourfold watch")
    with product.supervised(settings) as supervisor:
        log = settings.data_dir / "logs" / "serve.log"
        supervisor.start("serve", ["serve"], log)

        def address() -> str:
            text = log.read_text(encoding="utf-8") if log.exists() else ""
            return text.partition("dashboard=")[2].partition("/ ")[0]

        until(address, within_s=30, what="the API to say where it is")
        until(lambda: product.answers(address()), within_s=30, what="the API to answer")
    reader.given.add("fourfold serve")


def _of_job_versions(reader: Reader) -> None:
    reader.settings = reader.settings.model_copy(update={"mode": "kappa"})
    with product.worker(reader.settings):
        product.caught_up(reader.settings)
        reader.gives("fourfold replay start --as v2 [--logic NAME]", "replay start --as v2")
        reader.gives("fourfold replay status")
        reader.gives("fourfold replay diff v1 v2")
        reader.gives("fourfold replay switch v2")
        reader.gives("fourfold replay rollback")
        reader.gives("fourfold replay switch v2")
        reader.gives("fourfold replay retire v1")
