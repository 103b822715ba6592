"""The reader of job versions: each answer is of one version, that which answered when it was read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.speed.job_reader import JobReader
from adapters.speed.jobs import JobBook
from adapters.speed.memory import MemoryStore
from adapters.speed.port import Job
from core.errors import UnavailableError
from tests.support.shop import SHOP

V1, V2 = Job("v1", "standard", 1), Job("v2", "price-only", 2)
BOTH = JobBook({"v1": V1, "v2": V2}, "v1")


class Registry:
    """Says what is in `books`, one after the other, the last one for ever."""

    def __init__(self, *books: JobBook) -> None:
        self.books = list(books)

    def __call__(self) -> JobBook:
        return self.books.pop(0) if len(self.books) > 1 else self.books[0]


def reader_of(registry):
    opened = []

    def open_reader(job):
        opened.append(job.name)
        return MemoryStore(SHOP).reader()

    return JobReader(registry, open_reader), opened


def test_an_answer_names_its_version_and_a_reader_is_kept_while_it_answers():
    registry = Registry(BOTH)
    reader, opened = reader_of(registry)
    assert [reader.read().job for _ in range(2)] == [V1, V1]
    registry.books = [replace(BOTH, active="v2")]
    assert reader.read().job == V2
    assert opened == ["v1", "v2"]


def test_a_version_that_stops_answering_while_it_is_read_is_read_no_more():
    reader, opened = reader_of(Registry(BOTH, replace(BOTH, active="v2")))
    assert reader.read().job == V2
    assert opened == ["v1", "v2"]


def test_before_there_is_a_version_there_is_no_answer():
    reader, _ = reader_of(Registry(JobBook()))
    with pytest.raises(UnavailableError, match="no version of the job runs yet"):
        reader.read()
