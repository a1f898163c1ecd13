"""Trouble on demand: what goes wrong with one resource type for whoever asks with a token that says so.

The demo shows with it what the service makes of data that it can't get. A token such as `trouble.fails.Observation`
speaks of its own request only: nothing is kept, nobody else's requests change. Error policy: trouble is an answer of
the server like others (FhirError); any other token is none of it.
"""

from __future__ import annotations

import re
import time
from typing import Final

from cds_service.sandbox.outcomes import FhirError

# Beyond what a call of the demo waits for all its data together.
SLOW_SECONDS: Final = 4.0
REFUSED, FAILS, SLOW, PART = "refused", "fails", "slow", "part"
_TOKEN: Final = re.compile(rf"Bearer trouble\.({REFUSED}|{FAILS}|{SLOW}|{PART})\.([A-Za-z]+)")


def trouble_with(authorization: str | None, kind: str) -> str | None:
    """What goes wrong with this type for this request: refused, fails, slow, part, or nothing."""
    asked = _TOKEN.fullmatch(authorization or "")
    return asked[1] if asked is not None and asked[2] == kind else None


def meet(trouble: str | None) -> None:
    """Lets the trouble happen before anything is looked up; `part` is for whoever makes the pages."""
    if trouble == SLOW:
        time.sleep(SLOW_SECONDS)
    elif trouble == REFUSED:
        raise FhirError(403, "forbidden", "The demo refuses this type, as its page asked for.")
    elif trouble == FAILS:
        raise FhirError(500, "exception", "The demo fails on this type, as its page asked for.")
