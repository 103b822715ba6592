"""The shop is declared once: outside of its files no product file knows what is counted."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("core", "adapters", "producers", "processors", "batch", "serving", "modes")
ENDINGS: Final = (".py", ".sql", ".lua", ".js", ".html", ".css", ".toml")
WORDS: Final = {
    "click",
    "clicks",
    "sale",
    "sales",
    "campaign",
    "campaigns",
    "country",
    "countries",
    "currency",
    "currencies",
    "revenue",
}
#: The generator of the shop's events, what spoils them, and what repairs those.
GENERATOR: Final = {
    "producers/__init__.py",
    "producers/catalogue.py",
    "producers/dirt.py",
    "producers/record.py",
    "producers/repair_rules.toml",
    "producers/shop.py",
    "producers/variants.py",
}
#: File to the words in it that are of something else.
OTHERS: Final = {
    # a step of repair rules converts money
    "producers/repair.py": {"currency"},
    "producers/repair_rules.py": {"currency"},
    # the share of the generator's records in another currency
    "modes/settings.py": {"currency"},
    # the money that servers cost
    "modes/race/advice.py": {"currency", "sales"},
    "modes/race/prices.py": {"currency"},
    "modes/race/report.py": {"currency", "revenue"},
    # cases of the course, and that a race sends the shop's traffic
    "modes/commands/race.py": {"sales"},
    "modes/race/lap.py": {"sales"},
    "modes/race/summary.py": {"currency", "revenue", "sales"},
    # the browser's event
    "serving/dashboard/app.js": {"click"},
}


def product_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split() if name.endswith(ENDINGS) and "/vendor/" not in name]


def words_of(text: str) -> set[str]:
    """The words of a text, those in identifiers too."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)}


@pytest.mark.parametrize("name", sorted(set(product_files()) - GENERATOR))
def test_no_product_file_names_what_the_shop_counts(name: str) -> None:
    found = words_of((ROOT / name).read_text(encoding="utf-8")) & WORDS
    assert found <= OTHERS.get(name, set()), f"{name} knows the shop: {sorted(found)}"


def test_what_is_left_out_is_there_and_needs_to_be() -> None:
    files = set(product_files())
    assert files >= OTHERS.keys()
    for name, words in OTHERS.items():
        assert words_of((ROOT / name).read_text(encoding="utf-8")) >= words


@pytest.mark.parametrize(
    "text", ["clicks", "the click", "user_clicks", "ClickData", "MOST_SALES", "revenue_cents", "aCountryCode", "SALES"]
)
def test_a_word_is_found_in_whatever_it_is_part_of(text: str) -> None:
    assert words_of(text) & WORDS
