"""Hypothesis: the same examples at each run; FOURFOLD_TEST_EXPLORE=1 draws others, and many."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, max_examples=60, **_COMMON)
settings.register_profile("explore", max_examples=500, **_COMMON)
settings.load_profile("explore" if os.environ.get("FOURFOLD_TEST_EXPLORE") else "repeatable")
