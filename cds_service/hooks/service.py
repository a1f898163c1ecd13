"""What every view needs, built once at the start and never changed: trials, screener, rules about callers
and servers.

Nothing here does I/O except the gathering of a patient's data, which is bounded by one deadline per call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, Protocol

from flask import request
from werkzeug.exceptions import Unauthorized

from cds_service.eligibility.assessment import Assessment
from cds_service.eligibility.trial import Trial
from cds_service.errors import NotFoundError
from cds_service.hooks.admission import Rates
from cds_service.hooks.auditing import AuditSink
from cds_service.hooks.auth import Caller, Client, Refused, unauthorized, verified_client
from cds_service.hooks.cards import CardOptions
from cds_service.hooks.local import from_foreign_page
from cds_service.hooks.messages import HookRequest
from cds_service.hooks.observed import Meter, Unmetered
from cds_service.hooks.orders import OrderSet
from cds_service.hooks.problems import Log
from cds_service.hooks.servers import check_server
from cds_service.records.fhir_server import Acquisition
from cds_service.records.fhir_transport import Deadline, Transport
from cds_service.records.prefetch import read_prefetch
from cds_service.records.record import PatientRecord
from cds_service.records.source import Source
from cds_service.records.wanted import Wanted
from cds_service.storage import Pseudonyms, Store

ALL_TRIALS: Final = "trial-eligibility"


def service_ids(trials: Iterable[str]) -> list[str]:
    """The ids of the CDS services of these trials: one a trial, and one for all."""
    return [*(f"trial-{trial}" for trial in trials), ALL_TRIALS]


class Screening(Protocol):
    """The part of `screening.Screener` that the views use; pure, thread-safe."""

    def screen(self, record: PatientRecord, trial_ids: Sequence[str] | None, as_of: date) -> list[Assessment]:
        """The Assessments of these trials for the record's patient on that day."""

    def gates_open(self, record: PatientRecord, trial_ids: Sequence[str] | None, as_of: date) -> list[str]:
        """The trials for which more of the chart than the gate's types is worth asking for (design §6)."""

    def wanted_by_gates(self, trial_ids: Sequence[str] | None) -> Wanted:
        """What these trials' gates read."""

    def wanted(self, trial_ids: Sequence[str] | None) -> Wanted:
        """All that these trials read."""


@dataclass(frozen=True, slots=True)
class Service:
    """The joined parts. `today`: the day of an assessment; `now`: the clock, aware, of all that is recorded.
    `fhir_servers`: those allowed while no client is configured (empty: loopback), and `private_networks`, where their
    names may lead besides the public internet; `own_fhir`: path of the embedded FHIR endpoint; `by_code`: see
    `records.source`; `draining`: whether the server is about to stop; `rates`: None without a limit;
    `metrics_token`: of whoever may read /metrics from elsewhere.
    """

    trials: Mapping[str, Trial]
    screener: Screening
    orders: Mapping[str, OrderSet]
    transport: Transport
    store: Store
    log: Log
    today: Callable[[], date]
    now: Callable[[], datetime]
    pseudonyms: Pseudonyms
    cards: CardOptions = field(default_factory=CardOptions)
    clients: tuple[Client, ...] = ()
    version: str = "0"
    base_url: str | None = None
    full_prefetch: bool = False
    fetch_seconds: float = 3.0
    fhir_servers: tuple[str, ...] = ()
    private_networks: tuple[str, ...] = ()
    own_fhir: str | None = None
    unavailable: tuple[str, ...] = ()
    by_code: bool = False
    draining: Callable[[], bool] = lambda: False
    rates: Rates | None = None
    meter: Meter = field(default_factory=Unmetered)
    audit: AuditSink | None = None
    metrics_token: str | None = field(default=None, repr=False)

    def service_ids(self) -> list[str]:
        """The ids of the CDS services: one a trial, and one for all."""
        return service_ids(self.trials)

    def trials_of(self, service_id: str) -> tuple[str, ...]:
        """The trials that a service answers for. Raises NotFoundError."""
        if service_id == ALL_TRIALS:
            return tuple(self.trials)
        trial = service_id.removeprefix("trial-")
        if service_id.startswith("trial-") and trial in self.trials:
            return (trial,)
        raise NotFoundError("There is no CDS service of that id: see /cds-services.")

    def base(self) -> str:
        """The service's own base URL as the caller knows it, without a trailing slash."""
        return self.base_url or request.host_url.rstrip("/")

    def caller(self, *, also: str | None = None) -> Caller:
        """Who calls, by the token of this request. Aborts with a bare 401 where clients are configured and it is not
        one of theirs. Raises TooManyRequestsError for one that called too often.

        `also`: another path under the base URL that the token may be meant for (a service's, for its
        feedback).
        """
        if not self.clients:
            if self.rates is not None:
                self.rates.take(None)
            return Caller()
        urls = [self.base() + path for path in (request.path, also) if path]
        try:
            return verified_client(
                request.headers.get("Authorization"),
                self.clients,
                urls,
                datetime.now(UTC),
                self.store.first_use,
                admit=self._admit,
            )
        except Refused as refusal:
            claimed = {"client": refusal.client} if refusal.client else {}
            self.log("unauthorized", status=401, reason=str(refusal), **claimed)
            raise Unauthorized(response=unauthorized()) from None

    def _admit(self, client: Client) -> None:
        if self.rates is not None:
            self.rates.take(client.name)

    def speaks_newer(self) -> bool:
        """Whether any client speaks a later version of CDS Hooks than 2.0."""
        return any(client.cds_hooks != "2.0" for client in self.clients)

    def version_asked(self, path: str) -> str:
        """The version of CDS Hooks that the caller of an open address speaks: its client's, where a valid token for
        `path` comes along, otherwise 2.0. Refuses nobody, and uses no token up: there is nothing to protect.
        """
        newer = [client for client in self.clients if client.cds_hooks != "2.0"]
        if not newer:
            return "2.0"
        authorization, url = request.headers.get("Authorization"), self.base() + path
        try:
            caller = verified_client(authorization, newer, [url], datetime.now(UTC), lambda *_: True)
        except Refused:
            return "2.0"
        return caller.client.cds_hooks if caller.client else "2.0"

    def acquisition(self, hook: HookRequest, caller: Caller, types: frozenset[str]) -> Acquisition:
        """The gathering for one call: its prefetch of these types, and its FHIR server. Raises
        ForbiddenError.
        """
        source = None
        if hook.fhir_server is not None:
            server = check_server(
                hook.fhir_server, caller.client, self, foreign_page=from_foreign_page(request)
            )
            source = Source(
                server.base_url,
                self.transport,
                hook.access_token,
                hook.scope,
                self.by_code,
                server.reach,
                caller.client.name if caller.client else None,
            )
        return Acquisition(
            hook.patient_id,
            deadline=Deadline(self.fetch_seconds),
            prefetched=read_prefetch(hook.prefetch, hook.patient_id, types),
            source=source,
            unavailable=self.unavailable,
        )
