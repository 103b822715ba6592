"""Usage: CPU time is counted of what lives, of what has died, and of its children, once."""

from __future__ import annotations

import os
import subprocess
import sys

from modes.race.usage import Usage
from tests.support.waiting import until

#: Works for a while itself and in a child, says how much, and waits.
_WORK = """
import os, subprocess, sys, time
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
work(0.2)
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
print("done", flush=True)
sys.stdin.read()
"""


def test_work_of_a_role_and_of_its_children_stays_when_they_are_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", _WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as role:
        pids = {"role": [role.pid], "none": []}
        usage = Usage(lambda: pids)
        usage.start()
        assert role.stdout is not None
        assert role.stdout.readline() == b"done\n"
        until(lambda: usage.cpu_s().get("role", 0) >= 0.45, within_s=5, what="a sample after the work")
        role.kill()
    usage.sample()
    usage.stop()
    assert 0.45 <= usage.cpu_s()["role"] < 1.5
    assert 5e6 < usage.peak["role"] < 1e9
    assert usage.peak["none"] == 0


def test_a_role_that_is_started_again_adds_to_what_it_used() -> None:
    usage = Usage(lambda: {"role": [os.getpid()]})
    usage.sample()
    one = usage.cpu_s()["role"]
    usage._pids = lambda: {"role": [os.getppid()]}
    usage.sample()
    assert usage.cpu_s()["role"] >= one
