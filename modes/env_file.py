"""`.env`: settings in a file, read as Docker Compose reads it, and refused where a line cannot be read."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from core.errors import ConfigurationError

_OURS: Final = re.compile(r"fourfold", re.IGNORECASE)
_SWALLOWED: Final = re.compile(r"[\r\n]\s*(?:export\s+)?FOURFOLD_", re.IGNORECASE)
_FORM: Final = "write NAME=VALUE"
#: UTF-32 first: its mark begins with that of UTF-16.
_OTHER_ENCODINGS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What a file says.

    Attributes:
        values: name as it is written to value.
        lines: name to the line that counts, from 1.
        doubts: what a person should know, each in one line without any value.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    doubts: Sequence[str] = ()

    @classmethod
    def read(cls, path: Path) -> EnvFile:
        """Reads a file; one that is not there says nothing.

        Raises:
            ConfigurationError: it cannot be read, or a line that concerns Fourfold cannot. No message shows a value.
        """
        try:
            if path.is_dir():
                # a virtual environment may have that name
                usual = (path / "pyvenv.cfg").exists()
                return cls() if usual else cls(doubts=[f"{path} is a folder and no file: no setting is read from it"])
            if path.is_symlink() and not path.exists():
                raise ConfigurationError(f"{path} cannot be read: it links to {path.readlink()}, which is not there")
            data = path.read_bytes()
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be read ({error.strerror}): make it readable, or remove it"
            ) from None
        return cls._parsed(path, _text(path, data))

    @classmethod
    def _parsed(cls, path: Path, text: str) -> EnvFile:
        good: list[str] = []
        lines: dict[str, int] = {}
        doubts: list[str] = []
        for binding in parse_stream(io.StringIO(text)):
            line = _line(binding)
            where = f"{path}, line {line}"
            if binding.error or (binding.key is not None and binding.value is None):
                why = _why(binding)
                if _OURS.search(binding.original.string):
                    raise ConfigurationError(f"{where}: {why}")
                doubts.append(f"{where} is left out: {why}")
                continue
            good.append(binding.original.string)
            if binding.key is None:
                continue
            _check_end(binding, where)
            if _OURS.match(binding.key) and binding.key in lines:
                doubts.append(f"{where}: {binding.key} is in line {lines[binding.key]}, too; the last one counts")
            lines[binding.key] = line
        read = dotenv_values(stream=io.StringIO("".join(good)))
        return cls({name: value or "" for name, value in read.items()}, lines, doubts)


def _text(path: Path, data: bytes) -> str:
    for mark, encoding in _OTHER_ENCODINGS:
        if data.startswith(mark):
            raise ConfigurationError(f"{path} cannot be read: it is {encoding}; save it as UTF-8")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise ConfigurationError(f"{path} cannot be read: a zero byte is in line {line}; save it as text, in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path} cannot be read: line {line} is not UTF-8; save it as UTF-8") from None


def _line(binding: Binding) -> int:
    """Where it begins: the parser counts the empty lines before it to it."""
    text = binding.original.string
    before = text[: len(text) - len(text.lstrip())]
    return binding.original.line + len(re.findall(r"\r\n|\n|\r", before))


def _check_end(binding: Binding, where: str) -> None:
    """A quote that is closed in a later line has taken the lines between for its value."""
    value = binding.value or ""
    ours = _OURS.match(binding.key or "") and re.search(r"[\r\n]", value)
    if ours or _SWALLOWED.search(value):
        raise ConfigurationError(f"{where}: the value of {binding.key} goes on in the next line; close its quote")


def _why(binding: Binding) -> str:
    """What is wrong with a line, without what may be a password."""
    text = binding.original.string.strip()
    name = re.match(r"(?:export\s+)?([A-Za-z_][\w.-]*)\s*(.?)(.?)", text)
    if text.lower().startswith(("set ", "setx ", "setenv ")):
        return f"it begins with a shell's command {text.split()[0]!r}; {_FORM}"
    if name is None:
        return f"it has no name before the sign =; {_FORM}" if "=" in text else f"it has no sign =; {_FORM}"
    if name[2] == "=":
        return f"a quote in the value of {name[1]} is not closed, or something follows it; {_FORM}"
    if name[2] == ":":
        return f"{name[1]} is followed by : and not by =; write {name[1]}=VALUE"
    return f"{name[1]} is not followed by =; write {name[1]}=VALUE"
