"""Threads that die or hang are seen, said, and end the process; what merely is slow, or slept, is not taken for dead."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

import adapters.vitals
from adapters.vitals import EXIT_CODE, DeadThreadError, Pulse, Vitals
from core.errors import ConfigurationError
from tests.support.waiting import until


def raising(error: BaseException) -> Callable[[], None]:
    def check() -> None:
        raise error

    return check


def test_all_is_well_where_nothing_is_dead() -> None:
    vitals = Vitals()
    vitals.watch("board")
    vitals.look()
    vitals.check()
    assert vitals.trouble == ""


@pytest.mark.parametrize(
    "error", [KeyError("a bug"), MemoryError(), SystemExit(0), KeyboardInterrupt(), ValueError("")]
)
def test_what_ended_a_part_is_said_and_raised(error: BaseException) -> None:
    vitals = Vitals()
    vitals.watch("ticker")
    vitals.watch("board", check=raising(error))
    assert vitals.trouble.startswith(f"board: a bug ({type(error).__name__}: ")
    with pytest.raises(DeadThreadError, match="board ended") as caught:
        vitals.check()
    assert caught.value.__cause__ is error


def test_an_error_for_people_stays_one() -> None:
    vitals = Vitals()
    vitals.watch("auditor", check=raising(ConfigurationError("set FOURFOLD_KAFKA_PASSWORD")))
    assert vitals.trouble == "auditor: set FOURFOLD_KAFKA_PASSWORD"
    with pytest.raises(ConfigurationError):
        vitals.check()


@pytest.mark.parametrize("error", [KeyError("a bug"), SystemExit(0), MemoryError()])
def test_a_thread_of_a_library_that_dies_ends_the_process(error: BaseException) -> None:
    """Nobody has registered it."""
    vitals, ended = Vitals(every_s=0.01), threading.Event()
    with vitals.running(ended.set):
        threading.Thread(target=raising(error), name="of a library").start()
        assert ended.wait(10)
    assert vitals.trouble.startswith("of a library: a bug")
    assert threading.excepthook is not vitals._hook


def test_health_says_it_before_the_end() -> None:
    vitals, ended = Vitals(every_s=0.01), threading.Event()
    with vitals.running(ended.set, linger_s=600):
        vitals.died("board", KeyError("a bug"))
        assert "board" in vitals.trouble
    assert not ended.is_set()


def test_a_process_that_does_not_end_is_ended() -> None:
    codes: list[int] = []
    vitals = Vitals(every_s=0.01, leave=codes.append)
    with vitals.running(lambda: None, bound_s=0.01):
        vitals.died("board", KeyError("a bug"))
        until(lambda: codes, within_s=10, what="the end")
    assert codes == [EXIT_CODE]


def test_a_process_that_does_not_end_keeps_its_exit_code_and_its_last_words(capfd: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    vitals = Vitals(every_s=0.01, leave=codes.append)
    with vitals.running(lambda: None, linger_s=600, bound_s=0.01):
        vitals.died("auditor", ConfigurationError("set FOURFOLD_KAFKA_PASSWORD"))
        until(lambda: codes, within_s=10, what="the end")
    assert codes == [2]
    assert capfd.readouterr().err.splitlines()[-1] == "fourfold: set FOURFOLD_KAFKA_PASSWORD"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_also_where_telling_it_fails() -> None:
    codes: list[int] = []
    vitals = Vitals(every_s=0.01, leave=codes.append)
    with vitals.running(raising(OSError()), bound_s=0.01):
        vitals.died("board", KeyError("a bug"))
        until(lambda: codes, within_s=10, what="the end")


def test_who_watches_is_watched() -> None:
    vitals, ended = Vitals(every_s=0.01), threading.Event()

    def broken() -> int:
        raise ZeroDivisionError

    vitals.watch("board", beats=broken)
    with vitals.running(ended.set):
        assert ended.wait(10)
    assert vitals.trouble.startswith("vitals: a bug (ZeroDivisionError")


class Slow:
    """A watch over one pulse, with a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pulse = Pulse()
        self.vitals = Vitals(every_s=1, hung_s=90, clock=lambda: self.now)
        self.vitals.watch("ticker", beats=lambda: self.pulse.beats)

    def pass_(self, seconds: int, step: float = 1) -> str:
        for _ in range(seconds):
            self.now += step
            self.vitals.look()
        return self.vitals.trouble


def test_what_hangs_is_said_after_the_limit_and_not_before() -> None:
    slow = Slow()
    slow.pulse.beat()
    slow.vitals.look()
    assert slow.pass_(90) == ""
    slow.pulse.beat()
    assert slow.pass_(91) == ""
    assert slow.pass_(1) == "ticker: has not moved for 90 s"


def test_what_has_not_begun_does_not_hang() -> None:
    assert Slow().pass_(1000) == ""


def test_after_a_sleep_of_the_machine_nobody_hangs() -> None:
    slow = Slow()
    slow.pulse.beat()
    slow.vitals.look()
    assert slow.pass_(1, step=100_000) == ""
    assert slow.pass_(20) == ""


def test_a_clock_that_goes_back_hangs_nobody() -> None:
    slow = Slow()
    slow.pulse.beat()
    slow.vitals.look()
    assert slow.pass_(5, step=-100) == ""


def test_each_death_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    # whichever way other tests have left the logs
    monkeypatch.setattr(adapters.vitals, "log", SimpleNamespace(error=lambda event, **_: said.append(event)))
    vitals = Vitals()
    vitals.watch("board", check=raising(KeyError("a bug")))
    for _ in range(5):
        vitals.look()
        with contextlib.suppress(DeadThreadError):
            vitals.check()
    assert said == ["a thread ended by a bug, this process ends"]
