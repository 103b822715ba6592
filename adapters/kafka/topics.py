"""Topics: made where they are missing, checked where they exist."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

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
from adapters.kafka.trouble import LEADERS_MOVE, said
from core.errors import ConfigurationError, UnavailableError
from core.events import DEAD_LETTERS, DEAD_LETTERS_MAX_BYTES, REPAIRS
from core.position import PartitionKey

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
#: One try of a question: a broker that is gone never answers.
TRY_S: Final = 3.0
#: Longer than the client's own limit, so that it is the client that gives up, and says why.
ANSWER_LIMIT_S: Final = TIMEOUT_S + 2
#: Within this time every broker has heard of a topic, of a leader and of the other brokers.
SPREAD_S: Final = 8.0
#: A topic that one broker does not know may be one that it has not heard of, as just after its start.
UNKNOWN_S: Final = 3.0
_PAUSE_S: Final = 0.1
EVENT_CONFIG: Final = {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete"}
_LARGEST: Final = "max.message.bytes"
LETTER_CONFIG: Final = {
    "cleanup.policy": "compact",
    _LARGEST: str(DEAD_LETTERS_MAX_BYTES),
}
#: Beside the topics of events: of one partition, kept by key.
_LETTERS: Final = (DEAD_LETTERS, REPAIRS)
_LEAST_REPLICAS: Final = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it. `identity` changes when a topic is deleted and made anew."""

    name: str
    partitions: int
    identity: str


class Topics:
    """Administers the topics of events, of dead letters and of repairs."""

    def __init__(self, access: KafkaAccess, topics: Sequence[str]) -> None:
        """`topics`: of events."""
        self._topics = tuple(topics)
        self._wanted = dict.fromkeys(self._topics, EVENT_CONFIG) | dict.fromkeys(_LETTERS, LETTER_CONFIG)
        self._access = access
        self._away = f"Kafka at {access.bootstrap} does not answer"
        self._admin = self._connected()

    def ensure(self, *, partitions: int, retention_ms: int, replication: int = 1) -> list[str]:
        """Makes the topics that are missing; the names of those it made.

        `retention_ms`: how long events are kept, -1 for good. Raises `ConfigurationError` where
        an existing topic cannot be used, `UnavailableError` where Kafka does not answer.
        """
        existing = self.names()
        wanted: dict[str, tuple[int, dict[str, str]]] = {
            name: (partitions, EVENT_CONFIG | {"retention.ms": str(retention_ms)}) for name in self._topics
        }
        wanted |= dict.fromkeys(_LETTERS, (1, LETTER_CONFIG))
        new = [
            NewTopic(name, count, replication, config=config)
            for name, (count, config) in wanted.items()
            if name not in existing
        ]
        made = self._make(new, replication) if new else []
        self._await_visible(made)
        self.check()
        self._keep([name for name in self._topics if name in existing], retention_ms)
        return made

    def _make(self, new: Sequence[NewTopic], replication: int) -> list[str]:
        """The names of those that it made, and nobody else. Raises as `ensure`."""
        self._await_brokers(replication)
        made = []
        for name, future in self._admin.create_topics(list(new)).items():
            try:
                _answer(future)
                made.append(name)
            except KafkaException as error:
                # somebody else made it in the meantime
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise said(error, f"Kafka cannot make the topic {name}") from error
        return made

    def _await_brokers(self, replication: int) -> None:
        """Brokers of a cluster that is just starting come one by one. Raises `ConfigurationError` for too few."""
        end = time.monotonic() + SPREAD_S
        while (count := len(self._metadata().brokers)) < replication:
            if time.monotonic() > end:
                brokers = "1 broker" if count == 1 else f"{count} brokers"
                raise ConfigurationError(
                    f"FOURFOLD_REPLICATION is {replication} and the Kafka at {self._access.bootstrap} has {brokers}: "
                    f"set FOURFOLD_REPLICATION={max(1, count)}, or start more brokers"
                )
            time.sleep(_PAUSE_S)

    def check(self) -> None:
        """Raises `ConfigurationError` where a topic is missing or cannot be used."""
        wanted = self._wanted
        end = time.monotonic() + UNKNOWN_S
        while missing := [name for name in wanted if name not in self.names()]:
            if time.monotonic() > end:
                raise ConfigurationError(f"topic {missing[0]} does not exist: make the topics with `fourfold topics`")
            time.sleep(_PAUSE_S)
        self.check_settings()

    def check_settings(self) -> None:
        """Raises `ConfigurationError` where a topic that exists cannot be used, as somebody may have altered it."""
        wanted = self._wanted
        replicas = {name: topic.replicas for name, topic in self._described(tuple(wanted)).items()}
        for name, config in self._configs(tuple(wanted)).items():
            for key, value in wanted[name].items():
                found = config[key].value
                if not _fits(key, found, value):
                    raise ConfigurationError(
                        f"topic {name} has {key}={found}, it must be {value}: "
                        f"kafka-configs.sh --alter --entity-type topics --entity-name "
                        f"{name} --add-config {key}={value}"
                    )
            least = int(config[_LEAST_REPLICAS].value)
            if least > replicas.get(name, least):
                raise ConfigurationError(
                    f"topic {name} has {_LEAST_REPLICAS}={least} and replicas: {replicas[name]}, so Kafka takes no "
                    f"records of it: give it more with kafka-reassign-partitions.sh (new topics get "
                    f"FOURFOLD_REPLICATION), or kafka-configs.sh --alter --entity-type topics --entity-name {name} "
                    f"--add-config {_LEAST_REPLICAS}={replicas[name]}"
                )

    def _keep(self, names: Sequence[str], retention_ms: int) -> None:
        """Existing topics keep events at least so long, where another mode was content with less."""
        if not names:
            return
        changes = []
        for name, config in self._configs(names).items():
            kept_ms = int(config["retention.ms"].value)
            if kept_ms >= 0 and (retention_ms < 0 or kept_ms < retention_ms):
                entry = ConfigEntry("retention.ms", str(retention_ms), incremental_operation=AlterConfigOpType.SET)
                changes.append(ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry]))
        if changes:
            self._asked(lambda admin: [_answer(done) for done in admin.incremental_alter_configs(changes).values()])

    def short_lived(self, retention_ms: int) -> list[str]:
        """In words, which topics of events lose records sooner than after `retention_ms` (-1: ever)."""
        found = []
        for name, config in self._configs(self._topics).items():
            kept_ms, kept_bytes = int(config["retention.ms"].value), int(config["retention.bytes"].value)
            if kept_ms >= 0 and (retention_ms < 0 or kept_ms < retention_ms):
                wanted = "-1 (for good)" if retention_ms < 0 else f"{retention_ms} or more"
                found.append(f"topic {name} has retention.ms={kept_ms}, it should be {wanted}")
            if kept_bytes >= 0:
                found.append(f"topic {name} has retention.bytes={kept_bytes}, it should be -1")
        return found

    def states(self) -> dict[str, TopicState]:
        """Each existing topic of events by name. Raises `UnavailableError`."""
        return {
            name: TopicState(name, topic.partitions, topic.identity)
            for name, topic in self._described(self._topics).items()
        }

    def partitions(self) -> list[PartitionKey]:
        """All partitions of the topics of events. Raises `UnavailableError`."""
        return [
            PartitionKey(state.name, number) for state in self.states().values() for number in range(state.partitions)
        ]

    def hindrance(self) -> str:
        """What keeps records out of the topics of events, as far as Kafka tells. Raises `UnavailableError`."""
        found = self._metadata().topics
        least = {name: int(config[_LEAST_REPLICAS].value) for name, config in self._configs(self._topics).items()}
        leaderless, short = [], []
        for name in self._topics:
            for number, partition in sorted(found[name].partitions.items()) if name in found else ():
                if partition.leader < 0:
                    leaderless.append(f"{name}-{number}")
                elif len(partition.isrs) < least[name]:
                    short.append(f"{name}-{number} ({len(partition.isrs)} of {least[name]})")
        if leaderless:
            return f"no broker leads {', '.join(leaderless)}: start the brokers that have them"
        if short:
            return f"fewer replicas are in sync than {_LEAST_REPLICAS} asks for: {', '.join(short)}; start the other brokers"
        return "Kafka answers, and acknowledges nothing"

    def names(self) -> set[str]:
        """All topics of the broker. Raises `UnavailableError`."""
        return set(self._metadata().topics)

    def _metadata(self) -> Any:
        return self._asked(lambda admin: admin.list_topics(timeout=TRY_S))

    def _await_visible(self, made: Sequence[str]) -> None:
        """A broker may not show a topic yet that it has just made."""
        end = time.monotonic() + TIMEOUT_S
        while missing := set(made) - self.names():
            if time.monotonic() > end:
                raise UnavailableError(f"Kafka made the topic {min(missing)} and does not show it")
            time.sleep(_PAUSE_S)

    def _described(self, names: Sequence[str]) -> dict[str, _Described]:
        """The topics that exist. One that is unknown is asked for again: the next broker may know it."""
        end = time.monotonic() + UNKNOWN_S
        found: dict[str, _Described] = {}
        while left := [name for name in names if name not in found]:
            found |= self._asked(partial(_known_topics, left))
            if time.monotonic() > end:
                break
            if len(found) < len(names):
                time.sleep(_PAUSE_S)
        return {name: found[name] for name in names if name in found}

    def _configs(self, names: Sequence[str]) -> dict[str, Any]:
        """The settings of topics that exist, by name."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]

        def ask(admin: AdminClient) -> dict[str, Any]:
            answers = admin.describe_configs(resources, request_timeout=TRY_S)
            return {resource.name: _answer(future) for resource, future in answers.items()}

        return self._asked(ask)

    def _asked(self, ask: Callable[[AdminClient], T]) -> T:
        """The answer of `ask`, tried again where the broker that was asked is gone, or has not heard of a topic yet.

        Each try after the first has a client of its own: one that lives long goes on waiting for a
        controller that is gone. Raises `UnavailableError`, and `ConfigurationError` for what does not pass.
        """
        end = time.monotonic() + SPREAD_S
        while True:
            try:
                return ask(self._admin)
            except KafkaException as error:
                if error.args[0].code() not in LEADERS_MOVE or time.monotonic() > end:
                    raise said(error, self._away) from error
            time.sleep(_PAUSE_S)
            self._admin = self._connected()

    def _connected(self) -> AdminClient:
        return AdminClient(self._access.confluent(socket_timeout_ms=int(TIMEOUT_S * 1000)))


@dataclass(frozen=True, slots=True)
class _Described:
    partitions: int
    identity: str
    #: of the partition that has the fewest
    replicas: int


def _fits(key: str, found: str, wanted: str) -> bool:
    return int(found) >= int(wanted) if key == _LARGEST else found == wanted


def log_identity(states: Mapping[str, TopicState]) -> str:
    """One text for the identities of all topics of events."""
    return ",".join(f"{name}={states[name].identity}" for name in sorted(states))


def topic_is_gone(names: Collection[str]) -> ConfigurationError:
    """The error for topics that were deleted while they were read."""
    return ConfigurationError(
        f"the topic {min(names)} is gone, which this view counts: it was deleted; make it with `fourfold topics` and "
        "begin another view with FOURFOLD_NAMESPACE, or put Kafka's data right"
    )


def topics_made_anew() -> ConfigurationError:
    """The error for a log whose topics were replaced while they were read."""
    return ConfigurationError(
        "the topics were deleted and made anew: the view counts a log that is gone; "
        "begin another view with FOURFOLD_NAMESPACE"
    )


def _known_topics(names: Sequence[str], admin: AdminClient) -> dict[str, _Described]:
    """Those of the topics that the broker knows. Raises `KafkaException`."""
    found = {}
    for name, future in admin.describe_topics(TopicCollection(list(names)), request_timeout=TRY_S).items():
        try:
            topic = _answer(future)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
        else:
            replicas = min((len(partition.replicas) for partition in topic.partitions), default=0)
            found[name] = _Described(len(topic.partitions), str(topic.topic_id), replicas)
    return found


def _answer(future: Any) -> Any:
    """What Kafka answered. Raises `KafkaException`, `UnavailableError` where no answer came."""
    try:
        return future.result(ANSWER_LIMIT_S)
    except TimeoutError as error:
        raise UnavailableError(f"Kafka has not answered for {ANSWER_LIMIT_S:g} s") from error
