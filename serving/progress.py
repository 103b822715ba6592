"""Progress: what a long command does now, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.text import Text

from serving.console import err
from serving.harmless import harmless

#: Where nothing can be written over, a line each time this many seconds have passed.
LINE_EVERY_S: Final = 5.0


@contextmanager
def progress(first: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[str], None]]:
    """Gives what is told what goes on now: one line that changes, or a line now and then where none can."""
    console = err()
    if console.is_interactive:
        with console.status(Text(first)) as status:
            yield lambda text: status.update(Text(harmless(text)))
        return
    told = clock()

    def tell(text: str) -> None:
        nonlocal told
        if clock() - told >= LINE_EVERY_S:
            told = clock()
            console.print(Text(harmless(text)))

    yield tell
