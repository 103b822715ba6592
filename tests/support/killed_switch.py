"""`fourfold`, killed before, within or after its switch of job versions: the first argument says when."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

from redis.client import Pipeline

from adapters.speed.jobs import RedisJobs
from modes.cli import main

MOMENTS = ("before", "between", "after")


def kill(*_: Any) -> NoReturn:
    """Ends this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def break_switches(moment: str) -> None:
    """From now on a switch kills this process."""
    switch = RedisJobs.switch

    def killed(jobs: RedisJobs, name: str) -> None:
        if moment == "before":
            kill()
        if moment == "between":
            Pipeline.multi = kill  # type: ignore[method-assign]
        switch(jobs, name)
        kill()

    RedisJobs.switch = killed  # type: ignore[method-assign]


if __name__ == "__main__":
    break_switches(sys.argv.pop(1))
    main()
