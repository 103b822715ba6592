"""Record batches of a fetch that can be parsed whatever their headers say.

aiokafka's parsers fail on a header whose name is no UTF-8, which clients in other languages can
send, and what they failed on cannot be parsed again: so the bytes are kept beside each batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from core.contract import UNSTAMPED_MS, append_time
from core.partition import Record

#: Offset and length come before what the length counts.
_OVERHEAD: Final = 12
_LENGTH_AT: Final = 8


class KeptRecords:
    """In place of aiokafka's `MemoryRecords`: gives each batch with its bytes."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = memoryview(data)
        self._at = 0

    def size_in_bytes(self) -> int:
        """Bytes of the fetch."""
        size: int = self._records.size_in_bytes()
        return size

    def has_next(self) -> bool:
        """Whether there is another batch."""
        more: bool = self._records.has_next()
        return more

    def next_batch(self) -> KeptBatch:
        """The next batch."""
        batch = self._records.next_batch()
        start = self._at
        self._at += _OVERHEAD + int.from_bytes(self._data[start + _LENGTH_AT : start + _OVERHEAD], "big")
        return KeptBatch(batch, self._data[start : self._at])


class KeptBatch:
    """A batch of aiokafka's, `checked`, and its bytes."""

    def __init__(self, checked: Any, data: memoryview) -> None:
        self.checked = checked
        self.base_offset: int = checked.base_offset
        self.next_offset: int = checked.next_offset
        self._data = data

    def __iter__(self) -> Iterator[Record]:
        try:
            records: Iterable[Any] = list(self.checked)
        except UnicodeDecodeError:
            records = _HeadersSkipped(self._data)
        by_broker = self.checked.timestamp_type == _HeadersSkipped.LOG_APPEND_TIME
        if append_time(self.checked.max_timestamp, by_broker=by_broker) == UNSTAMPED_MS:
            return (_Unstamped(record.offset, UNSTAMPED_MS, record.key, record.value) for record in records)
        return iter(records)


class _Unstamped(NamedTuple):
    """A record whose timestamp is not the broker's."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class _HeadersSkipped(_DefaultRecordBatchPy):
    """aiokafka's parser in Python, without headers: no layer of the pipeline reads them."""

    _pos: int

    def _read_msg(self) -> Any:
        buffer = self._buffer
        length, start = decode_varint(buffer, self._pos)
        _, at = decode_varint(buffer, start)
        later, at = decode_varint(buffer, at)
        number, at = decode_varint(buffer, at)
        key, at = _bytes_at(buffer, at)
        value, at = _bytes_at(buffer, at)
        self._pos = start + length
        appended = self.timestamp_type == self.LOG_APPEND_TIME
        time_ms = self.max_timestamp if appended else self.first_timestamp + later
        return _DefaultRecordPy(self.base_offset + number, time_ms, self.timestamp_type, key, value, [])


def _bytes_at(buffer: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(buffer, at)
    return (None, at) if length < 0 else (bytes(buffer[at : at + length]), at + length)
