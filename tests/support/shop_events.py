"""A click and a sale as msgspec types: how the shop's events were declared in Python, for tests that make some."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

CONTENT_TYPE: Final = "application/cloudevents+json"
CLICKS: Final = "clicks"
SALES: Final = "sales"
#: Topics of events, in the order in which people list them.
TOPICS: Final = (CLICKS, SALES)
#: Revenue is summed in this currency only: amounts in others cannot be added to it.
CURRENCY: Final = "EUR"

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Path = Annotated[str, Meta(min_length=1, max_length=2048)]
Country = Annotated[
    str,
    Meta(
        min_length=2,
        max_length=2,
        description="ISO 3166-1 alpha-2",
        extra_json_schema={"pattern": "^[A-Z]{2}$"},
    ),
]
Currency = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=3,
        description="ISO 4217; revenue is summed in one",
        extra_json_schema={"const": CURRENCY},
    ),
]
Time = Annotated[
    str,
    Meta(
        min_length=20,
        max_length=40,
        description="RFC 3339, with offset",
        extra_json_schema={"format": "date-time"},
    ),
]
Quantity = Annotated[int, Meta(ge=1, le=10_000)]
Cents = Annotated[int, Meta(ge=0, le=100_000_000)]


class ClickData(Struct, gc=False):
    """What was clicked, by whom."""

    user_id: Name
    session_id: Name
    page: Path
    product_id: Name
    campaign_id: Name
    country: Country


class SaleData(Struct, gc=False):
    """What was sold, to whom. Money is integer cents."""

    user_id: Name
    session_id: Name
    order_id: Name
    product_id: Name
    campaign_id: Name
    country: Country
    quantity: Quantity
    unit_price_cents: Cents
    currency: Currency


class Click(Struct, tag_field="type", tag="fourfold.click.v1", gc=False):
    """A click, on the topic `clicks`."""

    specversion: Literal["1.0"]
    id: Name
    source: Path
    time: Time
    data: ClickData


class Sale(Struct, tag_field="type", tag="fourfold.sale.v1", gc=False):
    """A sale, on the topic `sales`."""

    specversion: Literal["1.0"]
    id: Name
    source: Path
    time: Time
    data: SaleData


Event = Click | Sale
EVENT_OF_TOPIC: Final[dict[str, type[Click | Sale]]] = {CLICKS: Click, SALES: Sale}
