"""Names that look like a setting and are not are told, with the nearest one."""

from __future__ import annotations

import pytest

from modes.setting_names import misspelt
from modes.settings import Settings

SETTINGS = {f"FOURFOLD_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("FOURFOLD_MOD", "FOURFOLD_MODE"),
        ("FOURFOLD_EPOCHS_SECONDS", "FOURFOLD_EPOCH_SECONDS"),
        ("FOURFOLD_KAFKA_USER", "FOURFOLD_KAFKA_USERNAME"),
        ("FOURFOLD_KAFKA_PASSWROD", "FOURFOLD_KAFKA_PASSWORD"),
        ("FOURFOLD_REDIS_URL", "FOURFOLD_REDIS"),
        ("FOURFOLD_KAFKA_BOOTSTRAP_SERVERS", "FOURFOLD_KAFKA"),
        ("FOURFOLD_PORT", "FOURFOLD_API_PORT"),
        ("FOURFOLD_PUBLISHED_PORT", "FOURFOLD_PUBLISHED_API_PORT"),
        ("fourfold_mdoe", "FOURFOLD_MODE"),
        ("FOURFLOD_MODE", "FOURFOLD_MODE"),
        ("FOURFOLD-MODE", "FOURFOLD_MODE"),
        ("FOUR_FOLD_WORKERS", "FOURFOLD_WORKERS"),
        ("$env:FOURFOLD_MODE", "FOURFOLD_MODE"),
    ],
)
def test_the_nearest_name_is_told(name: str, nearest: str) -> None:
    assert misspelt([name], SETTINGS) == {name: f"{name} is not a setting; did you mean {nearest}?"}


@pytest.mark.parametrize("name", ["FOURFOLD_", "FOURFOLD_XYZZY_9"])
def test_where_none_is_near_the_list_is_named(name: str) -> None:
    assert misspelt([name], SETTINGS) == {name: f"{name} is not a setting, see .env.example for their names"}


@pytest.mark.parametrize(
    "name",
    [
        *sorted(SETTINGS),
        "fourfold_mode",
        "FOURFOLD_PUBLISHED_API_PORT",
        "FOURFOLD_OWNER",
        "FOURFOLD_TEST_SERVERS",
        "KAFKA_PORT",
        "MODE",
        "REDIS_URL",
        "FOLDER_MODE",
        "PYTHONPATH",
    ],
)
def test_settings_and_names_of_others_are_left_alone(name: str) -> None:
    assert misspelt([name], SETTINGS) == {}


def test_a_name_of_control_characters_is_harmless_on_a_terminal() -> None:
    assert "\x1b" not in misspelt(["FOURFOLD_\x1b[31m"], SETTINGS)["FOURFOLD_\x1b[31m"]
