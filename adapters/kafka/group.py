"""Who is in a consumer group."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError, for_code

from adapters.addresses import try_all_addresses
from adapters.kafka.access import KafkaAccess
from core.errors import UnavailableError
from core.position import PartitionKey

TIMEOUT_S: Final = 5.0


class Member(NamedTuple):
    """A member as the broker knows it; `partitions`: what it is to read."""

    client: str
    host: str
    partitions: frozenset[PartitionKey]


class Group:
    """Asks about one consumer group, with a new connection each time: seldom, and when something is wrong."""

    def __init__(self, access: KafkaAccess, name: str) -> None:
        self.name = name
        self._access = access

    def members(self) -> list[Member]:
        """All members, none of a group that Kafka does not tell about. Raises `UnavailableError`."""
        try:
            return asyncio.run(asyncio.wait_for(self._ask(), TIMEOUT_S))
        except (KafkaError, OSError) as error:
            raise UnavailableError(f"Kafka does not tell who is in the group: {type(error).__name__}") from error

    async def _ask(self) -> list[Member]:
        # seldom asked, and slow to load
        from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415

        try_all_addresses()
        # librdkafka's client for this aborts the process where a broker died meanwhile
        client = AIOKafkaAdminClient(**self._access.aiokafka())
        try:
            await client.start()
            (answer,) = await client.describe_consumer_groups([self.name])
            group: Any = answer.to_object()["groups"][0]
        finally:
            await client.close()
        if group["error_code"]:
            raise for_code(group["error_code"])
        consumers = group["protocol_type"] == ConsumerProtocol.PROTOCOL_TYPE
        return [
            Member(
                member["client_id"],
                member["client_host"].removeprefix("/"),
                _assigned(member["member_assignment"]) if consumers else frozenset(),
            )
            for member in group["members"]
        ]


def _assigned(assignment: bytes) -> frozenset[PartitionKey]:
    try:
        found = ConsumerProtocol.ASSIGNMENT.decode(assignment).partitions() if assignment else []
    except ValueError:
        # somebody's own way of writing it
        return frozenset()
    return frozenset(PartitionKey(at.topic, at.partition) for at in found)
