"""What gunicorn tells of itself, and what it does when workers come and go, as far as it concerns log, metrics, audit
and database.

Its messages name addresses, URLs and what was wrong with a request; here they become lines of the service's own log
with words of this program. Nothing here fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from flask import Flask
from gunicorn.glogging import Logger

from cds_service.hooks.service import Service
from cds_service.logs import LibraryLog, json_log
from cds_service.metrics import worker_ended

# How gunicorn's messages begin, and what they say.
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "WORKER TIMEOUT": "a worker was stuck and is ended",
        "Worker (pid:": "a worker ended",
        "Exception in worker process": "a worker failed",
        "Worker failed to boot": "a worker could not start",
        "Unhandled exception in main loop": "the server failed",
        "Shutting down": "the server ends",
        "Invalid request from": "a request was no HTTP",
        "Invalid HTTP": "a request was no HTTP",
        "Error handling request": "a request failed outside of the service",
        "Error processing SSL request": "a connection was no TLS",
        "SSL error": "a connection was no TLS",
        "Socket error processing request": "a connection failed",
        "Connection in use": "the address is in use",
        "Invalid address": "the address can't be listened on",
    }
)


class ServerLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger, writing lines of the service's log; requests are logged by the service itself."""

    def setup(self, cfg: Any) -> None:
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), self.LOG_LEVELS["warning"])
        self.error_log.setLevel(self.loglevel)
        self.error_log.handlers = [LibraryLog(json_log(), _WORDS)]
        self.access_log.handlers = []

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing: the service writes a line a request."""

    # gunicorn's own methods of these names would all be the place that is logged.
    def critical(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.critical(msg, *args, **{"stacklevel": 2, **kwargs})

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.error(msg, *args, **{"stacklevel": 2, **kwargs})

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.warning(msg, *args, **{"stacklevel": 2, **kwargs})

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.error(msg, *args, **{"exc_info": True, "stacklevel": 2, **kwargs})


def gunicorn_options(app: Flask, metrics_folder: Path | None) -> dict[str, Any]:
    """The settings of gunicorn that these things need."""
    service: Service = app.extensions["cds_service"]
    gone: deque[int] = deque()

    def begun(_worker: Any) -> None:
        if service.audit is not None:
            service.audit.start()

    def ended(_server: Any, worker: Any) -> None:
        if metrics_folder is None:
            return
        # A signal's work, which the signal of another worker's end may interrupt: whoever came first does it all, since
        # the one that interrupts would wait for the folder's lock, and the one that holds it for the other.
        gone.append(worker.pid)
        if len(gone) > 1:
            return
        while gone:
            worker_ended(metrics_folder, gone[0])
            gone.popleft()

    def ends(_server: Any, _worker: Any) -> None:
        # SQLite's last connection brings its log into the one file that a backup copies.
        service.store.close()

    return {"logger_class": ServerLogger, "post_worker_init": begun, "worker_exit": ends, "child_exit": ended}
