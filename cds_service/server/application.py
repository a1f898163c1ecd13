"""gunicorn's application and arbiter: the options, and an orderly end. See the package for the error policy."""

from __future__ import annotations

import gc
import mmap
import resource
import signal
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.sock import close_sockets

from cds_service.errors import ConfigurationError
from cds_service.server.worker import EventWorker

_CONNECTIONS: Final = 1000
_SPARE_SECONDS: Final = 5
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker process may spend. `concurrency`: calls at work at once; `threads`: of calls, those that are
    stuck included; `drain_seconds`: how long it still accepts when told to stop; `stopping`: set when it is;
    `refused`: told once a second how many answers of each status the server gave itself; `tls`: https where given.
    """

    body_bytes: int
    request_seconds: float
    concurrency: int
    threads: int
    fetch_seconds: float = 3.0
    drain_seconds: float = 1.0
    connections: int = field(
        default_factory=lambda: min(_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    )
    stopping: threading.Event = field(default_factory=threading.Event)
    refused: Callable[[int, int], None] = lambda _status, _count: None
    tls: ssl.SSLContext | None = None


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """The server's side of TLS 1.2 or newer. Raises ConfigurationError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for option, path in (("--tls-certificate", certificate), ("--tls-key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{option}: {path} can't be read ({error.strerror}): give a PEM file that this user may read."
            ) from None
    try:
        # A key with a passphrase would ask for it on the terminal; nobody is there to answer.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError):
        raise ConfigurationError(
            f"--tls-certificate {certificate} and --tls-key {key} are not a PEM certificate with its key: "
            "give the certificate chain and the unencrypted key that belongs to it."
        ) from None
    return context


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, told by this program alone: neither its configuration file nor its variables are read.

    `bind`: host:port; `more`: further settings of gunicorn. `run()` returns by SystemExit.
    """

    def __init__(self, application: Any, bind: str, limits: Limits, *, workers: int, **more: Any) -> None:
        self._application = application
        self.limits = limits
        self._ending = mmap.mmap(-1, 1)  # one byte that all processes share
        ending = limits.drain_seconds + limits.request_seconds + limits.fetch_seconds + _SPARE_SECONDS
        self._options = {
            "bind": bind,
            "worker_class": EventWorker,
            "workers": workers,
            "preload_app": True,
            "timeout": 60,
            "graceful_timeout": int(ending) + 1,
            "keepalive": 30,
            "backlog": 2048,
            "loglevel": "warning",
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            # Nobody's word is taken for an address, a scheme or a path: a proxy's headers reach the application.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            **more,
        }
        super().__init__()

    @property
    def ending(self) -> bool:
        """Whether the whole service stops, not one of its workers."""
        return self._ending[0] != 0

    def end(self) -> None:
        """Tells every worker that the service stops."""
        self._ending[0] = 1

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._application

    def run(self) -> None:
        # What was loaded is frozen, so that forks share it and no collection walks it.
        gc.collect()
        gc.freeze()
        _Arbiter(self).run()


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's arbiter, which listens to signals also while it stops: a second one hurries the workers (what is
    being answered still is), a third one ends them.
    """

    LISTENERS: list[Any]

    def stop(self, graceful: bool = True) -> None:
        self.app.end()
        close_sockets(self.LISTENERS, unlink=False)
        self.LISTENERS = []
        self.kill_workers(signal.SIGTERM if graceful else signal.SIGQUIT)
        limit = time.monotonic() + self.cfg.graceful_timeout
        hurried = not graceful
        while self.WORKERS and time.monotonic() < limit:
            self.sleep()
            asked = [sig for sig in self.SIG_QUEUE if sig in _ENDING]
            self.SIG_QUEUE.clear()
            for _ in asked:
                if hurried:
                    limit = 0.0
                self.kill_workers(signal.SIGQUIT)
                hurried = True
        self.kill_workers(signal.SIGKILL)
