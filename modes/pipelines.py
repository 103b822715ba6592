"""Pipelines by name or by file: reads their declarations."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from core.declaration.error import nearest
from core.declaration.pipeline import Pipeline
from core.declaration.reader import LARGEST_FILE, read
from core.errors import ConfigurationError
from core.kernel.kernel import Kernel
from modes.settings import Settings

#: Where those with a name are.
FOLDER: Final = Path(__file__).resolve().parents[1] / "pipelines"
_ENDING: Final = ".toml"


def names() -> list[str]:
    """Those that have a name."""
    return sorted(file.stem for file in FOLDER.glob(f"*{_ENDING}"))


def pipeline_named(name: str) -> Pipeline:
    """A pipeline.

    Args:
        name: One of `names`, or the path of a file that ends in .toml.

    Raises:
        ConfigurationError: It does not exist, cannot be read, or it is wrong (`DeclarationError`, with the place).
    """
    if name.endswith(_ENDING):
        return read_file(Path(name))
    if name not in names():
        raise ConfigurationError(
            f"there is no pipeline {name!r}: {nearest(name, names())} (a file's name ends in {_ENDING})"
        )
    return read_file(FOLDER / f"{name}{_ENDING}")


def pipeline_of(settings: Settings) -> Pipeline:
    """The pipeline that is set, under the logic that is set. Raises `ConfigurationError`."""
    return _counted(settings.pipeline).under(settings.logic)


def quality_file(settings: Settings) -> Path | None:
    """The quality rules that come with the pipeline that is set, where it is one with a name and has some."""
    file = FOLDER / "quality" / f"{settings.pipeline}{_ENDING}"
    return file if settings.pipeline in names() and file.exists() else None


def kernel_of(settings: Settings) -> Kernel:
    """The kernel of `pipeline_of`, one a process. Raises `ConfigurationError`."""
    return _kernel(settings.pipeline, settings.logic)


@cache
def _kernel(name: str, logic: str) -> Kernel:
    return Kernel(_counted(name).under(logic))


@cache
def _counted(name: str) -> Pipeline:
    pipeline = pipeline_named(name)
    if len(pipeline.distinct) > 1:
        raise ConfigurationError(
            f"the pipeline {pipeline.name} has {len(pipeline.distinct)} distinct counts ({', '.join(pipeline.distinct)}): "
            "views hold one, leave the others out"
        )
    return pipeline


def read_file(file: Path) -> Pipeline:
    """The pipeline of a file, whatever its name. Raises `ConfigurationError`."""
    try:
        with file.open("rb") as opened:
            # one byte more than is read shows that it is too large
            text = opened.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigurationError(f"there is no file {file}") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    return read(text, str(file))
