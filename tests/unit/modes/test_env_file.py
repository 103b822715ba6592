"""`.env`: what people write into it is read, or refused with the line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from modes.env_file import EnvFile


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(".env")


def refused(path: Path) -> str:
    """The one line with which the file is refused."""
    with pytest.raises(ConfigurationError) as caught:
        EnvFile.read(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert "s3cret" not in message
    return message


@pytest.mark.parametrize(
    "text",
    [
        b"FOURFOLD_MODE=kappa",
        b"export FOURFOLD_MODE=kappa\n",
        b"FOURFOLD_MODE = kappa\n",
        b"FOURFOLD_MODE='kappa'\n",
        b'FOURFOLD_MODE="kappa"  # the log is the archive\n',
        b"FOURFOLD_MODE=kappa # the log is the archive\n",
        b"\xef\xbb\xbfFOURFOLD_MODE=kappa\r\n",
        b"# first\r\n\r\nFOURFOLD_MODE=kappa\r\n",
        b"# f\xc3\xbcr alle\nFOURFOLD_MODE=kappa\n",
        b"FOURFOLD_MODE=batch\rFOURFOLD_MODE=kappa\r",
    ],
)
def test_what_people_write_is_read(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    assert EnvFile.read(path).values == {"FOURFOLD_MODE": "kappa"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n# x\nFOURFOLD_MODE: kappa\n", "line 3: FOURFOLD_MODE is followed by : and not by =; write FOURFOLD_MODE=VALUE"),
        ("FOURFOLD_MODE kappa\n", "line 1: FOURFOLD_MODE is not followed by =; write FOURFOLD_MODE=VALUE"),
        ("A=1\r\nFOURFOLD_MODE\r\n", "line 2: FOURFOLD_MODE is not followed by =; write FOURFOLD_MODE=VALUE"),
        ("set FOURFOLD_MODE=kappa\n", "line 1: it begins with a shell's command 'set'; write NAME=VALUE"),
        ("=s3cret FOURFOLD\n", "line 1: it has no name before the sign =; write NAME=VALUE"),
        ('FOURFOLD_KAFKA_PASSWORD="s3cret\n', "line 1: a quote in the value of FOURFOLD_KAFKA_PASSWORD is not closed, "),
        ("FOURFOLD_KAFKA_PASSWORD='s3cret' s3cret\n", "line 1: a quote in the value of FOURFOLD_KAFKA_PASSWORD"),
        (
            'FOURFOLD_GROUP="s3cret\nFOURFOLD_MODE=kappa\nA=\n"\n',
            "line 1: the value of FOURFOLD_GROUP goes on in the next line; close its quote",
        ),
        ('A="x\nFOURFOLD_MODE=kappa"\n', "line 1: the value of A goes on in the next line; close its quote"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_told_with_what_is_wrong(path: Path, text: str, said: str) -> None:
    path.write_bytes(text.encode())
    assert refused(path).startswith(f".env, {said}")


def test_lines_of_others_are_left_out_and_told(path: Path) -> None:
    path.write_text("A: s3cret\nB\nCERTIFICATE='one\ntwo'\nFOURFOLD_MODE=kappa\n")
    file = EnvFile.read(path)
    assert file.values == {"CERTIFICATE": "one\ntwo", "FOURFOLD_MODE": "kappa"}
    assert file.lines["FOURFOLD_MODE"] == 5
    assert file.doubts == [
        ".env, line 1 is left out: A is followed by : and not by =; write A=VALUE",
        ".env, line 2 is left out: B is not followed by =; write B=VALUE",
    ]


def test_a_setting_that_is_there_twice_is_told(path: Path) -> None:
    path.write_text("FOURFOLD_MODE=batch\nFOURFOLD_MODE=kappa\n")
    file = EnvFile.read(path)
    assert (file.values, file.lines) == ({"FOURFOLD_MODE": "kappa"}, {"FOURFOLD_MODE": 2})
    assert file.doubts == [".env, line 2: FOURFOLD_MODE is in line 1, too; the last one counts"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "latin-1"])
def test_another_encoding_is_refused(path: Path, encoding: str) -> None:
    path.write_bytes("A=1\n# für alle\nFOURFOLD_MODE=kappa\n".encode(encoding))
    assert refused(path).startswith(".env cannot be read: ")
    assert refused(path).split("; ")[1].startswith("save it as ")


def test_none_says_nothing(path: Path) -> None:
    assert EnvFile.read(path) == EnvFile()


def test_a_folder_is_told_unless_it_is_a_virtual_environment(path: Path) -> None:
    path.mkdir()
    assert EnvFile.read(path).doubts == [".env is a folder and no file: no setting is read from it"]
    (path / "pyvenv.cfg").touch()
    assert EnvFile.read(path) == EnvFile()


def test_a_link_to_nothing_is_refused(path: Path) -> None:
    path.symlink_to("settings")
    assert refused(path) == ".env cannot be read: it links to settings, which is not there"


def test_one_that_may_not_be_read_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> bytes:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert refused(path) == ".env cannot be read (Permission denied): make it readable, or remove it"
