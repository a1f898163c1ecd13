"""Prefetch of CDS Hooks: the templates that discovery offers, and what the values of a request really
provide.

Absent key = not got; `null` = known to be none; the Patient, or a Bundle of search results = data. A Bundle with a
`next` link or a `total` above its entries is truncated, and so is a single resource where a search was asked for; an
OperationOutcome is a failure; another patient's resources are dropped and counted. Error policy: nothing raises; each
key yields a state and a reason, and whoever has a FHIR server follows the link, or fetches the type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cds_service.records.obtained import Obtained
from cds_service.records.paging import all_pages
from cds_service.records.patient_search import SEARCHED, by_patient
from cds_service.records.record import COMPLETE, FAILED, TRUNCATED
from cds_service.records.resource_types import R4_TYPES
from cds_service.records.searchset import Page, names_other_patient, outcome_state, read_page

# Read by id or reached through other resources, never searched by patient.
UNSEARCHED: Final = R4_TYPES - SEARCHED - {"Patient"}
# One page should hold a whole chart where the client follows no paging links and no FHIR server is to be had.
FULL_PAGE: Final = 1000
_PATIENT_ID: Final = "{{context.patientId}}"


@dataclass(frozen=True, slots=True)
class Prefetched:
    """What a request's prefetch provides, by resource type; a type absent here was not got.

    `first_pages`: sound in themselves, of the types of which the client's server has more to give.
    """

    by_type: Mapping[str, Obtained] = field(default_factory=dict)
    first_pages: Mapping[str, Page] = field(default_factory=dict)


def prefetch_key(resource_type: str) -> str:
    """The prefetch key of a resource type: `Condition` → `condition`, `MedicationRequest` →
    `medicationRequest`.
    """
    return resource_type[:1].lower() + resource_type[1:]


def templates(resource_types: Iterable[str], *, page_size: int | None = None) -> dict[str, str]:
    """Prefetch templates in CDS Hooks 2.0 tokens: the Patient first, then one search by patient for each
    type. Only what the restricted query subset has: no `_include`, so that companions come by reference alone.
    """
    count = f"&_count={page_size}" if page_size else ""
    found = {prefetch_key("Patient"): f"Patient/{_PATIENT_ID}"}
    for resource_type in sorted(set(resource_types) & SEARCHED):
        ((parameter, value),) = by_patient(resource_type, _PATIENT_ID).items()
        found[prefetch_key(resource_type)] = f"{resource_type}?{parameter}={value}{count}"
    return found


def read_prefetch(prefetch: Mapping[str, Any], patient_id: str, resource_types: Iterable[str]) -> Prefetched:
    """What `prefetch` provides of these types for this patient; other keys are not asked for and stay
    unread.
    """
    by_type = {}
    first_pages = {}
    for resource_type in resource_types:
        key = prefetch_key(resource_type)
        if key not in prefetch:
            continue
        value = prefetch[key]
        if not isinstance(value, dict) or value.get("resourceType") != "Bundle":
            by_type[resource_type] = _single(value, resource_type, patient_id)
            continue
        page = read_page(value, resource_type)
        by_type[resource_type] = all_pages(page, resource_type, patient_id)
        if page.next and page.state == COMPLETE:
            first_pages[resource_type] = page
    if "Patient" in by_type:
        by_type["Patient"] = _found(by_type["Patient"])
    return Prefetched(by_type, first_pages)


def _single(value: Any, resource_type: str, patient_id: str) -> Obtained:
    """A value that is no Bundle."""
    if value is None:
        return Obtained()
    if not isinstance(value, dict):
        return Obtained(state=FAILED, reason="malformed prefetch")
    kind = value.get("resourceType")
    if kind == "OperationOutcome":
        return Obtained(state=FAILED, reason=outcome_state(value)[1] or "OperationOutcome instead of data")
    if kind != resource_type:
        return Obtained(state=FAILED, reason="wrong resource type in prefetch")
    if names_other_patient(value, patient_id):
        return Obtained(state=FAILED, reason="another patient's data", dropped=1)
    # A search has a Bundle for its answer; nothing says that this is all of it.
    return Obtained((value,), state=TRUNCATED, reason="malformed prefetch")


def _found(patient: Obtained) -> Obtained:
    """The Patient that was asked for is all that was, even where a Bundle came with something beside it."""
    return replace(patient, state=COMPLETE, reason=None) if patient.resources else patient
