"""Prefetch of CDS Hooks: the templates that discovery offers, and what the values of a request really
provide.

Absent key = not got; `null` = known to be none; a resource or a Bundle = data. A Bundle with a `next` link or
a `total` above its entries is truncated, an OperationOutcome is a failure, another patient's resources are
dropped and counted. Error policy: nothing raises; each key yields a state and a reason, and whoever has a
FHIR server fetches the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cds_service.records.patient_search import SEARCHED, by_patient
from cds_service.records.record import COMPLETE, FAILED, TRUNCATED
from cds_service.records.resource_types import R4_TYPES
from cds_service.records.searchset import (
    names_other_patient,
    next_link,
    outcome_state,
    read_page,
    unique_count,
)

# Read by id or reached through other resources, never searched by patient.
UNSEARCHED: Final = R4_TYPES - SEARCHED - {"Patient"}
# One page should hold a whole chart where the client follows no paging links and no FHIR server is to be had.
FULL_PAGE: Final = 1000
_PATIENT_ID: Final = "{{context.patientId}}"


@dataclass(frozen=True, slots=True)
class Obtained:
    """One resource type as one source provided it: the resources, whether they are all (state), why not
    (reason).
    """

    resources: tuple[dict[str, Any], ...] = ()
    included: tuple[dict[str, Any], ...] = ()
    state: str = COMPLETE
    reason: str | None = None
    dropped: int = 0
    hint: bool = False


@dataclass(frozen=True, slots=True)
class Prefetched:
    """What a request's prefetch provides, by resource type; a type absent here was not got."""

    by_type: Mapping[str, Obtained] = field(default_factory=dict)


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
    for resource_type in resource_types:
        key = prefetch_key(resource_type)
        if key in prefetch:
            by_type[resource_type] = _obtained(prefetch[key], resource_type, patient_id)
    return Prefetched(by_type)


def _obtained(value: Any, resource_type: str, patient_id: str) -> Obtained:
    if value is None:
        return Obtained()
    if not isinstance(value, dict):
        return Obtained(state=FAILED, reason="malformed prefetch")
    kind = value.get("resourceType")
    if kind == resource_type:
        return own_resources((value,), (), COMPLETE, None, patient_id)
    if kind == "OperationOutcome":
        return Obtained(state=FAILED, reason=outcome_state(value)[1] or "OperationOutcome instead of data")
    if kind != "Bundle":
        return Obtained(state=FAILED, reason="wrong resource type in prefetch")
    page = read_page(value, resource_type)
    state, reason = page.state, page.reason
    if state == COMPLETE and next_link(value) is not None:
        state, reason = TRUNCATED, "more pages exist"
    if state == COMPLETE and page.total is not None and page.total > unique_count(page.resources):
        state, reason = TRUNCATED, "total above the entries"
    return own_resources(page.resources, page.included, state, reason, patient_id, hint=page.hint)


def own_resources(
    resources: tuple[dict[str, Any], ...],
    included: tuple[dict[str, Any], ...],
    state: str,
    reason: str | None,
    patient_id: str,
    *,
    hint: bool = False,
) -> Obtained:
    """The patient's own among the resources. Where all belong to others, the patient's were not obtained at
    all.
    """
    own = tuple(r for r in resources if not names_other_patient(r, patient_id))
    dropped = len(resources) - len(own)
    if dropped and not own:
        return Obtained(state=FAILED, reason="another patient's data", dropped=dropped, hint=hint)
    return Obtained(own, included, state, reason, dropped, hint)
