"""A thread that does one thing again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Repeating:
    """Calls `work` every `every_s` seconds until `stop`, or until it raises: that is then a bug, and `check` says it."""

    def __init__(self, work: Callable[[], None], every_s: float, name: str) -> None:
        self._work = work
        self._every_s = every_s
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._beats = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread. Once."""
        self._thread.start()

    @property
    def stopped(self) -> bool:
        """Whether it does no more."""
        return self._stop.is_set()

    @property
    def beats(self) -> int:
        """How often `work` was done."""
        return self._beats

    def check(self) -> None:
        """Raises what `work` raised, if it did, or a `RuntimeError` where the thread is gone all the same."""
        if self._failure is not None:
            raise self._failure
        if self._thread.ident is not None and not self._thread.is_alive() and not self._stop.is_set():
            raise RuntimeError(f"the thread {self._thread.name} is gone")

    def stop(self) -> None:
        """Ends it after the call that is at work. Returns at once."""
        self._stop.set()

    def join(self, within_s: float) -> None:
        """Waits for the end of the thread, `within_s` seconds at most."""
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._work()
            except BaseException as error:
                # a SystemExit, too: threading itself lets it pass without a word
                self._failure = error
                self._stop.set()
                raise
            self._beats += 1
            self._stop.wait(max(0.0, self._every_s - (time.monotonic() - began)))
