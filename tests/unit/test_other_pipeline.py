"""A pipeline with other streams, dimensions and measures goes through lake, views, API and pages as the shop does."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from rich.console import Console

from adapters.http.hosts import AllowedHosts
from adapters.kafka.asyncapi import documents
from adapters.lake.batch_view import BatchViews
from adapters.lake.manifest import Manifest
from adapters.lake.views import ViewStore
from adapters.speed.memory import MemoryStore
from adapters.speed.port import Outcome, Step
from batch.compare import EtlElt
from batch.completeness import Completeness
from batch.duckdb_engine import DuckdbRecompute
from batch.quality_gate import QualityGate
from batch.quality_rules import usual_rules
from batch.recompute import Recompute
from core.delta import Delta
from core.errors import ConfigurationError, InexactError, UnavailableError
from core.ledger import Ledger
from core.partition import PartitionFold
from core.position import Position
from core.rules import Rules
from core.truth import Claims
from modes.catalogue import MODES
from serving.api import make_api
from serving.board import Board, BoardSettings
from serving.live import Live, Unaudited
from serving.log_ends import LogEnds
from serving.measures import headlines, shown_measures
from serving.merge import Merge
from serving.plain import line, totals_text
from serving.provenance import Provenance
from serving.terminal import draw
from serving.ticker import Ticker
from serving.user_counts import UserCounts
from serving.verify import compare
from tests.support.events import NOW_MS
from tests.support.raw_log import archive, last_cut
from tests.support.shop import SHOP
from tests.support.trips import CHECKS_0, TRIPS, TRIPS_0, TRIPS_KERNEL, rides

RULES = Rules()
RIDES = rides(1_500)
CUT = last_cut(RIDES.log, RULES)
TOTAL = {
    name: sum(cell[place] for key, cell in RIDES.cells.items() if key.dimension == "all")
    for place, name in enumerate(TRIPS.measures)
}
SHOWN = shown_measures(TRIPS)


def publish(path: Path, engine: Any, pipeline: Any = TRIPS) -> tuple[ViewStore, Manifest]:
    raw = archive(path / "raw", RIDES.log, topics=TRIPS.topics)
    store = ViewStore(path / "views", pipeline)
    store.make()
    manifest = engine(raw, store.data, RULES, 1, pipeline).run(CUT, None, version=1, created_ms=NOW_MS, full=True)
    Completeness(raw, store.data, pipeline)(manifest)
    report, forbidding = QualityGate(raw, store.data, lambda: usual_rules(pipeline), lambda: NOW_MS / 1000, pipeline)(
        manifest
    )
    assert (report["passed"], forbidding) == (report["total"] - 1, [])  # more than a tenth is rejected, on purpose
    store.publish(manifest)
    return store, manifest


async def fold(store: MemoryStore) -> None:
    await store.begin(RULES, "log-1")
    for source in (TRIPS_0, CHECKS_0):
        part = PartitionFold(source, Position(), RULES, TRIPS_KERNEL[source.topic])
        records = [record for record in RIDES.log if record.source == source]
        delta = Delta()
        part.fold([_Stamped(r) for r in records], records[-1].offset + 1, delta)
        step = Step(source, "", part.position.encode(), delta)
        await store.positions([source])
        assert await store.apply([step]) == {source: Outcome.APPLIED}


class _Stamped:
    def __init__(self, row: Any) -> None:
        self.offset, self.timestamp, self.key, self.value = row.offset, row.append_ms, row.key, row.value


@pytest.fixture
def speed() -> MemoryStore:
    store = MemoryStore(TRIPS)
    asyncio.run(fold(store))
    return store


@pytest.mark.parametrize("engine", [Recompute, DuckdbRecompute])
def test_each_engine_counts_what_is_declared(tmp_path: Path, engine: Any) -> None:
    store, manifest = publish(tmp_path, engine)
    view = BatchViews(store, TRIPS).current()
    assert view is not None
    assert view.cells() == RIDES.cells
    counters = {name: number for name, number in manifest.counters.items() if name != "late"}
    assert counters == dict(RIDES.counters)
    users = [pq.read_table(store.data / name).to_pylist() for name in manifest.users.values()]
    assert {(row["minute"], row["user"]) for rows in users for row in rows} == RIDES.bikes
    schema = pq.read_schema(store.folder / "current.parquet")
    assert schema.names == ["time", "dimension", "value", *TRIPS.measures]
    about = json.loads(schema.metadata[b"columns"])
    assert about["fares"] == "sum of fare over accepted trips (CHF cents)"
    assert about["long"] == "accepted trips, where metres > 5000 (events)"


def test_etl_and_elt_agree(tmp_path: Path) -> None:
    raw = archive(tmp_path / "raw", RIDES.log, topics=TRIPS.topics)
    found = EtlElt(raw, tmp_path / "compare", RULES, 1, TRIPS).run()
    assert (found.accepted, found.cells) == (RIDES.counters["accepted"], len(RIDES.cells))
    assert found.raw_questions[0].question == "trips by note, the first three"


def test_a_version_that_lost_an_event_is_incomplete(tmp_path: Path) -> None:
    raw = archive(tmp_path / "raw", RIDES.log, topics=TRIPS.topics)
    store = ViewStore(tmp_path / "views", TRIPS)
    store.make()
    manifest = Recompute(raw, store.data, RULES, 1, TRIPS).run(CUT, None, version=1, created_ms=NOW_MS, full=True)
    name = next(iter(manifest.cells.values()))
    table = pq.read_table(store.data / name)
    pq.write_table(table.slice(0, len(table) - 1), store.data / name)
    with pytest.raises(InexactError, match="are in the cells of town"):
        Completeness(raw, store.data, TRIPS)(manifest)


def test_a_view_of_another_meaning_is_refused_and_counted_again(tmp_path: Path) -> None:
    store, manifest = publish(tmp_path, Recompute)
    other = ViewStore(store.folder, SHOP)
    with pytest.raises(UnavailableError, match="another declaration"):
        BatchViews(other, SHOP).current()
    with pytest.raises(ConfigurationError, match="recompute --full"):
        other.rollback(1)
    other.mend_current_file()
    raw = archive(tmp_path / "raw2", RIDES.log, topics=TRIPS.topics)
    again = Recompute(raw, store.data, RULES, 1, TRIPS.under("half"))
    assert again.run(CUT, manifest, version=2, created_ms=NOW_MS, full=False).full


def test_the_speed_view_counts_it_and_pages_show_it(speed: MemoryStore) -> None:
    assert {key: cell for key, cell in speed.snapshot().merged().items() if any(cell)} == RIDES.cells
    picture = Live(Merge(speed.reader(), None, TRIPS), Unaudited(dict), TRIPS).look()
    assert dict(zip(TRIPS.measures, picture.totals, strict=True)) == TOTAL
    costs = TOTAL["costs"]
    said = f"upkeep {'-' if costs < 0 else ''}{abs(costs) // 100:,}.{abs(costs) % 100:02} CHF"
    assert totals_text(picture.totals, SHOWN).endswith(said)
    assert f"trips {TOTAL['trips']:,}  long {TOTAL['long']:,}  fares " in line(picture, headlines(SHOWN), "kappa")
    out = StringIO()
    Console(file=out, width=120, height=40, no_color=True).print(
        draw(picture, TRIPS, "fourfold", [], "q", width=120, height=40)
    )
    text = out.getvalue()
    for word in ("fares CHF", "bikes, 15 min", "bike-1", "Rome", "too far"):
        assert word in text


def test_an_answer_is_judged_by_claims_and_by_what_unaudited_records_can_add(speed: MemoryStore) -> None:
    claims = Claims(TRIPS)
    answer = Merge(speed.reader(), None, TRIPS).answer()
    ledger = Ledger(TRIPS, epoch_ms=RULES.epoch_ms, horizon=RULES.horizon, lateness_ms=RULES.lateness_ms)
    for row in RIDES.log:
        ledger.add(row.source, row.offset, row.append_ms, None)
    verdict = compare(answer, ledger, TRIPS)
    assert (verdict.exact, verdict.unaudited) == (True, len(RIDES.log))
    claim = claims.accepted("r", 1, NOW_MS, measures=(1, 7, 0, 5, 0, 0), dimensions=("b", "Rome", None), user="b")
    assert claims.decode(claims.encode(claim)) == claim
    assert claims.encode(claim) == f'["r",1,"accepted","",false,{NOW_MS},1,7,0,5,0,0,"b","Rome",null,"b",-1]'.encode()
    assert claims.decode(claims.encode(claim).replace(b",7,", b",1000001,")) is None


def test_the_api_names_it(speed: MemoryStore) -> None:
    merge = Merge(speed.reader(), None, TRIPS)
    ticker, ends = Ticker(merge), LogEnds(dict)
    users = UserCounts(merge)
    provenance = Provenance("kappa", "v1-kappa", RULES, wall=lambda: NOW_MS / 1000)
    settings = BoardSettings(MODES["kappa"].as_json(), TRIPS)
    board = Board(settings, ticker, users, Unaudited(ends.newest), provenance, wall=lambda: NOW_MS / 1000)
    api = make_api(
        ticker,
        ends,
        users,
        provenance,
        TRIPS,
        CollectorRegistry(),
        board=board,
        wall=lambda: NOW_MS / 1000,
        hosts=AllowedHosts(["testserver"]),
    )
    ticker.tick()
    with TestClient(api) as client:
        assert client.get("/v1/totals").json()["totals"] == TOTAL
        towns = client.get("/v1/totals", params={"dimension": "town"}).json()["values"]
        assert {row["value"] for row in towns} == {"Rome", "Oslo", "Bern"}
        best = client.get("/v1/top", params={"measure": "costs", "n": 2}).json()
        assert (best["dimension"], len(best["values"])) == ("bike", 2)
        assert client.get("/v1/top", params={"dimension": "campaign"}).status_code == 422
        point = client.get("/v1/series").json()["points"][0]
        assert list(point) == [*TRIPS.measures, "time"]
        document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert list(schemas["Measures"]["properties"]) == list(TRIPS.measures)
    assert schemas["Top"]["properties"]["dimension"]["enum"] == list(TRIPS.dimensions)
    assert document["info"]["description"].startswith("Trips and checks, counted by")
    shown = board.document(0)
    assert shown["totals"] == TOTAL
    assert shown["pipeline"]["ranked_by"] == ["trips", "checks"]
    assert [each["column"] for each in shown["pipeline"]["measures"]][3:] == ["fares CHF", "checks", "upkeep CHF"]
    assert shown["top"].keys() == TRIPS.dimensions.keys()


def test_its_contract_is_written() -> None:
    texts = documents(TRIPS)
    assert texts.keys() == {"trips.schema.json", "checks.schema.json", "asyncapi.json"}
    trips = json.loads(texts["trips.schema.json"])
    assert trips["required"] == ["trip_id", "started_ms", "bike", "town", "metres"]
    assert trips["properties"]["town"]["enum"] == ["Rome", "Oslo", "Bern"]
    letters = json.loads(texts["asyncapi.json"])["components"]["messages"]["dead-letter"]["headers"]["properties"]
    assert "too_far" in letters["reason"]["enum"]
    assert letters["source-topic"]["enum"] == ["trips", "checks"]
