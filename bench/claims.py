"""The claims of a log: whether every event that was made is in it, and none twice by accident."""

from __future__ import annotations

from adapters.kafka.log import Entry
from core.declaration.pipeline import Pipeline
from core.truth import HEADER
from core.truth import Claims as DeclaredClaims


class Claims:
    """Takes entries of one producer's run; numbers are given to events without gaps, from 1 on."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._decode = DeclaredClaims(pipeline).decode
        self._made = bytearray(1)
        self.records = 0
        self.duplicates = 0
        self.rejected = 0
        self.unclaimed = 0
        self.stray_duplicates = 0
        self.twice = 0

    def add(self, entry: Entry) -> None:
        """One record; those of one partition in offset order."""
        self.records += 1
        header = next((value for name, value in entry.headers if name == HEADER), None)
        claim = self._decode(header) if header is not None else None
        if claim is None:
            self.unclaimed += 1
            return
        if claim.number >= len(self._made):
            self._made.extend(bytes(max(claim.number - len(self._made) + 1, len(self._made))))
        made = self._made[claim.number]
        if claim.verdict == "duplicate":
            self.duplicates += 1
            # its original has the same key, so it comes first in the same partition
            self.stray_duplicates += not made
            return
        self.rejected += claim.verdict == "rejected"
        self.twice += made
        self._made[claim.number] = 1

    @property
    def missing(self) -> int:
        """Numbers below the highest one that no record has."""
        return self._made.rstrip(b"\0").count(0, 1)

    def trouble(self) -> list[str]:
        """What is wrong, in words; empty where all is right."""
        found = {
            "records without a claim": self.unclaimed,
            "events that are missing": self.missing,
            "events that are there twice by accident": self.twice,
            "duplicates without an original": self.stray_duplicates,
        }
        return [f"{count:,} {name}" for name, count in found.items() if count]
