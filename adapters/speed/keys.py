"""The names of a view's keys in Redis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from core.position import PartitionKey

#: The layout that this Fourfold writes; views of another one are not continued.
LAYOUT: Final = "2"
#: In the hash of a view: a partition that it counts, by its text.
PARTITION: Final = "partition:"
#: What is in Redis under a name that ends so.
KINDS: Final = {"view": b"hash", "state": b"hash", "log": b"stream", "totals": b"hash", "blocks": b"hash"}


class PartitionKeys(NamedTuple):
    """The keys of one partition, all in one slot of a cluster."""

    #: hash: the position, and the partition's account of its other keys
    state: str
    #: stream: what was added and is not in `totals` and `blocks` yet
    log: str
    #: hash: epoch to packed totals
    totals: str
    #: hash: block name to packed cells and users
    blocks: str


class ViewKeys:
    """The keys of the view `namespace`."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._tag = f"{{{namespace}}}"
        #: hash: what the view is bound to, and its partitions
        self.view = f"{self._tag}:view"
        #: hash: sums for people
        self.counts = f"{self._tag}:counts"
        self.retired = f"{self._tag}:retired"
        self.started = f"{self._tag}:started"
        #: keys of the layout before, by which a view of it is known
        self.before = (f"{self._tag}:meta", f"{self._tag}:positions")

    def __str__(self) -> str:
        return self._tag

    def of(self, partition: PartitionKey) -> PartitionKeys:
        """The keys of one partition."""
        tag = f"{{{self.namespace}/{partition.topic}/{partition.partition}}}"
        return PartitionKeys(f"{tag}:state", f"{tag}:log", f"{tag}:totals", f"{tag}:blocks")

    @staticmethod
    def partitions_of(view: Iterable[bytes]) -> list[PartitionKey]:
        """The partitions among the fields of the hash of a view."""
        names = (field.decode() for field in view)
        return [PartitionKey.parse(name.removeprefix(PARTITION)) for name in names if name.startswith(PARTITION)]

    def patterns(self) -> tuple[str, str]:
        """Globs that match all keys of the view and no others."""
        literal = "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in self.namespace)
        return f"{{{literal}}}:*", f"{{{literal}/*"


def view_of(namespace: str, job: str) -> str:
    """The name of the speed view of a job version."""
    return f"{namespace}.{job}"
