"""How requests reach a FHIR server: one pooled session, no redirects, bounded answers, a deadline, one
origin.

Error policy: every way in which a request can fail becomes a FetchFailure with a short reason that carries no
URL, id, token or body; nothing of `requests`, `urllib3` or `fhirpy` gets out.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
from fhirpy import SyncFHIRClient
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as PoolTimeout

from cds_service.errors import CdsServiceError, InputError
from cds_service.records.json_body import read_json
from cds_service.records.record import FAILED, REFUSED

_CHUNK: Final = 1 << 16
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
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
    """A pool of connections, shared by all calls of a process. It keeps no cookies, no credentials and no
    data.
    """

    def __init__(self, *, pool: int = 64, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self._session = requests.Session()
        # The environment must neither redirect requests to a proxy nor add credentials of a .netrc.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=pool, pool_maxsize=pool)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self.offers: dict[str, tuple[float, frozenset[str]]] = {}

    def close(self) -> None:
        """Closes the pooled connections."""
        self._session.close()

    def get(self, url: str, headers: Mapping[str, str], deadline: Deadline) -> bytes:
        """The body of a successful answer. Retries 429, 503 and broken connections within the deadline."""
        attempt = 0
        while True:
            try:
                status, wait, body = self._once(url, headers, deadline)
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
        self, url: str, headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[int, float | None, bytes]:
        left = deadline.remaining()
        try:
            with self._session.get(
                url, headers=dict(headers), timeout=(left, left), stream=True, allow_redirects=False
            ) as response:
                if not 200 <= response.status_code < 300:
                    return response.status_code, _retry_after(response.headers.get("Retry-After")), b""
                return response.status_code, None, self._read(response, deadline)
        except (requests.Timeout, PoolTimeout, TimeoutError):
            raise FetchFailure("timeout") from None
        except (requests.RequestException, HTTPError, OSError, ValueError):
            deadline.remaining()
            raise FetchFailure("connection") from None

    def _read(self, response: requests.Response, deadline: Deadline) -> bytes:
        """The decoded body, read piece by piece so that neither a slow nor an endless one gets past the
        bounds.
        """
        body = bytearray()
        while piece := response.raw.read1(_CHUNK, decode_content=True):
            body += piece
            if len(body) > self.bounds.answer_bytes:
                raise FetchFailure("answer too large")
            deadline.remaining()
        return bytes(body)


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

    def __init__(self, base_url: str, transport: Transport, deadline: Deadline, token: str | None) -> None:
        super().__init__(base_url, authorization=f"Bearer {token}" if token else None)
        self._transport = transport
        self._deadline = deadline

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
            url = on_server(self.url, self._build_request_url(path, params).removesuffix("?"))
        except ValueError:
            url = None
        if url is None:
            raise FetchFailure("link to another server")
        body = self._transport.get(
            url, {**self._build_request_headers(), **(extra_headers or {})}, self._deadline
        )
        try:
            answer = read_json(body)
        except InputError:
            raise FetchFailure("not JSON") from None
        return (answer, 200) if returning_status else answer


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address literal is this machine itself; names are not resolved."""
    if not host:
        return False
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        # ::ffff:127.0.0.1 reaches this machine as 127.0.0.1 does.
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback
    except ValueError:
        return False


def on_server(base_url: str, link: str) -> str | None:
    """`link` (absolute, or relative to the base) as a URL under `base_url`, or None where it leads elsewhere.

    Same scheme, host, port and whole path segments are wanted. Two names of this machine (127.0.0.1,
    localhost) are one host, but the request then goes to the base's own.
    """
    try:
        base, url = urlsplit(base_url), urlsplit(urljoin(base_url.rstrip("/") + "/", link))
        same_port = _port(base) == _port(url)
    except ValueError:
        return None
    same_host = base.hostname == url.hostname or (is_loopback(base.hostname) and is_loopback(url.hostname))
    if base.scheme != url.scheme or not same_host or not same_port or url.username or url.password:
        return None
    if not under(base.path, url.path) or re.search(r"[\s\\]", link):
        return None
    return urlunsplit((base.scheme, base.netloc, url.path, url.query, ""))


def under(base_path: str, path: str) -> bool:
    """Whether `path` is `base_path` or below it, by whole segments, with no way out of it."""
    base, parts = _segments(base_path), _segments(path)
    return parts[: len(base)] == base and not any(_dots(part) for part in parts)


def _segments(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _dots(segment: str) -> bool:
    return re.sub(r"%2e", ".", segment, flags=re.IGNORECASE) in (".", "..") or "%2f" in segment.lower()


def _port(url: SplitResult) -> int | None:
    return url.port if url.port is not None else _DEFAULT_PORTS.get(url.scheme)


def allowed_server(fhir_server: str, listed: tuple[str, ...]) -> bool:
    """Whether a `fhirServer` is on the list; an empty list stands for this machine's loopback addresses.

    Both are compared after normalisation: scheme, host, port, then whole path segments.
    """
    try:
        url = urlsplit(fhir_server)
        port = _port(url)
    except ValueError:
        return False
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or url.username or url.password or url.fragment:
        return False
    if url.query or re.search(r"[\s\\]", fhir_server) or any(_dots(part) for part in _segments(url.path)):
        return False
    if not listed:
        return is_loopback(url.hostname)
    for entry in listed:
        known = urlsplit(entry)
        same = (known.scheme, known.hostname, _port(known)) == (url.scheme, url.hostname, port)
        if same and under(known.path, url.path):
            return True
    return False
