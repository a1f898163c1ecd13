"""Which resource types FHIR servers offer, by their CapabilityStatements, which are kept for an hour.

A statement is about a server, never about a patient. Error policy: a statement that can't be had or read says nothing;
every type then counts as offered, and the server is not asked again for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final

from cds_service.errors import CdsServiceError
from cds_service.records.obtained import Obtained
from cds_service.records.record import COMPLETE, FAILED, NOT_OFFERED, REFUSED

_KEPT_SECONDS: Final = 3600.0
_FAILURE_KEPT_SECONDS: Final = 60.0
_SERVERS_KEPT: Final = 100

# What says nothing about any type.
UNSTATED: Final[frozenset[str]] = frozenset()


class Offers:
    """What the servers that a process asks offer; thread-safe. A server is told by any value that stands for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Hashable, tuple[float, frozenset[str]]] = {}
        self._changing = threading.Lock()

    def known(self, server: Hashable) -> frozenset[str] | None:
        """The types that a server offers, UNSTATED where it did not say; None where it should be asked."""
        with self._changing:
            until, types = self._until.get(server, (0.0, None))
            return types if self._clock() < until else None

    def keep(self, server: Hashable, statement: Any) -> frozenset[str]:
        """Remembers what a server answered (None: nothing); the types in it."""
        types = stated_types(statement)
        seconds = _KEPT_SECONDS if types else _FAILURE_KEPT_SECONDS
        with self._changing:
            self._until.pop(server, None)
            if len(self._until) >= _SERVERS_KEPT:
                del self._until[next(iter(self._until))]  # the one that was asked longest ago
            self._until[server] = (self._clock() + seconds, types)
        return types


class Question:
    """One call's question to its server, asked at most once and beside whatever else the call does."""

    def __init__(self, offers: Offers, server: Hashable) -> None:
        self._offers = offers
        self._server = server
        self._answer: Future[frozenset[str]] | None = None

    def ask(self, read: Callable[[], Any]) -> None:
        """Starts to ask with `read`, unless the answer is known or on its way. Whoever waits no longer leaves `read`
        to its own time limits; its answer then serves the next call.
        """
        if self._answer is None and self._offers.known(self._server) is None:
            pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fhir")
            self._answer = pool.submit(self._kept, read)
            pool.shutdown(wait=False)

    def types(self, seconds: float) -> frozenset[str]:
        """The types that the server offers, waited for at most so long; UNSTATED where that is not known by then."""
        if self._answer is not None and self._answer in wait((self._answer,), timeout=seconds).done:
            return self._answer.result()
        return self._offers.known(self._server) or UNSTATED

    def _kept(self, read: Callable[[], Any]) -> frozenset[str]:
        try:
            statement = read()
        except CdsServiceError:
            statement = None
        return self._offers.keep(self._server, statement)


def listed(resource_type: str, got: Obtained, offered: frozenset[str]) -> Obtained:
    """An answer as it counts where a server offers these types: an error, or nothing, of another type says that there
    is no such thing; what came all the same is used.
    """
    if offered == UNSTATED or resource_type in offered or got.resources or got.included:
        return got
    if got.state == COMPLETE or answered_with_error(got):
        return Obtained(state=NOT_OFFERED, reason="not in the server's CapabilityStatement")
    return got


def answered_with_error(got: Obtained) -> bool:
    """Whether the server answered that it would not, for another reason than the token."""
    reason = got.reason or ""
    return (
        got.state in (FAILED, REFUSED)
        and reason.startswith(("HTTP ", "OperationOutcome"))
        and reason != "HTTP 401"
    )


def stated_types(statement: Any) -> frozenset[str]:
    """The resource types that a CapabilityStatement says its server offers; UNSTATED where it names none."""
    if not isinstance(statement, dict) or statement.get("resourceType") != "CapabilityStatement":
        return UNSTATED
    rests = statement.get("rest")
    return frozenset(
        resource["type"]
        for rest in (rests if isinstance(rests, list) else [])
        if isinstance(rest, dict) and rest.get("mode", "server") == "server"
        if isinstance(rest.get("resource"), list)
        for resource in rest["resource"]
        if isinstance(resource, dict) and isinstance(resource.get("type"), str)
    )
