"""The routes of counts: totals, series, top, users, stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from pydantic import BaseModel

from core.cells import MINUTE_MS, Cell
from core.declaration.pipeline import ALL, Pipeline
from core.rfc3339 import to_text
from serving.answer import Answer
from serving.http.broadcast import Broadcast
from serving.http.documents import Documents
from serving.http.event_stream import EventStream, documented_stream
from serving.http.models import DistinctUsers, models_of
from serving.http.once import Once
from serving.http.parameters import Route, with_parameters
from serving.http.problem import documented, wrong
from serving.http.sources import Sources
from serving.http.span import End, Span, Start, kept, span

MOST_POINTS: Final = 10_000
#: Counting users reads every (minute, user) pair of the span.
MOST_USER_MINUTES: Final = 31 * 1440
#: So long may a value be, at least; and at most where the declaration does not limit it.
_LONGEST_VALUE: Final = 64
_LONGEST_TEXT: Final = 2048
_HOUR: Final = 60
_QUARTER: Final = 15
_AWAY: Final = (
    "No answer now: a store is away, there is no batch view yet, the views do not meet, or cells are still being read."
)


class CountsRoutes:
    """Answers from the newest tick; nothing is fetched for a request but distinct users."""

    def __init__(self, sources: Sources, broadcast: Broadcast, pipeline: Pipeline) -> None:
        self._sources = sources
        self._broadcast = broadcast
        self._pipeline = pipeline
        self._documents = Documents(pipeline)
        self._once = Once()

    def add_to(self, api: FastAPI) -> None:
        """Adds the routes."""
        both = documented(wrong="A parameter is wrong; `detail` names it.", away=_AWAY)
        for path, route, model, summary in self._routes():
            api.add_api_route(path, route, response_model=model, responses=both, summary=summary, tags=["Counts"])
        api.add_api_route(
            "/v1/stream",
            self.stream,
            status_code=200,
            response_class=EventStream,
            responses={
                200: documented_stream("counts"),
                **documented(away="The stream cannot be made any more; `detail` says why."),
            },
            summary="Live counts",
            tags=["Counts"],
        )

    def _routes(self) -> Iterator[tuple[str, Route, type[BaseModel], str]]:
        models = models_of(self._pipeline)
        listed: Any = Annotated[models.dimension, Query(description="Which values to list.")]
        yield "/v1/totals", with_parameters(self.totals, dimension=(listed, ALL)), models.totals, "Totals by value"
        longest = _longest_value(self._pipeline)
        of: Any = Annotated[models.dimension, Query(description="What `value` is one of.")]
        value = Annotated[str, Query(max_length=longest, description="One value of the dimension; nothing for `all`.")]
        series = with_parameters(self.series, dimension=(of, ALL), value=(value, ""))
        yield "/v1/series", series, models.series, "A series over time"
        if (first := self._pipeline.ranked_first) is not None:
            ranked: Any = Annotated[models.ranked, Query(description="Which values to rank.")]
            by: Any = Annotated[models.measure, Query(description="What they are ranked by.")]
            measure = next(iter(self._pipeline.measures))
            top = with_parameters(self.top, dimension=(ranked, first), measure=(by, measure))
            yield "/v1/top", top, models.top, "The largest values"
        if self._pipeline.distinct_users is not None:
            yield "/v1/users", self.users, DistinctUsers, "Distinct users"

    async def totals(self, dimension: str) -> dict[str, Any]:
        """Sums over everything that the views have, with what became of all records."""
        answer = self._sources.ticker.answer()
        return self._documents.totals(answer, dimension, self._sources.said(answer))

    async def series(
        self,
        dimension: str,
        value: str,
        start: Start = None,
        end: End = None,
        step: Annotated[int, Query(ge=1, le=MOST_POINTS, description="Minutes from one point to the next.")] = 1,
    ) -> dict[str, Any]:
        """Measures by minutes of event time, the last hour where no `start` is given.

        Steps without events are in it, with zeros. At most 10,000 points: a long span needs a larger `step`. Where the
        log is the archive (kappa), old minutes are kept by hours, then by days: `provenance` says since when.
        """
        if (dimension == ALL) != (not value):
            raise wrong("value", f"the dimension {dimension} has {'no values' if value else 'values: name one'}")
        when = span(start, end, self._sources.minute(), _HOUR)
        if when.end - when.start > MOST_POINTS * step:
            needed = -(-(when.end - when.start) // MOST_POINTS)
            raise wrong(
                "step", f"the series would have more than {MOST_POINTS} points: take a step of {needed} or more"
            )
        answer = self._sources.ticker.answer()
        kept(when, answer.grain, step)
        points = await self._once.of(answer, self._points, (dimension, value), when, step)
        return {
            "dimension": dimension,
            "value": value,
            **when.text(),
            "step": step,
            "points": points,
            "provenance": self._sources.said(answer),
        }

    async def top(
        self,
        dimension: str,
        measure: str,
        n: Annotated[int, Query(ge=1, le=1000, description="How many, at most.")] = 10,
        start: Start = None,
        end: End = None,
    ) -> dict[str, Any]:
        """The largest values of a dimension, over everything or over a span of event time."""
        when = None
        if start is not None or end is not None:
            when = span(start, end, self._sources.minute(), None)
        answer = self._sources.ticker.answer()
        if when is not None:
            kept(when, answer.grain)
        sums = answer.totals if when is None else await self._once.of(answer, Answer.between, *when, dimension)
        return {
            "dimension": dimension,
            "measure": measure,
            **(when.text() if when else {"start": None, "end": None}),
            "values": self._documents.largest(sums, dimension, measure, n),
            "provenance": self._sources.said(answer),
        }

    async def users(
        self,
        minutes: Annotated[
            int | None, Query(ge=1, le=MOST_USER_MINUTES, description="The last minutes, the current one included.")
        ] = None,
        start: Start = None,
        end: End = None,
    ) -> dict[str, Any]:
        """Different users of a span of event time, of the last 15 minutes where none is given.

        Exact where the batch view covers the whole span, otherwise by a sketch. At most 31 days.
        """
        if minutes is not None and start is not None:
            raise wrong("minutes", "not together with start")
        when = span(start, end, self._sources.minute(), minutes or _QUARTER)
        if when.end - when.start > MOST_USER_MINUTES:
            raise wrong("start", f"more than {MOST_USER_MINUTES} minutes (31 days) before the end")
        count = await self._sources.users.of(*when)
        kept(when, count.answer.grain)
        return {
            **when.text(),
            "users": count.users.number,
            "exact": count.users.exact,
            "provenance": self._sources.said(count.answer),
        }

    async def stream(self) -> EventStream:
        """Server-sent events, for as long as the connection lasts.

        - `counts`: the document of `/v1/totals`, when something changed, four times a second at most. A watcher that
          is slow misses some and always gets the newest.
        - `heartbeat`: the provenance, when nothing changed for five seconds.
        - `unavailable`: a problem, in place of the counts while there is no answer.
        """
        return EventStream(self._broadcast.watch())

    def _points(self, answer: Answer, key: tuple[str, str], when: Span, step: int) -> list[dict[str, Any]]:
        sums: dict[int, Cell] = {}
        for minute, cell in answer.series(key, when.start, when.end).items():
            place = (minute - when.start) // step
            sums[place] = sums[place].plus(cell) if place in sums else cell
        return [
            {"time": to_text(minute * MINUTE_MS), **self._documents.measures(sums.get(place, answer.zero))}
            for place, minute in enumerate(range(when.start, when.end, step))
        ]


def _longest_value(pipeline: Pipeline) -> int:
    """So long are the values of dimensions at most."""
    longest = _LONGEST_VALUE
    for dimension in pipeline.dimensions.values():
        for stream in pipeline.streams.values():
            for name in dimension.fields if dimension.of(stream) else ():
                kind = stream.fields[name].type
                limited = kind.max_length is not None or kind.kind != "string" or kind.pattern or kind.values
                longest = max(longest, (kind.max_length or 0) if limited else _LONGEST_TEXT)
    return longest
