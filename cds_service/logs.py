"""Logs as JSON lines on standard error, with allow-listed fields only: no patient data can get in by
accident.

What libraries log takes the same form, and none of their words: they may repeat an address, a header or a value. Error
policy: a field that is not on the list is a programming error and raises TypeError in tests and at run time alike. A
line that can't be written (a full disk, a collector that is gone) is lost: no request fails for its log.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
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
        "level",
        "library",
        "local_id",
        "locator",
        "logger",
        "outcome",
        "phases",
        "place",
        "problem",
        "reason",
        "request",
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
        "why",
    }
)


def json_log(stream: TextIO | None = None) -> Log:
    """A function `log(event, **fields)` that writes one JSON line; `stream` defaults to standard error."""

    def log(event: str, **fields: Any) -> None:
        if unknown := fields.keys() - FIELDS:
            raise TypeError(f"not on the list of fields that may be logged: {sorted(unknown)}")
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        written = orjson.dumps(line).decode() + "\n"
        out = stream if stream is not None else sys.stderr
        # Full, or closed at the other end or at this one, or in the middle of a line that a signal interrupted.
        with suppress(OSError, ValueError, RuntimeError):
            out.write(written)
            out.flush()

    return log


def silent(event: str, **fields: Any) -> None:
    """The log of tests and of the command line: checks the fields, writes nothing."""
    if unknown := fields.keys() - FIELDS:
        raise TypeError(f"not on the list of fields that may be logged: {sorted(unknown)}")


class LibraryLog(logging.Handler):
    """Writes what a library logs as one line: who, how bad, where in its code, which kind of error; never its message.

    words: this program's words for messages that begin in a known way.
    """

    def __init__(self, log: Log, words: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._log = log
        self._words = words or {}

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {
            "logger": record.name,
            "level": record.levelname.lower(),
            "place": f"{record.module}:{record.lineno}:{record.funcName}",
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["problem"] = record.exc_info[0].__name__
        message = str(record.msg)
        if known := next((told for start, told in self._words.items() if message.startswith(start)), None):
            fields["outcome"] = known
        self._log("library", **fields)


def take_over(log: Log) -> None:
    """Gives the libraries' logs, warnings and what they fail with beside requests the form of this log; for a process
    that serves. What Python would print of these may hold patient data.
    """
    logging.basicConfig(handlers=[LibraryLog(log)], level=logging.WARNING, force=True)
    logging.captureWarnings(True)

    def told(kind: type[BaseException] | None, trace: TracebackType | None) -> None:
        frames = traceback.extract_tb(trace)
        place = (
            f"{Path(frames[-1].filename).name}:{frames[-1].lineno}:{frames[-1].name}" if frames else "unknown"
        )
        log("library", level="error", place=place, problem=kind.__name__ if kind else "unknown")

    threading.excepthook = lambda failed: told(failed.exc_type, failed.exc_traceback)
    sys.unraisablehook = lambda failed: told(failed.exc_type, failed.exc_traceback)
