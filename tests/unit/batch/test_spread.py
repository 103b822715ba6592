"""Work that is spread over processes."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest

from batch.spread import spread_over
from core.errors import UnavailableError


def killed(_number: int) -> None:
    """As the system does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_said_in_words() -> None:
    with ExitStack() as stack, pytest.raises(UnavailableError, match="FOURFOLD_BATCH_PROCESSES=1"):
        list(spread_over(2, 1_000_000, stack)(killed, [1, 2, 3]))
