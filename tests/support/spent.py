"""Where the tests' time goes: seconds and CPU by file, and what tests have to say, at the end of a run."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

SHOWN: Final = 25
CPU, SAID = "cpu_seconds", "said"


def cpu_seconds() -> float:
    """CPU time of this process and of all that it has started and waited for."""
    return sum(os.times()[:4])


@dataclass(slots=True)
class Spent:
    """By one file of tests."""

    tests: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


class SpentTime:
    """Collects it where tests run, and shows it where they are reported."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last = cpu_seconds()
        self._files: dict[str, Spent] = defaultdict(Spent)
        self._said: list[tuple[str, str]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Adds what a test cost to its last report."""
        report: Any = yield
        if call.when == "teardown":
            now = cpu_seconds()
            report.user_properties.append((CPU, now - self._last))
            self._last = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Sums up."""
        spent = self._files[report.nodeid.split("::", 1)[0]]
        spent.wall_s += report.duration
        if report.when != "teardown":
            return
        spent.tests += 1
        for name, value in report.user_properties:
            if name == CPU:
                spent.cpu_s += float(value)  # type: ignore[arg-type]
            elif name == SAID:
                self._said.append((report.nodeid, str(value)))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Shows the table."""
        for nodeid, text in self._said:
            terminalreporter.write_line(f"{nodeid}:\n{text.strip()}")
        if not self._files:
            return
        terminalreporter.section("where the time goes")
        every = sorted(self._files.items(), key=lambda item: -item[1].wall_s)
        terminalreporter.write_line(f"{'seconds':>8} {'CPU':>6} {'tests':>6}")
        for name, spent in every[:SHOWN]:
            terminalreporter.write_line(f"{spent.wall_s:8.1f} {spent.cpu_s:6.1f} {spent.tests:6}  {name}")
        others = [spent for _, spent in every[SHOWN:]]
        for name, some in (
            (f"{len(others)} other files", others),
            ("all", [spent for _, spent in every]),
        ):
            sums = [sum(getattr(spent, field) for spent in some) for field in ("wall_s", "cpu_s", "tests")]
            terminalreporter.write_line(f"{sums[0]:8.1f} {sums[1]:6.1f} {sums[2]:6}  {name}")
        terminalreporter.write_line(f"{time.monotonic() - self._began:8.1f}  by the clock")
