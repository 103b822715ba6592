"""What `fourfold up` decides before it starts anything."""

from __future__ import annotations

import socket

import pytest

from core.errors import ConfigurationError
from modes.settings import Settings
from modes.up import api_port, claimed_api_port

HOST = "127.0.0.1"


@pytest.fixture
def usual() -> Settings:
    """Settings that ask for no port, where the usual one is free."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    settings.__dict__["api_port"] = port
    return settings


def test_two_that_start_at_once_take_two_ports(usual: Settings) -> None:
    with claimed_api_port(usual) as first, claimed_api_port(usual) as second:
        assert first == usual.api_port
        assert second not in (first, 0)
    assert api_port(usual) == usual.api_port


def test_a_port_on_which_somebody_listens_is_not_taken(usual: Settings) -> None:
    with socket.socket() as other:
        other.bind((HOST, usual.api_port))
        other.listen()
        assert api_port(usual) not in (usual.api_port, 0)


def test_a_port_that_is_asked_for_is_taken_where_nobody_listens(usual: Settings) -> None:
    asked = Settings(api_port=usual.api_port, _env_file=None)  # type: ignore[call-arg]
    with claimed_api_port(usual), claimed_api_port(asked) as port:
        assert port == usual.api_port


def test_a_host_that_is_not_here_is_said(usual: Settings) -> None:
    with pytest.raises(ConfigurationError, match="FOURFOLD_API_HOST"):
        api_port(usual.model_copy(update={"api_host": "192.0.2.1"}))
