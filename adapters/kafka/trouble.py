"""What an error of Kafka means to a person: it passes by itself, or somebody has to put it right."""

# ruff: noqa: SLF001 - confluent-kafka names its own error codes with an underscore

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from core.errors import ConfigurationError, FourfoldError, UnavailableError

#: Partitions change their leaders, or this client's metadata are older than that: asked again, all is well.
LEADERS_MOVE: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.REBOOTSTRAP_REQUIRED,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_BROKER,
        KafkaError._DESTROY_BROKER,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._WAIT_CACHE,
        KafkaError._OUTDATED,
    }
)
#: Events of a reader that is well or will be: it goes on by itself when Kafka does.
PASSING: Final = LEADERS_MOVE | {KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}

_RIGHTS: Final = "give the user of FOURFOLD_KAFKA_USERNAME (or of the certificate) the right with kafka-acls.sh"
#: What somebody has to put right, and how. Anything else passes, or is tried again.
_FOR_GOOD: Final[Mapping[int, str]] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: f"{_RIGHTS}: Read, Write, Create, Describe and DescribeConfigs of the topics",
    KafkaError.GROUP_AUTHORIZATION_FAILED: f"{_RIGHTS}: Read of the consumer group (FOURFOLD_GROUP)",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: f"{_RIGHTS}: Create and IdempotentWrite of the cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: f"{_RIGHTS}: Write of the transactional id fourfold-redrive",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check FOURFOLD_KAFKA_USERNAME, _PASSWORD and _MECHANISM",
    KafkaError._AUTHENTICATION: "check FOURFOLD_KAFKA_USERNAME, _PASSWORD and _MECHANISM",
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "set FOURFOLD_KAFKA_MECHANISM to one that the broker has",
    KafkaError.UNSUPPORTED_VERSION: "this Kafka is too old: use 2.4 or newer",
    KafkaError.POLICY_VIOLATION: "the cluster has a policy for topics: make them yourself, as `fourfold topics` would",
    KafkaError.MSG_SIZE_TOO_LARGE: "raise max.message.bytes of the topic; `fourfold topics` says to what",
    KafkaError.INVALID_RECORD: "a compacted topic takes no records without a key: set its cleanup.policy back",
    KafkaError.INVALID_PARTITIONS: "set FOURFOLD_PARTITIONS to what the cluster allows",
    KafkaError.INVALID_REPLICATION_FACTOR: "set FOURFOLD_REPLICATION to the number of brokers at most",
}


def said(error: KafkaException | KafkaError, what: str = "Kafka does not answer") -> FourfoldError:
    """The error for people: `ConfigurationError` where it does not pass by itself, else `UnavailableError`."""
    cause: Any = error.args[0] if isinstance(error, KafkaException) else error
    if not isinstance(cause, KafkaError):
        return UnavailableError(f"{what}: {error}")
    remedy = _FOR_GOOD.get(cause.code())
    text = " ".join(cause.str().split())
    return ConfigurationError(f"{what}: {text}; {remedy}") if remedy else UnavailableError(f"{what}: {text}")
