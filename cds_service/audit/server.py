"""Audit events to a FHIR server: kept in a folder first, sent from there beside the requests, in their order.

An event is on the disk before the access is answered and leaves the folder only when the server has taken it: neither a
kill nor a restart nor a server that is down loses one. After a kill between the two, one may be sent again (its
X-Request-Id tells). Of all processes, the one that holds the folder's lock sends. Error policy: a folder that can't be
used stops the start; one that is full or can't be written makes RetryLaterError; failures of the server are counted,
logged without any content, and tried again after a pause that grows to a minute. An event that the server rejects for
good is put aside in `rejected`, so that those behind it get through.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests
from urllib3.exceptions import HTTPError

from cds_service.audit.spool import Spool
from cds_service.errors import ConfigurationError
from cds_service.hooks.observed import Meter
from cds_service.hooks.problems import Log, place_of
from cds_service.records.addresses import ANYWHERE
from cds_service.records.connections import session
from cds_service.records.origins import secure
from cds_service.records.token_file import read_token

_TIMEOUTS: Final = (5.0, 15.0)
_LONGEST_PAUSE: Final = 60.0
_LOOK_AGAIN: Final = 1.0
# What a later try may change: a token that is renewed, an address that is put right, a server that recovers.
_PASSING: Final = frozenset({401, 403, 404, 405, 408, 409, 410, 423, 425, 429})


class ServerSink:
    """The sink of a FHIR base URL. `ca_file`: as for FHIR servers; `capacity`: events that may wait; `look_again`:
    seconds between looks at the folder for what other processes put there.
    """

    def __init__(
        self,
        base_url: str,
        folder: Path,
        *,
        token_file: Path | None,
        log: Log,
        meter: Meter,
        ca_file: Path | None = None,
        capacity: int = 100_000,
        look_again: float = _LOOK_AGAIN,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/AuditEvent"
        self._token_file = token_file
        self._ca_file = ca_file
        self._log = log
        self._meter = meter
        self._spool = Spool(folder, capacity, self._deliver_all, look_again=look_again)
        self._pause = 0.0

    def start(self) -> None:
        self._spool.start()

    def close(self) -> None:
        self._spool.close()

    def ready(self) -> bool:
        return self._spool.has_room()

    def record(self, event: Mapping[str, Any]) -> None:
        try:
            self._spool.put(event)
        except Exception:
            self._meter.audited("lost")
            raise
        self._meter.audited("written")

    def _deliver_all(self, waiting: list[Path]) -> float:
        try:
            return self._deliver(waiting)
        except Exception as error:  # whatever it is, the thread must go on, or nothing is sent any more
            self._log("audit-delivery-delayed", problem=type(error).__name__, place=place_of(error))
            return _LONGEST_PAUSE

    def _deliver(self, waiting: list[Path]) -> float:
        """Sends what waits, the oldest first. Seconds until it makes sense to try again; 0 when all is done."""
        self._meter.waiting(len(waiting))
        if not waiting:
            return 0.0
        # The operator chose the address, so it may be any; what it answers can neither redirect nor hold this up.
        with session(ANYWHERE, ca_file=self._ca_file) as connection:
            for done, path in enumerate(waiting):
                failure, for_good = self._send(connection, path)
                if failure is None:
                    self._pause = 0.0
                    self._meter.audited("delivered")
                    path.unlink(missing_ok=True)
                elif for_good:
                    self._meter.audited("rejected")
                    self._log("audit-event-rejected", problem=failure)
                    self._spool.put_aside(path)
                else:
                    self._pause = min(_LONGEST_PAUSE, max(1.0, self._pause * 2))
                    self._meter.audited("delayed")
                    self._meter.waiting(len(waiting) - done)
                    self._log("audit-delivery-delayed", problem=failure, resources=len(waiting) - done)
                    return self._pause
        self._meter.waiting(0)
        return 0.0

    def _send(self, connection: requests.Session, path: Path) -> tuple[str | None, bool]:
        """What went wrong, None for nothing, and whether for good."""
        try:
            body = path.read_bytes()
            token = sink_token(self._token_file, self._url)
        except FileNotFoundError:
            return None, False
        except (OSError, ConfigurationError):
            return "unreadable", False
        headers = {
            "Content-Type": "application/fhir+json",
            "Accept": "application/fhir+json",
            "Prefer": "return=minimal",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        try:
            with connection.post(
                self._url, data=body, headers=headers, timeout=_TIMEOUTS, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.exceptions.SSLError:
            return "certificate", False
        except (requests.Timeout, TimeoutError):
            return "timeout", False
        except (requests.RequestException, HTTPError, OSError):
            return "connection", False
        if 200 <= status < 300:
            return None, False
        return f"HTTP {status}", 400 <= status < 500 and status not in _PASSING


def sink_token(path: Path | None, url: str) -> str | None:
    """The bearer token in a file. Raises ConfigurationError where it can't be had or would travel in the open."""
    if path is None:
        return None
    if not secure(url):
        raise ConfigurationError(
            "audit.token_file: the token would travel unencrypted: give audit.sink an https address."
        )
    return read_token(path, "audit.token_file")
