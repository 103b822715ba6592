"""The route of dead letters: rejected records to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import anyio
from anyio.to_thread import run_sync
from fastapi import FastAPI, Query

from adapters.kafka.dead_letters import FoundLetter, Letters
from serving.http.models import DeadLetters
from serving.http.problem import documented, missing

MOST: Final = 200
#: So many bytes of a record are shown.
SHOWN_BYTES: Final = 2000
#: Reading them takes a connection: so many at once.
_READS: Final = 2

#: The newest dead letters, at most so many, the newest first. Raises `UnavailableError`.
ReadLetters = Callable[[int], Letters]


class LetterRoutes:
    """Reads the topic of dead letters when it is asked."""

    def __init__(self, letters: ReadLetters | None) -> None:
        self._letters = letters
        self._reading = anyio.CapacityLimiter(_READS)
        #: records of somebody else that the last reading left out
        self.foreign = 0

    def add_to(self, api: FastAPI) -> None:
        """Adds the route."""
        api.add_api_route(
            "/v1/dead-letters",
            self.dead_letters,
            response_model=DeadLetters,
            responses=documented(
                wrong="A parameter is wrong; `detail` names it.",
                missing="Dead letters are not read here.",
                away="Kafka is away.",
            ),
            summary="Dead letters",
            tags=["Events"],
        )

    async def dead_letters(
        self, limit: Annotated[int, Query(ge=1, le=MOST, description="How many, at most.")] = 20
    ) -> dict[str, Any]:
        """The newest rejected records: where they were, why they were rejected, and what they said."""
        if self._letters is None:
            raise missing("dead letters are not read here")
        letters = await run_sync(self._letters, limit, limiter=self._reading, abandon_on_cancel=True)
        self.foreign = letters.foreign
        return {"letters": [_letter(letter) for letter in letters.found], "foreign": letters.foreign}


def _letter(letter: FoundLetter) -> dict[str, Any]:
    value = letter.value
    return {
        **letter.about(),
        "bytes": None if value is None else letter.size,
        "value": None if value is None else value[:SHOWN_BYTES].decode("utf-8", "replace"),
    }
