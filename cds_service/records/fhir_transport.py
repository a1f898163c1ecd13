"""How requests reach a FHIR server: pooled connections, no redirects, bounded answers, a deadline, one origin,
and only addresses that this server may have.

Error policy: every way in which a request can fail becomes a FetchFailure with a short reason that carries no
URL, id, token or body; nothing of `requests`, `urllib3` or `fhirpy` gets out.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import requests
from fhirpy import SyncFHIRClient
from fhirpy.base.utils import encode_params
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as PoolTimeout

from cds_service.errors import CdsServiceError, InputError
from cds_service.records.addresses import PUBLIC, Reach
from cds_service.records.connections import AddressNotAllowed, Resolve, read_body, resolve, session
from cds_service.records.json_body import read_json
from cds_service.records.origins import forget_urls, on_server
from cds_service.records.record import FAILED, REFUSED

_BACKOFF_SECONDS: Final = 0.2


class FetchFailure(CdsServiceError):  # noqa: N818  (an outcome that is recorded, not an error shown)
    """One request that yielded no data. `state`: failed or refused; `status`: of HTTP, where an answer
    came.
    """

    def __init__(self, reason: str, *, state: str = FAILED, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.state = state
        self.status = status


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of what one call reads from a FHIR server. Sizes in bytes, per answer; counts per resource
    type.
    """

    answer_bytes: int = 50_000_000
    pages: int = 200
    resources: int = 50_000
    page_size: int = 500
    retries: int = 2
    parallel: int = 8


class Deadline:
    """The moment until which all requests of one call together may take."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; FetchFailure when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise FetchFailure("timeout")
        return left

    def left(self) -> float:
        """Seconds left, 0 when there are none."""
        return max(0.0, self._end - time.monotonic())


class Transport:
    """Pools of connections, shared by all calls of a process. It keeps no cookies, no credentials and no data.

    Each `Reach` has a pool of its own, so that a connection made under one rule never serves under another. `ca_file`:
    the authorities that may sign the servers' certificates; None = the public ones.
    """

    def __init__(
        self,
        *,
        pool: int = 64,
        bounds: Bounds | None = None,
        ca_file: Path | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self.bounds = bounds or Bounds()
        self.offers: dict[str, tuple[float, frozenset[str]]] = {}
        self._pool = pool
        self._ca_file = ca_file
        self._resolve = resolve
        self._sessions: dict[Reach, requests.Session] = {}
        self._making = threading.Lock()

    def close(self) -> None:
        """Closes the pooled connections."""
        with self._making:
            for made in self._sessions.values():
                made.close()
            self._sessions.clear()

    def _session(self, reach: Reach) -> requests.Session:
        """The session of a rule. There are as many as the configuration has entries."""
        with self._making:
            made = self._sessions.get(reach)
            if made is None:
                made = session(reach, pool=self._pool, ca_file=self._ca_file, resolve=self._resolve)
                self._sessions[reach] = made
            return made

    def get(self, url: str, headers: Mapping[str, str], deadline: Deadline, reach: Reach = PUBLIC) -> bytes:
        """The body of a successful answer from an address within `reach`. Retries 429, 503 and broken connections
        within the deadline.
        """
        attempt = 0
        while True:
            try:
                status, wait, body = self._once(url, headers, deadline, reach)
            except FetchFailure as failure:
                if failure.reason != "connection" or attempt >= self.bounds.retries:
                    raise
                status, wait, body = 0, None, b""
            if 200 <= status < 300:
                return body
            attempt += 1
            pause = wait if wait is not None else _BACKOFF_SECONDS * 2 ** (attempt - 1)
            if status not in (0, 429, 503) or attempt > self.bounds.retries or pause >= deadline.left():
                raise _http_failure(status)
            time.sleep(pause)

    def _once(
        self, url: str, headers: Mapping[str, str], deadline: Deadline, reach: Reach
    ) -> tuple[int, float | None, bytes]:
        left = deadline.remaining()
        try:
            with self._session(reach).get(
                url, headers=dict(headers), timeout=(left, left), stream=True, allow_redirects=False
            ) as response:
                if not 200 <= response.status_code < 300:
                    return response.status_code, _retry_after(response.headers.get("Retry-After")), b""
                body = read_body(response, self.bounds.answer_bytes, deadline.remaining)
                if body is None:
                    raise FetchFailure("answer too large")
                return response.status_code, None, body
        except AddressNotAllowed as refusal:
            raise FetchFailure(str(refusal)) from None
        except (requests.Timeout, PoolTimeout, TimeoutError):
            raise FetchFailure("timeout") from None
        except (requests.RequestException, HTTPError, OSError, ValueError):
            deadline.remaining()
            raise FetchFailure("connection") from None
        finally:
            forget_urls()


def _http_failure(status: int) -> FetchFailure:
    if status == 0:
        return FetchFailure("connection")
    if status in (401, 403):
        return FetchFailure(f"HTTP {status}", state=REFUSED, status=status)
    if 300 <= status < 400:
        return FetchFailure("redirect not followed", status=status)
    return FetchFailure(f"HTTP {status}", status=status)


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, a number or an HTTP date; None where it says nothing usable."""
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


class PooledClient(SyncFHIRClient):
    """fhirpy's client with our transport under it: reads only, each within the deadline and on the server's
    base.
    """

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        deadline: Deadline,
        token: str | None,
        reach: Reach = PUBLIC,
    ) -> None:
        super().__init__(base_url, authorization=f"Bearer {token}" if token else None)
        self._transport = transport
        self._reach = reach
        self._deadline = deadline

    def _build_request_url(self, path: str, params: dict[str, Any] | None) -> str:
        """Without fhirpy's way through yarl, which keeps what it has taken apart: a patient's id."""
        return f"{path}?{encode_params(params)}" if params else path  # type: ignore[no-untyped-call]

    def _do_request(
        self,
        method: str,
        path: str,
        data: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        extra_headers: dict[str, str] | None = None,
        *,
        returning_status: bool = False,
    ) -> Any:
        """The one request method of fhirpy, here a GET through the pool; the JSON comes back as plain
        data.
        """
        if method.lower() != "get" or data is not None:
            raise FetchFailure("only reads are allowed")
        try:
            url = on_server(self.url, self._build_request_url(path, params))
        except ValueError:
            url = None
        if url is None:
            raise FetchFailure("link to another server")
        headers = {**self._build_request_headers(), **(extra_headers or {})}
        body = self._transport.get(url, headers, self._deadline, self._reach)
        try:
            answer = read_json(body)
        except InputError:
            raise FetchFailure("not JSON") from None
        return (answer, 200) if returning_status else answer
