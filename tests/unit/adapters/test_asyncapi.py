"""The AsyncAPI document: valid by the official schema, committed as it is, and true of what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest

from adapters.kafka import dead_letters, repairs
from adapters.kafka.asyncapi import asyncapi, documents
from adapters.kafka.headers import DeadLetterHeaders, EventHeaders, read
from adapters.kafka.repairs import Repair
from core.delta import DeadLetter
from core.verdict import Reason
from producers import emitter
from tests.support.events import CLICKS_0, NOW_MS
from tests.support.shop import SHOP
from tests.support.shop_events import CONTENT_TYPE

TESTS: Final = Path(__file__).parents[2]
COMMITTED: Final = TESTS.parent / "docs" / "contract"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi(SHOP)


@pytest.mark.parametrize("name", sorted(documents(SHOP)))
def test_committed_contract_is_current(name: str) -> None:
    assert (COMMITTED / name).read_text() == documents(SHOP)[name], "run `fourfold contract --write docs/contract`"


def test_nothing_else_is_committed_as_contract() -> None:
    assert {path.name for path in COMMITTED.iterdir()} == set(documents(SHOP))


def test_it_is_valid_by_the_official_schema(document: dict[str, Any]) -> None:
    official = json.loads((TESTS / "support" / "asyncapi" / "3.0.0.schema.json").read_text())
    validator = jsonschema_rs.Draft7Validator(official)
    assert [error.message for error in validator.iter_errors(document)] == []
    broken = document | {"channels": {"clicks": {"address": 7}}}
    assert list(validator.iter_errors(broken))


def test_every_topic_has_a_channel_and_every_reference_a_target(document: dict[str, Any]) -> None:
    assert set(document["channels"]) == {"clicks", "sales", "dead-letters", "repairs", "clock"}
    for reference in references(document):
        if reference.startswith("./"):
            assert (COMMITTED / reference).is_file()
            continue
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [value["$ref"]] if "$ref" in value else [found for of in value.values() for found in references(of)]
    return [found for of in value for found in references(of)] if isinstance(value, list) else []


def texts(headers: list[tuple[str, bytes]]) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in headers}


def test_the_headers_that_are_written_fit_their_schemas(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]
    letter = DeadLetter(CLICKS_0, 7, NOW_MS, b"\xff", None, Reason.NOT_JSON, "x" * 9_000)
    repair = Repair(CLICKS_0, 5, NOW_MS, "sales", b"ann", b"{}", "euros", "event-5")
    for name, headers in (("dead-letter", dead_letters._headers(letter)), ("repair", repairs._headers(repair))):
        schema = messages[name]["headers"]
        jsonschema_rs.validate(schema, texts(headers))
        assert schema["properties"].keys() == dict(headers).keys() == set(schema["required"])
    assert messages["dead-letter"]["headers"]["properties"]["reason"]["enum"] == sorted(SHOP.reasons)
    assert read(DeadLetterHeaders, dead_letters._headers(letter)).reason == Reason.NOT_JSON


def test_the_headers_of_events_are_those_of_producers(document: dict[str, Any]) -> None:
    for name in ("fourfold.click.v1", "fourfold.sale.v1"):
        properties = document["components"]["messages"][name]["headers"]["properties"]
        assert properties.keys() == {"content-type", "truth", "redrive-of"}
        assert properties["content-type"]["const"] == CONTENT_TYPE
    read(EventHeaders, [("content-type", emitter._CONTENT_TYPE), (emitter.HEADER, b"[]")])
