"""How to reach Kafka: one description, translated for each client library."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

from adapters.kafka.bootstrap import parse_bootstrap
from adapters.listening import joined
from core.errors import ConfigurationError

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """`bootstrap`: `host:port`, comma separated; kept as every client reads it the same. Files are paths to PEM.

    Raises `ConfigurationError` for a description that is none.
    """

    bootstrap: str
    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigurationError(f"FOURFOLD_KAFKA_PROTOCOL is {self.protocol!r}: use one of {', '.join(PROTOCOLS)}")
        if self.mechanism not in MECHANISMS:
            raise ConfigurationError(
                f"FOURFOLD_KAFKA_MECHANISM is {self.mechanism!r}: use one of {', '.join(MECHANISMS)}"
            )
        if self._sasl and not (self.username and self.password):
            raise ConfigurationError(
                f"FOURFOLD_KAFKA_PROTOCOL is {self.protocol}: it needs FOURFOLD_KAFKA_USERNAME "
                "and FOURFOLD_KAFKA_PASSWORD"
            )
        plain = ",".join(joined(*address) for address in self.addresses)
        object.__setattr__(self, "bootstrap", plain)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Hosts and ports. Raises `ConfigurationError` for an address that is none."""
        return parse_bootstrap(self.bootstrap, self.protocol)

    @property
    def _sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    @property
    def _tls(self) -> bool:
        return self.protocol.endswith("SSL")

    def confluent(self, **more: Any) -> dict[str, Any]:
        """Settings for confluent-kafka clients; `more` uses `_` for `.`."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.protocol,
            "log_level": 2,
            # a name may have several addresses, and the first may be dead: the next one is tried after this time
            "socket.connection.setup.timeout.ms": 5000,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
        }
        if self._sasl:
            config |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        if self._tls:
            files = {
                "ssl.ca.location": self.ca_file,
                "ssl.certificate.location": self.cert_file,
                "ssl.key.location": self.key_file,
            }
            config |= {name: path for name, path in files.items() if path}
        return config | {name.replace("_", "."): value for name, value in more.items()}

    def reading(self, group: str, **more: Any) -> dict[str, Any]:
        """Settings for a plain reader of the log: committed records, and a word at each partition's end."""
        return self.confluent(
            group_id=group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            enable_partition_eof=True,
            fetch_queue_backoff_ms=10,
            fetch_wait_max_ms=100,
            **more,
        )

    def aiokafka(self) -> dict[str, Any]:
        """Settings for aiokafka's clients. Raises as `ssl_context`."""
        config: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.protocol,
            "ssl_context": self.ssl_context(),
        }
        if self._sasl:
            config |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return config

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context of asyncio clients, None without TLS. Raises `ConfigurationError`."""
        if not self._tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
        except OSError as error:
            raise ConfigurationError(
                f"a TLS file of Kafka cannot be used ({error}): check FOURFOLD_KAFKA_CA_FILE, "
                "FOURFOLD_KAFKA_CERT_FILE and FOURFOLD_KAFKA_KEY_FILE"
            ) from error
        return context
