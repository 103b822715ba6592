"""The shop: people come by a campaign, look at products, and now and then buy one of them."""

from __future__ import annotations

import re
from random import Random
from typing import Final

from core.errors import ConfigurationError
from producers.catalogue import (
    CAMPAIGNS,
    COUNTRIES,
    DRAW_BITS,
    PRODUCTS,
    Product,
    draw_table,
    zipf_weights,
)
from producers.record import CLICK, CLICKS, SALE, SALES, Record
from producers.timetext import MILLI_TEXTS, SecondTexts

SOURCE: Final = "/fourfold/shop"
#: An event reaches the producer this many ms after it happened, at most.
NATURAL_DELAY_MS: Final = 2_000
DEFAULT_SHOPPERS: Final = 200
#: By this name pipelines ask for it.
GENERATOR: Final = "shop"
#: Of all sales.
CURRENCY: Final = "EUR"

_USERS: Final = 20_000
_MEAN_MORE_CLICKS: Final = 5.5
#: One click in eleven is followed by a sale of what was clicked: this many of 4096.
_BUYS: Final = 372
#: How often the next click stays on the product: this many of 16.
_STAYS: Final = 5
#: Seconds between two events of one session, where the rate allows.
_THINK_S: Final = 5
_SHOPPERS_RANGE: Final = (20, 1_000)
_DRAW_MASK: Final = (1 << DRAW_BITS) - 1
_QUANTITIES: Final = draw_table((1, 2, 3, 4, 6, 12), (70, 18, 6, 3, 2, 1))
_RUN: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")

#: Makes a named tuple in half the time of its constructor.
_tuple: Final = tuple.__new__


def shoppers_for(rate: float) -> int:
    """How many sessions at once make `rate` events a second believable (0: as fast as can be)."""
    least, most = _SHOPPERS_RANGE
    return min(most, max(least, round(rate * _THINK_S))) if rate else DEFAULT_SHOPPERS


class _Item:
    """A product, and the parts of documents that name it."""

    __slots__ = ("id", "pages", "price_cents")

    def __init__(self, product: Product) -> None:
        self.id = product.id
        self.price_cents = product.price_cents
        self.pages = tuple(
            f'"page":"/products/{product.id}{page}","product_id":"{product.id}",'
            for page in ("", "", "/reviews", "/photos")
        )


_ITEMS: Final = draw_table([_Item(p) for p in PRODUCTS], zipf_weights(len(PRODUCTS)))
_CAMPAIGN_IDS: Final = draw_table([c.id for c in CAMPAIGNS], [c.weight for c in CAMPAIGNS])
_COUNTRY_IDS: Final = draw_table([c.id for c in COUNTRIES], [c.weight for c in COUNTRIES])


class _Session:
    """One visit: who, by which campaign, and how far it has got."""

    __slots__ = (
        "buys",
        "claim_head",
        "claim_tail",
        "clicks_left",
        "data_head",
        "data_tail",
        "delay_ms",
        "item",
        "key",
    )

    def __init__(self, visit: str, random: Random) -> None:
        # the square makes regulars: low numbers come more often
        number = int(_USERS * random.random() ** 2)
        user = f"user-{number}"
        campaign = _CAMPAIGN_IDS[random.getrandbits(DRAW_BITS)]
        # a user lives in one country: drawn from the number, not from the seed
        country = _COUNTRY_IDS[number * 2_654_435_761 >> 5 & _DRAW_MASK]
        self.item = _ITEMS[random.getrandbits(DRAW_BITS)]
        self.clicks_left = 1 + int(random.expovariate(1 / _MEAN_MORE_CLICKS))
        self.buys = False
        # the same for all events of a visit, so that they happen in their order
        self.delay_ms = int(random.random() * NATURAL_DELAY_MS)
        self.key = user.encode()
        self.data_head = f'","data":{{"user_id":"{user}","session_id":"{visit}",'
        self.data_tail = f'"campaign_id":"{campaign}","country":"{country}"'
        self.claim_head = f'"{campaign}","'
        self.claim_tail = f'","{country}","{user}",'


class Shop:
    """Gives one valid event after another: the same seed, run and times, the same bytes.

    `hour` goes into the claims that follow (-1: no day profile). `number` is the last one given.
    """

    def __init__(self, random: Random, run: str, shoppers: int = DEFAULT_SHOPPERS) -> None:
        """`run` is part of every event id and must never be used twice; `shoppers` visit at once.

        Raises `ConfigurationError` for a run of other than 1..32 letters, digits, `.`, `_`, `-`,
        and for fewer than one shopper.
        """
        if not _RUN.fullmatch(run):
            message = f"run {run!r}: use 1 to 32 letters, digits, '.', '_' or '-'"
            raise ConfigurationError(message)
        if shoppers < 1:
            raise ConfigurationError(f"shoppers: {shoppers}, but somebody has to come: at least 1")
        self.run = run
        self.hour = -1
        self.number = 0
        self._random = random
        self._draw = random.random
        self._bits = random.getrandbits
        self._shoppers = shoppers
        self._visits = 0
        self._seconds = SecondTexts()
        self._click_head = f'{{"type":"fourfold.click.v1","specversion":"1.0","id":"{run}-'
        self._sale_head = f'{{"type":"fourfold.sale.v1","specversion":"1.0","id":"{run}-'
        self._claim_head = f'["{run}",'
        self._sessions = [self._visit() for _ in range(shoppers)]

    def events(self, count: int, now_ms: int, *, late: bool = False) -> list[Record]:
        """The next `count` events. They happened up to 2 s before `now_ms` (ms since 1970).

        `late`: by more than the allowed lateness, so the claims say.
        """
        draw, sessions, shoppers = self._draw, self._sessions, self._shoppers
        click, sale = self._click, self._sale
        flag = "true" if late else "false"
        out: list[Record] = []
        for _ in range(count):
            place = int(draw() * shoppers)
            session = sessions[place]
            if session.buys:
                session.buys = False
                out.append(sale(session, now_ms, flag))
            else:
                out.append(click(session, now_ms, flag))
            if session.clicks_left <= 0 and not session.buys:
                sessions[place] = self._visit()
        return out

    def stray(self, topic: str, now_ms: int) -> Record:
        """A valid event of `topic` outside of all sessions, to be spoilt."""
        make = self._sale if topic == SALES else self._click
        return make(self._visit(), now_ms, "false")

    def rejected(self, reason: str) -> bytes:
        """The claim about the last event where it was spoilt, and must be rejected."""
        return (
            f'{self._claim_head}{self.number},"rejected","{reason}",false,0,0,0,0,0,"","","","",{self.hour}]'.encode()
        )

    def _visit(self) -> _Session:
        self._visits += 1
        return _Session(f"visit-{self.run}-{self._visits}", self._random)

    def _click(self, session: _Session, now_ms: int, late: str) -> Record:
        # one draw for four choices: 12 bits for the product, 2 the page, 12 buying, 4 staying
        bits = self._bits(DRAW_BITS + 18)
        if bits >> 26 >= _STAYS:
            session.item = _ITEMS[bits & _DRAW_MASK]
        item = session.item
        session.clicks_left -= 1
        session.buys = (bits >> 14 & 4095) < _BUYS
        self.number = number = self.number + 1
        time_ms = now_ms - session.delay_ms
        value = (
            f'{self._click_head}{number}","source":"{SOURCE}","time":"'
            f"{self._seconds[time_ms // 1000]}{MILLI_TEXTS[time_ms % 1000]}"
            f"{session.data_head}{item.pages[bits >> 12 & 3]}{session.data_tail}}}}}"
        )
        truth = (
            f'{self._claim_head}{number},"accepted","",{late},{time_ms},1,0,0,0,'
            f"{session.claim_head}{item.id}{session.claim_tail}{self.hour}]"
        )
        return _tuple(Record, (CLICKS, session.key, value.encode(), truth.encode(), CLICK))

    def _sale(self, session: _Session, now_ms: int, late: str) -> Record:
        item = session.item
        price = item.price_cents
        quantity = _QUANTITIES[self._bits(DRAW_BITS)]
        self.number = number = self.number + 1
        time_ms = now_ms - session.delay_ms
        value = (
            f'{self._sale_head}{number}","source":"{SOURCE}","time":"'
            f"{self._seconds[time_ms // 1000]}{MILLI_TEXTS[time_ms % 1000]}"
            f'{session.data_head}"order_id":"order-{self.run}-{number}","product_id":"{item.id}",'
            f'{session.data_tail},"quantity":{quantity},"unit_price_cents":{price},'
            f'"currency":"{CURRENCY}"}}}}'
        )
        truth = (
            f'{self._claim_head}{number},"accepted","",{late},{time_ms},0,1,{quantity},'
            f"{quantity * price},{session.claim_head}{item.id}{session.claim_tail}{self.hour}]"
        )
        return Record(SALES, session.key, value.encode(), truth.encode(), SALE)
