"""Kafka's address: every client reads the same, or it is refused with what is wrong."""

from __future__ import annotations

import pytest

from adapters.kafka.access import KafkaAccess
from core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("host:9092", "host:9092"),
        (" a:1 , b:2 ,", "a:1,b:2"),
        ("\ta:1\n", "a:1"),
        ("a:1,a:1,b:2", "a:1,b:2"),
        ("PLAINTEXT://host:9092", "host:9092"),
        ("plaintext://host:9092,PLAINTEXT://b:1", "host:9092,b:1"),
        ("kafka://host:9092/", "host:9092"),
        ("[::1]:9092,[2001:DB8::1]:1", "[::1]:9092,[2001:db8::1]:1"),
        ("127.0.0.1:65535", "127.0.0.1:65535"),
        ("under_score.host-1.example.:9", "under_score.host-1.example.:9"),
    ],
)
def test_what_can_be_read_in_one_way_only_is_taken(written: str, read: str) -> None:
    access = KafkaAccess(written)
    assert access.bootstrap == read
    assert access.confluent()["bootstrap.servers"] == read
    assert len(access.addresses) == len(read.split(","))


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("", "has no address in it"),
        (" , ", "has no address in it"),
        ("host", "has no port: write host:9092"),
        ("kafka://host", "has no port: write host:9092"),
        ("::1:9092", r"in brackets, \[::1\]:9092"),
        ("[::1]", "no port behind its brackets"),
        ("[host]:1", "no IPv6 address in its brackets"),
        ("host:0", "no port between 1 and 65535"),
        ("host:99999", "no port between 1 and 65535"),
        ("host:-1", "no port between 1 and 65535"),
        ("host:\uff19\uff10\uff19\uff12", "no port between 1 and 65535"),
        ("host: 9092", "no port between 1 and 65535"),
        ("host:9092/kafka", "no port between 1 and 65535"),
        ("host:", "no port between 1 and 65535"),
        (":9092", "has no host"),
        ("höst:9092", "xn--"),
        ("'host:9092'", "no host name"),
        ("a:1;b:2", "more than one separated by commas"),
        ("a:1 b:2", "more than one separated by commas"),
        ("http://host:9092", "no address of a Kafka"),
        ("SASL_SSL://host:9092", "FOURFOLD_KAFKA_PROTOCOL is PLAINTEXT"),
    ],
)
def test_what_clients_would_misread_is_refused_in_one_line(written: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^FOURFOLD_KAFKA .*{what}") as caught:
        KafkaAccess(written)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("written", ["kafka://user:geheim@host:1", "user:geheim@host:1", "SASL_SSL://u:geheim@h:1"])
def test_a_password_in_the_address_is_refused_and_not_shown(written: str) -> None:
    with pytest.raises(ConfigurationError, match="FOURFOLD_KAFKA") as caught:
        KafkaAccess(written)
    assert "geheim" not in str(caught.value)
