"""The live picture: rates, lag, age, error against the truth, and what is wrong in words."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest

from adapters.speed.port import Snapshot
from core.cells import Cell
from core.errors import UnavailableError
from core.ledger import Slot, Truth
from core.position import PartitionKey, Position
from serving.answer import Answer, merged
from serving.live import Audit, Live, Picture, counts_document
from serving.merge import Users
from serving.plain import line
from tests.support.events import CLICKS_0, CLICKS_1, NOW_MINUTE, NOW_MS
from tests.support.shop import HEADLINES, MEASURES, SHOP, ZERO, cell_of

ALL = ("all", "")


def snapshot(
    counted: int = 0, cells: Mapping[tuple[str, str], Cell] | None = None, appended_ms: int = 0, **counters: int
) -> Snapshot:
    position = Position(next=counted, accepted=counted, appended_ms=appended_ms)
    return Snapshot({CLICKS_0: position}, 3, {}, {}, cells or {}, counters)


class World:
    """A store, a log and a truth as the test says, and two clocks."""

    def __init__(self) -> None:
        self.now = 100.0
        self.wall = NOW_MS / 1000
        self.seen = snapshot()
        self.away = False
        self.ends: dict[PartitionKey, int] | None = {CLICKS_0: 0}
        self.why = ""
        self.kafka_seen = True
        self.audits = True
        self.told: tuple[Truth, Truth] | None = None
        self.users_asked: list[list[int]] = []
        self.live = Live(self, self, SHOP, lambda: self.now, lambda: self.wall)

    def answer(self) -> Answer:
        if self.away:
            raise UnavailableError("Redis does not answer: away")
        return merged(ZERO, self.seen, None)

    def users(self, _: Answer, start: int, end: int) -> Users:
        self.users_asked.append(list(range(start, end)))
        return Users(40 + len(self.users_asked), exact=False)

    def log_ends(self) -> dict[PartitionKey, int] | None:
        return self.ends

    def trouble(self) -> str:
        return self.why

    def truth(self, answer: Answer) -> tuple[Truth, Truth] | None:
        assert (answer.vector, answer.floor, answer.cut_epoch) == (self.seen.vector, self.seen.floor, 0)
        return self.told

    def look(self, after_s: float = 0.25, counted: int | None = None) -> Picture:
        self.now += after_s
        self.wall += after_s
        if counted is not None:
            self.seen = snapshot(counted)
        return self.live.look()


@pytest.fixture
def world() -> World:
    return World()


def truth(totals: Mapping[tuple[str, str], Cell] | None = None, duplicates: int = 0) -> Truth:
    slots = [Slot(5, -1, "counter", "duplicates", 0)]
    numbers = [duplicates]
    for (dimension, value), cell in (totals or {}).items():
        for measure, number in enumerate(cell):
            slots.append(Slot(5, NOW_MINUTE, dimension, value, measure))
            numbers.append(number)
    return Truth.of(len(MEASURES), [(slot, number) for slot, number in zip(slots, numbers, strict=True) if number])


def test_the_picture_of_a_view_that_has_nothing(world: World) -> None:
    picture = world.look()
    assert picture.totals == cell_of()
    assert (picture.lag, picture.age_s, picture.rate, picture.error, picture.trouble) == (0, None, 0.0, None, ())


def test_counts_and_rejections_the_largest_first(world: World) -> None:
    cells = {
        ALL: cell_of(7, 2, 3, 400),
        ("campaign", "b"): cell_of(1),
        ("campaign", "a"): cell_of(6, 2),
        ("country", "DE"): cell_of(7, 2),
    }
    rejections = {"rejected:not_json": 1, "rejected:bad_format": 5, "rejected:from_future": 1}
    world.seen = snapshot(16, cells, accepted=9, duplicates=3, late=2, **rejections)
    picture = world.look()
    assert picture.totals == cell_of(7, 2, 3, 400)
    assert list(picture.by["campaign"]) == ["a", "b"]
    assert (picture.accepted, picture.duplicates, picture.late, picture.floor) == (9, 3, 2, 3)
    assert list(picture.rejected.items()) == [("bad_format", 5), ("from_future", 1), ("not_json", 1)]


def test_the_rate_is_the_mean_of_the_last_seconds(world: World) -> None:
    world.look(counted=0)
    for second in range(1, 11):
        picture = world.look(after_s=1, counted=100 * second)
    assert picture.rate == pytest.approx(100)
    for _ in range(4):
        picture = world.look(after_s=1, counted=1000)
    assert picture.rate == 0


def test_the_rate_is_right_from_the_second_look_on(world: World) -> None:
    world.look(counted=1_000_000)
    assert world.look(after_s=0.5, counted=1_000_050).rate == pytest.approx(100)


def test_a_view_that_went_back_has_no_negative_rate(world: World) -> None:
    world.look(counted=1000)
    assert world.look(after_s=1, counted=10).rate == 0
    assert world.look(after_s=1, counted=20).rate == pytest.approx(10)


def test_the_lag_is_what_the_log_has_more_than_the_view(world: World) -> None:
    world.ends = {CLICKS_0: 130, CLICKS_1: 7}
    assert world.look(counted=100).lag == 37
    # the view is ahead of what the auditor saw last
    world.ends = {CLICKS_0: 90}
    assert world.look(counted=100).lag == 0


def test_the_age_is_that_of_the_last_counted_record(world: World) -> None:
    world.seen = snapshot(5, appended_ms=NOW_MS)
    assert world.look(after_s=2).age_s == pytest.approx(2)
    # clocks differ
    world.seen = snapshot(5, appended_ms=NOW_MS + 60_000)
    assert world.look().age_s == 0


def test_distinct_users_are_those_of_fifteen_minutes_and_asked_for_rarely(world: World) -> None:
    first = world.look().users
    assert world.users_asked == [list(range(NOW_MINUTE - 14, NOW_MINUTE + 1))]
    for _ in range(7):
        assert world.look(after_s=0.25).users == first
    assert world.look(after_s=0.5).users.number == first.number + 1


def test_the_error_is_the_distance_of_all_totals(world: World) -> None:
    world.seen = snapshot(9, {ALL: cell_of(7, 2, 3, 400), ("country", "DE"): cell_of(7)})
    assert world.look().error is None
    right = {ALL: cell_of(7, 2, 3, 400), ("country", "DE"): cell_of(7)}
    world.told = (truth(right), truth(right))
    assert world.look().error == 0
    world.told = (truth(right), truth({ALL: cell_of(6, 2, 3, 405), ("country", "FR"): cell_of(2)}))
    assert world.look().error == 1 + 5 + 7 + 2


def test_the_last_verdict_stands_for_three_seconds(world: World) -> None:
    right = {ALL: cell_of(6, 2, 3, 400)}
    world.told = (truth(right), truth(right))
    known = world.look().error
    world.told = None
    assert world.look(after_s=2.9).error == known is not None
    assert world.look(after_s=0.2).error is None


def test_duplicates_beyond_the_horizon_are_told_apart(world: World) -> None:
    world.told = (truth(duplicates=9), truth(duplicates=4))
    assert world.look().beyond == 5


def test_while_redis_is_away_the_last_picture_stays_with_the_trouble_said(world: World) -> None:
    world.look(counted=0)
    world.seen = snapshot(9, {ALL: cell_of(7)})
    before = world.look()
    assert before.rate > 0
    world.away = True
    picture = world.look()
    assert picture.trouble == ("Redis does not answer",)
    assert (picture.totals, picture.rate) == (before.totals, 0.0)
    world.away = False
    assert world.look().trouble == ()


@pytest.mark.parametrize("ends", [None, {}])
def test_while_kafka_is_away_counts_go_on_with_the_trouble_said(
    world: World, ends: dict[PartitionKey, int] | None
) -> None:
    world.ends = ends
    world.seen = snapshot(9, {ALL: cell_of(7)})
    picture = world.look()
    (trouble,) = picture.trouble
    assert trouble.startswith("Kafka does not answer")
    assert picture.totals == cell_of(7)
    world.away = True
    assert len(world.look().trouble) == 2


def test_without_ends_the_lag_is_unknown_and_not_zero(world: World) -> None:
    world.ends = None
    assert world.look().lag is None
    assert "lag unknown" in line(world.look(), HEADLINES, "lambda")


def test_while_redis_is_away_the_age_grows_and_nothing_is_said_to_be_exact(world: World) -> None:
    right = {ALL: cell_of(7)}
    world.ends = {CLICKS_0: 9}
    world.seen, world.told = snapshot(9, right, appended_ms=NOW_MS), (truth(right), truth(right))
    before = world.look()
    assert (before.audit, before.lag, before.away_s) == (Audit.EXACT, 0, None)
    world.away = True
    world.look()
    picture = world.look(after_s=30)
    assert (picture.audit, picture.error, picture.lag, picture.rate) == (Audit.UNKNOWN, None, None, 0.0)
    assert (picture.age_s, picture.away_s) == (pytest.approx(30.5), pytest.approx(30))
    world.away = False
    picture = world.look()
    assert (picture.audit, picture.away_s) == (Audit.EXACT, None)


@pytest.mark.parametrize(
    ("counted", "end", "audit"),
    [
        (0, 0, Audit.NOTHING),
        (0, 16_631, Audit.NOTHING),
        (100, 16_731, Audit.BEHIND),
        (100, 1_100, Audit.EXACT),
        (100, 1_101, Audit.BEHIND),
    ],
)
def test_exact_is_said_of_what_is_counted_and_not_far_behind(world: World, counted: int, end: int, audit: str) -> None:
    world.told = (truth(), truth())
    world.ends = {CLICKS_0: end}
    assert world.look(counted=counted).audit == audit


def test_who_counts_much_a_second_may_be_that_second_behind(world: World) -> None:
    world.told = (truth(), truth())
    world.ends = {CLICKS_0: 0}
    for second in range(6):
        world.ends = {CLICKS_0: 10_000 * second}
        picture = world.look(after_s=1, counted=max(0, 10_000 * second - 9_000))
    assert (picture.lag, picture.audit) == (9_000, Audit.EXACT)
    world.ends = None
    assert world.look().audit == Audit.BEHIND


def test_the_death_of_the_auditor_is_not_taken_for_kafkas(world: World) -> None:
    world.ends, world.why = None, "the auditor failed (KeyError: 'a bug'): nothing is audited"
    assert world.look(counted=9).trouble == (world.why,)


def test_the_document_of_counts_has_every_number() -> None:
    seen = snapshot(9, {ALL: cell_of(7, 2, 3, 400)}, accepted=9, late=1, **{"rejected:not_json": 2})
    assert counts_document(merged(ZERO, seen, None), MEASURES, {"mode": "streaming"}) == {
        "totals": {"clicks": 7, "sales": 2, "units": 3, "revenue_cents": 400},
        "quality": {"accepted": 9, "rejected": {"not_json": 2}, "duplicates": 0, "late": 1},
        "provenance": {"mode": "streaming"},
    }
    assert counts_document(Answer(ZERO), MEASURES, {})["totals"] == dict.fromkeys(
        ("clicks", "sales", "units", "revenue_cents"), 0
    )


def test_an_audit_that_takes_long_is_not_made_again_at_once(world: World) -> None:
    asked: list[float] = []

    def slowly(answer: Answer) -> tuple[Truth, Truth]:
        asked.append(world.now)
        world.now += 0.5
        truth = Truth.of(4, [(Slot(3, NOW_MINUTE, "all", "", 0), 7)])
        return truth, truth

    world.truth = slowly  # type: ignore[method-assign]
    world.seen = snapshot(5, {ALL: cell_of(7)})
    for _ in range(40):
        assert world.look().error == 0
    # ten seconds and what the audits took: each is followed by ten times its own time
    assert 2 <= len(asked) <= 4
    assert all(later - earlier >= 5 for earlier, later in pairwise(asked))
