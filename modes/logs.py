"""Logs of every process: structlog for ours, the same form for the libraries'."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Final

import structlog

from core.secrets import redacted

#: Libraries that write many lines a second while a server is away.
_NOISY: Final = ("aiokafka", "faust", "mode")


class OncePerSecond(logging.Filter):
    """Lets one line a second of a logger through, and says how many it held back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last = float("-inf")
        self._held = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        now = self._clock()
        if now - self._last < 1:
            self._held += 1
            return False
        if self._held:
            record.msg = f"{record.getMessage()} (and {self._held} lines more)"
            record.args = ()
        self._last, self._held = now, 0
        return True


class _Redacting(structlog.stdlib.ProcessorFormatter):
    """The last one to touch a line: libraries' words and tracebacks show no secret, either."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def configure(level: str, form: str) -> None:
    """`form` is `console` or `json`; lines go to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(foreign_pre_chain=shared, processor=renderer))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    noisy = OncePerSecond()
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # a rebalance is not worth a warning: workers come and go
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.ERROR)
    handler.addFilter(lambda r: noisy.filter(r) if r.name.split(".")[0] in _NOISY else True)
