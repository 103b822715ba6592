"""SASL and TLS: one set of settings reaches every client of Kafka; `rediss://` works."""

import subprocess
import uuid
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from adapters.embedded import kafka as embedded_kafka
from adapters.embedded.ports import HOST
from adapters.embedded.servers import EmbeddedServers
from modes.settings import Settings
from tests.support import servers as test_servers
from tests.support.product import assert_exact, caught_up, command, produce, worker
from tests.support.servers import REDIS_IMAGE, Servers, free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A folder with `cert.pem` (its own authority, for 127.0.0.1) and `key.pem`."""
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
    # a container's user reads them too
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


@pytest.fixture
def secured_kafka(tmp_path, certificate, monkeypatch):
    """The address of a SASL_SSL listener that knows alice."""
    port = free_port()
    both = (certificate / "key.pem").read_text() + (certificate / "cert.pem").read_text()
    (certificate / "server.pem").write_text(both)
    plain = embedded_kafka.server_properties

    def with_tls(listen: int, controller: int, **more: str) -> str:
        lines = plain(listen, controller, **more)
        listener = f"SASL_SSL://{HOST}:{port}"
        lines = lines.replace(f"PLAINTEXT://{HOST}:{listen}", f"PLAINTEXT://{HOST}:{listen},{listener}")
        lines = lines.replace("CONTROLLER:PLAINTEXT\n", "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL\n")
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        return lines + (
            "sasl.enabled.mechanisms=PLAIN\n"
            f'listener.name.sasl_ssl.plain.sasl.jaas.config={login} user_alice="secret";\n'
            f"ssl.keystore.type=PEM\nssl.keystore.location={certificate / 'server.pem'}\n"
        )

    monkeypatch.setattr(embedded_kafka, "server_properties", with_tls)
    with EmbeddedServers(tmp_path / "servers", with_redis=False):
        yield f"{HOST}:{port}"


def _settings(tmp_path: Path, kafka: str, redis: str, **more: object) -> Settings:
    name = f"t{uuid.uuid4().hex[:8]}"
    return Settings(
        mode="streaming",
        kafka=kafka,
        redis=redis,
        namespace=name,
        group=name,
        data_dir=tmp_path,
        _env_file=None,
        **more,
    )


def test_every_client_reaches_kafka_over_sasl_and_tls(secured_kafka, certificate, servers: Servers, tmp_path):
    settings = _settings(
        tmp_path,
        secured_kafka,
        servers.redis,
        kafka_protocol="SASL_SSL",
        kafka_username="alice",
        kafka_password="secret",
        kafka_ca_file=str(certificate / "cert.pem"),
    )
    with worker(settings):
        produce(settings, 2, 500)
        caught_up(settings)
    assert assert_exact(settings).events > 500
    assert command(settings, "deadletters", "--json").returncode == 0

    wrong = settings.model_copy(update={"kafka_password": "guess"})
    done = command(wrong, "verify")
    assert done.returncode == 2
    assert done.stderr.count("fourfold: ") == 1
    assert "FOURFOLD_KAFKA_USERNAME" in done.stderr
    assert "guess" not in done.stderr


@pytest.mark.skipif(test_servers.kind() != "containers", reason="the embedded Redis has no TLS; needs Docker")
def test_rediss_works(certificate, kafka_bootstrap, fresh_topics, tmp_path):
    port = free_port()
    options = (
        "redis-server --port 0 --tls-port 6379 --tls-auth-clients no --tls-cert-file /tls/cert.pem "
        "--tls-key-file /tls/key.pem --tls-ca-cert-file /tls/cert.pem"
    )
    ready = LogMessageWaitStrategy("Ready to accept connections").with_startup_timeout(30)
    container = DockerContainer(REDIS_IMAGE).with_bind_ports(6379, port).with_command(options)
    container = container.with_volume_mapping(str(certificate), "/tls").waiting_for(ready)
    with container:
        address = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate / 'cert.pem'}"
        settings = _settings(tmp_path, kafka_bootstrap, address)
        with worker(settings):
            produce(settings, 1, 500)
            caught_up(settings)
        assert_exact(settings)
