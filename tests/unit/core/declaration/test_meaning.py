"""What a declaration means, apart from how it is called and shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.declaration.pipeline import MEANING_BEFORE
from core.declaration.reader import read
from tests.support.shop import SHOP
from tests.support.trips import TRIPS

TEXT = Path("pipelines/shop.toml").read_text()


def meaning(old: str, new: str) -> str:
    """Of the shop's declaration with one text in place of another."""
    assert old in TEXT
    return read(TEXT.replace(old, new, 1).encode(), "shop.toml").meaning


def test_views_of_before_are_the_shop_s() -> None:
    """Once the shop means something else this is wrong, and so are they: then the test goes, and the constant stays."""
    assert SHOP.meaning == MEANING_BEFORE


def test_it_is_the_same_under_each_logic() -> None:
    assert SHOP.under("price-only").meaning == SHOP.meaning


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# What a click and a sale are, and what is counted of them.\n", ""),
        ('label = "Campaigns"', 'label = "Ads"'),
        ('description = "A click"', 'description = "Somebody looked"'),
        ('unit = "EUR cents"', 'unit = "CHF cents"'),
        (', classification = "personal"', ""),
        ('generator = "shop"\n', ""),
        ('"quantity * unit_price_cents"', '"(quantity*unit_price_cents)"'),
        ('conversion = "sales / clicks"', 'conversion = "clicks / sales"'),
        ('measures.revenue_cents = { of = "sales", sum = "unit_price_cents" }', 'measures.units = { count = "sales" }'),
    ],
)
def test_what_only_people_see_is_no_other_meaning(old: str, new: str) -> None:
    assert meaning(old, new) == SHOP.meaning


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("maxLength = 64", "maxLength = 65"),
        ('pattern = "[A-Z]{2}"', 'pattern = "[A-Z]{2,3}"'),
        ("maximum = 10_000 }", "maximum = 10_001 }"),
        ('event = "fourfold.click.v1"', 'event = "fourfold.click.v2"'),
        ('fields.page        = { type = "address" }', 'fields.page        = { type = "address", optional = true }'),
        ("currency == 'EUR'", "currency == 'CHF'"),
        ("require.wrong_currency", "require.wrong_money"),
        ('by = "campaign_id"', 'by = "session_id"'),
        ('sales  = { count = "sales" }', 'sales  = { count = "sales", where = "quantity > 1" }'),
        ('sum = "quantity * unit_price_cents"', 'sum = "quantity + unit_price_cents"'),
        ('users = "user_id"', 'users = "session_id"'),
        ('units  = { of = "sales"', 'pieces = { of = "sales"'),
    ],
)
def test_what_decides_what_is_counted_is_another_meaning(old: str, new: str) -> None:
    assert meaning(old, new) != SHOP.meaning


def test_where_an_event_has_its_time_is_a_meaning() -> None:
    elsewhere = replace(TRIPS, envelope=replace(TRIPS.envelope, time_format="epoch_s"))
    assert elsewhere.meaning != TRIPS.meaning
