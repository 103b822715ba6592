"""Parts are put together, or refused before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from modes.settings import load
from modes.wiring import embedded


def test_a_data_directory_that_java_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"bad\\udcff' is no UTF-8, .* FOURFOLD_DATA_DIR"):
        embedded(load(data_dir=tmp_path / os.fsdecode(b"bad\xff")))
    embedded(load(data_dir=tmp_path / "ünï 😀"))
