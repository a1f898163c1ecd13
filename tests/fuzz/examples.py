"""How much is tried: the same on every machine and every day, and N times as much, and other, on request."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

# `make fuzz-http N=20`: twenty times as many examples, other ones each time.
TIMES: Final = int(os.environ.get("FUZZ_HTTP") or 0)


def tried(usual: int) -> settings:
    """On how many examples a property is tried."""
    return settings(
        max_examples=usual * max(TIMES, 1),
        derandomize=not TIMES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
