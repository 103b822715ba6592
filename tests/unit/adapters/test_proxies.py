"""A proxy of the environment is for downloads, and for nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.embedded import jars
from adapters.embedded.jar_lock import read_lock
from adapters.embedded.jars import Jars
from core.errors import UnavailableError

ROOT = Path(__file__).parents[3]
#: Clients that take a proxy from the environment without being asked.
CLIENT = re.compile(
    r"^\s*(?:import|from) (?:requests|httpx|aiohttp|urllib3)\b|\burlopen\(|\.urlretrieve\(", re.MULTILINE
)


def test_no_module_asks_the_product_through_a_client_that_takes_proxies() -> None:
    packages = ("core", "adapters", "producers", "processors", "batch", "serving", "modes")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    assert len(files) > 200
    assert not [file for file in files if CLIENT.search(file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_download_that_fails_names_the_proxy_without_its_password(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # nobody listens there
    monkeypatch.setenv(name, "http://me:s3cret@127.0.0.1:9")
    monkeypatch.setattr(jars, "read_lock", lambda: read_lock()[:1])
    with pytest.raises(UnavailableError) as caught:
        Jars(tmp_path / "cache", lambda _: None, tmp_path / "repository").class_path()
    message = str(caught.value)
    assert f" over the proxy http://127.0.0.1:9 of {name}: check it; " in message
    assert "s3cret" not in message
