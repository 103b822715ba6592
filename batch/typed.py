"""Raw rows of one partition to typed columns, in offset order: validation, epochs, lateness.

The same decisions as `core.partition`, whose loop this is, cut down to what a batch view needs.
"""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa

from adapters.lake.manifest import PartitionState
from core.cells import MINUTE_MS
from core.contract import DECODE_ERRORS, FUTURE_LIMIT_MS, OLDEST_MS, UNSTAMPED_MS, Contract, rejection
from core.delta import LATE, REJECTED
from core.errors import InexactError
from core.events import CLICKS, CURRENCY
from core.logic import STANDARD, Logic
from core.position import PartitionKey
from core.rules import Rules
from core.verdict import Rejected

#: Columns of an accepted event, or of one that may turn out to be a duplicate. `campaign`,
#: `product`, `country` and the measures are named as in `core.cells`.
TYPED: Final = pa.schema(
    [
        ("offset", pa.int64()),
        ("append_ms", pa.int64()),
        ("epoch", pa.int64()),
        ("late", pa.bool_()),
        ("minute", pa.int32()),
        ("id", pa.string()),
        ("user", pa.string()),
        ("campaign", pa.string()),
        ("product", pa.string()),
        ("country", pa.string()),
        ("clicks", pa.int64()),
        ("sales", pa.int64()),
        ("units", pa.int64()),
        ("revenue_cents", pa.int64()),
    ]
)
_LAST_MINUTE: Final = 2**31 - 1
_TEXTS: Final = ("user_id", "campaign_id", "product_id", "country")
#: So many events and their texts stay in the processor's cache from decoding until they are in columns.
_PIECE_ROWS: Final = 4_096


class PartitionTyping:
    """Takes the rows of one partition, chunk by chunk.

    `state` and `counters` (`rejected:<reason>`, and `late` with duplicates) cover what was taken.
    """

    def __init__(self, source: PartitionKey, state: PartitionState, rules: Rules, logic: Logic = STANDARD) -> None:
        self.state = state
        self.counters: Counter[str] = Counter()
        self._source = source
        self._rules = rules
        self._cents = logic.cents
        self._contract = Contract(source.topic)
        self._is_clicks = source.topic == CLICKS

    def take(self, chunk: pa.RecordBatch) -> pa.Table:
        """The valid ones of the rows (columns offset, append_ms, value; at least one row); a `TYPED`."""
        pieces = [self._take(chunk.slice(start, _PIECE_ROWS)) for start in range(0, len(chunk), _PIECE_ROWS)]
        return pa.concat_tables(pieces).combine_chunks()

    def _take(self, chunk: pa.RecordBatch) -> pa.Table:
        appended = chunk["append_ms"].to_numpy()
        epochs = np.maximum.accumulate(appended // self._rules.epoch_ms)
        np.maximum(epochs, self.state.epoch, out=epochs)
        events, times, invalid = self._validate(chunk["value"].to_pylist(), appended.tolist())
        valid = np.delete(np.arange(len(chunk)), invalid)
        late, newest = self._lateness(np.array(times, np.int64), appended[valid])
        self.counters[LATE] += int(late.sum())
        self.state = self.state._replace(epoch=int(epochs[-1]), newest_ms=newest)
        if (stamped := np.flatnonzero(appended != UNSTAMPED_MS)).size:
            last = int(stamped[-1])
            self.state = self.state._replace(appended_ms=int(appended[last]), last=chunk["offset"][last].as_py())
        places = [chunk["offset"].to_numpy()[valid], appended[valid], epochs[valid], late]
        minutes = np.array(times, np.int64) // MINUTE_MS
        if minutes.max(initial=0) > _LAST_MINUTE:
            raise InexactError(
                f"{self._source} has an event after the year 6053, which no view can hold, and append times "
                "that allow it: a broker's clock is wrong; nothing is published"
            )
        minutes = minutes.astype(np.int32)
        ids = [event.id for event in events]
        data = [event.data for event in events]
        texts = (list(map(attrgetter(name), data)) for name in _TEXTS)
        columns = [*places, minutes, ids, *texts, *self._measures(data)]
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, TYPED, strict=True)], TYPED)

    def _validate(self, values: list[bytes | None], appended: list[int]) -> tuple[list[Any], list[int], list[int]]:
        decode, examine = self._contract.decode, self._contract.examine
        known_time, countries, own, in_money = self._contract.fast_path()
        events: list[Any] = []
        times: list[int] = []
        invalid: list[int] = []
        for append_ms, value in zip(appended, values, strict=True):
            try:
                event = decode(value)
                data = event.data
                time_ms = known_time(event.time, 0)
                if not (
                    OLDEST_MS <= time_ms <= append_ms + FUTURE_LIMIT_MS
                    and data.country in countries
                    and event.__class__ is own
                    and (not in_money or data.currency == CURRENCY)  # type: ignore[union-attr]
                ):
                    time_ms = examine(event, append_ms)
            except (Rejected, *DECODE_ERRORS) as error:
                verdict = error if isinstance(error, Rejected) else rejection(value, error, append_ms)
                self.counters[REJECTED + verdict.reason] += 1
                invalid.append(len(events) + len(invalid))
                continue
            events.append(event)
            times.append(time_ms)
        return events, times, invalid

    def _lateness(self, times: Any, appended: Any) -> tuple[Any, int]:
        newest = np.maximum.accumulate(np.concatenate([[self.state.newest_ms], np.minimum(times, appended)]))
        return times < newest[:-1] - self._rules.lateness_ms, int(newest[-1])

    def _measures(self, data: list[Any]) -> tuple[Any, ...]:
        ones, zeros = np.ones(len(data), np.int64), np.zeros(len(data), np.int64)
        if self._is_clicks:
            return ones, zeros, zeros, zeros
        units = np.array([sale.quantity for sale in data], np.int64)
        prices = np.array([sale.unit_price_cents for sale in data], np.int64)
        return zeros, ones, units, self._cents(units, prices)
