"""One patient's data, gathered for one call: prefetch first, the rest from the FHIR server, under one
deadline.

Searches run side by side; each resource type ends as complete, truncated, failed, refused or not-offered,
with its reason, so that nobody mistakes what could not be got for what is not there. Error policy: a Patient
that can't be had raises UnobtainableError; anything else unobtainable is only recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from cds_service.errors import UnobtainableError
from cds_service.records import scopes
from cds_service.records.addresses import ANYWHERE
from cds_service.records.bundle import read_bundle
from cds_service.records.capability import offers
from cds_service.records.fhir_search import read_patient, search_type, side_by_side
from cds_service.records.fhir_transport import Deadline, Transport
from cds_service.records.prefetch import UNSEARCHED, Obtained, Prefetched
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
        self.requests = 0
        self._deadline = deadline
        self._source = source
        self._prefetched = prefetched or Prefetched()
        self._unavailable = frozenset(unavailable)
        self._got: dict[str, Obtained] = {}
        self._offers: dict[str, bool] = {}

    def gather(self, wanted: Wanted) -> None:
        """Gets what of this is not got yet. Raises UnobtainableError when the Patient can't be had."""
        lacking = [t for t in sorted(wanted.types | {"Patient"}) if t not in self._got]
        jobs: dict[str, Callable[[], Obtained]] = {}
        for resource_type in lacking:
            known = self._without_asking(resource_type)
            if known is not None:
                self._got[resource_type] = known
            else:
                jobs[resource_type] = self._job(resource_type, wanted.observation_codes)
        self._got.update(side_by_side(jobs, self._deadline, self._parallel()))
        self._learn_offers(jobs)
        for resource_type in jobs:
            self._got[resource_type] = self._judged(resource_type, self._got[resource_type])
        patient = self._got["Patient"]
        if not patient.resources:
            raise UnobtainableError(
                f"The Patient could not be obtained ({patient.reason or 'none is known'}).",
                reason=patient.reason,
            )

    def record(self) -> PatientRecord:
        """What has been gathered so far, as a record of this patient with the account of every type."""
        resources = [r for got in self._got.values() for r in (*got.resources, *got.included)]
        bundle = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": resource} for resource in resources],
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
            return Obtained()
        if self._source is None:
            return given or Obtained(state=FAILED, reason="not in prefetch, and no fhirServer to ask")
        if scopes.lacks(self._source.scope, resource_type):
            return _with_rest(given, REFUSED, "scope not granted")
        return None

    def _job(self, resource_type: str, codes: tuple[str, ...]) -> Callable[[], Obtained]:
        source = self._source
        assert source is not None  # noqa: S101  (only asked for with a server)

        def job() -> Obtained:
            client = source.client(self._deadline)
            if resource_type == "Patient":
                return read_patient(client, self.patient_id)
            return search_type(client, source, resource_type, self.patient_id, self._deadline, codes)

        return job

    def _judged(self, resource_type: str, got: Obtained) -> Obtained:
        """A fetched type in the light of the server's CapabilityStatement, the scope, and the prefetch before
        it.
        """
        source = self._source
        if source is None:
            return got
        if _failed_by_http(got) and not self._offers.get(resource_type, True):
            return Obtained(state=NOT_OFFERED, reason="not in the server's CapabilityStatement")
        if got.state == COMPLETE and scopes.narrows(source.scope, resource_type):
            return Obtained(
                got.resources, got.included, TRUNCATED, "scope granted for a part only", got.dropped, got.hint
            )
        given = self._prefetched.by_type.get(resource_type)
        return (
            _with_rest(given, got.state, got.reason) if not got.resources and got.state != COMPLETE else got
        )

    def _learn_offers(self, resource_types: Iterable[str]) -> None:
        """Asks the CapabilityStatement about the types that failed, within the deadline; unknown counts as offered."""
        source = self._source
        asked = [t for t in resource_types if _failed_by_http(self._got[t])]
        if source is None or not asked:
            return

        def ask() -> Obtained:
            for resource_type in asked:
                self._offers[resource_type] = offers(source, resource_type, self._deadline)
            return Obtained()

        side_by_side({"metadata": ask}, self._deadline, 1)

    def _parallel(self) -> int:
        return self._source.transport.bounds.parallel if self._source else 1

    def _warnings(self) -> list[str]:
        warnings = []
        if dropped := sum(got.dropped for got in self._got.values()):
            warnings.append(f"{dropped} resources of another patient were dropped.")
        if hints := sorted(kind for kind, got in self._got.items() if got.hint):
            warnings.append(f"The server says that some data may be withheld: {', '.join(hints)}.")
        return warnings


def _failed_by_http(got: Obtained) -> bool:
    """Whether the server answered that it would not, for another reason than the token."""
    return (
        got.state in (FAILED, REFUSED) and (got.reason or "").startswith("HTTP ") and got.reason != "HTTP 401"
    )


def _with_rest(given: Obtained | None, state: str, reason: str | None) -> Obtained:
    """A failure that still keeps what an incomplete prefetch brought: positive evidence counts even then."""
    if given is None or not given.resources:
        return Obtained(state=state, reason=reason, dropped=given.dropped if given else 0)
    return Obtained(given.resources, given.included, state, reason, given.dropped, given.hint)


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
