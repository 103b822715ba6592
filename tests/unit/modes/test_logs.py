"""Logs: one form for all, and at most one line a second of libraries that shout."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from modes import logs
from modes.logs import OncePerSecond


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(text: str = "broker %s is away", *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", logging.WARNING, "", 1, text, arguments, None)


def test_one_line_a_second_is_let_through() -> None:
    clock = Clock()
    once = OncePerSecond(clock)
    passed = []
    for tick in range(100):
        clock.now = tick / 20
        passed.append(once.filter(record("x")))
    assert sum(passed) == 5
    assert passed[0]


def test_the_next_line_says_how_many_were_held_back() -> None:
    clock = Clock()
    once = OncePerSecond(clock)
    first = record("broker %s is away", 1)
    assert once.filter(first)
    assert first.getMessage() == "broker 1 is away"
    for _ in range(7):
        assert not once.filter(record())
    clock.now = 1.0
    later = record("broker %s is away, 100%%", 2)
    assert once.filter(later)
    assert later.getMessage() == "broker 2 is away, 100% (and 7 lines more)"
    clock.now = 2.0
    last = record("back")
    assert once.filter(last)
    assert last.getMessage() == "back"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """What was written to standard error; logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level

    def written() -> list[str]:
        return capsys.readouterr().err.splitlines()

    yield written
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_our_lines_and_those_of_libraries_are_json_documents(lines: Callable[[], list[str]]) -> None:
    logs.configure("info", "json")
    structlog.get_logger("processors.book").warning("positions\nrestored", partitions=4)
    logging.getLogger("aiokafka.client").error("cannot %s", "connect")
    structlog.get_logger("processors.book").debug("hidden")
    ours, theirs = [json.loads(text) for text in lines()]
    assert (ours["event"], ours["level"], ours["logger"]) == ("positions\nrestored", "warning", "processors.book")
    assert ours["partitions"] == 4
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("cannot connect", "error", "aiokafka.client")
    assert ours["timestamp"].endswith("Z")


def test_lines_of_noisy_libraries_are_held_back_and_ours_are_not(lines: Callable[[], list[str]]) -> None:
    logs.configure("info", "json")
    for _ in range(20):
        logging.getLogger("aiokafka.consumer").warning("away")
        logging.getLogger("faust.transport").warning("away")
        logging.getLogger("ours").warning("important")
    events = [json.loads(text)["event"] for text in lines()]
    assert events.count("important") == 20
    assert events.count("away") <= 2


def test_an_error_is_one_json_document_with_its_traceback(lines: Callable[[], list[str]]) -> None:
    logs.configure("info", "json")
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("ours").exception("failed")
    (text,) = lines()
    assert "ValueError: invalid literal" in json.loads(text)["exception"]


def test_lines_for_people_have_no_colours_where_nobody_watches(lines: Callable[[], list[str]]) -> None:
    logs.configure("info", "console")
    structlog.get_logger("ours").info("started", port=1)
    (text,) = lines()
    assert "\x1b" not in text
    assert "started" in text
