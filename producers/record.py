"""A record that is to be sent: topic, key, value, the claim about it, and what kind it is."""

from __future__ import annotations

from typing import Final, NamedTuple

#: The topics of the shop.
CLICKS: Final = "clicks"
SALES: Final = "sales"

CLICK: Final = "click"
SALE: Final = "sale"
DUPLICATE: Final = "duplicate"
LATE: Final = "late"
OUT_OF_ORDER: Final = "out_of_order"

_ACCEPTED: Final = b',"accepted",'
_DUPLICATE: Final = b',"duplicate",'


class Record(NamedTuple):
    """`truth` is an encoded `core.truth.Claim`; `kind` is for counting and display only."""

    topic: str
    key: bytes
    value: bytes | None
    truth: bytes
    kind: str

    def again(self) -> Record:
        """The same event sent again: key and value byte for byte, the claim says duplicate."""
        truth = self.truth.replace(_ACCEPTED, _DUPLICATE, 1)
        return Record(self.topic, self.key, self.value, truth, DUPLICATE)
