"""How many distinct users there are: sets of 32-bit hashes while few, HyperLogLog registers beyond.

NumPy is loaded where registers or very many hashes are at work, and not to send hashes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import lt
from typing import Final, Self

#: A sketch of more distinct hashes holds registers in their place.
SPARSE_LIMIT: Final = 4_096
#: The estimate where all registers are full, or nearly all.
LARGEST_COUNT: Final = 2**32

#: Bytes of a hash.
_WIDTH: Final = 4
_MOST_SPARSE: Final = SPARSE_LIMIT * _WIDTH
#: Bytes of hashes that are at work at once, and above which NumPy sorts them.
_BLOCK: Final = 16 * _MOST_SPARSE
_MANY: Final = 4 * _MOST_SPARSE
#: Bits of a hash that choose its register, and those whose leading zeros the register holds, plus one.
_PRECISION: Final = 14
_REST: Final = 32 - _PRECISION
_REGISTERS: Final = 1 << _PRECISION
_SPARSE, _DENSE = b"s", b"d"


def hashes_of(users: Iterable[str]) -> bytes:
    """The distinct CRC-32s of users as little-endian 32-bit numbers, in no particular order."""
    hashes = set(map(zlib.crc32, map(str.encode, users)))
    return struct.pack(f"<{len(hashes)}I", *hashes)


def union_count(sketches: Iterable[Sketch]) -> int:
    """The estimate of the union, which is that of merging them all, but faster. None of them is changed."""
    hashes, registers = [], []
    for sketch in sketches:
        if sketch._registers:  # noqa: SLF001 - it is of this module
            registers.append(sketch._registers)  # noqa: SLF001 - as above
        else:
            hashes.append(sketch._hashes)  # noqa: SLF001 - as above
    return Sketch(*_union(hashes, registers)).count()


@dataclass(slots=True, repr=False)
class Sketch:
    """A union of hashes of users, of which it knows how many are distinct. Equal by content.

    Nothing depends on the order or the grouping of additions, nor on repetitions. Many hashes added at once take
    far less time than one by one.
    """

    #: Sorted and distinct, as packed; empty where there are registers.
    _hashes: bytes = b""
    #: A byte each; empty while sparse.
    _registers: bytes = b""

    @classmethod
    def of(cls, users: Iterable[str]) -> Self:
        """The sketch of some users."""
        sketch = cls()
        sketch.add(hashes_of(users))
        return sketch

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """The sketch that was packed.

        Raises:
            ValueError: It is not a packed sketch, or was truncated or damaged.
        """
        content, check = data[:-_WIDTH], data[-_WIDTH:]
        if check != _check(content):
            raise ValueError("no sketch of users, or a damaged one: its checksum is wrong")
        kind, body = content[:1], content[1:]
        if kind == _SPARSE and _is_sparse(body):
            return cls(_hashes=body)
        if kind == _DENSE and _are_registers(registers := _inflated(body)):
            return cls(_registers=registers)
        raise ValueError("no sketch of users: its checksum is right, its content is not")

    def pack(self) -> bytes:
        """The sketch as bytes: `s` and the sorted hashes, or `d` and the deflated registers.

        The CRC-32 of these follows. Equal sketches give equal bytes (with the same version of zlib).
        """
        kind, body = (_DENSE, zlib.compress(self._registers, 1)) if self._registers else (_SPARSE, self._hashes)
        return kind + body + _check(kind + body)

    def add(self, hashes: bytes) -> None:
        """Adds packed hashes of users (`hashes_of`, or several of these joined).

        Raises:
            ValueError: They are not a whole number of hashes.
        """
        if len(hashes) % _WIDTH:
            raise ValueError(f"{len(hashes)} bytes are not a whole number of hashes of {_WIDTH} bytes")
        self._unite(hashes, b"")

    def merge(self, other: Sketch) -> None:
        """Adds all that another sketch holds."""
        self._unite(other._hashes, other._registers)

    def count(self) -> int:
        """How many distinct users it has been given: practically exact while sparse, then with a standard error of 0.8 %.

        Neither corrects for users of the same hash. Among so few they are worth 0.002 users, nothing in whole
        numbers; and what registers hold follows from how many users drew a hash, whether or not two drew the same.
        """
        return _estimate(self._registers) if self._registers else len(self._hashes) // _WIDTH

    def _unite(self, hashes: bytes, registers: bytes) -> None:
        self._hashes, self._registers = _union(
            [self._hashes, hashes], [each for each in (self._registers, registers) if each]
        )


def _check(content: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(content))


def _is_sparse(hashes: bytes) -> bool:
    if len(hashes) % _WIDTH or len(hashes) > _MOST_SPARSE:
        return False
    numbers = _numbers(hashes)
    return all(map(lt, numbers, numbers[1:]))


def _numbers(hashes: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(hashes) // _WIDTH}I", hashes)


def _are_registers(registers: bytes) -> bool:
    return len(registers) == _REGISTERS and 0 < max(registers) <= _REST + 1


def _inflated(body: bytes) -> bytes:
    """Registers that were deflated: never more than a byte too many of them, and none where other bytes follow."""
    inflater = zlib.decompressobj()
    try:
        registers = inflater.decompress(body, _REGISTERS + 1)
    except zlib.error as error:
        raise ValueError(f"no sketch of users: {error}") from None
    return registers if inflater.eof and not inflater.unused_data else b""


def _union(hashes: Sequence[bytes], registers: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Hashes and registers of a sketch that holds all of these: one of the two is empty."""
    joined = b"".join(hashes)
    if not registers:
        distinct = b""
        for start in range(0, len(joined), _BLOCK):
            distinct = _distinct(distinct + joined[start : start + _BLOCK])
            if len(distinct) > _MOST_SPARSE:
                break
        else:
            return distinct, b""
    return b"", _highest(joined, registers)


def _distinct(hashes: bytes) -> bytes:
    """Packed hashes, sorted and distinct."""
    if len(hashes) <= _MANY:
        ordered = dict.fromkeys(sorted(_numbers(hashes)))
        return struct.pack(f"<{len(ordered)}I", *ordered)

    import numpy as np  # noqa: PLC0415 - workers do without

    numbers = np.sort(np.frombuffer(hashes, "<u4"))
    distinct: bytes = numbers[np.append(True, numbers[1:] != numbers[:-1])].tobytes()
    return distinct


def _highest(hashes: bytes, registers: Sequence[bytes]) -> bytes:
    """The registers of hashes and of other registers, by maximum."""
    import numpy as np  # noqa: PLC0415 - workers do without

    # the smallest rest has the most leading zeros; one of more bits than there are stands for an empty register
    smallest = np.full(_REGISTERS, 1 << _REST, np.uint32)
    for start in range(0, len(hashes), _BLOCK):
        # the finalizer of murmur3, since CRC-32 alone is linear: alike users would share registers
        mixed = np.frombuffer(hashes[start : start + _BLOCK], "<u4").astype(np.uint32)
        mixed ^= mixed >> 16
        mixed *= 0x85EBCA6B
        mixed ^= mixed >> 13
        mixed *= 0xC2B2AE35
        mixed ^= mixed >> 16
        np.minimum.at(smallest, mixed >> _REST, mixed & ((1 << _REST) - 1))
    bits = np.frexp(smallest.astype(np.float32))[1]
    own = (_REST + 1 - bits).astype(np.uint8)
    rows = np.frombuffer(b"".join([own.tobytes(), *registers]), np.uint8).reshape(-1, _REGISTERS)
    highest: bytes = rows.max(axis=0).tobytes()
    return highest


def _estimate(registers: bytes) -> int:
    """How many hashes were added: the improved raw estimator of O. Ertl.

    "New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6. It is good at any number,
    without tables of bias.
    """
    holding = [registers.count(rank) for rank in range(_REST + 2)]
    z = _REGISTERS * _tau(1 - holding[-1] / _REGISTERS)
    for number in holding[-2:0:-1]:
        z = (z + number) / 2
    z += _REGISTERS * _sigma(holding[0] / _REGISTERS)
    numerator = _REGISTERS**2 / (2 * math.log(2))
    return round(numerator / max(z, numerator / LARGEST_COUNT))


def _sigma(x: float) -> float:
    """Of the share of empty registers, below 1: x + the sum over k >= 1 of x**(2**k) * 2**(k - 1)."""
    total, power, last = x, 0.5, -1.0
    while total != last:
        x, power, last = x * x, power * 2, total
        total += x * power
    return total


def _tau(x: float) -> float:
    """Of the share of registers that are not full: (1 - x - the sum over k >= 1 of (1 - x**(2**-k))**2 * 2**-k) / 3."""
    total, power, last = 1 - x, 1.0, -1.0
    while total != last:
        x, power, last = math.sqrt(x), power / 2, total
        total -= (1 - x) ** 2 * power
    return total / 3
