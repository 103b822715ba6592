"""Synthetic traffic put together, of the settings that shape it."""

from __future__ import annotations

from core.errors import ConfigurationError
from modes.settings import Settings
from producers.dirt import DirtShares


def dirt(settings: Settings) -> DirtShares:
    """The shares of dirt."""
    shares = {
        name.removeprefix("dirt_"): getattr(settings, name)
        for name in type(settings).model_fields
        if name.startswith("dirt_")
    }
    return DirtShares(**shares)


def resend_span_ms(settings: Settings) -> tuple[int, int]:
    """After how long the duplicates come that do not come soon. Raises `ConfigurationError`."""
    first, last = (int(part) * 1000 for part in settings.resend_seconds.split("-"))
    if first > last:
        raise ConfigurationError(f"FOURFOLD_RESEND_SECONDS is {settings.resend_seconds}: from-to, the larger one last")
    return first, last
