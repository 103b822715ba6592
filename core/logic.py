"""A logic: what validation and fold decide, under a name, so that two can run side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from core.errors import ConfigurationError


class Logic(NamedTuple):
    """`cents(quantity, unit price in cents)`: the revenue of a sale, of integers or of arrays of them."""

    name: str
    says: str
    cents: Callable[[Any, Any], Any]


def _quantity_times_price(quantity: Any, unit_price_cents: Any) -> Any:
    return quantity * unit_price_cents


def _price(quantity: Any, unit_price_cents: Any) -> Any:  # noqa: ARG001 - that is the error
    return unit_price_cents


STANDARD: Final = Logic("standard", "revenue is quantity x unit price", _quantity_times_price)
#: The error of the bug-fix drill.
PRICE_ONLY: Final = Logic("price-only", "WRONG on purpose: revenue is the unit price, whatever the quantity", _price)
LOGICS: Final = {logic.name: logic for logic in (STANDARD, PRICE_ONLY)}


def logic_named(name: str) -> Logic:
    """Raises `ConfigurationError` for a name that is none."""
    if name not in LOGICS:
        raise ConfigurationError(f"there is no logic {name!r}: there are {', '.join(LOGICS)}")
    return LOGICS[name]
