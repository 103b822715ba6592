"""Parts are put together, or refused before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.embedded.servers import Addresses
from core.errors import ConfigurationError
from modes.settings import load
from modes.up import api_of, api_port
from modes.wiring.servers import addressed, embedded


def test_a_data_directory_that_java_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"bad\\udcff' is no UTF-8, .* FOURFOLD_DATA_DIR"):
        embedded(load(data_dir=tmp_path / os.fsdecode(b"bad\xff")))
    embedded(load(data_dir=tmp_path / "ünï 😀"))


def test_what_is_set_of_tls_is_for_a_kafka_of_ones_own_and_not_for_the_embedded_one() -> None:
    running = Addresses("127.0.0.1:1", "redis://127.0.0.1:2/0")
    secure = {"kafka_protocol": "SASL_SSL", "kafka_username": "u", "kafka_password": "p"}
    assert addressed(load(**secure), running).access.protocol == "PLAINTEXT"
    assert addressed(load(**secure, kafka="mine:1"), running).access.protocol == "SASL_SSL"


def test_the_port_of_the_api_is_the_one_that_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with load(api_host="::1", api_port=0).api.listener() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"at \[::1\]:{port} \(that port is in use\)"):
            api_port(load(api_host="::1", api_port=port))
        # nobody asked for this one
        usual = load(api_host="::1").model_copy(update={"api_port": port})
        usual.model_fields_set.discard("api_port")
        assert api_port(usual) not in (0, port)
    assert api_of(load(api_host="::1", api_port=port)) == f"http://[::1]:{port}"
