"""Screenshots of the dashboard in each mode, with live data: `make screenshots`.

`python -m tests.e2e.screenshots [--seconds S] [--modes M,M]` writes `docs/screenshots/MODE-SCHEME.png`.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, expect

from modes import running
from modes.catalogue import MODES
from modes.settings import Settings
from tests.support.browser import chromium
from tests.support.product import answers, run, started
from tests.support.servers import free_port
from tests.support.waiting import until

OUT: Final = Path(__file__).parents[2] / "docs" / "screenshots"
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
WIDTH, HEIGHT = 1180, 900
RATE: Final = "800"
#: Long enough that numbers have settled after the page was opened.
SETTLE_MS: Final = 3_000


def shoot(browser: Browser, mode: str, seconds: float) -> None:
    """The dashboard of a mode that has run for some seconds, in light and dark."""
    row = MODES[mode]
    with tempfile.TemporaryDirectory(prefix="fourfold-") as directory:
        settings = Settings(mode=mode, data_dir=Path(directory), batch_seconds=20, api_port=free_port(), _env_file=None)
        with started(settings, "up", "--rate", RATE, "--plain"):
            address = until(lambda: (running.read(settings.data_dir) or {}).get("api"), within_s=90, what="the API")
            until(lambda: answers(address), within_s=60, what="an answer")
            with browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}) as context:
                page = context.new_page()
                page.goto(f"{address}/")
                expect(page.locator("#total-clicks")).to_have_text(re.compile(r"\d"), timeout=60_000)
                page.wait_for_timeout(seconds * 1000)
                if row.job_versions:
                    done = run(settings, "replay", "start", "--as", "v2", "--logic", "price-only")
                    assert done.returncode == 0, done.stderr
                for scheme in SCHEMES:
                    page.emulate_media(color_scheme=scheme)
                    page.wait_for_timeout(SETTLE_MS)
                    page.screenshot(path=OUT / f"{mode}-{scheme}.png", full_page=True)


def main() -> None:
    """Makes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240, help="that each mode runs before (%(default)s)")
    parser.add_argument("--modes", default=",".join(MODES), help="(%(default)s)")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for mode in options.modes.split(","):
            print(f"{mode}: {options.seconds:g} s", flush=True)
            shoot(browser, mode, options.seconds)


if __name__ == "__main__":
    main()
