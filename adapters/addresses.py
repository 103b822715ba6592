"""Names that have several addresses, of which the first may be dead."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

#: The next address is tried beside one that has not answered for so long (RFC 8305).
NEXT_AFTER_S: Final = 0.25


def try_all_addresses() -> None:
    """Connections of the running loop try all addresses of a name, side by side.

    asyncio itself waits for the first one until it is refused. Where nothing answers there, that takes longer than its
    callers wait, and the others are never tried.
    """
    loop: Any = asyncio.get_running_loop()
    loop.create_connection = partial(type(loop).create_connection, loop, happy_eyeballs_delay=NEXT_AFTER_S)
