"""What the API answers with: the schemas of its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, create_model

from core.declaration.pipeline import Pipeline

Count = Annotated[int, Field(ge=0)]
Time = Annotated[str, Field(description="RFC 3339, UTC.", examples=["2026-01-31T23:59:00.000Z"])]
Offsets = Annotated[dict[str, int], Field(examples=[{"events:0": 1200, "events:1": 87}])]


class CutPlace(BaseModel):
    """Where the batch view ends and the speed view begins."""

    epoch: int = Field(
        description="Epochs of ingestion time below this one come from the batch view.", examples=[59_083_120]
    )
    time: Time


class ProvenanceModel(BaseModel):
    """Where the numbers come from, and how fresh they are."""

    model_config = ConfigDict(title="Provenance")

    mode: str = Field(description="The architecture that answers.", examples=["lambda"])
    logic: str = Field(description="The name of the pair of validate and fold that counted.", examples=["standard"])
    job: str | None = Field(
        description="The version of the job that answers; null in modes without versions.", examples=["v1"]
    )
    namespace: str = Field(description="The name of the speed view.", examples=["v1-lambda"])
    batch_version: int | None = Field(description="The version of the batch view; null without one.", examples=[7])
    cut: CutPlace | None = Field(description="Where the batch view ends; null without one.")
    cut_offsets: Offsets | None = Field(description="Records below these offsets come from the batch view.")
    offsets: Offsets = Field(description="By partition: records below the offset are counted, others are not.")
    watermark: Time | None = Field(description="Events older than this count as late.")
    since: Time | None = Field(description="What was ingested before has left the window; null: nothing has.")
    minutes_since: Time | None = Field(description="Event time before is kept by hours; null: all is kept by minutes.")
    hours_since: Time | None = Field(description="Event time before is kept by days; null: none is.")
    lag: Offsets | None = Field(description="Records not counted yet, by partition; null where Kafka is away.")
    lag_events: int | None = Field(description="The sum of `lag`.", examples=[6])
    lost: Count = Field(description="Records that retention removed before they were counted.", examples=[0])
    age_s: float | None = Field(
        description="Seconds since the last counted record was appended to the log.", examples=[0.02]
    )
    batch_age_s: float | None = Field(description="Seconds since the batch view was made.", examples=[20.1])
    states: list[str] = Field(
        description="What a reader must know; empty where all is well.", examples=[["batch view stale"]]
    )


class Answered(BaseModel):
    """An answer with its provenance."""

    provenance: ProvenanceModel


class Quality(BaseModel):
    """What became of all records."""

    accepted: Count = Field(examples=[10_828])
    rejected: dict[str, int] = Field(description="Rejected records by reason.", examples=[{"not_json": 3}])
    duplicates: Count = Field(examples=[98])
    late: Count = Field(description="Accepted events that were older than the watermark.", examples=[61])


class DistinctUsers(Answered):
    """How many different users there were."""

    start: Time
    end: Time
    users: Count = Field(examples=[2_073])
    exact: bool = Field(description="False: a sketch had a part in it, which errs by about 0.8 %.")


class QualityReport(Answered):
    """What the quality rules found in a version of the batch view."""

    version: int = Field(examples=[7])
    report: dict[str, Any] = Field(
        description="`passed` of `total` checks, and each check with what was observed and expected.",
        examples=[{"passed": 11, "total": 12, "share": 0.9167, "checks": []}],
    )


class Version(BaseModel):
    """One version of the batch view."""

    version: int = Field(examples=[7])
    current: bool = Field(description="Whether answers come from it.")
    cut: CutPlace
    created: Time
    full: bool = Field(description="Made from all records, not from the version before and what was new.")
    engine: str = Field(examples=["pandas"])
    accepted: Count = Field(description="Events that it counts.", examples=[10_828])
    files: Count = Field(description="Files that it references.", examples=[4])


class Versions(Answered):
    """The versions that are kept, the oldest first."""

    versions: list[Version]


class Traced(Answered):
    """What became of one event."""

    event_id: str = Field(examples=["7-65a1b2c3-1f-1204"])
    trace: dict[str, Any] = Field(
        description="Where it is in the log, what was decided and where it counts.", examples=[{"occurrences": []}]
    )


class DeadLetterModel(BaseModel):
    """A rejected record."""

    model_config = ConfigDict(title="DeadLetter")

    topic: str = Field(examples=["events"])
    partition: int = Field(examples=[3])
    offset: int = Field(examples=[1_204])
    appended: Time
    reason: str = Field(description="From the closed list of reasons.", examples=["not_json"])
    detail: str = Field(examples=["the value is not JSON"])
    bytes: Count | None = Field(description="The length of the record's value; null where it had none.")
    value: str | None = Field(description="Its beginning, as text; bytes that are none are replaced.")


class DeadLetters(BaseModel):
    """The newest first."""

    letters: list[DeadLetterModel]
    foreign: Count = Field(
        description="Records of somebody else on the topic that were left out while reading these.", examples=[0]
    )


#: Examples of sums, one after the other.
_SUMS: Final = (3_510, 263, 401, 1_881_400)


class Models(NamedTuple):
    """The answers that name dimensions and measures, and the allowed values of the parameters that do."""

    dimension: Any
    ranked: Any
    measure: Any
    totals: type[BaseModel]
    series: type[BaseModel]
    top: type[BaseModel]


def models_of(pipeline: Pipeline) -> Models:
    """Those of one pipeline."""
    dimension = _one_of(pipeline.dimension_names)
    ranked = _one_of(tuple(pipeline.dimensions) or pipeline.dimension_names)
    measure = _one_of(tuple(pipeline.measures))
    sums: dict[str, Any] = {
        name: (int, Field(examples=[_SUMS[place % len(_SUMS)]])) for place, name in enumerate(pipeline.measures)
    }
    measures = create_model(
        "Measures",
        __config__=ConfigDict(protected_namespaces=()),
        __doc__="Counts; money in integer cents.",
        __module__=__name__,
        **sums,
    )
    values = create_model(
        "ValueMeasures",
        __base__=measures,
        __doc__="The measures of one value of a dimension.",
        __module__=__name__,
        value=(str, Field(examples=["spring"])),
    )
    point = create_model(
        "Point",
        __base__=measures,
        __doc__="The measures of one step of time.",
        __module__=__name__,
        time=(Time, Field(description="Where the step begins, RFC 3339, UTC.")),
    )
    totals = create_model(
        "Totals",
        __base__=Answered,
        __doc__="Sums over all minutes.",
        __module__=__name__,
        dimension=(dimension, ...),
        totals=(measures, ...),
        values=(list[values], Field(description="By value, the largest first; empty for the dimension `all`.")),  # type: ignore[valid-type]
        quality=(Quality, ...),
    )
    series = create_model(
        "Series",
        __base__=Answered,
        __doc__="Measures over time.",
        __module__=__name__,
        dimension=(dimension, ...),
        value=(str, Field(examples=["espresso-cup"])),
        start=(Time, ...),
        end=(Time, ...),
        step=(int, Field(description="Minutes from one point to the next.", examples=[1])),
        points=(
            list[point],  # type: ignore[valid-type]
            Field(description="One for each step from `start` on, those without events included."),
        ),
    )
    top = create_model(
        "Top",
        __base__=Answered,
        __doc__="The largest values of a dimension.",
        __module__=__name__,
        dimension=(ranked, ...),
        measure=(measure, ...),
        start=(Time | None, Field(description="Null: everything that the views have.")),
        end=(Time | None, ...),
        values=(list[values], Field(description="The largest first; at equal measures in the order of names.")),  # type: ignore[valid-type]
    )
    return Models(dimension, ranked, measure, totals, series, top)


def _one_of(names: tuple[str, ...]) -> Any:
    return Literal.__getitem__(names)
