"""The dashboard's page in a browser without a server: its files as they are served, and boards that a test gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from playwright.sync_api import Browser, Page, Route, expect

from serving.http.dashboard import add_dashboard

ADDRESS: Final = "http://fourfold.test/"
#: A stream that a test holds the other end of.
_STREAM: Final = """
delete window.SharedWorker;
window.stream = null;
window.gone = false;
window.board = null;
window.sent = 0;
// a board that is told again is news, as from a server
window.tell = () => {
  if (window.gone || !window.stream || !window.board) return false;
  window.sent += 1;
  const data = JSON.stringify({ ...window.board, time_ms: window.board.time_ms + window.sent });
  window.stream.dispatchEvent(new MessageEvent("board", { data, lastEventId: `${window.sent}` }));
  return true;
};
setInterval(() => window.tell(), 300);
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

    def show(self, board: dict[str, Any]) -> None:
        """Gives it a board, again and again, and waits until that is on the screen."""
        self.page.evaluate(
            """async (board) => {
              Object.assign(window, { board, gone: false });
              while (!window.tell()) await new Promise((done) => setTimeout(done, 20));
            }""",
            board,
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


@cache
def served(path: str) -> Response:
    """A file as it is served, with its headers."""
    api = FastAPI()
    add_dashboard(api)
    return TestClient(api, base_url=ADDRESS).get(path)


@contextmanager
def faked(browser: Browser, **context: Any) -> Iterator[FakePage]:
    """The page, opened; nothing was told to it yet. Fails the test for errors of its code, and for requests elsewhere."""
    faults: list[str] = []

    def answer(route: Route) -> None:
        if not route.request.url.startswith(ADDRESS):
            faults.append(route.request.url)
            route.abort()
            return
        found = served(route.request.url.removeprefix(ADDRESS.rstrip("/")))
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

    # movement costs a browser without a graphics card most of what it does
    with browser.new_context(**{"reduced_motion": "reduce", **context}) as around:
        around.add_init_script(_STREAM)
        around.route("**/*", answer)
        page = around.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(ADDRESS)
        yield FakePage(page)
    assert faults == []
