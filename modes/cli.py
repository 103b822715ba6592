"""The command line: `fourfold`. Exit codes: 0 done, 1 failed or not exact, 2 wrong use, 130 interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Annotated, Any, Final, cast

import typer
from typer.core import TyperGroup
from typer.main import get_group

from core.errors import FourfoldError
from modes.invocation import state

#: Command to the module of `modes.commands` that has it, in the order in which help shows them. Only that module is
#: loaded: a role does not wait for what other commands need.
COMMANDS: Final = {
    "up": "run",
    "topics": "roles",
    "produce": "roles",
    "process": "roles",
    "watch": "run",
    "counts": "counts",
    "verify": "counts",
    "contract": "contract",
    "status": "status",
    "batch": "roles",
    "serve": "roles",
    "recompute": "batch_view",
    "rollback": "batch_view",
    "versions": "batch_view",
    "quality": "batch_view",
    "trace": "trace",
    "day": "day",
    "compare": "compare",
    "race": "race",
    "advise": "race",
    "capacity": "race",
    "modes": "modes",
    "mode": "modes",
    "embedded": "embedded",
    "deadletters": "dead_letters",
    "drill": "drill",
    "replay": "replay",
    "pipeline": "pipeline",
}


class _Commands(Mapping[str, Any]):
    """The commands by their names, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        module = import_module(f"modes.commands.{COMMANDS[name]}")
        return get_group(module.app).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # nobody adds one
        self.commands = cast("MutableMapping[str, Any]", _Commands())


app = typer.Typer(
    name="fourfold",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="One stream of events, four architectures, numbers that prove they are right.",
    epilog="Settings come from the environment and .env (prefix FOURFOLD_). Start with: fourfold up",
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
) -> None:
    """Options of every command."""
    state.debug = debug


def main() -> None:
    """The console command."""
    owner = os.environ.get("FOURFOLD_OWNER")
    if owner:
        from adapters import launch

        launch.die_with(int(owner))
    try:
        app()
    except FourfoldError as error:
        if state.debug:
            raise
        print(f"fourfold: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        from adapters.durable import OF_THE_DISK

        # the disk's, and a person's to put right: a program's own mistakes have other numbers
        if state.debug or error.errno not in OF_THE_DISK:
            raise
        place = error.filename or "a file"
        print(f"fourfold: {place!s} cannot be used ({error.strerror}): put that right, and try again", file=sys.stderr)
        sys.exit(FourfoldError.exit_code)
