"""The environment of an embedded server: what any program needs, and nothing that was meant for others.

Java takes options from half a dozen variables (`JAVA_TOOL_OPTIONS`, `JDK_JAVA_OPTIONS`, `_JAVA_OPTIONS`, …), its logging
from more. They are set for other programs of this machine, and one that does not fit keeps Kafka from starting.
"""

from __future__ import annotations

import os
from typing import Final

_PASSED: Final = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"})
#: Of the dynamic loader: on some systems nothing runs without them.
_LOADER: Final = ("LD_", "DYLD_")


def server_environment() -> dict[str, str]:
    """The variables that a server gets."""
    return {name: value for name, value in os.environ.items() if name in _PASSED or name.startswith(_LOADER)}
