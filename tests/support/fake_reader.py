"""A reader of a log that the test gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from adapters.kafka.log import Entry


class FakeReader:
    """Takes the place of the class `LogReader`, and is what that makes."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    def __call__(self, *_: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read_to_end(self) -> Sequence[Entry]:
        return self._entries
