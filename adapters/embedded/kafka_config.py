"""The configuration files of the embedded Kafka. All paths are relative to its home, so a directory can be moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.embedded.ports import HOST

#: Folder of the data, relative to the home.
DATA: Final = "data"

#: What does not depend on where it runs. Topics of events set what matters to them (`adapters/kafka/topics.py`).
_FIXED: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # One broker: one replica of everything, and few partitions that a start has to load.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    # Groups form at once, and a broker that was killed may register again soon.
    "group.initial.rebalance.delay.ms": "0",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}

_LOGGING: Final = {
    "status": "error",
    "appender.file.type": "RollingFile",
    "appender.file.name": "file",
    "appender.file.fileName": "../logs/kafka.log",
    "appender.file.filePattern": "../logs/kafka.%i.log",
    "appender.file.layout.type": "PatternLayout",
    "appender.file.layout.pattern": "%d{ISO8601} %p %m (%c)%n%throwable",
    "appender.file.policy.type": "SizeBasedTriggeringPolicy",
    "appender.file.policy.size": "10MB",
    "appender.file.strategy.type": "DefaultRolloverStrategy",
    "appender.file.strategy.max": "2",
    "rootLogger.level": "info",
    "rootLogger.appenderRef.file.ref": "file",
    # Hundreds of lines at each start, none of which is news.
    "logger.config.name": "org.apache.kafka.common.config.AbstractConfig",
    "logger.config.level": "warn",
}


def server_properties(port: int, controller_port: int, data: str = DATA) -> str:
    """`server.properties` of a process that is broker and controller. data: folder, relative to the home."""
    broker, controller = f"PLAINTEXT://{HOST}:{port}", f"CONTROLLER://{HOST}:{controller_port}"
    return _render(
        _FIXED
        | {
            "listeners": f"{broker},{controller}",
            "advertised.listeners": broker,
            "controller.quorum.voters": f"1@{HOST}:{controller_port}",
            "log.dirs": data,
        }
    )


def logging_properties() -> str:
    """`log4j2.properties`: one file of bounded size."""
    return _render(_LOGGING)


def _render(properties: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())
