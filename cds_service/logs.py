"""Logs as JSON lines on standard error, with allow-listed fields only: no patient data can get in by
accident.

Error policy: a field that is not on the list is a programming error and raises TypeError in tests and at run
time alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import orjson

Log = Callable[..., None]
# What may be logged: words of this program and counts. No ids, names, values, URLs, tokens or messages of
# others.
FIELDS: Final = frozenset(
    {
        "assessments",
        "cards",
        "client",
        "criteria_unknown",
        "data",
        "define",
        "duration_ms",
        "library",
        "local_id",
        "locator",
        "outcome",
        "place",
        "problem",
        "reason",
        "requests",
        "resources",
        "route",
        "service",
        "settings",
        "status",
        "statuses",
        "trial",
        "trials",
        "version",
    }
)


def json_log(stream: TextIO | None = None) -> Log:
    """A function `log(event, **fields)` that writes one JSON line; `stream` defaults to standard error."""

    def log(event: str, **fields: Any) -> None:
        if unknown := fields.keys() - FIELDS:
            raise TypeError(f"not on the list of fields that may be logged: {sorted(unknown)}")
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        out = stream if stream is not None else sys.stderr
        out.write(orjson.dumps(line).decode() + "\n")
        out.flush()

    return log


def silent(event: str, **fields: Any) -> None:
    """The log of tests and of the command line: checks the fields, writes nothing."""
    if unknown := fields.keys() - FIELDS:
        raise TypeError(f"not on the list of fields that may be logged: {sorted(unknown)}")
