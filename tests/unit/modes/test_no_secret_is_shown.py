"""A password in a setting is in no line that any command writes, whatever fails."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import structlog
from prometheus_client import CollectorRegistry
from typer.main import get_command

from adapters.telemetry import _answers
from adapters.vitals import Vitals
from core.secrets import forget
from modes import __main__, cli, logs
from modes.settings import load
from modes.supervisor import Child
from modes.wiring.speed import redis_client, speed_sink
from tests.support.redis_servers import own_redis

MARKER: Final = "m4rker/pa:ss@word"
PIECES: Final = ("m4rker", "pa:ss", "ss@word")
#: Commands that come as far as Redis, or as a setting that is wrong, before they wait for anything.
ARGUMENTS: Final = {
    "trace": ["x"], "rollback": ["1"], "replay": ["status"],
    "compare": ["etl-elt"], "pipeline": ["show"], "embedded": ["status"],
}  # fmt: skip
#: These need nothing of the servers, and take minutes or write files.
APART: Final = {"race", "advise", "capacity", "contract", "day", "drill"}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    forget()


def told(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """All that `fourfold ARGUMENTS` writes, and holds that nothing of the marker is in it."""
    monkeypatch.setattr(sys, "argv", ["fourfold", *arguments])
    before = logging.getLogger().handlers, logging.getLogger().level, structlog.get_config()
    try:
        with pytest.raises(SystemExit):
            cli.main()
    finally:
        logging.getLogger().handlers, logging.getLogger().level = before[:2]
        structlog.configure(**before[2])
    out, err = capfd.readouterr()
    assert not [piece for piece in PIECES if piece in out + err], out + err
    return out + err


SETTINGS: Final = {
    "FOURFOLD_REDIS": f"redis://me:{MARKER}@127.0.0.1:1/0",
    "FOURFOLD_KAFKA": f"SASL_SSL://me:{MARKER}@127.0.0.1:1",
    "FOURFOLD_KAFKA_PASSWORD": MARKER,
    "FOURFOLD_KAFKA_PASSWROD": MARKER,
    "FOURFOLD_LAKE": f"s3://key:{MARKER}@bucket/lake",
    "FOURFOLD_WORKERS": f"http://me:{MARKER}@host",
    "FOURFOLD_MODE": f"redis://me:{MARKER}@host",
    "FOURFOLD_KAFKA_PROTOCOL": f"redis://me:{MARKER}@host",
}


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings with which each command ends before it waits for anything."""
    monkeypatch.setenv("FOURFOLD_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("FOURFOLD_KAFKA_PASSWORD", "plain")
    monkeypatch.setenv("FOURFOLD_KAFKA_CA_FILE", "/nowhere")
    monkeypatch.setenv("FOURFOLD_KAFKA_PROTOCOL", "SSL")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_wrong_setting_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    failing(monkeypatch)
    monkeypatch.setenv(name, SETTINGS[name])
    assert "FOURFOLD_" in told(monkeypatch, capfd, "counts")


@pytest.mark.parametrize("command", sorted(set(get_command(cli.app).commands) - APART))  # type: ignore[attr-defined]
def test_no_command_shows_a_password_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    failing(monkeypatch)
    monkeypatch.setenv("FOURFOLD_MODE", "kappa" if command == "replay" else "lambda")
    for name in ("FOURFOLD_REDIS", "FOURFOLD_KAFKA_PASSWORD", "FOURFOLD_KAFKA_PASSWROD"):
        monkeypatch.setenv(name, SETTINGS[name])
    assert "FOURFOLD_KAFKA_PASSWROD" in told(monkeypatch, capfd, command, *ARGUMENTS.get(command, []))


@pytest.mark.parametrize("connect", [redis_client, speed_sink])
@pytest.mark.parametrize(
    "address", [f"redis://me:{MARKER}@h:1", f"http://:{MARKER}@h", f"redis://h/?password={MARKER}&x"]
)
def test_an_address_that_cannot_be_read_shows_no_piece_of_it(connect: object, address: str) -> None:
    try:
        connect(load(redis=address))  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001 - whatever comes is looked at
        assert not [piece for piece in PIECES if piece in str(error)], str(error)


@pytest.mark.parametrize("address", ["redis://me:m4rker@127.0.0.1:{}/0", "redis://127.0.0.1:{}/0?password=m4rker"])
def test_a_redis_that_refuses_the_password_is_told_without_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, address: str
) -> None:
    with own_redis(tmp_path / "redis", "--requirepass", "other") as port:
        monkeypatch.setenv("FOURFOLD_KAFKA", "127.0.0.1:1")
        monkeypatch.setenv("FOURFOLD_REDIS", address.format(port))
        assert "password" in told(monkeypatch, capfd, "process")
        document = json.loads(told(monkeypatch, capfd, "status", "--json"))
        assert document["trouble"]
        assert str(port) in document["addresses"]["redis"]


def test_logs_tracebacks_and_health_show_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    load(kafka_password="m4rker-one", redis="redis://:m4rker-two@h/0")
    vitals = Vitals()
    shown = "me:m4rker-one and redis://:m4rker-two@h/0"

    def broken() -> bool:
        raise ValueError(shown)

    before = logging.getLogger().handlers, logging.getLogger().level, structlog.get_config()
    try:
        for form in ("console", "json"):
            logs.configure("info", form)
            error = (ValueError, ValueError(shown), None)
            logging.getLogger("library").error("it failed: %s", shown, exc_info=error)
            structlog.get_logger("ours").error("it failed", reason=shown, exc_info=error)
            vitals.died(form, ValueError(shown))
            health = _answers(CollectorRegistry(), broken, str)("/readyz")
    finally:
        logging.getLogger().handlers, logging.getLogger().level = before[:2]
        structlog.configure(**before[2])
    __main__.show(ValueError, ValueError(shown), None)

    log = tmp_path / "role.log"
    log.write_text(f"fourfold: {shown}\n", encoding="utf-8")
    words = Child("role", [], log).last_words()
    out, err = capsys.readouterr()
    everything = [out + err, vitals.trouble, health[2].decode(), words]
    assert all("***" in text for text in everything)
    assert not [text for text in everything if "m4rker" in text]
