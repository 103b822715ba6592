"""Prices: what the measured resources cost by a price list."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from core.errors import ConfigurationError
from modes.catalogue import Mode, Retention, Role
from modes.settings import usual_of

_MONTH_S: Final = 730 * 3600
_GB: Final = 1e9


@dataclass(frozen=True, slots=True)
class Prices:
    """Any one currency. The defaults are round numbers of the order of public clouds' lists: put yours in a file."""

    currency: str = "EUR"
    cpu_hour: float = 0.04
    memory_gb_hour: float = 0.005
    kafka_gb_month: float = 0.10
    parquet_gb_month: float = 0.023

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


def read_prices(file: Path | None) -> Prices:
    """The list of a TOML file, or the defaults. Raises `ConfigurationError`."""
    if file is None:
        return Prices()
    known = {field.name for field in fields(Prices)}
    try:
        found = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"--prices {file}: {error}") from None
    if unknown := sorted(found.keys() - known):
        raise ConfigurationError(f"--prices {file}: {unknown[0]} is unknown; there are {', '.join(sorted(known))}")
    for name, value in found.items():
        right = isinstance(value, str) if name == "currency" else isinstance(value, (int, float)) and value >= 0
        if not right:
            raise ConfigurationError(f"--prices {file}: {name} is {value!r}")
    return Prices(**found)


def window_kept_s(hours: float) -> float:
    """How long Kafka keeps events of a window: an hour more, for the auditor (see `Settings.retention_ms`)."""
    return (hours + 1) * 3600


def money(row: Mode, lap: Mapping[str, Any], events: int, rate: float, prices: Prices) -> dict[str, float]:
    """`per_million`: computing a million events. `month`: computing, memory, and a month's traffic stored, at `rate`.

    Without the producers. Memory is the peak, rented for the month. Kafka keeps a month, or the mode's window.
    """
    cpu = sum(used for role, used in lap["cpu_s_per_million"].items() if role != Role.PRODUCE)
    per_million = cpu / 3600 * prices.cpu_hour
    memory_gb = sum(size for role, size in lap["peak_bytes"].items() if role != Role.PRODUCE) / _GB
    events_month = rate * _MONTH_S
    gb_each = {name: size / events / _GB for name, size in lap["stored"].items()}
    kept_s = _MONTH_S if row.retention is Retention.EVERYTHING else window_kept_s(usual_of("window_hours"))
    kafka = gb_each["kafka"] * rate * kept_s * prices.kafka_gb_month
    parquet = gb_each["raw"] * events_month * prices.parquet_gb_month
    month = per_million * events_month / 1e6 + memory_gb * 730 * prices.memory_gb_hour + kafka + parquet
    return {"per_million": round(per_million, 4), "month": round(month, 2)}
