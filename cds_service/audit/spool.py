"""A folder in which audit events wait: one file each, complete or not there, in the order of their names.

Every process puts events in; the one that holds the folder's lock takes them out, in a thread beside the requests.
Where that process dies, the system lets go of the lock and another goes on. Error policy: a folder that can't be used
raises ConfigurationError at the start; an event that can't be kept, or finds no room, raises RetryLaterError.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson

from cds_service.errors import ConfigurationError, RetryLaterError

REJECTED: Final = "rejected"
_ENDING: Final = ".json"
_UNFINISHED: Final = ".part"
# A file that was begun so long ago belongs to a call that died, and never was answered.
_FORGOTTEN_SECONDS: Final = 3600.0


class Spool:
    """The folder, and the thread that empties it. `deliver` is given what waits, oldest first, removes what is done
    and says in how many seconds to come again (0: when there is more).
    """

    def __init__(
        self,
        folder: Path,
        capacity: int,
        deliver: Callable[[list[Path]], float],
        *,
        look_again: float,
    ) -> None:
        self._folder = folder
        self._capacity = capacity
        self._deliver = deliver
        self._look_again = look_again
        self._process = 0
        self._guard = threading.Lock()
        self._more = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            for made in (folder, folder / REJECTED):
                made.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_mode & 0o077:
                raise ConfigurationError(
                    f"audit.spool_dir: others on this machine may look into {folder}, where events name patients: "
                    "chmod 700 it, or name a new folder."
                )
            self._waiting = len(self.waiting())
            probe = folder / f"{uuid4()}{_UNFINISHED}"
            probe.touch(0o600)
            probe.unlink()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(
                f"audit.spool_dir: the folder {folder} can't be used ({reason}): name one that can."
            ) from None

    def start(self) -> None:
        """Starts the thread in this process, once: threads do not live on in a process that forks."""
        if self._process == os.getpid():
            return
        with self._guard:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ends the thread; what waits stays."""
        self._ended.set()
        self._more.set()
        if self._thread is not None:
            self._thread.join()

    def has_room(self) -> bool:
        """Whether another event may wait. The count is that of the last look, and what this process put since."""
        return self._waiting < self._capacity

    def put(self, event: Mapping[str, Any]) -> None:
        """Keeps one event on the disk. Raises RetryLaterError."""
        if not self.has_room():
            raise RetryLaterError(
                "Too many audit events wait for their server, and without them nothing is answered: try again later.",
                retry_after=30,
            )
        name = f"{time.time_ns():020d}-{uuid4()}"
        begun = self._folder / f"{name}{_UNFINISHED}"
        try:
            file = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                body = orjson.dumps(event)
                if os.write(file, body) != len(body):
                    raise OSError("cut short")
                os.fsync(file)
            finally:
                os.close(file)
            begun.rename(self._folder / f"{name}{_ENDING}")
            self._keep_names()
        except OSError:
            with suppress(OSError):
                begun.unlink(missing_ok=True)
            raise RetryLaterError(
                "The audit log can't be written, and without it nothing is answered: try again later."
            ) from None
        self._waiting += 1
        self._more.set()

    def waiting(self) -> list[Path]:
        """What waits, the oldest first."""
        with os.scandir(self._folder) as found:
            names = sorted(entry.name for entry in found if entry.name.endswith(_ENDING))
        return [self._folder / name for name in names]

    def put_aside(self, path: Path) -> None:
        """Takes one event out of those that wait, and keeps it for the operator."""
        with suppress(OSError):
            path.rename(self._folder / REJECTED / path.name)

    def _keep_names(self) -> None:
        """A file's new name is on the disk only once its folder is."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with (self._folder / "lock").open("ab") as lock:
                    if self._may_deliver(lock.fileno()):
                        self._clear()
                        self._empty()
            except OSError:
                pass  # the folder is gone for now: `put` says so to those who call
            self._ended.wait(self._look_again)

    def _may_deliver(self, lock: int) -> bool:
        self._waiting = len(self.waiting())
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _empty(self) -> None:
        """Delivers until the thread is to end; as the one that holds the lock."""
        while not self._ended.is_set():
            self._more.clear()
            found = self.waiting()
            self._waiting = len(found)
            pause = self._deliver(found)
            if pause:
                self._ended.wait(pause)
            else:
                self._more.wait(self._look_again)

    def _clear(self) -> None:
        """Removes what calls left unfinished that died while they wrote."""
        for left in self._folder.glob(f"*{_UNFINISHED}"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _FORGOTTEN_SECONDS:
                    left.unlink()
