"""A version of a server program."""

from __future__ import annotations

import re
from typing import NamedTuple


class Version(NamedTuple):
    """Ordered as versions are."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """The first `1.2.3` in a text. Raises ValueError if there is none."""
        found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
        if found is None:
            raise ValueError(f"no version in {text!r}")
        return cls(*map(int, found.groups()))

    def can_read(self, writer: Version) -> bool:
        """Whether data of `writer` are surely readable: the formats may change with each minor version."""
        return self[:2] >= writer[:2]

    def __str__(self) -> str:
        """As `1.2.3`."""
        return f"{self.major}.{self.minor}.{self.patch}"
