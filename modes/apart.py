"""Servers, lake and views that nobody else uses, for a while: what is tried there counts into nobody's numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import ConfigurationError
from modes.settings import Settings
from modes.wiring.servers import with_servers


@contextmanager
def apart(
    usual: Settings, name: str, progress: Callable[[str], None] = lambda _: None, **settings: object
) -> Iterator[Settings]:
    """Settings with embedded servers in a folder of their own below the data directory; both are gone at the end.

    Args:
        usual: what is set, for all that is not a place.
        name: of the view, and how the folder's name begins.
        progress: is told what the servers do.
        settings: what else is to be another way.

    Raises:
        ConfigurationError: the data directory cannot be written. And as `with_servers`.
    """
    try:
        usual.data_dir.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(prefix=f"{name}-", dir=usual.data_dir)
    except OSError as error:
        raise ConfigurationError(
            f"{usual.data_dir} cannot be written ({error.strerror}): make it writable, or set FOURFOLD_DATA_DIR"
        ) from error
    with folder as place:
        own = {
            "data_dir": Path(place), "lake": "", "kafka": "", "redis": "", "kafka_port": 0, "redis_port": 0,
            "api_port": 0, "namespace": name, "job": "", **settings,
        }  # fmt: skip
        with with_servers(usual.model_copy(update=own), progress) as served:
            yield served
