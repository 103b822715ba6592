"""Settings: a wrong value is refused in one line that names the setting."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.errors import ConfigurationError
from core.rules import Rules
from modes import invocation
from modes.catalogue import MODES
from modes.cli import app
from modes.settings import Settings, doubts, environment, load
from modes.wiring.speed import speed_reader, speed_sink


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


def refused(**overrides: object) -> str:
    """The one line with which the settings are refused."""
    with pytest.raises(ConfigurationError) as caught:
        load(**overrides)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


WRONG = [
    ("kafka_port", -1),
    ("kafka_port", 65536),
    ("redis_port", "http"),
    ("namespace", ""),
    ("namespace", "two words"),
    ("namespace", "v1\n"),
    ("namespace", "{v1}"),
    ("namespace", "x" * 33),
    ("group", ""),
    ("partitions", 0),
    ("partitions", 1001),
    ("replication", 0),
    ("workers", 0),
    ("workers", 65),
    ("workers", "two"),
    ("workers", 1.5),
    ("epoch_seconds", -1),
    ("epoch_seconds", 0.0004),
    ("epoch_seconds", 86401),
    ("epoch_seconds", "nan"),
    ("epoch_seconds", "inf"),
    ("horizon_epochs", -2),
    ("horizon_epochs", 1001),
    ("lateness_seconds", -1),
    ("lateness_seconds", "inf"),
    ("lateness_seconds", "nan"),
    ("lateness_seconds", 1e300),
    ("window_hours", 0),
    ("window_hours", 1e-9),
    ("window_hours", "inf"),
    ("window_hours", "nan"),
    ("window_hours", 1e300),
    ("rate", -1),
    ("rate", "inf"),
    ("rate", "nan"),
    ("rate", "fast\nvery"),
    ("seed", "seven"),
    ("profile", "module-02"),
    ("day_seconds", "inf"),
    ("dirt_late", 1.01),
    ("dirt_duplicates", -0.1),
    ("dirt_garbage", "nan"),
    ("metrics_port", 70000),
    ("lake", "s3://bucket/lake"),
    ("lake", "file:///tmp/lake"),
    ("lake", "x/" + "ü" * 128),
    ("lake", "dbfs:/lake"),
    ("lake", "~nobody-has-this-name/lake"),
    ("lake", "s3:bucket"),
    ("lake", "GS:bucket/lake"),
    ("lake", "$HOME/lake"),
    ("lake", "${HOME}/lake"),
    ("lake", "%USERPROFILE%/lake"),
    ("lake", '"~/lake"'),
    ("lake", "'lake'"),
    ("lake", "  "),
    ("lake", "/etc/passwd"),
    ("lake", "/dev/null/lake"),
    ("data_dir", "/etc/passwd/data"),
    ("data_dir", "$PWD"),
    ("quality_rules", "$HOME/rules.toml"),
    ("data_dir", "s3://bucket/data"),
    ("data_dir", "S3A://bucket/data"),
    ("data_dir", "hdfs://host:9000/data"),
    ("data_dir", r"C:\Users\me"),
    ("data_dir", "x\0y"),
    ("data_dir", "x/" + "ü" * 128),
    ("quality_rules", "https://host/rules.toml"),
    ("kafka_ca_file", "gs://bucket/ca.pem"),
    ("kafka_cert_file", "file:///cert.pem"),
    ("kafka_key_file", "abfss://x.y/key.pem"),
    ("log_level", "loud"),
    ("log_format", "xml"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(name: str, value: object) -> None:
    message = refused(**{name: value})
    assert message.startswith(f"FOURFOLD_{name.upper()} is {value!r}: ")
    assert len(message) > len(f"FOURFOLD_{name.upper()} is {value!r}: ") + 10


def test_a_wrong_value_in_the_environment_is_refused_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOURFOLD_WORKERS", "many")
    assert refused() == "FOURFOLD_WORKERS is 'many': use a whole number from 1 to 64"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("seed", "seven", "use a whole number"),
        ("seed", "", "use a whole number, or leave the setting out for 7"),
        ("audit", "perhaps", "use true or false"),
        ("log_level", "loud", "use one of debug, info, warning, error"),
        ("profile", "x", "use one of nothing, module-01"),
        ("dirt_late", "2", "use a number from 0 to 1"),
        ("namespace", "two words", "use 1 to 32 letters, digits, _ . or -"),
        ("job", "a b", "use up to 16 letters, digits, _ or -"),
        ("resend_seconds", "5", "use two whole numbers with - between them, from-to: 5-50"),
    ],
)
def test_what_is_allowed_is_said_in_words(monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str) -> None:
    monkeypatch.setenv(f"FOURFOLD_{name.upper()}", value)
    assert refused().endswith(f": {allowed}")


def test_a_wrong_value_in_the_file_is_refused_the_same_way() -> None:
    Path(".env").write_text("\n# the rate\nFOURFOLD_RATE=fast\n")
    assert refused() == "FOURFOLD_RATE is 'fast' (.env, line 3): use a number, 0 or more"


def test_a_file_that_is_no_text_is_refused_in_one_line() -> None:
    Path(".env").write_bytes(b"\xff\xfe\x00FOURFOLD")
    assert refused().startswith(".env cannot be read")


def test_options_override_the_environment_which_overrides_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("FOURFOLD_RATE=1\nFOURFOLD_SEED=1\nFOURFOLD_WORKERS=1\nUNKNOWN=x\n")
    monkeypatch.setenv("FOURFOLD_SEED", "2")
    monkeypatch.setenv("FOURFOLD_WORKERS", "2")
    settings = load(workers=3, run=None)
    assert (settings.rate, settings.seed, settings.workers, settings.run) == (1, 2, 3, "")


def test_roles_get_each_setting_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("fourfold_workers", "3")
    settings = load()
    assert settings.workers == 3
    assert [name for name in environment(settings) if name.upper() == "FOURFOLD_WORKERS"] == ["FOURFOLD_WORKERS"]


def test_names_that_are_none_are_doubts_with_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOURFOLD_KAFKA_USER", "somebody")
    Path(".env").write_text("FOURFOLD_RATE=1\nFOURFOLD_MOD=kappa\nHOME_MADE=x\n")
    assert doubts() == [
        "environment: FOURFOLD_KAFKA_USER is not a setting; did you mean FOURFOLD_KAFKA_USERNAME?",
        ".env, line 2: FOURFOLD_MOD is not a setting; did you mean FOURFOLD_MODE?",
    ]


def test_every_setting_has_a_default_and_a_description() -> None:
    load()
    for name, field in Settings.model_fields.items():
        assert not field.is_required(), name
        assert field.description, name


def test_secrets_are_not_shown() -> None:
    shown = repr(load(kafka_password="secret-1", redis="redis://:secret-2@host"))
    assert "secret" not in shown


@pytest.mark.parametrize("name", ["", "Streaming", "streaming ", "gamma", "../etc", "\x1b[31m"])
def test_an_unknown_mode_is_refused_with_the_names_of_all(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _ = load(mode=name).mode_row
    message = str(caught.value)
    assert message == f"FOURFOLD_MODE is {name!r}, but there are {', '.join(MODES)}: use one of them"


def test_the_catalogue_has_the_four_modes_of_the_design() -> None:
    assert list(MODES) == ["batch", "streaming", "lambda", "kappa"]
    assert [name for name, mode in MODES.items() if mode.archive] == ["batch", "lambda"]
    assert [name for name, mode in MODES.items() if "process" in mode.roles] == ["streaming", "lambda", "kappa"]
    assert all(mode.roles[0] == "produce" for mode in MODES.values())


def test_the_rules_are_those_of_the_mode_where_nothing_is_set() -> None:
    assert load(mode="lambda").rules == Rules(epoch_ms=10_000, horizon=6, lateness_ms=60_000, keep_epochs=0)
    assert load(mode="streaming").rules == Rules(epoch_ms=30_000, horizon=1, lateness_ms=60_000, keep_epochs=720)


@pytest.mark.parametrize(
    ("epoch_s", "hours", "keep"), [(30, 6, 720), (7, 0.01, 6), (86400, 0.01, 1), (0.1, 24, 864_000)]
)
def test_the_window_is_covered_by_whole_epochs(epoch_s: float, hours: float, keep: int) -> None:
    rules = load(mode="streaming", epoch_seconds=epoch_s, window_hours=hours).rules
    assert rules.keep_epochs == keep
    assert rules.keep_epochs * rules.epoch_ms >= hours * 3_600_000


def test_the_log_outlives_the_view() -> None:
    settings = load(mode="streaming", epoch_seconds=10, window_hours=1, horizon_epochs=5)
    window_ms = settings.rules.keep_epochs * settings.rules.epoch_ms
    assert settings.retention_ms >= window_ms + 5 * 10_000


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "http://x",
        "redis://h:port",
        "redis://h:99999",
        "redis://[::1",
        "redis://h/0?socket_timeout=x",
        "redis://h/0?x=1",
        "rediss://:geheim@h/0?password=geheim&more=geheim",
        "redis://h/0?protocol=9",
        "\0",
    ],
)
@pytest.mark.parametrize("connect", [speed_reader, speed_sink])
def test_an_address_that_is_no_redis_is_refused_in_one_line(address: str, connect: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^FOURFOLD_REDIS is no address of a Redis") as caught:
        connect(load(redis=address))  # type: ignore[operator]
    assert len(str(caught.value).splitlines()) == 1
    assert "geheim" not in str(caught.value)


PATHS = ["data_dir", "lake", "quality_rules", "kafka_ca_file", "kafka_cert_file", "kafka_key_file"]


@pytest.mark.parametrize("name", PATHS)
def test_a_home_is_expanded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    for written, meant in (("~/a b", "/home/somebody/a b"), ("a/~", "a/~"), ("./~x", "./~x"), ("[1]/%20", "[1]/%20")):
        monkeypatch.setenv(f"FOURFOLD_{name.upper()}", written)
        assert Path(getattr(load(), name)) == Path(meant)


def test_a_data_directory_without_a_name_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOURFOLD_DATA_DIR", "")
    assert load().data_dir == Path(".fourfold")


def test_paths_of_settings_are_all_looked_at() -> None:
    # what a new setting is called says whether it names a file or a folder
    named = {name for name in Settings.model_fields if name.endswith(("_dir", "_file", "lake", "_rules"))}
    assert named == set(PATHS)


OPTIONS = [
    ["race", "--out"],
    ["race", "--prices"],
    ["advise", "--report"],
    ["capacity", "--events-per-second", "1", "--keys", "1", "--report"],
    ["contract", "--write"],
    ["deadletters", "fix", "--rule"],
    ["quality", "--parquet"],
]


@pytest.mark.parametrize("arguments", OPTIONS, ids=" ".join)
def test_an_option_that_is_an_address_is_refused_in_one_line(arguments: list[str]) -> None:
    found = CliRunner().invoke(app, [*arguments, "s3://bucket/x"])
    assert isinstance(found.exception, ConfigurationError)
    assert str(found.exception).startswith("'s3://bucket/x': a folder or file is needed, not an address")
    assert list(Path().iterdir()) == []


def test_an_option_may_name_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    # the command line configures logs for its own process
    monkeypatch.setattr(invocation.logs, "configure", lambda *_: None)
    assert CliRunner().invoke(app, ["contract", "--write", "~/documents"]).exit_code == 0
    assert (tmp_path / "documents" / "asyncapi.json").is_file()
