"""The dashboard's page in a browser without a server: its files as they are served, and boards that a test gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, Route, expect

from serving.http.dashboard import add_dashboard

ADDRESS: Final = "http://fourfold.test/"
#: A stream that a test holds the other end of.
_STREAM: Final = """
delete window.SharedWorker;
window.stream = null;
window.gone = false;
window.EventSource = class extends EventTarget {
  constructor() {
    super();
    window.stream = this;
    if (window.gone) setTimeout(() => this.onerror(), 50);
  }
  close() { if (window.stream === this) window.stream = null; }
};
window.frame = window.requestAnimationFrame.bind(window);
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const where = entry.sources.map(({ node }) => (node?.id ?? node?.parentElement?.id ?? "") || node?.nodeName || "gone");
    window.shifts.push([entry.value, `${where}`]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


class FakePage:
    """A page, and what it is told."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._number = 0

    def show(self, board: dict[str, Any]) -> None:
        """Gives it a board, and waits until that is on the screen."""
        self._number += 1
        self.page.evaluate(
            """async ([board, number]) => {
              window.gone = false;
              while (!window.stream) await new Promise((done) => setTimeout(done, 20));
              window.stream.dispatchEvent(new MessageEvent("board", { data: JSON.stringify(board), lastEventId: number }));
            }""",
            # the same board again is news
            [{**board, "time_ms": board["time_ms"] + self._number}, str(self._number)],
        )
        self.drawn()

    def lose(self) -> None:
        """Ends the connection; it does not come back before the next board."""
        self.page.evaluate("window.gone = true; window.stream?.onerror()")
        expect(self.page).to_have_title(re.compile("^(connection lost|no answer)"))
        self.drawn()

    def drawn(self) -> None:
        """Waits until what is there has been drawn."""
        self.page.evaluate("new Promise((done) => window.frame(() => window.frame(done)))")

    def shifts(self) -> list[tuple[float, str]]:
        """Layout shifts so far: how much, and of what."""
        return [(value, where) for value, where in self.page.evaluate("window.shifts")]


@contextmanager
def faked(browser: Browser, **context: Any) -> Iterator[FakePage]:
    """The page, opened; nothing was told to it yet. Fails the test for errors of its code, and for requests elsewhere."""
    api = FastAPI()
    add_dashboard(api)
    files = TestClient(api, base_url=ADDRESS)
    faults: list[str] = []

    def answer(route: Route) -> None:
        if not route.request.url.startswith(ADDRESS):
            faults.append(route.request.url)
            route.abort()
            return
        found = files.get(route.request.url.removeprefix(ADDRESS.rstrip("/")))
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

    with browser.new_context(**context) as around:
        around.add_init_script(_STREAM)
        around.route("**/*", answer)
        page = around.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(ADDRESS)
        yield FakePage(page)
    assert faults == []
