"""The dashboard in a real browser: over a world that tests move by hand, and over the whole product."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from adapters.kafka.dead_letters import FoundLetter
from adapters.speed.port import Step
from core.cells import Cell
from core.errors import UnavailableError
from modes import running
from modes.catalogue import MODES
from modes.settings import Settings
from serving import server
from serving.board import Board
from tests.support.api_world import ALL, CUT, ApiWorld
from tests.support.browser import chromium
from tests.support.busy import allowed
from tests.support.events import CLICKS_0, NOW_MINUTE, NOW_MS, at, delta_of
from tests.support.product import answers, started
from tests.support.servers import free_port
from tests.support.shop import cell_of
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

HOSTILE = "<img src=x onerror=alert(1)>"
PARTS = {
    "batch": "Producers Kafka Batch Parquet Serving",
    "streaming": "Producers Kafka Workers Redis Serving",
    "lambda": "Producers Kafka Workers Redis Batch Parquet Serving",
    "kappa": "Producers Kafka Workers Redis Serving",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


class Faults(list[str]):
    """What a page complained about: errors of its code, and requests that left its origin."""


@contextmanager
def opened(browser: Browser, address: str, script: str = "", **context: Any) -> Iterator[tuple[Page, Faults]]:
    """The page at an address; fails the test for what it complained about, lost connections aside."""
    faults = Faults()
    # movement costs a browser without a graphics card most of what it does
    with browser.new_context(**{"reduced_motion": "reduce", **context}) as around:
        around.add_init_script(script)
        page = around.new_page()
        page.set_default_timeout(10_000)
        expect.set_options(timeout=10_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: None if request.url.startswith(address) else faults.append(request.url))
        page.goto(address)
        yield page, faults
    assert [fault for fault in faults if "net::ERR_" not in fault] == []


@contextmanager
def served(world: ApiWorld, port: int) -> Iterator[str]:
    """The world's API on a port, until the end."""
    stop = threading.Event()
    bound = threading.Event()

    def run() -> None:
        server.serve(
            world.api, "127.0.0.1", port, stop=stop, bound=lambda _: bound.set(), closing=world.api.state.end_streams
        )

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert bound.wait(10)
        yield f"http://127.0.0.1:{port}/"
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def world_of(path: Path, mode: str = "lambda") -> Iterator[tuple[ApiWorld, str]]:
    row = MODES[mode]
    with ApiWorld(path, batch=row.batch_view, mode=mode) as world:
        if row.batch_view:
            world.publish()
        world.count()
        # all is counted: workers that leave something are down
        world.ends = {CLICKS_0: 13}
        world.tick()
        with served(world, free_port()) as address:
            yield world, address


def more(world: ApiWorld, old: int, new: int, **cells: Cell) -> None:
    """Further events in the speed view, up to offset `new`."""
    clicks = new - old
    delta = delta_of({(CUT, NOW_MINUTE): {ALL: cell_of(clicks), **{("campaign", k): c for k, c in cells.items()}}})
    moved = {"newest_ms": NOW_MS, "appended_ms": NOW_MS}
    step = Step(CLICKS_0, at(old, CUT, **moved), at(new, CUT, **moved), delta)
    world.apply(step)
    world.tick()


def test_counts_move_and_each_number_is_the_answers(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (world, address), opened(browser, address) as (page, _):
        expect(page.locator("#total-clicks")).to_have_text("10")
        expect(page.locator("#total-sales")).to_have_text("2")
        expect(page.locator("#total-revenue_cents")).to_have_text("4.00")
        expect(page.locator("#where")).to_contain_text("batch view v1 covers 83 %")
        expect(page.locator("#chart-summary")).to_contain_text(
            "10 clicks in the last 5 minutes: 8 from the batch view, 2 from"
        )
        more(world, 13, 1013)
        expect(page.locator("#total-clicks")).to_have_text("1,010")
        expect(page.locator("#connection")).to_have_text("live")
        expect(page.locator("#top-campaign tbody tr").first).to_contain_text("spring")
        expect(page.locator("#versions tbody tr")).to_have_count(1)
        page.get_by_label("revenue").check()
        expect(page.locator("#chart-summary")).to_contain_text("4.00 EUR in the last 5 minutes")


def test_the_cut_moves_over_the_chart(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (world, address), opened(browser, address) as (page, _):
        expect(page.locator("#chart canvas")).to_be_visible()
        before = page.locator("#chart-summary").inner_text()
        assert "the cut is at" in before
        world.batch.publish(CUT + 10, {CLICKS_0: 13}, {NOW_MINUTE: {ALL: cell_of(10, 2, 3, 400)}}, {})
        world.tick()
        expect(page.locator("#chart-summary")).not_to_have_text(before)
        expect(page.locator("#versions tbody tr").first).to_contain_text("v2 ←")


@pytest.mark.parametrize("mode", MODES)
def test_the_picture_is_that_of_the_mode(browser: Browser, tmp_path: Path, mode: str) -> None:
    with world_of(tmp_path, mode) as (world, address), opened(browser, address) as (page, _):
        world.jobs[:] = [
            {"name": n, "logic": "standard", "active": n == "v1", "counted": c, "accepted": c, "lag": 15 - c}
            for n, c in (("v1", 15), ("v2", 4))
        ]
        expect(page.locator("#mode")).to_have_text(mode)
        expect(page.locator("#picture .name")).to_have_text(PARTS[mode].split())
        links = len(PARTS[mode].split()) - 1 + (mode == "lambda")
        expect(page.locator("#picture .link")).to_have_count(links)
        expect(page.locator("#versions-card")).to_be_visible(visible=MODES[mode].archive)
        expect(page.locator("#jobs-card")).to_be_visible(visible=mode == "kappa")
        if mode == "kappa":
            expect(page.locator("#jobs article")).to_have_count(2)
            expect(page.locator("#jobs article").first).to_contain_text("v1 answers")


def test_what_is_down_is_seen_and_said(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (world, address), opened(browser, address) as (page, _):
        states, faults = page.locator("#parts li"), page.locator("#faults")
        expect(faults).to_contain_text("Nothing is wrong")
        expect(states.filter(has_text="Workers:")).to_contain_text("ok")
        world.processes[:] = [{"name": "process", "state": "waiting"}]
        expect(states.filter(has_text="Workers:")).to_have_text(
            "Workers: down, restarting", timeout=1000 * allowed(1.5)
        )
        expect(page.locator("#connection")).to_have_text("Workers down")
        expect(faults).to_contain_text("A worker (role process) has ended. Since")
        expect(page.locator("#announce")).to_contain_text("A worker (role `process`) has ended.")
        world.processes.clear()
        expect(states.filter(has_text="Workers:")).to_contain_text("ok")
        world.ends = None
        world.tick()
        expect(states.filter(has_text="Kafka:")).to_have_text("Kafka: down, does not answer")
        expect(page.locator("#connection")).to_have_text("Kafka down")
        expect(faults).to_contain_text("To do: Start Kafka")
        world.ends = {CLICKS_0: 13}
        world.reader.trouble = UnavailableError("Redis does not answer: refused")
        world.tick()
        expect(states.filter(has_text="Redis:")).to_contain_text("down", timeout=1000 * allowed(1.5))
        expect(page.locator("#connection")).to_have_text("stale, Redis down")
        expect(faults).to_contain_text("The numbers are the last ones that were known")
        expect(page.locator("#total-clicks")).to_have_text("10")
        world.reader.trouble = None
        world.tick()
        expect(page.locator("#connection")).to_have_text("live")


def test_a_lost_connection_is_said_and_comes_back_by_itself(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    with ApiWorld(tmp_path / "one") as world:
        world.publish()
        world.count()
        world.ends = {CLICKS_0: 13}
        world.tick()
        with served(world, port) as address:
            context = opened(browser, address)
            page, _ = context.__enter__()
            expect(page.locator("#connection")).to_have_text("live")
        expect(page.locator("#connection")).to_have_text("connection lost")
        expect(page.locator("#faults")).to_contain_text(
            re.compile(r"is lost\. Since .* the page tries again by itself\. To do:")
        )
        expect(page.locator("#total-clicks")).to_have_text("10")
    with ApiWorld(tmp_path / "two", batch=False) as world:
        world.count()
        world.ends = {CLICKS_0: 13}
        world.tick()
        with served(world, port):
            expect(page.locator("#connection")).to_have_text("live")
            expect(page.locator("#total-clicks")).to_have_text("2")
            expect(page.locator("#faults")).to_contain_text("Nothing is wrong")
            context.__exit__(None, None, None)


def test_what_an_event_says_is_text_and_never_markup(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (world, address), opened(browser, address) as (page, _):
        page.on("dialog", lambda dialog: pytest.fail(f"a field was run: {dialog.message}"))
        more(world, 13, 113, **{HOSTILE: cell_of(100)})
        expect(page.locator("#top-campaign")).to_contain_text(HOSTILE)
        world.letters.insert(0, FoundLetter(CLICKS_0, 9, NOW_MS, HOSTILE, HOSTILE, HOSTILE.encode()))
        page.get_by_text("Read the newest").click()
        expect(page.locator("#letters tbody tr").first).to_contain_text(HOSTILE)
        expect(page.locator("#letters-state")).to_have_text("the newest 2")
        assert page.locator("main img").count() == 0


def test_it_reads_on_a_phone_and_in_the_dark(browser: Browser, tmp_path: Path) -> None:
    with (
        world_of(tmp_path) as (_, address),
        opened(browser, address, viewport={"width": 360, "height": 740}, color_scheme="dark") as (page, _),
    ):
        expect(page.locator("#total-clicks")).to_have_text("10")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.locator("#picture").get_attribute("data-shape") == "tall"
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(16, 21, 28)"
        page.locator("#chart-table summary").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#chart-table tbody tr")).to_have_count(2)
        for name in ("main", "header", "footer"):
            assert page.locator(name).count() == 1
        assert page.locator("table:not(:has(caption))").count() == 0
        page.get_by_text("Read the newest").click()
        expect(page.locator("#letters-state")).to_have_text("the newest 1")
        assert Axe().run(page).response["violations"] == []


#: What a browser says of a page that nobody looks at; every page is looked at in a browser without a screen.
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
#: A browser that has no workers that pages share.
ALONE = "delete window.SharedWorker"


def streams(world: ApiWorld, address: str) -> int:
    """Open streams of boards, as the board says."""
    with httpx.stream("GET", f"{address}v1/live", timeout=10) as response:
        data = next(line for line in response.iter_lines() if line.startswith("data: "))
    parts = {part["name"]: part["says"] for part in json.loads(data[6:])["parts"]}
    # this one is among them, from the next board on
    return int(parts["serve"].split()[0])


def test_more_pages_than_connections_are_all_live_over_one_stream(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (world, address), opened(browser, address) as (first, _):
        pages = [first, *(first.context.new_page() for _ in range(6))]
        for page in pages[1:]:
            page.goto(address)
        for page in pages:
            expect(page.locator("#connection")).to_have_text("live")
        status = first.evaluate("fetch('/v1/dead-letters?limit=1').then((answer) => answer.status)")
        assert status == 200
        until(lambda: streams(world, address) <= 1, within_s=10, what="one stream for all")
        more(world, 13, 1013)
        for page in pages:
            expect(page.locator("#total-clicks")).to_have_text("1,010")
        # whoever came first need not stay
        first.close()
        more(world, 1013, 2013)
        for page in pages[1:]:
            expect(page.locator("#total-clicks")).to_have_text("2,010")
            expect(page.locator("#connection")).to_have_text("live")


@pytest.mark.parametrize("script", ["", ALONE], ids=["shared", "alone"])
def test_a_hidden_page_lets_go_and_comes_back(browser: Browser, tmp_path: Path, script: str) -> None:
    with world_of(tmp_path) as (world, address), opened(browser, address, script=script) as (page, _):
        expect(page.locator("#connection")).to_have_text("live")
        page.evaluate(HIDE, True)
        expect(page.locator("#connection")).to_have_text("paused")
        until(lambda: streams(world, address) == 0, within_s=10, what="the end of the stream")
        more(world, 13, 1013)
        page.evaluate(HIDE, False)
        expect(page.locator("#connection")).to_have_text("live")
        expect(page.locator("#total-clicks")).to_have_text("1,010")


def test_many_hidden_pages_alone_leave_room_for_one_that_is_looked_at(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (_, address), opened(browser, address, script=ALONE) as (first, _):
        pages = [first]
        for _ in range(7):
            expect(pages[-1].locator("#connection")).to_have_text("live")
            pages[-1].evaluate(HIDE, True)
            pages.append(first.context.new_page())
            pages[-1].goto(address, wait_until="commit")
        expect(pages[-1].locator("#connection")).to_have_text("live", timeout=20_000)
        first.evaluate(HIDE, False)
        expect(first.locator("#connection")).to_have_text("live")


def test_a_frozen_page_starves_nobody_and_wakes_up(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (world, address), opened(browser, address) as (first, _):
        expect(first.locator("#connection")).to_have_text("live")
        second = first.context.new_page()
        second.goto(address)
        session = first.context.new_cdp_session(first)
        session.send("Page.setWebLifecycleState", {"state": "frozen"})
        more(world, 13, 1013)
        expect(second.locator("#total-clicks")).to_have_text("1,010")
        expect(second.locator("#connection")).to_have_text("live")
        session.send("Page.setWebLifecycleState", {"state": "active"})
        expect(first.locator("#total-clicks")).to_have_text("1,010")
        expect(first.locator("#connection")).to_have_text("live")


def test_a_page_that_one_comes_back_to_is_live(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (world, address), opened(browser, address) as (page, _):
        expect(page.locator("#connection")).to_have_text("live")
        page.goto(f"{address}docs")
        more(world, 13, 1013)
        page.go_back()
        expect(page.locator("#total-clicks")).to_have_text("1,010")
        expect(page.locator("#connection")).to_have_text("live")


def test_a_worker_that_cannot_be_had_is_done_without(browser: Browser, tmp_path: Path) -> None:
    with world_of(tmp_path) as (_, address), browser.new_context() as context:
        context.route("**/dashboard/worker.js", lambda route: route.abort())
        context.add_init_script("""window.SharedWorker = class { port = { postMessage() {} } }; // deaf""")
        page = context.new_page()
        page.goto(address)
        expect(page.locator("#connection")).to_have_text("live", timeout=30_000)


def test_a_board_that_stands_still_is_stale_and_an_old_one_no_news(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    gate.set()
    document = Board.document

    def hanging(board: Board, watchers: int) -> dict[str, Any]:
        assert gate.wait(60)
        return document(board, watchers)

    monkeypatch.setattr(Board, "document", hanging)
    with world_of(tmp_path) as (_, address), opened(browser, address) as (page, _):
        expect(page.locator("#connection")).to_have_text("live")
        gate.clear()
        try:
            expect(page.locator("#connection")).to_have_text(re.compile("^stale, "))
            # long enough for new connections
            said = set()
            page.reload()
            for _ in range(40):
                said.add(page.locator("#connection").inner_text())
                page.wait_for_timeout(100)
            assert not any(words.startswith("live") for words in said), said
        finally:
            gate.set()
        expect(page.locator("#connection")).to_have_text("live")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_board_is_never_said_to_be_live(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world_of(tmp_path) as (_, address), opened(browser, address) as (page, faults):
        expect(page.locator("#connection")).to_have_text("live")
        monkeypatch.setattr(Board, "document", lambda *_: {}["a bug"])
        expect(page.locator("#connection")).to_have_text("connection lost")
        answer = httpx.get(f"{address}healthz")
        assert (answer.status_code, "board: a bug (KeyError: 'a bug')" in answer.json()["detail"]) == (503, True)
        assert httpx.get(f"{address}v1/live").status_code == 503
        for _ in range(30):
            assert page.locator("#connection").inner_text() == "connection lost"
            page.wait_for_timeout(100)
        faults[:] = [fault for fault in faults if "503" not in fault]


@pytest.mark.integration
@pytest.mark.timeout(180)
def test_the_whole_product_moves_on_the_page(browser: Browser, tmp_path: Path) -> None:
    settings = Settings(
        mode="lambda", data_dir=tmp_path, epoch_seconds=1, batch_seconds=2, api_port=free_port(), _env_file=None
    )
    with started(settings, "up", "--rate", "500", "--plain"):
        address = until(lambda: (running.read(tmp_path) or {}).get("api"), within_s=90, what="the API's address")

        def number(page: Page, name: str) -> int:
            text = page.locator(f"#{name}").inner_text().replace(",", "")
            return int(text) if text.isdigit() else 0

        until(lambda: answers(address), within_s=60, what="the dashboard")
        with opened(browser, f"{address}/") as (page, _):
            first = until(lambda: number(page, "total-clicks"), within_s=60, what="clicks")
            until(lambda: number(page, "total-clicks") > first + 500, within_s=10, what="clicks to move")
            expect(page.locator("#where")).to_contain_text("cut at", timeout=60_000)
            cut = page.locator("#where").inner_text()
            until(lambda: page.locator("#where").inner_text() != cut, within_s=30, what="the cut to move")
            expect(page.locator("#error")).to_have_text("exact: no difference", timeout=20_000)
            for part in ("Producers", "Kafka", "Workers", "Redis", "Batch", "Parquet", "Serving"):
                expect(page.locator("#parts li").filter(has_text=f"{part}:")).to_contain_text(": ok")
            expect(page.locator("#connection")).to_have_text("live")
            expect(page.locator("#faults")).to_contain_text("Nothing is wrong")
