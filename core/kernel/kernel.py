"""The kernel of a pipeline: decide and aggregate for each stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from core.declaration.pipeline import Pipeline
from core.kernel.aggregate import Aggregate
from core.kernel.columns import Columns
from core.kernel.decide import Decide
from core.kernel.event_type import attribute


class StreamKernel:
    """Of one stream.

    Attributes:
        identity: Event to its id; None where events have none.
    """

    def __init__(self, pipeline: Pipeline, stream: str) -> None:
        self.stream = stream
        self.decide = Decide(pipeline, stream)
        self.aggregate = Aggregate(pipeline, stream, self.decide.event, self.decide.scaled)
        self.columns = Columns(pipeline, stream, self.decide.event, self.decide.scaled)
        identity = pipeline.envelope.id
        self.identity: Callable[[Any], Any] | None = (
            None if identity is None else attrgetter(".".join(map(attribute, identity.path)))
        )


class Kernel:
    """Of a pipeline; one a process, since it remembers texts that it has checked."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline: Final = pipeline
        self.streams: Mapping[str, StreamKernel] = {name: StreamKernel(pipeline, name) for name in pipeline.streams}

    def __getitem__(self, stream: str) -> StreamKernel:
        """Raises `KeyError` for a stream that is not declared."""
        return self.streams[stream]
