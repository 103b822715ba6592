"""A worker's place in its consumer group: why it has none, and who has taken partitions from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog
from aiokafka.errors import (
    BrokerResponseError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from adapters.kafka.group import Member
from core.errors import ConfigurationError, FourfoldError
from core.position import PartitionKey

log = structlog.get_logger(__name__)

#: What workers call themselves; whoever has another name is no worker.
CLIENT: Final = "fourfold-worker"
#: A trouble that goes on is said again after this time.
AGAIN_S: Final = 30.0
#: Who is in the group is not asked more often.
ASK_EVERY_S: Final = 5.0
#: A coordinator that moves is there again within this time.
COORDINATOR_S: Final = 10.0
_GROUP_MAX_SIZE_REACHED: Final = 81
_NOBODY: Final = Member(CLIENT, "", frozenset())
_RIGHTS: Final = "give the user of FOURFOLD_KAFKA_USERNAME the right with kafka-acls.sh"


class Membership:
    """Says what is wrong, once, and again while it goes on. `trouble`: what it is now, or nothing.

    Methods may take seconds: they ask the broker who is in the group.
    """

    def __init__(
        self,
        group: str,
        members: Callable[[], Sequence[Member]],
        fail: Callable[[FourfoldError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fail` ends the worker."""
        self._group = group
        self._members = members
        self._fail = fail
        self._clock = clock
        self._told: dict[str, float] = {}
        self._alone_since: float | None = None
        self._asked_at = float("-inf")
        self._others: Sequence[Member] = ()
        self._no_coordinator = (
            f"the consumer group {group} has no coordinator: the topic __consumer_offsets has no leader, or cannot be "
            "made (offsets.topic.replication.factor of the brokers is larger than their number)"
        )
        self.trouble = ""

    def refused(self, error: KafkaError) -> None:
        """The group did not take this worker; it tries again by itself."""
        if (wrong := for_good(error, self._group)) is not None:
            self._fail(wrong)
            return
        code = error.errno if isinstance(error, BrokerResponseError) else None
        if isinstance(error, InconsistentGroupProtocolError):
            self._say(
                f"the consumer group {self._group} has members of another kind ({self._strangers()}): nothing is "
                "counted until they have left; end them, or set FOURFOLD_GROUP to a name that nobody else has"
            )
        elif code == _GROUP_MAX_SIZE_REACHED:
            self._say(
                f"the consumer group {self._group} has as many members as the broker allows (group.max.size): run "
                "fewer workers, or raise that limit"
            )
        else:
            self._say(
                f"the consumer group {self._group} does not take this worker ({_brief(error)}): it tries again; "
                "if that does not end, set FOURFOLD_GROUP to another name"
            )

    def joined(self) -> None:
        """The worker is in the group, and has its partitions."""
        if self.trouble:
            log.info("in the consumer group, going on", group=self._group)
        self.trouble = ""
        self._told.clear()

    def looked(self, *, coordinator: bool) -> None:
        """Whether the group has a coordinator, as this worker knows now."""
        now = self._clock()
        if coordinator:
            if self._alone_since is not None and self.trouble == self._no_coordinator:
                self.joined()
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = now
        if now - self._alone_since > COORDINATOR_S:
            self._say(self._no_coordinator)

    def taken(self, partitions: Collection[PartitionKey]) -> set[PartitionKey]:
        """Those of the partitions that a member has which is no worker: they are counted by nobody, and that is said."""
        now = self._clock()
        if now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            try:
                members = self._members()
            except FourfoldError:
                members = [_NOBODY]
            self._others = [member for member in members if not member.client.startswith(CLIENT)]
            if not members:
                # the broker tells nothing of a group that such a member has turned into one of its kind
                self._say(self._not_counted(partitions, "a consumer of the newer group protocol (KIP-848)"))
        strangers = self._others
        found = {source for source in partitions for member in strangers if source in member.partitions}
        if found:
            who = ", ".join(sorted({_named(member) for member in strangers if member.partitions & found}))
            self._say(self._not_counted(found, who))
        return found

    def _not_counted(self, partitions: Collection[PartitionKey], who: str) -> str:
        return (
            f"{', '.join(map(str, sorted(partitions)))}: read by {who}, which is in the consumer group {self._group} "
            "and is no worker of Fourfold, so they are not counted; end it, or set FOURFOLD_GROUP to a name that "
            "nobody else has"
        )

    def _strangers(self) -> str:
        try:
            strangers = [_named(member) for member in self._members() if not member.client.startswith(CLIENT)]
        except FourfoldError as error:
            return str(error)
        return ", ".join(sorted(strangers)) or "who is not known"

    def _say(self, text: str) -> None:
        self.trouble = text
        now = self._clock()
        if now - self._told.get(text, float("-inf")) >= AGAIN_S:
            self._told[text] = now
            log.error("waiting", reason=text)


def for_good(error: Exception, group: str) -> ConfigurationError | None:
    """What somebody has to put right, where an error of the worker's client says so."""
    if isinstance(error, GroupAuthorizationFailedError):
        return ConfigurationError(
            f"Kafka does not let this worker into the consumer group {group}: {_RIGHTS}: Read of the group"
        )
    if isinstance(error, TopicAuthorizationFailedError):
        return ConfigurationError(
            f"Kafka does not let this worker read its topics ({_brief(error)}): {_RIGHTS}: Read of them"
        )
    return None


def _named(member: Member) -> str:
    return f"{member.client} at {member.host}"


def _brief(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:200]
