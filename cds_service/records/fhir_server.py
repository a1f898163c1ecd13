"""One patient's data, gathered for one call: prefetch first, the rest from the FHIR server, under one
deadline.

Searches run side by side; each resource type ends as complete, truncated, failed, refused or not-offered,
with its reason, so that nobody mistakes what could not be got for what is not there. Error policy: a Patient
that can't be had raises UnobtainableError; anything else unobtainable is only recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from cds_service.errors import UnobtainableError
from cds_service.records import scopes
from cds_service.records.addresses import ANYWHERE
from cds_service.records.bundle import read_bundle
from cds_service.records.capability import UNSTATED, Question
from cds_service.records.fhir_search import read_patient, search_type, side_by_side
from cds_service.records.fhir_transport import Deadline, FetchFailure, PooledClient, Transport
from cds_service.records.obtained import Obtained, Resource, combined
from cds_service.records.paging import all_pages
from cds_service.records.prefetch import UNSEARCHED, Prefetched
from cds_service.records.record import (
    COMPLETE,
    FAILED,
    NOT_OFFERED,
    PENDING,
    REFUSED,
    TRUNCATED,
    Acquired,
    PatientRecord,
)
from cds_service.records.searchset import worse
from cds_service.records.source import Source
from cds_service.records.wanted import Wanted

# How long a CapabilityStatement is waited for once all searches are done, where it only tells "none" from
# "not offered"; where it explains an error, the share of the time left.
_PATIENCE_SECONDS: Final = 0.5
_PATIENCE_SHARE: Final = 0.5


class Acquisition:
    """The gathering of one patient's data during one call; kept for that call only, never shared."""

    def __init__(
        self,
        patient_id: str,
        *,
        deadline: Deadline,
        prefetched: Prefetched | None = None,
        source: Source | None = None,
        unavailable: Collection[str] = (),
    ) -> None:
        self.patient_id = patient_id
        self._deadline = deadline
        self._source = source
        self._prefetched = prefetched or Prefetched()
        self._unavailable = frozenset(unavailable)
        self._got: dict[str, Obtained] = {}
        self._client: PooledClient | None = None
        self._question = (
            Question(source.transport.offers, (source.base_url, source.reach)) if source is not None else None
        )

    def gather(self, wanted: Wanted) -> None:
        """Gets what of this is not got yet. Raises UnobtainableError when the Patient can't be had."""
        before = bool(self._got)
        asked = []
        for resource_type in sorted(wanted.types | {"Patient"}):
            if resource_type in self._got:
                continue
            known = self._without_asking(resource_type)
            if known is not None:
                self._got[resource_type] = known
            else:
                asked.append(resource_type)
        # Of a patient whose gate stays shut nothing more is asked than the gate needs.
        found = self._fetched(asked, wanted.observation_codes, ask_offers=before)
        patient = found.get("Patient") or self._got["Patient"]
        if not patient.resources:
            raise UnobtainableError(
                f"The Patient could not be obtained ({patient.reason or 'none is known'})."
            )
        offered = self._offered(found)
        for resource_type, got in found.items():
            self._got[resource_type] = self._judged(resource_type, got, offered)

    def record(self) -> PatientRecord:
        """What has been gathered so far, as a record of this patient with the account of every type."""
        bundle = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {"fullUrl": url, "resource": resource} if url else {"resource": resource}
                for url, resource in self._named()
            ],
        }
        record = read_bundle(bundle, patient_id=self.patient_id)
        account = {}
        for kind, got in self._got.items():
            read = record.state(kind)
            state, reason = worse((got.state, got.reason), (read.state, read.reason))
            account[kind] = Acquired(state, len(record.of_type(kind)), reason)
        return record.replace(
            account=account, default=Acquired(PENDING), warnings=(*self._warnings(), *record.warnings)
        )

    def state(self, resource_type: str) -> str:
        """How a type stands: pending until gathered."""
        got = self._got.get(resource_type)
        return got.state if got is not None else PENDING

    def account(self) -> dict[str, str]:
        """Type → state of everything gathered; for the log."""
        return {kind: got.state for kind, got in self._got.items()}

    def shortfalls(self) -> dict[str, tuple[str, str | None]]:
        """Type → state and reason of what was gathered and is not complete; for the metrics."""
        return {kind: (got.state, got.reason) for kind, got in self._got.items() if got.state != COMPLETE}

    def _without_asking(self, resource_type: str) -> Obtained | None:
        """What is known of a type before the server is asked, or None when it must be asked."""
        if resource_type in self._unavailable:
            return Obtained(state=NOT_OFFERED, reason="not offered at this site")
        given = self._prefetched.by_type.get(resource_type)
        if given is not None and given.state == COMPLETE and (resource_type != "Patient" or given.resources):
            return given
        if resource_type in UNSEARCHED:
            return replace(given, state=COMPLETE, reason=None) if given is not None else Obtained()
        if self._source is None:
            return given or Obtained(state=FAILED, reason="not in prefetch, and no fhirServer to ask")
        if scopes.lacks(self._source.scope, resource_type):
            return _beside(given, Obtained(state=REFUSED, reason="scope not granted"))
        return None

    def _fetched(
        self, resource_types: Collection[str], codes: tuple[str, ...], *, ask_offers: bool
    ) -> dict[str, Obtained]:
        """What the server gives of these types, each with its failure."""
        source = self._source
        if source is None or not resource_types:
            return {}
        try:
            client = self._client = self._client or source.client(self._deadline)
        except FetchFailure as failure:
            return dict.fromkeys(resource_types, Obtained(state=failure.state, reason=failure.reason))
        if ask_offers:
            self._ask_offers(client)
        jobs = {kind: self._job(client, source, kind, codes) for kind in resource_types}
        return side_by_side(jobs, self._deadline, source.transport.bounds.parallel)

    def _job(
        self, client: PooledClient, source: Source, resource_type: str, codes: tuple[str, ...]
    ) -> Callable[[], Obtained]:
        first = self._prefetched.first_pages.get(resource_type)

        def job() -> Obtained:
            if resource_type == "Patient":
                return read_patient(client, self.patient_id)
            searching = client.for_search()
            if first is not None:
                rest = all_pages(first, resource_type, self.patient_id, searching, source.transport.bounds)
                if rest.state == COMPLETE:
                    return rest
            return search_type(searching, source, resource_type, self.patient_id, self._deadline, codes)

        return job

    def _ask_offers(self, client: PooledClient) -> None:
        if self._question is not None:
            self._question.ask(lambda: client.execute("metadata", method="get"))

    def _offered(self, found: Mapping[str, Obtained]) -> frozenset[str]:
        """What the server says that it offers, as far as that matters for what it answered."""
        if self._question is None or self._client is None:
            return UNSTATED
        if any(_answered_with_error(got) for got in found.values()):
            self._ask_offers(self._client)
            return self._question.types(self._deadline.left() * _PATIENCE_SHARE)
        return self._question.types(min(_PATIENCE_SECONDS, self._deadline.left()))

    def _judged(self, resource_type: str, got: Obtained, offered: frozenset[str]) -> Obtained:
        """A fetched type in the light of the server's CapabilityStatement, the scope, and the prefetch before
        it.
        """
        given = self._prefetched.by_type.get(resource_type)
        brought = given is not None and bool(given.resources)
        unlisted = offered != UNSTATED and resource_type not in offered
        if unlisted and not got.resources and (_answered_with_error(got) or got.state == COMPLETE):
            # Nothing of a type that the server does not know means nothing; what the client knew of it counts.
            if given is not None and brought:
                return given
            return Obtained(state=NOT_OFFERED, reason="not in the server's CapabilityStatement")
        if got.state != COMPLETE:
            return _beside(given, got)
        if self._source is not None and scopes.narrows(self._source.scope, resource_type):
            return replace(got, state=TRUNCATED, reason="scope granted for a part only")
        return got

    def _named(self) -> list[tuple[str | None, Resource]]:
        """Everything got, each with its fullUrl."""
        return [
            (got.full_urls.get(id(resource)), resource)
            for got in self._got.values()
            for resource in (*got.resources, *got.included)
        ]

    def _warnings(self) -> list[str]:
        warnings = []
        if dropped := sum(got.dropped for got in self._got.values()):
            warnings.append(f"{dropped} resources of another patient were dropped.")
        if hints := sorted(kind for kind, got in self._got.items() if got.hint):
            warnings.append(f"The server says that some data may be withheld: {', '.join(hints)}.")
        return warnings


def _answered_with_error(got: Obtained) -> bool:
    """Whether the server answered that it would not, for another reason than the token."""
    reason = got.reason or ""
    return (
        got.state in (FAILED, REFUSED)
        and reason.startswith(("HTTP ", "OperationOutcome"))
        and reason != "HTTP 401"
    )


def _beside(given: Obtained | None, got: Obtained) -> Obtained:
    """An incomplete answer with what an incomplete prefetch brought: positive evidence counts even then."""
    return got if given is None else replace(combined(given, got), state=got.state, reason=got.reason)


def acquire(
    base_url: str,
    patient_id: str,
    wanted: Wanted,
    *,
    token: str | None = None,
    seconds: float = 30.0,
    transport: Transport | None = None,
    by_code: bool = False,
    unavailable: Collection[str] = (),
    ca_file: Path | None = None,
) -> PatientRecord:
    """One patient's record from a FHIR server, within `seconds`. Raises UnobtainableError without the
    Patient.

    `patient_id` is a bare id; `by_code`: see Source. A transport of its own is made and closed when
    none is given, `ca_file`: as for Transport. Whoever calls has chosen the server: it may have any address.
    """
    own = transport or Transport(ca_file=ca_file)
    try:
        source = Source(base_url.rstrip("/"), own, token, by_code=by_code, reach=ANYWHERE)
        acquisition = Acquisition(
            patient_id, deadline=Deadline(seconds), source=source, unavailable=unavailable
        )
        acquisition.gather(Wanted())  # the Patient first: without it nothing else is worth asking for
        acquisition.gather(wanted)
        return acquisition.record()
    finally:
        if transport is None:
            own.close()
