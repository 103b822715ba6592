"""`fourfold pipeline`: the declarations of what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.declaration.expression import LARGEST, SMALLEST
from core.declaration.pipeline import Field, FieldType, Measure, Pipeline
from core.rollup import HOUR
from modes.invocation import LOOK, PATH, Json, settings_of
from modes.paths import path_of
from modes.pipelines import names, pipeline_named, read_file
from serving.harmless import harmless

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="What is counted: the pipelines, and what they declare.")
app.add_typer(group, name="pipeline", rich_help_panel=LOOK)


@group.command("list")
def list_all(as_json: Json = False) -> None:
    """The pipelines that have a name."""
    found = [pipeline_named(name) for name in names()]
    if as_json:
        print(json.dumps([{"name": each.name, "description": each.description} for each in found]))
        return
    for each in found:
        print(harmless(f"{each.name}  {each.description}".rstrip()))


@group.command()
def show(
    name: Annotated[
        str, typer.Argument(help="A name, or a file that ends in .toml; without it the one that is set.")
    ] = "",
    as_json: Json = False,
) -> None:
    """What a pipeline declares: streams, fields, measures, dimensions."""
    pipeline = pipeline_named(name or settings_of(counting=False).pipeline)
    document = _document(pipeline)
    if as_json:
        print(json.dumps(document))
        return
    print(harmless(f"{pipeline.name}: {pipeline.description}"))
    for stream, said in document["streams"].items():
        print()
        print(harmless(f"stream {stream}" + (f", events {said['event']}" if said["event"] else "")))
        for field in said["fields"]:
            print(harmless(f"  {field['name']}: {field['type']}"))
        for reason, condition in said["rules"].items():
            print(harmless(f"  rejected as {reason} unless {condition}"))
    for title in ("measures", "dimensions", "distinct", "ratios", "rollup", "logics"):
        if document[title]:
            print(f"\n{title}")
        for key, text in document[title].items():
            print(harmless(f"  {key}: {text}"))


@group.command()
def check(
    file: Annotated[str, typer.Argument(parser=str, metavar=PATH, help="The file to read.")], as_json: Json = False
) -> None:
    """Whether a declaration can be used; if not, where it is wrong and what would be right (exit code 2)."""
    path = str(path_of(file))
    pipeline = read_file(Path(path))
    counts = {kind: len(getattr(pipeline, kind)) for kind in ("streams", "dimensions", "measures")}
    if as_json:
        print(json.dumps({"name": pipeline.name, **counts}))
        return
    print(
        harmless(
            f"{path} is right: {pipeline.name}, {', '.join(f'{number} {kind}' for kind, number in counts.items())}"
        )
    )


def _document(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "description": pipeline.description,
        "streams": {
            name: {
                "event": stream.event,
                "key": stream.key,
                "fields": [{"name": field.name, "type": _field(field)} for field in stream.fields.values()],
                "rules": {rule.reason: rule.condition.text for rule in stream.rules},
            }
            for name, stream in pipeline.streams.items()
        },
        "measures": {name: _measure(measure) for name, measure in pipeline.measures.items()},
        "dimensions": {
            name: ", ".join(each.fields) + (" (any number of values)" if each.open else "")
            for name, each in pipeline.dimensions.items()
        },
        "distinct": {name: each.field for name, each in pipeline.distinct.items()},
        "ratios": {name: f"{each.above.text} / {each.below.text}" for name, each in pipeline.ratios.items()},
        "rollup": {
            "hours_after": f"{pipeline.rollup.hours_after // HOUR}h (kappa: minutes that are older are kept by hours)",
            "days_after": f"{pipeline.rollup.days_after // HOUR}h (and by days)",
        },
        "logics": {name: each.description for name, each in pipeline.logics.items()},
    }


def _field(field: Field) -> str:
    marks = [_type(field.type)]
    marks += ["optional"] if field.optional else []
    marks += ["personal"] if field.personal else []
    return ", ".join(marks)


def _type(kind: FieldType) -> str:
    if kind.kind == "boolean":
        return "true or false"
    if kind.kind == "string":
        if kind.values:
            return f"one of {', '.join(kind.values)}"
        longest = "any number of" if kind.max_length is None else f"{kind.max_length:,}"
        return (
            f"text of the form {kind.pattern}" if kind.pattern else f"text of {kind.min_length} to {longest} characters"
        )
    unit = 10**kind.scale
    what = "whole number" if kind.kind == "integer" else f"number with at most {kind.scale} decimals"
    lowest = "" if kind.minimum == SMALLEST else f" from {kind.minimum / unit:,.{kind.scale}f}"
    highest = "" if kind.maximum == LARGEST else f" up to {kind.maximum / unit:,.{kind.scale}f}"
    return f"{what}{lowest}{highest}"


def _measure(measure: Measure) -> str:
    text = f"{measure.stream}, counted" if measure.sum is None else f"sum of {measure.sum.text} over {measure.stream}"
    text += f" where {measure.where.text}" if measure.where else ""
    return text + (f", in {measure.unit}" if measure.unit else "")
