"""The API's world, filled, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.support.api_world import ApiWorld, filled


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ApiWorld]:
    with filled(tmp_path) as made:
        yield made


@pytest.fixture
def client(world: ApiWorld) -> TestClient:
    return TestClient(world.api)
