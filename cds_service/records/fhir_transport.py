"""How requests reach a FHIR server: pooled connections, no redirects, bounded answers, a deadline, one origin,
and only addresses that this server may have.

Error policy: every way in which a request can fail becomes a FetchFailure with a short reason that carries no
URL, id, token or body; nothing of `requests`, `urllib3` or `fhirpy` gets out.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from fhirpy import SyncFHIRClient
from fhirpy.base.utils import encode_params

from cds_service.errors import InputError
from cds_service.records.addresses import PUBLIC, Reach
from cds_service.records.breaker import Breakers
from cds_service.records.capability import Offers
from cds_service.records.connections import LONGEST_REST, Session, session
from cds_service.records.fetch_answer import Request, ask
from cds_service.records.fetch_bounds import MORE_DATA, Allowance, Bounds, Deadline, FetchFailure
from cds_service.records.fetch_call import Call, Unwatched, Watch
from cds_service.records.json_body import read_json
from cds_service.records.lookups import Lookups, Resolve, resolve
from cds_service.records.origins import forget_urls, on_server
from cds_service.records.record import REFUSED
from cds_service.records.retrying import RETRIED, backoff

__all__ = ["MORE_DATA", "Bounds", "Deadline", "FetchFailure", "PooledClient", "Transport"]

_KIND: Final = re.compile(r"[A-Za-z]{1,64}(?=[/?]|$)")
# HAPI answers a search from what it found up to a minute ago, unless it is told so; a proxy may do alike. A chart that
# has changed since the last view must be seen as it is.
_AS_IT_IS_NOW: Final = {"Cache-Control": "no-cache"}


class _Process:
    """What one process shares. A fork makes its own: neither connections nor locks may be those of its parent."""

    def __init__(self, resolve: Resolve, clock: Callable[[], float]) -> None:
        self.pid = os.getpid()
        self.breakers = Breakers(clock)
        self.offers = Offers(clock)
        self.lookups = Lookups(resolve)
        self.sessions: dict[Reach, Session] = {}
        self.tidied = time.monotonic()
        self.making = threading.Lock()


class Transport:
    """Pools of connections, shared by all calls of a process. It keeps no cookies, no credentials and no data.

    Each `Reach` has a pool of its own, so that a connection made under one rule never serves under another. `pool`:
    connections to a server that are kept. `ca_file`: the authorities that may sign the servers' certificates; None =
    the public ones. `clock`: by which breakers open and close.
    """

    def __init__(
        self,
        *,
        pool: int = 128,
        bounds: Bounds | None = None,
        ca_file: Path | None = None,
        resolve: Resolve = resolve,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bounds = bounds or Bounds()
        self.watch = watch or Unwatched()
        self._pool = pool
        self._ca_file = ca_file
        self._resolve = resolve
        self._clock = clock
        self._process = _Process(resolve, clock)

    def close(self) -> None:
        """Closes the pooled connections."""
        here = self._here()
        with here.making:
            for made in here.sessions.values():
                made.close()
            here.sessions.clear()

    def call(self, base_url: str, reach: Reach, client: str | None = None) -> Call:
        """What all requests of one call to a server share. client: the CDS client's configured name."""
        server = (base_url, reach)
        return Call(self.bounds, self.watch, breakers=self._here().breakers, server=server, client=client)

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        deadline: Deadline,
        reach: Reach = PUBLIC,
        call: Call | None = None,
        kind: str = "other",
    ) -> bytes:
        """The body of a successful answer from an address within `reach`. Retries 429, 502, 503 and broken connections
        within the deadline. call: what it shares with other requests; kind: of resource that is asked for.
        """
        call = call or Call(self.bounds, self.watch)
        request = Request(url, headers, kind)
        for attempt in range(1, self.bounds.retries + 2):
            with call.turn(deadline):
                answer = ask(self._session(reach), request, deadline, call, self.bounds)
            if 200 <= answer.status < 300:
                return answer.body
            if answer.status in RETRIED and answer.wait is not None:
                call.hold(answer.wait, answer.status)
            if answer.status not in (0, *RETRIED) or attempt > self.bounds.retries:
                break
            # A connection of the pool may have broken while it rested: the first time there is nothing to wait for.
            if answer.status != 0 or attempt > 1:
                pause = backoff(attempt) if answer.wait is None else answer.wait
                if pause >= deadline.left():
                    break
                time.sleep(pause)
            self.watch.retried()
        raise _http_failure(answer.status)

    @property
    def offers(self) -> Offers:
        """What the servers said that they offer."""
        return self._here().offers

    def _here(self) -> _Process:
        if self._process.pid != os.getpid():
            self._process = _Process(self._resolve, self._clock)
        return self._process

    def _session(self, reach: Reach) -> Session:
        """The session of a rule. There are as many as the configuration has entries."""
        here = self._here()
        with here.making:
            # Of servers that nobody asks any more, too: what their connections hold is wanted for others'.
            if time.monotonic() - here.tidied > LONGEST_REST:
                here.tidied = time.monotonic()
                for each in here.sessions.values():
                    each.close_rested()
            made = here.sessions.get(reach)
            if made is None:
                made = session(reach, pool=self._pool, ca_file=self._ca_file, find=here.lookups.find)
                here.sessions[reach] = made
            return made


def _http_failure(status: int) -> FetchFailure:
    if status == 0:
        return FetchFailure("connection")
    if status in (401, 403):
        return FetchFailure(f"HTTP {status}", state=REFUSED, status=status)
    if 300 <= status < 400:
        return FetchFailure("redirect not followed", status=status)
    return FetchFailure(f"HTTP {status}", status=status)


class PooledClient(SyncFHIRClient):
    """fhirpy's client with our transport under it: reads only, each within the deadline and on the server's
    base. All requests of a call share `call`.
    """

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        deadline: Deadline,
        token: str | None,
        reach: Reach = PUBLIC,
        call: Call | None = None,
    ) -> None:
        super().__init__(base_url, authorization=f"Bearer {token}" if token else None)
        self._transport = transport
        self._reach = reach
        self._deadline = deadline
        self._token = token
        self._call = call or transport.call(base_url, reach)

    @property
    def allowance(self) -> Allowance:
        """What the call may still bring."""
        return self._call.allowance

    def for_search(self) -> PooledClient:
        """A client of the same call for one search that begins now, with its pages and retries."""
        deadline = self._deadline.of_search(self._transport.bounds)
        return PooledClient(self.url, self._transport, deadline, self._token, self._reach, self._call)

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
        started = time.monotonic()
        kind = "page"
        failure = None
        try:
            url = self._url(path, params)
            kind = self._kind(url)
            headers = {**self._build_request_headers(), **_AS_IT_IS_NOW, **(extra_headers or {})}
            answer = _parsed(self._transport.get(url, headers, self._deadline, self._reach, self._call, kind))
        except FetchFailure as failed:
            failure = failed
            raise
        finally:
            forget_urls()
            self._transport.watch.fetched(kind, time.monotonic() - started, failure)
        return (answer, 200) if returning_status else answer

    def _url(self, path: str, params: dict[str, Any] | None) -> str:
        try:
            url = on_server(self.url, self._build_request_url(path, params))
        except ValueError:
            url = None
        if url is None:
            raise FetchFailure("link to another server")
        return url

    def _kind(self, url: str) -> str:
        """The resource type that an address of this server names, or `metadata`; `page` where it names none."""
        found = _KIND.match(url.removeprefix(self.url).removeprefix("/"))
        return found[0] if found else "page"


def _parsed(body: bytes) -> Any:
    try:
        return read_json(body)
    except InputError:
        raise FetchFailure("not JSON") from None
