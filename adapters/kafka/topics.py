"""Topics: made where they are missing, checked where they exist."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from adapters.kafka.access import KafkaAccess
from core.errors import ConfigurationError, UnavailableError
from core.events import DEAD_LETTERS, DEAD_LETTERS_MAX_BYTES, REPAIRS, TOPICS
from core.position import PartitionKey

TIMEOUT_S: Final = 10.0
#: Longer than the client's own limit, so that it is the client that gives up, and says why.
ANSWER_LIMIT_S: Final = TIMEOUT_S + 2
_EVENT_CONFIG: Final = {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete"}
_LETTER_CONFIG: Final = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(DEAD_LETTERS_MAX_BYTES),
}
#: Beside the topics of events: of one partition, kept by key.
_LETTERS: Final = (DEAD_LETTERS, REPAIRS)


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it. `identity` changes when a topic is deleted and made anew."""

    name: str
    partitions: int
    identity: str


class Topics:
    """Administers the topics of events, of dead letters and of repairs."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._admin = AdminClient(access.confluent(socket_timeout_ms=int(TIMEOUT_S * 1000)))

    def ensure(self, *, partitions: int, retention_ms: int, replication: int = 1) -> list[str]:
        """Makes the topics that are missing; the names of those it made.

        `retention_ms`: how long events are kept, -1 for good. Raises `ConfigurationError` where
        an existing topic cannot be used, `UnavailableError` where Kafka does not answer.
        """
        existing = self.names()
        wanted: dict[str, tuple[int, dict[str, str]]] = {
            name: (partitions, _EVENT_CONFIG | {"retention.ms": str(retention_ms)}) for name in TOPICS
        }
        wanted |= dict.fromkeys(_LETTERS, (1, _LETTER_CONFIG))
        new = [
            NewTopic(name, count, replication, config=config)
            for name, (count, config) in wanted.items()
            if name not in existing
        ]
        made = []
        if new:
            for name, future in self._admin.create_topics(new).items():
                try:
                    _answer(future)
                    made.append(name)
                except KafkaException as error:
                    # somebody else made it in the meantime
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise UnavailableError(f"cannot make the topic {name}: {error}") from error
        self._await_visible(made)
        self.check()
        self._keep([name for name in TOPICS if name in existing], retention_ms)
        return made

    def check(self) -> None:
        """Raises `ConfigurationError` where a topic is missing or cannot be used."""
        existing = self.names()
        missing = [name for name in (*TOPICS, *_LETTERS) if name not in existing]
        if missing:
            raise ConfigurationError(f"topic {missing[0]} does not exist: make the topics with `fourfold topics`")
        wanted = dict.fromkeys(TOPICS, _EVENT_CONFIG) | dict.fromkeys(_LETTERS, _LETTER_CONFIG)
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
        for resource, future in self._admin.describe_configs(resources).items():
            config = _settled(future)
            for name, value in wanted[resource.name].items():
                found = config[name].value
                if found != value:
                    raise ConfigurationError(
                        f"topic {resource.name} has {name}={found}, it must be {value}: "
                        f"kafka-configs.sh --alter --entity-type topics --entity-name "
                        f"{resource.name} --add-config {name}={value}"
                    )

    def _keep(self, names: Sequence[str], retention_ms: int) -> None:
        """Existing topics keep events at least so long, where another mode was content with less."""
        if not names:
            return
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        changes = []
        for resource, future in self._admin.describe_configs(resources).items():
            kept_ms = int(_settled(future)["retention.ms"].value)
            if kept_ms >= 0 and (retention_ms < 0 or kept_ms < retention_ms):
                entry = ConfigEntry("retention.ms", str(retention_ms), incremental_operation=AlterConfigOpType.SET)
                changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=[entry]))
        if changes:
            for future in self._admin.incremental_alter_configs(changes).values():
                _settled(future)

    def states(self) -> dict[str, TopicState]:
        """Each existing topic of events by name. Raises `UnavailableError`."""
        found = {}
        for name, future in self._admin.describe_topics(TopicCollection(list(TOPICS))).items():
            try:
                topic = _answer(future)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise _away(error) from error
            found[name] = TopicState(name, len(topic.partitions), str(topic.topic_id))
        return found

    def partitions(self) -> list[PartitionKey]:
        """All partitions of the topics of events. Raises `UnavailableError`."""
        return [
            PartitionKey(state.name, number) for state in self.states().values() for number in range(state.partitions)
        ]

    def _await_visible(self, made: Sequence[str]) -> None:
        """A broker may not show a topic yet that it has just made."""
        end = time.monotonic() + TIMEOUT_S
        while missing := set(made) - self.names():
            if time.monotonic() > end:
                raise UnavailableError(f"Kafka made the topic {min(missing)} and does not show it")
            time.sleep(0.05)

    def names(self) -> set[str]:
        """All topics of the broker. Raises `UnavailableError`."""
        try:
            return set(self._admin.list_topics(timeout=TIMEOUT_S).topics)
        except KafkaException as error:
            raise _away(error, self._access.bootstrap) from error


def log_identity(states: Mapping[str, TopicState]) -> str:
    """One text for the identities of all topics of events."""
    return ",".join(f"{name}={states[name].identity}" for name in sorted(states))


def topics_made_anew() -> ConfigurationError:
    """The error for a log whose topics were replaced while they were read."""
    return ConfigurationError(
        "the topics were deleted and made anew: the view counts a log that is gone; "
        "begin another view with FOURFOLD_NAMESPACE"
    )


def _answer(future: Any) -> Any:
    """What Kafka answered. Raises `KafkaException`, `UnavailableError` where no answer came."""
    try:
        return future.result(ANSWER_LIMIT_S)
    except TimeoutError as error:
        raise UnavailableError(f"Kafka has not answered for {ANSWER_LIMIT_S:g} s") from error


def _settled(future: Any) -> Any:
    """As `_answer`, with every failure as `UnavailableError`."""
    try:
        return _answer(future)
    except KafkaException as error:
        raise _away(error) from error


def _away(error: KafkaException, where: str = "") -> UnavailableError:
    at = f" at {where}" if where else ""
    return UnavailableError(f"Kafka{at} does not answer: {error.args[0].str()}")
