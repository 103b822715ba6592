"""Pipelines by name and by file, and the commands that show them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.declaration.error import DeclarationError
from core.errors import ConfigurationError
from modes.cli import main
from modes.pipelines import FOLDER, kernel_of, names, pipeline_named, pipeline_of
from modes.settings import Settings

SHOP = (FOLDER / "shop.toml").read_text()
OTHER = """
name = "bikes"
description = "Trips"
[envelope]
id = "/id"
data = "/"
[streams.trips]
fields.minutes = { type = "integer", minimum = 0, maximum = 1_000 }
[measures]
trips = { count = "trips" }
"""


def settings(**more: str) -> Settings:
    return Settings(_env_file=None, **more)  # type: ignore[call-arg]


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    return started(monkeypatch, capsys, "pipeline", *arguments)


def started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["fourfold", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_the_shop_is_the_usual_one() -> None:
    assert names() == ["shop"]
    assert pipeline_of(settings()).name == "shop"


def test_a_logic_counts_otherwise_and_nothing_else_does() -> None:
    usual, wrong = pipeline_of(settings()), pipeline_of(settings(logic="price-only"))
    assert wrong.logic == "price-only"
    differing = {name for name in usual.measures if usual.measures[name] != wrong.measures[name]}
    assert differing == {"revenue_cents"}
    with pytest.raises(
        ConfigurationError, match="no logic 'price' in the pipeline shop: there are standard, price-only"
    ):
        pipeline_of(settings(logic="price"))


def test_there_is_one_kernel_in_a_process() -> None:
    assert kernel_of(settings()) is kernel_of(settings())
    assert kernel_of(settings()) is not kernel_of(settings(logic="price-only"))


def test_a_name_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no pipeline 'shpo': did you mean 'shop'\?"):
        pipeline_named("shpo")


@pytest.mark.parametrize("content", [None, "folder"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "mine.toml"
    if content:
        file.mkdir()
    with pytest.raises(ConfigurationError, match=r"there is no file|cannot be read"):
        pipeline_named(str(file))


def test_a_file_is_taken_from_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    there = settings(pipeline="mine.toml")
    monkeypatch.chdir("/")
    assert pipeline_of(there).name == "shop"


def test_another_pipeline_is_counted_whatever_its_words(tmp_path: Path) -> None:
    file = tmp_path / "bikes.toml"
    file.write_text(OTHER)
    assert pipeline_of(settings(pipeline=str(file))).topics == ("trips",)


def test_views_hold_one_distinct_count(tmp_path: Path) -> None:
    file = tmp_path / "bikes.toml"
    file.write_text(f'{OTHER}[distinct]\nriders = "minutes"\nbikes = "minutes"\n')
    assert len(pipeline_named(str(file)).distinct) == 2
    with pytest.raises(ConfigurationError, match="bikes has 2 distinct counts"):
        pipeline_of(settings(pipeline=str(file)))


def test_check_says_that_a_file_is_right_or_where_it_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bikes.txt"
    file.write_text(OTHER)
    code, out, _ = run(monkeypatch, capsys, "check", str(file))
    assert (code, out) == (0, f"{file} is right: bikes, 1 streams, 0 dimensions, 1 measures\n")
    file.write_text(OTHER.replace('count = "trips"', 'count = "trip"'))
    code, out, error = run(monkeypatch, capsys, "check", str(file))
    assert (code, out) == (2, "")
    assert error.count("\n") == 1
    assert "line 10" in error
    assert "did you mean 'trips'?" in error
    file.write_bytes(b"x" * 10_000_000)
    assert run(monkeypatch, capsys, "check", str(file))[0] == 2


def test_list_and_show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, capsys, "list")[1].startswith("shop  A web shop")
    _, out, _ = run(monkeypatch, capsys, "show")
    assert "stream sales, events fourfold.sale.v1" in out
    assert "  user_id: text of 1 to 64 characters, personal\n" in out
    assert "  rejected as wrong_currency unless currency == 'EUR'\n" in out
    assert "  revenue_cents: sum of quantity * unit_price_cents over sales, in EUR cents\n" in out
    document = json.loads(run(monkeypatch, capsys, "show", "shop", "--json")[1])
    assert list(document["measures"]) == ["clicks", "sales", "units", "revenue_cents"]
    assert run(monkeypatch, capsys, "show", "shopp")[0] == 2


def test_what_is_wrong_with_a_pipeline_that_is_set_ends_a_command(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(SHOP.replace('sum = "quantity"', 'sum = "quantty"'))
    with pytest.raises(DeclarationError, match=r"line \d+.*there is no field 'quantty': did you mean 'quantity'\?"):
        pipeline_of(settings(pipeline=str(file)))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FOURFOLD_PIPELINE", "shpo", "there is no pipeline 'shpo'"),
        ("FOURFOLD_LOGIC", "price", "there is no logic 'price'"),
    ],
)
@pytest.mark.parametrize("command", [["up"], ["process"], ["batch", "--once"], ["counts"], ["serve"]], ids=" ".join)
def test_each_command_refuses_it_before_anything_starts(
    command: list[str],
    name: str,
    value: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    code, out, error = started(monkeypatch, capsys, *command)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error
    assert list(tmp_path.iterdir()) == []


def test_a_set_pipeline_of_another_kind_can_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bikes.toml"
    file.write_text(OTHER)
    monkeypatch.setenv("FOURFOLD_PIPELINE", str(file))
    assert "stream trips" in run(monkeypatch, capsys, "show")[1]
