"""What our own contenders do first: end with the bench, and read the settings it gave them."""

from __future__ import annotations

import os

from adapters.launch import die_with
from modes import logs
from modes.settings import Settings, load


def settings_of_child() -> Settings:
    """The settings of this process."""
    die_with(int(os.environ["FOURFOLD_OWNER"]))
    settings = load()
    logs.configure(settings.log_level, settings.log_format)
    return settings
