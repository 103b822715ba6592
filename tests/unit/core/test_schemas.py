from pathlib import Path

import pytest

from core.schemas import asyncapi, documents, json_schemas

COMMITTED = Path(__file__).parents[3] / "docs" / "contract"


@pytest.mark.parametrize("name", sorted(documents()))
def test_committed_contract_is_current(name):
    assert (COMMITTED / name).read_text() == documents()[name], "run `fourfold contract --write docs/contract`"


def test_nothing_else_is_committed_as_contract():
    assert {path.name for path in COMMITTED.iterdir()} == set(documents())


def test_schema_requires_what_the_contract_requires():
    sale = json_schemas()["fourfold.sale.v1.schema.json"]
    assert set(sale["required"]) == {"type", "specversion", "id", "source", "time", "data"}
    data = sale["$defs"]["SaleData"]
    assert data["properties"]["quantity"]["minimum"] == 1
    assert "unit_price_cents" in data["required"]


def test_every_topic_has_a_channel():
    assert set(asyncapi()["channels"]) == {"clicks", "sales", "dead-letters"}
