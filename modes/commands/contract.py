"""`fourfold contract`: what producers and consumers agree on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.kafka.asyncapi import documents
from core.errors import ConfigurationError
from modes.invocation import LOOK, PATH, settings_of
from modes.paths import path_of
from modes.pipelines import pipeline_of

app = typer.Typer()


@app.command(rich_help_panel=LOOK)
def contract(
    write: Annotated[
        Path | None, typer.Option(parser=path_of, metavar=PATH, help="Folder to write the documents to.")
    ] = None,
) -> None:
    """JSON Schema of the events and AsyncAPI of the topics, generated from the pipeline's declaration."""
    pipeline = pipeline_of(settings_of())
    if write is None:
        print(documents(pipeline)["asyncapi.json"], end="")
        return
    for name, text in documents(pipeline).items():
        try:
            write.mkdir(parents=True, exist_ok=True)
            (write / name).write_text(text)
        except OSError as error:
            raise ConfigurationError(f"{write} cannot be written: {error.strerror or error}") from error
        print(write / name)
