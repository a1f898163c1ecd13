"""One patient's data, gathered for one call: prefetch first, the rest from the FHIR server, under one
deadline.

Searches run side by side; each resource type ends as complete, truncated, failed, refused or not-offered,
with its reason, so that nobody mistakes what could not be got for what is not there. Error policy: a Patient
that can't be had raises UnobtainableError; anything else unobtainable is only recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from cds_service.errors import UnobtainableError
from cds_service.records import scopes
from cds_service.records.addresses import ANYWHERE
from cds_service.records.bundle import read_bundle
from cds_service.records.capability import UNSTATED, Question, answered_with_error, listed
from cds_service.records.companions import complete, lacking, refer
from cds_service.records.fhir_search import read_patient, search_type, side_by_side
from cds_service.records.fhir_transport import Deadline, FetchFailure, PooledClient, Transport
from cds_service.records.obtained import Obtained, Resource, beside, combined, with_more
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
from cds_service.records.references import References
from cds_service.records.searchset import Page, worse
from cds_service.records.source import Source
from cds_service.records.subjects import counted
from cds_service.records.wanted import Wanted

# How long a CapabilityStatement is waited for once all searches are done, where it only tells "none" from
# "not offered"; where it explains an error, the share of the time left.
_PATIENCE_SECONDS: Final = 0.5
_PATIENCE_SHARE: Final = 0.5
_NOT_HERE: Final = Obtained(state=NOT_OFFERED, reason="not offered at this site")
_NO_SERVER: Final = "not in prefetch, and no fhirServer to ask"


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
        self._companions: dict[str, Obtained] = {}
        self._referred: set[tuple[str, str]] = set()
        self._client: PooledClient | None = None
        self._question = Question(source.transport.offers, source.server) if source is not None else None

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
        # What an incomplete prefetch brought stays, and may hold what is referred to.
        given = self._prefetched.by_type
        self._got |= {kind: beside(given.get(kind, Obtained()), got) for kind, got in found.items()}
        patient = self._got["Patient"]
        if not patient.resources:
            raise UnobtainableError(
                f"The Patient could not be obtained ({patient.reason or 'none is known'}).",
                reason=patient.reason,
            )
        companions = self._referred_to()
        offered = self._offered((*found.values(), *companions.values()))
        for resource_type, got in found.items():
            self._got[resource_type] = self._judged(resource_type, got, offered)
        for resource_type, got in companions.items():
            before_it = self._companions.get(resource_type, Obtained())
            self._companions[resource_type] = combined(before_it, listed(resource_type, got, offered))

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
        record = read_bundle(bundle, patient_id=self.patient_id, servers=self._servers())
        account = {}
        for kind, got in self._all().items():
            read = record.state(kind)
            state, reason = worse((got.state, got.reason), (read.state, read.reason))
            account[kind] = Acquired(state, len(record.of_type(kind)), reason)
        return record.replace(
            account=account, default=Acquired(PENDING), warnings=(*self._warnings(), *record.warnings)
        )

    def shortfalls(self) -> dict[str, tuple[str, str | None]]:
        """Type → state and reason of what was gathered and is not complete; for the metrics."""
        return {kind: (got.state, got.reason) for kind, got in self._all().items() if got.state != COMPLETE}

    def _all(self) -> dict[str, Obtained]:
        """Type → what was gathered of it, by searches and by references together."""
        referred = {
            kind: combined(self._got.get(kind, Obtained()), got) for kind, got in self._companions.items()
        }
        return {**self._got, **referred}

    def _without_asking(self, resource_type: str) -> Obtained | None:
        """What is known of a type before the server is asked, or None when it must be asked."""
        given = self._prefetched.by_type.get(resource_type)
        if resource_type in self._unavailable:
            if given is not None and given.resources:
                return given
            # What comes along only with what refers to it is not missed before something does.
            return _NOT_HERE if resource_type not in UNSEARCHED else Obtained()
        if given is not None and given.state == COMPLETE and (resource_type != "Patient" or given.resources):
            return given
        if resource_type in UNSEARCHED:
            return replace(given, state=COMPLETE, reason=None) if given is not None else Obtained()
        if self._source is None:
            return given or Obtained(state=FAILED, reason=_NO_SERVER)
        if scopes.lacks(self._source.scope, resource_type):
            refused = Obtained(state=REFUSED, reason="scope not granted")
            return refused if given is None else beside(given, refused)
        return None

    def _fetched(
        self, resource_types: Collection[str], codes: tuple[str, ...], *, ask_offers: bool
    ) -> dict[str, Obtained]:
        """What the server gives of these types, each with its failure."""
        source = self._source
        if source is None or not resource_types:
            return {}
        client = self._admitted(source)
        if isinstance(client, Obtained):
            return dict.fromkeys(resource_types, client)
        if ask_offers:
            self._ask_offers(client)
        jobs = {kind: self._job(client, source, kind, codes) for kind in resource_types}
        return side_by_side(jobs, self._deadline, source.transport.bounds.parallel)

    def _admitted(self, source: Source) -> PooledClient | Obtained:
        """The call's client, or what becomes of everything that it should ask for."""
        if self._client is None:
            try:
                self._client = source.client(self._deadline)
            except FetchFailure as failure:
                return Obtained(state=failure.state, reason=failure.reason)
        return self._client

    def _referred_to(self) -> dict[str, Obtained]:
        """What the resources refer to and came without, each asked for once."""
        by_type: dict[str, list[Resource]] = {}
        for _, resource in self._named():
            by_type.setdefault(str(resource.get("resourceType")), []).append(resource)
        if not refer(by_type):
            return {}
        patient = f"Patient/{self.patient_id}"
        found = lacking(by_type, References.of(self._named(), self._servers(), patient=patient))
        new = {
            kind: frozenset(one for one in ids if (kind, one) not in self._referred)
            for kind, ids in found.items()
        }
        new = {kind: ids for kind, ids in new.items() if ids}
        self._referred.update((kind, one) for kind, ids in new.items() for one in ids)
        not_here = dict.fromkeys(new.keys() & self._unavailable, _NOT_HERE)
        return not_here | self._by_reference({k: ids for k, ids in new.items() if k not in not_here})

    def _by_reference(self, ids: Mapping[str, frozenset[str]]) -> dict[str, Obtained]:
        """What the server gives of these ids by type."""
        if not ids or self._source is None:
            return dict.fromkeys(ids, Obtained(state=FAILED, reason=_NO_SERVER))
        client = self._admitted(self._source)
        if isinstance(client, Obtained):
            return dict.fromkeys(ids, client)
        parallel = self._source.transport.bounds.parallel
        return complete(client, ids, self._deadline, scope=self._source.scope, parallel=parallel)

    def _servers(self) -> tuple[str, ...]:
        return (self._source.base_url,) if self._source is not None else ()

    def _job(
        self, client: PooledClient, source: Source, resource_type: str, codes: tuple[str, ...]
    ) -> Callable[[], Obtained]:
        def job() -> Obtained:
            if resource_type == "Patient":
                return read_patient(client, self.patient_id)
            searching = client.for_search()
            begun = self._prefetched.first_pages.get(resource_type)
            if begun is None:
                return search_type(searching, source, resource_type, self.patient_id, self._deadline, codes)
            return self._continued(begun, searching, source, resource_type, codes)

        return job

    def _continued(
        self,
        begun: Page,
        client: PooledClient,
        source: Source,
        resource_type: str,
        codes: tuple[str, ...],
    ) -> Obtained:
        """The pages after the one that prefetch brought; where they can't be had, a search of its own."""
        found = all_pages(begun, resource_type, self.patient_id, client, source.transport.bounds)
        if found.state == COMPLETE:
            return found
        try:
            anew = search_type(client, source, resource_type, self.patient_id, self._deadline, codes)
        except FetchFailure as failure:
            return replace(found, state=failure.state, reason=failure.reason)
        return with_more(anew, found) if anew.state == COMPLETE else beside(found, anew)

    def _ask_offers(self, client: PooledClient) -> None:
        if self._question is not None:
            self._question.ask(lambda: client.execute("metadata", method="get"))

    def _offered(self, found: Collection[Obtained]) -> frozenset[str]:
        """What the server says that it offers, as far as that matters for what it answered."""
        if self._question is None or self._client is None:
            return UNSTATED
        if any(answered_with_error(got) for got in found):
            self._ask_offers(self._client)
            return self._question.types(self._deadline.left() * _PATIENCE_SHARE)
        return self._question.types(min(_PATIENCE_SECONDS, self._deadline.left()))

    def _judged(self, resource_type: str, got: Obtained, offered: frozenset[str]) -> Obtained:
        """A fetched type in the light of the server's CapabilityStatement, the scope, and the prefetch before
        it.
        """
        given = self._prefetched.by_type.get(resource_type)
        got = listed(resource_type, got, offered)
        if got.state == NOT_OFFERED and given is not None and given.resources:
            return given  # the client knows more than its server
        if got.state != COMPLETE:
            return got if given is None else beside(given, got)
        if given is not None and given.state == TRUNCATED:
            got = with_more(got, given)
        if self._source is not None and scopes.narrows(self._source.scope, resource_type):
            return replace(got, state=TRUNCATED, reason="scope granted for a part only")
        return got

    def _named(self) -> list[tuple[str | None, Resource]]:
        """Everything got, each with its fullUrl."""
        return [
            (got.full_urls.get(id(resource)), resource)
            for got in (*self._got.values(), *self._companions.values())
            for resource in (*got.resources, *got.included)
        ]

    def _warnings(self) -> list[str]:
        warnings = []
        if dropped := sum(got.dropped for got in self._got.values()):
            warnings.append(f"{counted(dropped, 'of another patient')} dropped")
        if hints := sorted(kind for kind, got in self._got.items() if got.hint):
            warnings.append(f"The server says that some data may be withheld: {', '.join(hints)}.")
        return warnings


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
) -> PatientRecord:
    """One patient's record from a FHIR server, within `seconds`. Raises UnobtainableError without the
    Patient.

    `patient_id` is a bare id; `by_code`: see Source. A transport of its own is made and closed when
    none is given. Whoever calls has chosen the server: it may have any address.
    """
    own = transport or Transport()
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
