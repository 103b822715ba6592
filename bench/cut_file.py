"""A cut in a file: how the bench tells its jobs what to work up to."""

from __future__ import annotations

import json
from pathlib import Path

from core.cut import Cut
from core.position import PartitionKey


def write_cut(path: Path, cut: Cut) -> None:
    """Writes it as JSON."""
    path.write_text(json.dumps({"epoch": cut.epoch, "vector": {str(s): offset for s, offset in cut.vector.items()}}))


def read_cut(path: Path) -> Cut:
    """The inverse of `write_cut`."""
    document = json.loads(path.read_text())
    return Cut(document["epoch"], {PartitionKey.parse(name): offset for name, offset in document["vector"].items()})
