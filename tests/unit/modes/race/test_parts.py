"""Parts of a race that need no server: plan, prices, complexity, freshness, the poller's schedule."""

from __future__ import annotations

import ast
import http.server
import json
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from core.errors import ConfigurationError, FourfoldError
from core.position import PartitionKey
from modes.catalogue import MODES
from modes.race import complexity
from modes.race.chart import lines
from modes.race.complexity import Complexity, complexity_of
from modes.race.freshness import freshness
from modes.race.plan import RESEND_SECONDS, Plan
from modes.race.poller import Poller
from modes.race.prices import Prices, money, read_prices
from modes.settings import Settings
from tests.support.race_document import lap
from tests.support.waiting import until

CLICKS = PartitionKey("clicks", 0)
#: Duplicates that come soon come within so many seconds.
SOON_S = 5


@pytest.mark.parametrize("mode", MODES)
def test_no_duplicate_comes_when_it_depends_on_the_moment_whether_it_is_recognised(mode: str, tmp_path: Path) -> None:
    rules = Plan().settings(Settings(_env_file=None), mode, tmp_path).rules
    surely, never = rules.horizon * rules.epoch_ms / 1000, (rules.horizon + 1) * rules.epoch_ms / 1000
    first, last = map(int, RESEND_SECONDS.split("-"))
    assert first < last
    if not MODES[mode].batch_view:
        # a batch view recognises all, and a lap ends when it covers all
        assert SOON_S < surely < never < first


def test_each_mode_runs_in_servers_of_its_own_on_the_same_records(tmp_path: Path) -> None:
    usual = Settings(kafka="there:9092", redis="redis://there", rate=1, _env_file=None)
    seen = [Plan().settings(usual, mode, tmp_path / mode) for mode in MODES]
    assert {(s.kafka, s.redis, s.rate, s.seed, s.run) for s in seen} == {("", "", 3_000.0, 7, "race")}
    assert [s.mode for s in seen] == list(MODES)


def test_an_estimate_grows_with_what_is_asked_for() -> None:
    quick = Plan().quick()
    assert quick.estimate_s() < 150 < Plan().estimate_s() < Plan(faults=True, repeat=3).estimate_s()


def test_complexity_comes_from_the_code() -> None:
    found = {name: complexity_of(row) for name, row in MODES.items()}
    assert found["lambda"].lines > max(found[mode].lines for mode in ("batch", "streaming"))
    assert found["lambda"].own_lines == found["batch"].own_lines + found["streaming"].own_lines - _shared(found)
    assert found["kappa"].own_lines > found["streaming"].own_lines
    assert found["lambda"].stores == ("Kafka", "Redis", "Parquet")
    assert found["batch"].processes == 4
    assert all(each.lines > each.own_lines > 500 for each in found.values())
    assert all(20 < each.settings < len(Settings.model_fields) for each in found.values())


def test_docstrings_are_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    source = '"""One line."""\n\nSQL = """a\nb"""\n\ndef f():\n    """Another."""\n    # a comment\n    return 1\n'
    monkeypatch.setattr(complexity, "_tree", lambda _: ast.parse(source))
    # SQL begins and ends on a line each; the function's head and its return
    assert complexity._lines("any", {""}) == 4


def _shared(found: dict[str, Complexity]) -> int:
    """Lines that batch and streaming both have and producers and serving have not."""
    shared = found["batch"].own_lines + found["streaming"].own_lines - found["lambda"].own_lines
    assert 0 <= shared < found["streaming"].own_lines
    return shared


def test_money_has_no_producers_and_follows_the_prices() -> None:
    row = MODES["kappa"]
    usual = money(row, lap("kappa"), 30_000, 2_000, Prices())
    dear = money(row, lap("kappa"), 30_000, 2_000, Prices(cpu_hour=0.08))
    assert dear["per_million"] == pytest.approx(2 * usual["per_million"], rel=0.03)
    heavy = lap("kappa")
    heavy["cpu_s_per_million"]["produce"] = 1e6
    assert money(row, heavy, 30_000, 2_000, Prices()) == usual
    assert money(MODES["streaming"], lap("streaming"), 30_000, 2_000, Prices())["month"] < usual["month"]


def test_a_price_list_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('currency = "CHF"\ncpu_hour = 0.1\n')
    assert read_prices(file) == Prices("CHF", 0.1)
    for text, says in (("cpu = 1", "cpu is unknown"), ("cpu_hour = -1", "cpu_hour is -1"), ("=", "prices")):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=says):
            read_prices(file)


def test_freshness_is_from_the_append_to_the_first_answer_that_covers() -> None:
    appended = [(CLICKS, offset, 1_000 + 100 * offset) for offset in range(10)]
    # offsets 0 to 4 are seen at 1.5 s, the rest at 3 s
    found = freshness(appended, {CLICKS: ([1_500.0, 3_000.0], [5, 10])})
    assert found["max"] == pytest.approx(1.5)
    assert found["p50"] == pytest.approx((0.5 + 1.1) / 2, abs=0.35)
    assert [point[0] for point in found["curve"]] == sorted(point[0] for point in found["curve"])
    assert found["records"] == 10
    with pytest.raises(FourfoldError, match="never seen"):
        freshness(appended, {CLICKS: ([1_500.0], [5])})


class _Api(http.server.BaseHTTPRequestHandler):
    """Answers, except that it stands still once."""

    protocol_version = "HTTP/1.1"
    stall = threading.Event()
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.asked == 3:
            self.stall.wait(5)
        body = json.dumps({"provenance": {"offsets": {"clicks:0": self.asked}}, "totals": {}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def api() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Api) as server:
        _Api.asked = 0
        _Api.stall.clear()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_api_that_stands_still_is_not_asked_less_often(api: http.server.ThreadingHTTPServer) -> None:
    poller = Poller("127.0.0.1", api.server_address[1], every_s=0.01)
    poller.start()
    until(lambda: _Api.asked == 3, within_s=5, what="the third question")
    waiting = threading.Event()
    waiting.wait(0.3)
    _Api.stall.set()
    until(lambda: len(poller.latencies) >= 40, within_s=5, what="the questions that were due meanwhile")
    poller.stop()
    due = [at for at, _ in poller.latencies]
    gaps = [b - a for a, b in pairwise(due)]
    assert max(gaps) < 15
    # those that were due while it stood still have waited, each a little less than the one before
    assert sum(ms > 100 for _, ms in poller.latencies) > 10
    at_ms = next(at_ms for at_ms, vector in poller.changes if vector[CLICKS] == 20)
    assert poller.covered_ms({CLICKS: 20}) == at_ms
    assert poller.covered_ms({CLICKS: 10_000}) is None
    assert poller.refused == 0


def test_a_chart_has_a_line_for_each_series_and_text_is_escaped() -> None:
    drawn = lines("a < b", "s", {"batch": [(0, 1.0), (5, 10.0)], "kappa": [(0, 0.0), (5, 0.1)]}, log=True)
    assert drawn.count('<polyline class="line') == 2
    assert "a &lt; b" in drawn
    assert lines("nothing", "s", {}) == ""
