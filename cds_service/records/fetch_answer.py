"""One request to a FHIR server and its answer, as far as it is of use: the body of a success, the status of anything
else.

Error policy: FetchFailure, without URL, id, token or body, where another attempt would be no use; a broken connection
is an answer of status 0. Whether the server answered is told to the call either way.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import requests
from urllib3.exceptions import DecodeError, HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as PoolTimeout
from urllib3.util import Timeout

from cds_service.records.connections import AddressNotAllowed, read_body, read_refusal
from cds_service.records.fetch_bounds import MORE_DATA, Bounds, Deadline, FetchFailure
from cds_service.records.fetch_call import Call
from cds_service.records.retrying import UNANSWERED, retry_after

# The reason where the server's certificate is refused.
UNTRUSTED: Final = "certificate"
# Who has time may wait for a resolver that asks a second server after five seconds.
_SHARE_TO_CONNECT: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Answer:
    """status: 0 where the connection broke. wait: seconds that the server asks for."""

    status: int
    body: bytes = b""
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A GET. kind: of resource that is asked for."""

    url: str
    headers: Mapping[str, str]
    kind: str


def ask(
    session: requests.Session, request: Request, deadline: Deadline, call: Call, bounds: Bounds
) -> Answer:
    """Asks once, within the deadline. Raises FetchFailure."""
    left = deadline.remaining()
    connecting = min(left, max(bounds.connect_seconds, left * _SHARE_TO_CONNECT))
    limits = Timeout(connect=connecting, total=left)
    try:
        with session.get(
            request.url,
            headers=dict(request.headers),
            timeout=limits,  # type: ignore[arg-type] # urllib3's own is passed on to it
            stream=True,
            allow_redirects=False,
        ) as response:
            answer = _read(response, deadline, call, bounds)
    except AddressNotAllowed as refusal:
        raise FetchFailure(str(refusal)) from None
    except DecodeError:
        call.answered()
        raise FetchFailure("not JSON") from None
    except (requests.Timeout, PoolTimeout, TimeoutError) as late:
        call.silent(request.kind, unreachable=isinstance(late, requests.ConnectTimeout))
        raise FetchFailure("timeout") from None
    except (requests.RequestException, HTTPError, OSError, ValueError) as broken:
        if _untrusted(broken):
            call.silent(request.kind)
            raise FetchFailure(UNTRUSTED) from None
        call.silent(request.kind, unreachable=_unreachable(broken))
        deadline.remaining()
        return Answer(0)
    if answer.status in UNANSWERED:
        call.silent(request.kind)
    else:
        call.answered()
    return answer


def _read(response: requests.Response, deadline: Deadline, call: Call, bounds: Bounds) -> Answer:
    if not 200 <= response.status_code < 300:
        read_refusal(response)
        return Answer(response.status_code, wait=retry_after(response.headers))

    def check(size: int) -> None:
        if not call.allowance.take(size=size):
            call.answered()
            raise FetchFailure(MORE_DATA)
        if not deadline.left():
            raise TimeoutError

    body = read_body(response, bounds.answer_bytes, check)
    if body is None:
        call.answered()
        raise FetchFailure("answer too large")
    return Answer(response.status_code, body)


def _unreachable(broken: Exception) -> bool:
    """Whether not even a connection was made."""
    return isinstance(_reason(broken), NewConnectionError)


def _untrusted(broken: Exception) -> bool:
    """Whether the server's certificate is not one to trust it by; no other attempt would find another."""
    reason = _reason(broken)
    return reason is not None and any(isinstance(cause, ssl.CertificateError) for cause in reason.args)


def _reason(broken: Exception) -> Exception | None:
    """What urllib3 says was wrong with a connection, out of the exception of `requests`."""
    reason = getattr(broken.args[0] if broken.args else None, "reason", None)
    return reason if isinstance(reason, Exception) else None
