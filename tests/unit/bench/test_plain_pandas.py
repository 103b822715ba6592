"""Plain pandas against the truth: otherwise its speed would be that of another job."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plain_pandas import cells_file, count
from bench.proof import prove_cells
from core.errors import InexactError
from core.ledger import Ledger
from modes.settings import Settings
from tests.support.raw_log import Log, archive, last_cut, shop_log
from tests.support.shop import SHOP


def ledger_of(log: Log, settings: Settings) -> Ledger:
    rules = settings.rules
    ledger = Ledger(SHOP, epoch_ms=rules.epoch_ms, horizon=rules.horizon, lateness_ms=rules.lateness_ms)
    for row in sorted(log, key=lambda row: (row.append_ms, row.source, row.offset)):
        ledger.add(row.source, row.offset, row.append_ms, row.truth)
    return ledger


def test_it_counts_what_is_true_and_the_proof_notices_what_is_not(tmp_path: Path):
    settings = Settings(mode="batch", lake=str(tmp_path), _env_file=None)  # type: ignore[call-arg]
    log = shop_log(3, 2_000)
    archive(tmp_path / "raw", log)
    vector = last_cut(log, settings.rules).vector
    ledger = ledger_of(log, settings)
    counters = count(settings)
    file = cells_file(settings)
    assert prove_cells("plain", settings, file, counters, vector, ledger).cells > 100
    wrong = {**counters, "duplicates": counters["duplicates"] + 1}
    with pytest.raises(InexactError, match="plain: the counts differ"):
        prove_cells("plain", settings, file, wrong, vector, ledger)
