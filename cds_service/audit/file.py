"""Audit events as lines of JSON in a file that only its owner reads.

Each event is one line, on the disk before the access is answered. Several processes write to the file, and it may be
moved away at any time: the next event begins a new one. Error policy: a file that can't be written stops the start
(ConfigurationError); an event that can't be written later is a RetryLaterError, and nothing of it stays in the file.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from cds_service.errors import ConfigurationError, RetryLaterError
from cds_service.hooks.observed import Meter


class FileSink:
    """The sink `file:<path>`."""

    def __init__(self, path: Path, meter: Meter) -> None:
        self._path = path
        self._meter = meter
        try:
            with self._opened() as file:
                found = os.fstat(file)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(
                f"audit.sink: the file {path} can't be written ({reason}): name one that can."
            ) from None
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o007:
            raise ConfigurationError(
                f"audit.sink: everybody on this machine may open the file {path}, which names patients: chmod o= it."
            )

    def start(self) -> None:
        """Nothing is done beside requests."""

    def close(self) -> None:
        """Nothing stays open."""

    def ready(self) -> bool:
        try:
            with self._opened():
                return True
        except OSError:
            return False

    def record(self, event: Mapping[str, Any]) -> None:
        try:
            with self._opened() as file:
                _append(file, orjson.dumps(event) + b"\n")
        except OSError:
            self._meter.audited("lost")
            raise RetryLaterError(
                "The audit log can't be written, and without it nothing is answered: try again later."
            ) from None
        self._meter.audited("written")

    @contextmanager
    def _opened(self) -> Iterator[int]:
        # By name for each event, so that a file that was moved away is followed by a new one.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield file
        finally:
            os.close(file)


def _append(file: int, line: bytes) -> None:
    """Writes one whole line, or raises OSError and leaves the file as it was."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        if os.write(file, line) != len(line):
            raise OSError("cut short")
        return
    fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
    before = os.fstat(file).st_size
    try:
        if os.write(file, line) != len(line):
            raise OSError("cut short")
        os.fdatasync(file)
    except OSError:
        os.ftruncate(file, before)
        raise
