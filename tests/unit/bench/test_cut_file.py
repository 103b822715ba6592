from __future__ import annotations

from pathlib import Path

from bench.cut_file import read_cut, write_cut
from core.cut import Cut
from core.position import PartitionKey


def test_a_cut_is_read_as_it_was_written(tmp_path: Path):
    cut = Cut(17, {PartitionKey("clicks", 0): 5, PartitionKey("sales", 3): 0})
    write_cut(tmp_path / "cut.json", cut)
    assert read_cut(tmp_path / "cut.json") == cut
