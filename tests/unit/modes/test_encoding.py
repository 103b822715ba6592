"""Every command's output can be written in every locale."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from modes import cli
from modes.encoding import settle
from serving.live import Picture
from serving.terminal import draw
from tests.support.shop import SHOP, ZERO

ROOT = Path(cli.__file__).parent.parent
#: Locales as a shell, a cron job or a service of an old machine has them.
LOCALES = {
    "a locale of ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "streams of ASCII": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
    "streams of Latin-1": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"},
}


def written(text: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What arrives of a text on a stream of that encoding."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    settle()
    stream.write(text)
    stream.flush()
    return raw.getvalue()


@pytest.mark.parametrize(
    ("text", "encoding", "arrives"),
    [
        ("lambda → 5 · …", "ascii", b"lambda > 5 - ."),
        ("a · b ≈ c", "latin-1", b"a \xb7 b ~ c"),
        ("Käse ⠋ 茶", "ascii", b"Kase . \\u8336"),
        ("Käse → 茶", "utf-8", "Käse → 茶".encode()),
        ("half \udcff", "utf-8", b"half \\udcff"),
        ("line │ ─", "ascii", b"line \\u2502 \\u2500"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_plain_letters(
    text: str, encoding: str, arrives: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written(text, encoding, monkeypatch) == arrives


def test_the_live_view_is_drawn_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    settle()
    console = Console(file=stream, width=100, force_terminal=True)
    console.print(draw(Picture(ZERO), SHOP, "fourfold · lambda · view v1", [("serve", "up")], "Ctrl-C ends the watch"))
    stream.flush()
    shown = raw.getvalue().decode("ascii")
    assert "fourfold - lambda - view v1" in shown
    assert "\\u" not in shown


@pytest.mark.parametrize("locale", LOCALES)
def test_the_real_process_writes_its_table(locale: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# für alle\nFOURFOLD_GROUP=größe\n", encoding="utf-8")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", "modes", "modes"],
        cwd=tmp_path,
        env={**bare, **LOCALES[locale], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"lambda <" in done.stdout
