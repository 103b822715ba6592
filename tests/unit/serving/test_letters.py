"""The route of dead letters: what was rejected, to read."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from adapters.kafka.dead_letters import FoundLetter
from serving.http.letters import SHOWN_BYTES
from tests.support.api_world import ApiWorld
from tests.support.events import CLICKS_0, NOW_MS


def test_a_letter_says_where_it_was_and_why(client: TestClient) -> None:
    (letter,) = client.get("/v1/dead-letters").json()["letters"]
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("clicks", CLICKS_0.partition, 4)
    assert (letter["reason"], letter["detail"]) == ("not_json", "no object")
    assert (letter["value"], letter["bytes"]) == ("<b>{</b>", 8)


def test_as_many_as_asked_for(world: ApiWorld, client: TestClient) -> None:
    world.letters *= 5
    assert len(client.get("/v1/dead-letters", params={"limit": 3}).json()["letters"]) == 3
    refused = client.get("/v1/dead-letters", params={"limit": 0})
    assert refused.status_code == 422
    assert "limit" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("value", "shown", "size"),
    [(None, None, None), (b"", "", 0), (b"\xff\x00", "\ufffd\x00", 2), (b"x" * 100_000, "x" * SHOWN_BYTES, 100_000)],
)
def test_any_bytes_are_shown_as_text_and_not_too_much_of_it(
    world: ApiWorld, client: TestClient, value: bytes | None, shown: str | None, size: int | None
) -> None:
    world.letters = [FoundLetter(CLICKS_0, 4, NOW_MS, "not_json", "", value, size or 0)]
    (letter,) = client.get("/v1/dead-letters").json()["letters"]
    assert (letter["value"], letter["bytes"]) == (shown, size)


def test_records_of_somebody_else_are_counted(world: ApiWorld, client: TestClient) -> None:
    world.foreign = 3
    assert client.get("/v1/dead-letters").json()["foreign"] == 3


def test_without_kafka_there_is_a_problem_and_no_letter(world: ApiWorld, client: TestClient) -> None:
    world.ends = None
    response = client.get("/v1/dead-letters")
    assert response.status_code == 503
    assert "Kafka" in response.json()["detail"]
