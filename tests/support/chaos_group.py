"""A consumer group as the broker sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from adapters.kafka.access import KafkaAccess
from core.errors import UnavailableError

TIMEOUT_S: Final = 3.0


class Group:
    """Looks at the members of a group."""

    def __init__(self, access: KafkaAccess, name: Callable[[], str]) -> None:
        """`name`: asked at each look, since a view that was lost is counted in another group. Raises `UnavailableError`."""
        self._access = access
        self._name = name

    def stable_members(self) -> int | None:
        """How many members share the partitions; None in a rebalance, or while the broker is away."""
        try:
            return asyncio.run(asyncio.wait_for(self._ask(self._name()), TIMEOUT_S))
        except (KafkaError, UnavailableError, TimeoutError, OSError):
            return None

    async def _ask(self, name: str) -> int | None:
        # a client for each look: librdkafka's aborts the process where a broker died meanwhile
        client = AIOKafkaAdminClient(bootstrap_servers=self._access.bootstrap)
        try:
            await client.start()
            (answer,) = await client.describe_consumer_groups([name])
            group: Any = answer.to_object()["groups"][0]
        finally:
            await client.close()
        return len(group["members"]) if group["state"] == "Stable" else None
