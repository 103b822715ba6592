"""How to reach Kafka: each client gets the same description, and wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.kafka.access import MECHANISMS, PROTOCOLS, KafkaAccess
from core.errors import ConfigurationError


def test_plain_access_needs_an_address_alone() -> None:
    config = KafkaAccess("host:9092").confluent(group_id="g", enable_auto_commit=False)
    assert config["bootstrap.servers"] == "host:9092"
    assert config["security.protocol"] == "PLAINTEXT"
    assert (config["group.id"], config["enable.auto.commit"]) == ("g", False)
    assert not [name for name in config if name.startswith(("sasl", "ssl"))]
    assert KafkaAccess("host:9092").ssl_context() is None


@pytest.mark.parametrize("protocol", [p for p in PROTOCOLS if p.startswith("SASL")])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_sasl_gives_name_password_and_mechanism(protocol: str, mechanism: str) -> None:
    config = KafkaAccess("h:1", protocol, mechanism, "name", "secret").confluent()
    assert config["sasl.mechanism"] == mechanism
    assert (config["sasl.username"], config["sasl.password"]) == ("name", "secret")


@pytest.mark.parametrize(("username", "password"), [("", ""), ("name", ""), ("", "secret")])
def test_sasl_without_name_or_password_is_refused(username: str, password: str) -> None:
    with pytest.raises(ConfigurationError, match=r"needs FOURFOLD_KAFKA_USERNAME and FOURFOLD_KAFKA_PASSWORD"):
        KafkaAccess("h:1", "SASL_PLAINTEXT", username=username, password=password)


def test_tls_gives_the_files_that_are_set() -> None:
    config = KafkaAccess("h:1", "SSL", ca_file="ca.pem", cert_file="cert.pem").confluent()
    assert config["ssl.ca.location"] == "ca.pem"
    assert config["ssl.certificate.location"] == "cert.pem"
    assert "ssl.key.location" not in config


@pytest.mark.parametrize("protocol", ["", "plaintext", "HTTP", "SASL"])
def test_an_unknown_protocol_is_refused(protocol: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^FOURFOLD_KAFKA_PROTOCOL is .*: use one of PLAINTEXT, SSL"):
        KafkaAccess("h:1", protocol)


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^FOURFOLD_KAFKA_MECHANISM is 'GSSAPI': use one of PLAIN"):
        KafkaAccess("h:1", mechanism="GSSAPI")


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\xfe"])
def test_a_tls_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"a TLS file of Kafka cannot be used") as caught:
        KafkaAccess("h:1", "SSL", ca_file=str(file)).ssl_context()
    assert len(str(caught.value).splitlines()) == 1
