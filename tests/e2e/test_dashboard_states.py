"""The page in each state that it can be in, from boards of the real product: no server, one browser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.boards import recorded
from tests.support.browser import chromium
from tests.support.page import FakePage, faked

pytestmark = pytest.mark.e2e

PHONE, TABLET, DESK = {"width": 360, "height": 640}, {"width": 720, "height": 900}, {"width": 1280, "height": 800}
SIZES: Final = (PHONE, TABLET, DESK)
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
STATES: Final = (
    "lambda-starting",
    "lambda-live",
    "not-exact",
    "lambda-worker-ended",
    "lambda-kafka-silent",
    "lambda-kafka-ended",
    "lambda-redis-silent",
    "batch-starting",
    "batch-live",
    "streaming-live",
    "kappa-live",
    "kappa-replay",
)
#: So much may move in all: what is looked at must stay where it is.
MOST_SHIFT: Final = 0.1
HUGE: Final = 987_654_321
LONG: Final = "a-campaign-whose-name-has-no-end-and-no-space-in-which-it-could-be-broken-in-two"


def board(name: str) -> dict[str, Any]:
    """A recorded board, or what is made of one."""
    if name == "not-exact":
        what = {
            "what": "The numbers differ from the truth by 4 in all.",
            "then": "",
            "remedy": "Ask `fourfold verify`.",
        }
        fault = {"part": "serve", "bad": False, "kind": "not exact", "since_ms": 1, **what}
        return recorded("lambda-live") | {"audit": "off", "error": 4, "faults": [fault]}
    if name == "kappa-replay":
        live = recorded("kappa-live")
        behind = {"name": "v2", "logic": "price-only", "active": False, "counted": 900, "accepted": 850, "lag": 9_000}
        return live | {"jobs": [*live["jobs"], {**behind, "rate": 2400.0}]}
    return recorded(name)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def fake(browser: Browser) -> Iterator[FakePage]:
    with faked(browser, viewport=DESK) as page:
        yield page


#: What one row of a table passes, the others pass.
ROWS: Final = [["tbody tr:nth-child(n+3)"]]


class AxeCheck:
    """Asks axe about a page at one width after the other, in one colour scheme after the other."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._turn = 0
        self._axe = Axe()

    def check(self, name: str, times: int = 2, **media: Any) -> None:
        for _ in range(times):
            size, scheme = SIZES[self._turn % len(SIZES)], SCHEMES[self._turn % len(SCHEMES)]
            self._turn += 1
            self._page.set_viewport_size(size)
            self._page.emulate_media(color_scheme=scheme, **media)
            rules = self._axe.run(self._page, {"exclude": ROWS}).response["violations"]
            found = [
                f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in rules for node in rule["nodes"]
            ]
            assert found == [], (name, size, scheme, media)


@pytest.mark.parametrize("names", [STATES[:6], STATES[6:]], ids=["one half", "the other half"])
def test_axe_finds_nothing_in_any_state_light_or_dark(fake: FakePage, names: Sequence[str]) -> None:
    axe = AxeCheck(fake.page)
    for name in names:
        fake.show(board(name))
        axe.check(name)


def test_axe_finds_nothing_before_the_first_answer_and_after_the_last(fake: FakePage) -> None:
    axe = AxeCheck(fake.page)
    axe.check("before the first answer")
    fake.lose()
    axe.check("no answer")
    fake.show(board("lambda-live"))
    fake.lose()
    axe.check("lost")


def test_axe_finds_nothing_at_any_width_on_paper_with_movement_and_with_all_open(fake: FakePage) -> None:
    axe = AxeCheck(fake.page)
    fake.show(largest("lambda-live"))
    fake.page.locator("#chart-table summary").click()
    axe.check("all open", 6)
    axe.check("paper", media="print")
    axe.check("moving", media="screen", reduced_motion="no-preference")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size["width"]))
def test_nothing_jumps_whatever_happens(browser: Browser, size: Any) -> None:
    with faked(browser, viewport=size) as fake:
        for name in [
            "lambda-starting",
            "lambda-live",
            "lambda-worker-ended",
            "lambda-live",
            "lambda-kafka-silent",
            "lambda-kafka-ended",
            "not-exact",
            "lambda-redis-silent",
            "lambda-live",
        ]:
            fake.show(board(name))
        fake.lose()
        fake.show(board("lambda-live"))
        fake.page.mouse.wheel(0, 700)
        for name in ("lambda-starting", "lambda-kafka-silent", "lambda-live", "lambda-redis-silent"):
            fake.show(board(name))
        assert sum(value for value, _ in fake.shifts()) < MOST_SHIFT, fake.shifts()


@pytest.mark.parametrize("names", ["batch-starting batch-live", "kappa-starting kappa-live kappa-replay"])
def test_nothing_jumps_when_a_mode_begins(browser: Browser, names: str) -> None:
    for size in SIZES:
        with faked(browser, viewport=size) as fake:
            for name in names.split():
                fake.show(board(name))
            assert sum(value for value, _ in fake.shifts()) < MOST_SHIFT, (size, fake.shifts())


def largest(name: str) -> dict[str, Any]:
    """A board with numbers, names and faults that need much room."""
    made = board(name)
    cell = dict.fromkeys(("clicks", "sales", "units", "revenue_cents"), HUGE)
    rows = [{"value": LONG, **cell} for _ in range(10)]
    return made | {
        "totals": {**cell, "revenue_cents": 100 * HUGE},
        "lag": HUGE,
        "rate": 123_456.0,
        "users": {"number": HUGE, "exact": False},
        "top": dict.fromkeys(("campaign", "product", "country"), rows),
        "versions": [row | {"version": 12_345, "accepted": HUGE} for row in made["versions"]],
        "jobs": [job | {"counted": HUGE, "accepted": HUGE, "lag": HUGE} for job in made["jobs"]],
        "quality": {**made["quality"], "accepted": HUGE},
        "audit": "behind",
        "parts": [part | {"says": "still, 987,654,321 behind"} for part in made["parts"]],
        "faults": 3 * board("lambda-worker-ended")["faults"],
    }


#: What reaches out of the page, or out of its card.
OUTSIDE: Final = """() => [...document.querySelectorAll("body *")].filter((one) => {
  const box = one.getBoundingClientRect();
  if (!box.width || one.closest(".unseen, .skip, .scroll, svg defs")) return false;
  const card = one.parentElement.closest(".card")?.getBoundingClientRect();
  return box.right > innerWidth + 1 || box.left < -1 || (card && (box.right > card.right + 1 || box.left < card.left - 1));
}).map((one) => `${one.tagName}#${one.id} ${one.textContent.slice(0, 40)}`)"""
#: Text that needs more room than its cell has.
CLIPPED: Final = """() => [...document.querySelectorAll("td, dd, .pill, h1, h2, .verdict")].filter(
  (one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline" && !one.closest(".scroll, .unseen") && !one.matches(".unseen"))
  .map((one) => `${one.tagName}#${one.id} ${one.textContent.slice(0, 40)}`)"""


@pytest.mark.parametrize("name", ["lambda-live", "kappa-replay"])
def test_it_fits_any_width(fake: FakePage, name: str) -> None:
    page = fake.page
    fake.show(largest(name))
    page.locator("#chart-table summary").click()
    for width in (320, 360, 412, 540, 600, 671, 673, 720, 768, 900, 959, 961, 1024, 1280, 1600):
        page.set_viewport_size({"width": width, "height": 800})
        fake.drawn()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        assert page.evaluate(OUTSIDE) == [], width
        assert page.evaluate(CLIPPED) == [], width


def test_text_of_twice_the_size_fits(fake: FakePage) -> None:
    fake.show(largest("lambda-live"))
    fake.page.evaluate("document.documentElement.style.fontSize = '200%'")
    for width in (640, 1280):
        fake.page.set_viewport_size({"width": width, "height": 800})
        fake.drawn()
        assert fake.page.evaluate("document.documentElement.scrollWidth") <= width
        assert fake.page.evaluate(OUTSIDE) == []


def test_a_phone_shows_the_first_counts_without_scrolling(browser: Browser) -> None:
    with faked(browser, viewport=PHONE) as fake:
        for name in STATES:
            fake.show(board(name))
            for number in ("total-clicks", "total-sales", "total-revenue_cents"):
                box = fake.page.locator(f"#{number}").bounding_box()
                assert box is not None
                assert box["y"] + box["height"] <= PHONE["height"], (name, number)


@pytest.mark.parametrize(
    ("name", "pill", "says", "parts"),
    [
        ("lambda-live", "live", "Nothing is wrong", {"Kafka": "ok", "Workers": "ok", "Redis": "ok"}),
        ("not-exact", "live, not exact", "differ from the truth", {"Kafka": "ok"}),
        ("lambda-worker-ended", "Workers down", "worker (role process) has ended", {"Workers": "down, restarting"}),
        ("lambda-kafka-silent", "Kafka down", "Kafka does not answer", {"Kafka": "down", "Producers": "unknown"}),
        ("lambda-kafka-ended", "Kafka down", "Kafka has ended", {"Kafka": "down", "Redis": "ok"}),
        ("lambda-redis-silent", "stale, Redis down", "Redis does not answer", {"Redis": "down", "Workers": "unknown"}),
        ("batch-starting", "starting", "There is no batch view yet", {"Batch": "quiet"}),
    ],
)
def test_each_fault_is_said_with_what_to_do(
    fake: FakePage, name: str, pill: str, says: str, parts: dict[str, str]
) -> None:
    fake.show(board(name))
    page = fake.page
    expect(page.locator("#connection")).to_have_text(pill)
    expect(page).to_have_title(f"{pill} · Fourfold {name.split('-', maxsplit=1)[0].replace('not', 'lambda')}")
    faults = page.locator("#faults li")
    expect(faults.first).to_contain_text(says)
    # not by a colour alone
    expect(faults.first).to_contain_text("●" if pill == "live" else "✕" if "down" in pill else "▲")
    if pill != "live":
        expect(faults).to_have_count(len(board(name)["faults"]))
        expect(faults.first).to_contain_text(re.compile(r"Since \d\d:\d\d:\d\d UTC\..* To do: \S"))
    for part, state in parts.items():
        item = page.locator("#parts li").filter(has_text=f"{part}:")
        expect(item).to_contain_text(f"{part}: {state}")
        words = item.inner_text().split(": ", 1)[1].split(", ")
        assert len(words) == len(set(words)), words


def test_what_is_not_heard_is_not_known(fake: FakePage) -> None:
    page = fake.page
    fake.show(board("lambda-live"))
    expect(page.locator("#error")).to_have_text("exact: no difference")
    fake.lose()
    expect(page.locator("#connection")).to_have_text("connection lost")
    expect(page).to_have_title("connection lost · Fourfold lambda")
    expect(page.locator("#faults")).to_contain_text(re.compile("is lost. Since .* To do: See whether fourfold up"))
    items = page.locator("#parts li")
    expect(items).to_have_text([re.compile(": unknown, not known$")] * 7)
    assert page.locator('.node:not([data-state="unknown"])').count() == 0
    assert page.locator('.link[data-flow="yes"]').count() == 0
    expect(page.locator("#error")).to_have_text("not known")
    expect(page.locator("#lag")).to_have_text("unknown")
    fake.show(board("lambda-live"))
    expect(page.locator("#connection")).to_have_text("live")
    expect(items.first).to_contain_text("Producers: ok")


def history(minutes: int) -> dict[str, Any]:
    """A live board whose events are all of the last minutes, one late click of the hour's beginning aside."""
    made = board("lambda-live")
    numbers = [1] + [0] * (59 - minutes) + [1000] * minutes
    series = dict.fromkeys(("clicks", "sales", "units", "revenue_cents"), numbers)
    return made | {"hour": {"start_ms": made["hour"]["start_ms"], "all": series, "batch": series}}


def test_the_chart_shows_as_many_minutes_as_there_are(fake: FakePage) -> None:
    for minutes, title in (
        (1, "5 minutes"),
        (5, "5 minutes"),
        (6, "15 minutes"),
        (16, "30 minutes"),
        (31, "hour"),
        (59, "hour"),
    ):
        fake.show(history(minutes))
        expect(fake.page.locator("#hour-title")).to_have_text(f"The last {title}")
        summary = fake.page.locator("#chart-summary")
        expect(summary).to_contain_text(f"clicks in the last {title}")
        if title != "hour":
            expect(summary).to_contain_text("1 more in the hour before")


def test_changes_are_read_aloud_once(fake: FakePage) -> None:
    page = fake.page
    page.evaluate(
        """() => {
          window.heard = [];
          new MutationObserver(() => window.heard.push(document.querySelector("#announce").textContent))
            .observe(document.querySelector("#announce"), { childList: true });
        }"""
    )
    page.clock.install()
    silent = board("lambda-kafka-silent")
    # one that is gone before it was heard is not said
    for name, halves in (
        ("lambda-live", 4),
        ("lambda-kafka-silent", 8),
        ("lambda-worker-ended", 1),
        ("lambda-kafka-silent", 8),
        ("lambda-live", 5),
    ):
        for half in range(halves):
            fake.show(silent | {"lag": half} if name == "lambda-kafka-silent" else board(name))
            page.clock.run_for(500)
    heard = page.evaluate("window.heard")
    assert [words.split(".")[0] for words in heard] == ["Kafka does not answer", "Nothing is wrong"]


def test_all_that_can_be_used_can_be_used_by_keyboard(browser: Browser) -> None:
    with faked(browser, viewport=PHONE) as fake:
        page = fake.page
        fake.show(largest("lambda-live"))
        seen = []
        for _ in range(6):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", seen[-1]
        assert seen[:2] == ["Skip to the counts", "faults"]
        assert "The same as a table" in seen
        page.keyboard.press("Shift+Tab")
        page.locator("input[value=clicks]").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#chart-summary")).to_contain_text("sales in the last")
