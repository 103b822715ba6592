"""Whatever is wrong with Kafka's address, protocol, login or rights is said in one line, within seconds."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from adapters.kafka.access import KafkaAccess
from adapters.kafka.preflight import preflight
from adapters.kafka.topics import Topics
from core.errors import ConfigurationError, UnavailableError
from modes.settings import Settings
from tests.support.brokers import Brokers
from tests.support.busy import allowed
from tests.support.product import run
from tests.support.servers import free_port
from tests.support.shop import SHOP
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.own_servers]

PROTOCOLS = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
LIMIT_S = 3.0
#: From the command to its last word.
COMMAND_LIMIT_S = 20.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cert.pem`, its own authority, for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "server.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Brokers]:
    """One broker with a listener of each protocol, which lets alice in and lets her do nothing."""
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="secret";'
    with Brokers(
        tmp_path_factory.mktemp("broker"),
        1,
        protocols=PROTOCOLS,
        properties={
            "sasl.enabled.mechanisms": "PLAIN",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificate / "server.pem"),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": login,
            "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
        },
    ) as brokers:
        yield brokers


def access(address: str, protocol: str, folder: Path, password: str = "secret", **more: str) -> KafkaAccess:
    ca = {"ca_file": str(folder / "cert.pem")} if protocol.endswith("SSL") else {}
    return KafkaAccess(address, protocol, username="alice", password=password, **{**ca, **more})


@pytest.mark.parametrize("protocol", ["PLAINTEXT", *PROTOCOLS])
def test_what_is_right_is_let_through_at_once(broker: Brokers, certificate: Path, protocol: str) -> None:
    began = time.monotonic()
    assert preflight(access(broker.address(1, protocol), protocol, certificate)) == []
    assert time.monotonic() - began < LIMIT_S


@pytest.mark.parametrize(
    ("listener", "protocol", "remedy"),
    [
        ("SSL", "PLAINTEXT", "to SSL or SASL_SSL"),
        ("SASL_SSL", "SASL_PLAINTEXT", "to SSL or SASL_SSL"),
        ("PLAINTEXT", "SSL", "to PLAINTEXT"),
        ("SASL_PLAINTEXT", "SASL_SSL", "to SASL_PLAINTEXT"),
        ("SASL_PLAINTEXT", "PLAINTEXT", "to SASL_PLAINTEXT"),
    ],
)
def test_a_listener_of_another_protocol_is_told_by_name(
    broker: Brokers, certificate: Path, listener: str, protocol: str, remedy: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"FOURFOLD_KAFKA_PROTOCOL {remedy}"):
        preflight(access(broker.address(1, listener), protocol, certificate), LIMIT_S)


def test_a_listener_without_login_is_told(broker: Brokers, certificate: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"FOURFOLD_KAFKA_(PROTOCOL|USERNAME)"):
        preflight(access(broker.address(1), "SASL_PLAINTEXT", certificate), LIMIT_S)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_wrong_password_is_told_and_not_shown(broker: Brokers, certificate: Path, protocol: str) -> None:
    with pytest.raises(ConfigurationError, match="FOURFOLD_KAFKA_USERNAME") as caught:
        preflight(access(broker.address(1, protocol), protocol, certificate, "guess"), LIMIT_S)
    assert "guess" not in str(caught.value)


def test_a_mechanism_that_the_broker_does_not_have_is_told(broker: Brokers, certificate: Path) -> None:
    wrong = access(broker.address(1, "SASL_PLAINTEXT"), "SASL_PLAINTEXT", certificate, mechanism="SCRAM-SHA-512")
    with pytest.raises(ConfigurationError, match="MECHANISM"):
        preflight(wrong, LIMIT_S)


def test_a_certificate_of_another_authority_is_told(broker: Brokers, certificate: Path) -> None:
    with pytest.raises(ConfigurationError, match="FOURFOLD_KAFKA_CA_FILE"):
        preflight(access(broker.address(1, "SSL"), "SSL", certificate, ca_file=""), LIMIT_S)


def test_rights_that_are_missing_are_told(broker: Brokers, certificate: Path) -> None:
    topics = Topics(access(broker.address(1, "SASL_PLAINTEXT"), "SASL_PLAINTEXT", certificate), SHOP.topics)
    with pytest.raises(ConfigurationError, match=r"kafka-acls\.sh"):
        topics.ensure(partitions=1, retention_ms=-1)


def test_more_replicas_than_brokers_are_told(broker: Brokers) -> None:
    began = time.monotonic()
    with pytest.raises(
        ConfigurationError, match=r"FOURFOLD_REPLICATION is 3 .* has 1 broker: set FOURFOLD_REPLICATION=1"
    ):
        Topics(KafkaAccess(broker.address(1)), SHOP.topics).ensure(partitions=1, retention_ms=-1, replication=3)
    assert time.monotonic() - began < allowed(COMMAND_LIMIT_S)


def test_a_topic_that_can_take_no_record_is_told(broker: Brokers) -> None:
    topics = Topics(KafkaAccess(broker.address(1)), SHOP.topics)
    topics.ensure(partitions=1, retention_ms=-1)

    admin = broker.admin()

    def alter(value: str) -> None:
        entry = ConfigEntry("min.insync.replicas", value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, "clicks", incremental_configs=[entry])
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(10)

    def refused() -> str:
        try:
            topics.check()
        except ConfigurationError as error:
            return str(error)
        return ""

    alter("2")
    # a broker may show the change a moment later
    said = until(refused, within_s=10, what="the topic to be refused")
    assert "clicks has min.insync.replicas=2 and replicas: 1" in said
    assert "clicks-0 (1 of 2)" in topics.hindrance()
    alter("1")


def test_a_dead_address_before_a_good_one_is_no_trouble(broker: Brokers) -> None:
    both = KafkaAccess(f"127.0.0.1:{free_port()},{broker.address(1)}")
    assert preflight(both) == []
    assert Topics(both, SHOP.topics).names() is not None


def test_nothing_at_the_address_is_waited_for_by_others() -> None:
    away = KafkaAccess(f"127.0.0.1:{free_port()}")
    began = time.monotonic()
    assert preflight(away) == []
    assert time.monotonic() - began < 1
    with pytest.raises(UnavailableError, match=away.bootstrap):
        Topics(away, SHOP.topics).names()


def test_a_host_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"no-such-host\.invalid is not known"):
        preflight(KafkaAccess("no-such-host.invalid:9092"), 0.5)


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Something else that listens; the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command\r\n"])
def test_what_is_no_kafka_is_told(answer: bytes) -> None:
    with server(answer) as address, pytest.raises(ConfigurationError, match="is no Kafka"):
        preflight(KafkaAccess(address), LIMIT_S)


def test_a_proxy_whose_broker_is_away_may_pass() -> None:
    with server(b"") as address:
        assert preflight(KafkaAccess(address), LIMIT_S) == []


def test_each_command_names_the_address_that_cannot_be_reached(tmp_path: Path) -> None:
    with Brokers(tmp_path / "kafka", 1, advertised=lambda port: f"kafka-nowhere.invalid:{port}") as broker:
        settings = Settings(kafka=broker.address(1), redis="redis://127.0.0.1:1", data_dir=tmp_path, _env_file=None)
        for command in (["topics"], ["process"], ["counts"]):
            began = time.monotonic()
            done = run(settings, *command)
            assert done.returncode == 2, (command, done.stderr)
            assert "kafka-nowhere.invalid" in done.stderr
            assert broker.address(1) in done.stderr
            assert "advertised.listeners" in done.stderr
            assert time.monotonic() - began < allowed(COMMAND_LIMIT_S)
