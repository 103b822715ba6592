"""Archives in a process of its own, which tests may kill; says on standard output how far it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from adapters.kafka.access import KafkaAccess
from adapters.lake.raw_table import RawTable
from batch.archive import Archive
from core.position import PartitionKey
from tests.support.shop import SHOP


def main(bootstrap: str, path: str, commit_rows: str, vector: str) -> None:
    """Archives up to `vector`, JSON of partitions and offsets."""
    archive = Archive(
        KafkaAccess(bootstrap),
        RawTable(Path(path), SHOP.topics),
        commit_rows=int(commit_rows),
        progress=lambda records: print(records, flush=True),
    )
    archive.run({PartitionKey.parse(source): end for source, end in json.loads(vector).items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
