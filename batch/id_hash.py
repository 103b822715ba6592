"""The hash by which event ids are spread and looked up."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

#: Ids have at most 64 characters, of at most 4 bytes each (`core.events.Name`).
_LONGEST: Final = 256
_FACTORS: Final = np.cumprod(np.full(_LONGEST, 0x9E3779B97F4A7C15, np.uint64))
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_HALF: Final = np.uint64(32)


def id_hashes(ids: pa.StringArray) -> Hashes:
    """64 bits for each id, none of them null or empty.

    The same for ever: files of ids keep them. Two ids may share a hash; who finds one compares ids.
    """
    if not len(ids):
        return np.zeros(0, np.uint64)
    _, offsets, data = ids.buffers()
    bounds = np.frombuffer(offsets, np.int32)[ids.offset : ids.offset + len(ids) + 1].astype(np.int64)
    letters = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
    starts = bounds[:-1] - bounds[0]
    places = np.arange(len(letters)) - np.repeat(starts, np.diff(bounds))
    hashes: Hashes = np.add.reduceat((letters + np.uint64(1)) * _FACTORS[places], starts)
    hashes ^= hashes >> _HALF
    hashes *= _MIX
    hashes ^= hashes >> _HALF
    return hashes


def buckets_of(hashes: Hashes, buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each hash: equal ranges of hashes, in order."""
    return ((hashes >> _HALF) * np.uint64(buckets) >> _HALF).astype(np.int64)
