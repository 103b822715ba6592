from core.schemas import json_schemas


def test_schema_requires_what_the_contract_requires():
    sale = json_schemas()["fourfold.sale.v1.schema.json"]
    assert set(sale["required"]) == {"type", "specversion", "id", "source", "time", "data"}
    data = sale["$defs"]["SaleData"]
    assert data["properties"]["quantity"]["minimum"] == 1
    assert "unit_price_cents" in data["required"]
