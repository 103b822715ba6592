"""A manifest: what one version of the batch view is made of, and what it covers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

from core.cut import Cut
from core.declaration.pipeline import MEANING_BEFORE
from core.position import PartitionKey


class PartitionState(NamedTuple):
    """What a fold of one partition remembers at the cut; as in `core.position.Position`.

    `first`: the first offset that the view covers; `lost`: offsets that retention removed before
    they were archived; `gaps`: offsets without a record for us; `last`: the offset that `appended_ms` is of.
    """

    epoch: int = -1
    newest_ms: int = 0
    appended_ms: int = 0
    first: int = 0
    gaps: int = 0
    lost: int = 0
    last: int = -1


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of the batch view. Immutable once published.

    `counters`: accepted, duplicates, late, rejected:<reason> over everything below the cut.
    `cells`, `users`: date of event time (ISO, UTC) to the name of a Parquet file, cells sorted by
    (minute, dimension, value), users unique (minute, user) pairs. `ids`: files of the ids of all
    accepted events. Files that a newer version does not change are referenced again.
    `quality`: the report of the quality rules (`batch.quality`). `meaning`: of the pipeline whose cells they are (`Pipeline.meaning`).
    """

    version: int
    cut: Cut
    rules: str
    logic: str
    engine: str
    full: bool
    created_ms: int
    partitions: Mapping[PartitionKey, PartitionState] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    quality: Mapping[str, Any] = field(default_factory=dict)
    meaning: str = MEANING_BEFORE

    def files(self) -> set[str]:
        """The names of all files that it references."""
        return {*self.cells.values(), *self.users.values(), *self.ids}

    def encode(self) -> str:
        """JSON, the same text for the same manifest."""
        document = asdict(self)
        document["cut"] = {"epoch": self.cut.epoch, "vector": {str(s): o for s, o in sorted(self.cut.vector.items())}}
        document["partitions"] = {str(s): state._asdict() for s, state in sorted(self.partitions.items())}
        return json.dumps(document, indent=1, sort_keys=True)

    @classmethod
    def decode(cls, text: str | bytes) -> Self:
        """The inverse of `encode`. Raises `ValueError` for anything else; unknown fields are ignored."""
        document = json.loads(text)
        try:
            known = {name: document[name] for name in cls.__slots__ if name in document}
            cut = known["cut"]
            known["cut"] = Cut(cut["epoch"], {PartitionKey.parse(s): o for s, o in cut["vector"].items()})
            known["partitions"] = {
                PartitionKey.parse(s): PartitionState(**state) for s, state in known.get("partitions", {}).items()
            }
            known["ids"] = tuple(known.get("ids", ()))
            return cls(**known)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a manifest: {error}") from error
