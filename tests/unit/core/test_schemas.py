from core.schemas import json_schemas
from tests.support.shop import SHOP


def test_schema_requires_what_the_contract_requires():
    sale = json_schemas(SHOP)["fourfold.sale.v1.schema.json"]
    assert set(sale["required"]) == {"type", "specversion", "id", "source", "time", "data"}
    data = sale["properties"]["data"]
    assert data["properties"]["quantity"]["minimum"] == 1
    assert "unit_price_cents" in data["required"]
    assert data["properties"]["currency"]["const"] == "EUR"
