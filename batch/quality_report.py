"""A quality report: what each rule found in one version. Kept in the version's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec
import pandas as pd
from msgspec import Struct

from batch.quality_rules import Severity


class Check(Struct, frozen=True, kw_only=True):
    """What one rule found. `failing`: rows, or 1 for a rule about a table as a whole.

    `observed` and `expected` are for people; `examples`: at most three texts in ASCII.
    """

    rule: str
    table: str
    column: str
    kind: str
    severity: Severity
    passed: bool
    observed: str
    expected: str
    failing: int = 0
    examples: tuple[str, ...] = ()

    def text(self) -> str:
        """In one line."""
        place = f"{self.table}.{self.column}" if self.column else self.table
        found = f", such as {', '.join(self.examples)}" if self.examples else ""
        return f"{self.rule} ({self.kind} of {place}): {self.observed}, expected {self.expected}{found}"


class Report(Struct, frozen=True):
    """The checks of one version, in the order of the rules. `checked_ms`: when, ms since 1970."""

    checked_ms: int
    checks: tuple[Check, ...]

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(check.passed for check in self.checks)

    @property
    def total(self) -> int:
        """How many checks there are."""
        return len(self.checks)

    @property
    def share(self) -> float:
        """Passed of total, 0 to 1; 1 without checks."""
        return self.passed / self.total if self.checks else 1.0

    @property
    def blocking(self) -> list[Check]:
        """What forbids the publication."""
        return [check for check in self.checks if check.severity == "error" and not check.passed]

    def as_json(self) -> dict[str, Any]:
        """For `Manifest.quality`: JSON types only, with `passed`, `total` and `share` for readers."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return {
            "checked_ms": self.checked_ms,
            "passed": self.passed,
            "total": self.total,
            "share": self.share,
            "checks": [{**check, "examples": list(check["examples"])} for check in document["checks"]],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `as_json`. Raises `ValueError` for anything else; unknown fields are ignored."""
        try:
            return msgspec.convert(document, cls)
        except msgspec.ValidationError as error:
            raise ValueError(f"not a quality report: {error}") from error

    def frame(self) -> pd.DataFrame:
        """A row for each check: the columns are the fields of `Check`, `examples` joined by `, `."""
        rows = [{**msgspec.structs.asdict(check), "examples": ", ".join(check.examples)} for check in self.checks]
        return pd.DataFrame(rows, columns=list(Check.__struct_fields__))
