"""What one Bundle really says about a resource type: its resources, whether they are all, and what went
wrong.

Shared by prefetch values and by the pages of a search. Nothing raises: a Bundle that can't be used becomes a
state and a reason, so that a failed search never looks like "no data" (clinical-spec §1.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cds_service.records.record import COMPLETE, FAILED, NOT_OFFERED, PENDING, REFUSED, TRUNCATED

# R4 search parameters that name the patient are read from these elements.
_SUBJECT_ELEMENTS: Final = ("subject", "patient", "individual", "beneficiary")
# What a search answers with; a collection is what some clients make of it for prefetch.
_RESULT_TYPES: Final = ("searchset", "collection")
# What searches include beside their matches (clinical-spec §2.1), where a Bundle doesn't say which is which.
_INCLUDED_TYPES: Final = frozenset({"Medication", "Substance", "Device", "ResearchStudy"})
# An outcome of these codes says that the answer may lack something, however mild its severity.
_INCOMPLETE_CODES: Final = frozenset(
    {"incomplete", "too-costly", "timeout", "throttled", "transient", "exception", "lock-error", "no-store"}
)
# Routine hints of some vendors on every search ("may not contain the entire record"): shown, but no failure.
_HINT_CODES: Final = frozenset({"informational", "success", "suppressed"})


@dataclass(frozen=True, slots=True)
class Page:
    """One Bundle. `resources`: the matches, of the type asked for; `included`: what came beside them (search mode
    include).

    `state`, `reason`: complete, truncated or failed, from the outcomes in it; `next`: the link to the next
    page; `total`: how many matches the sender counts; `hint`: whether the sender said that something may be
    withheld; `full_urls`: by the identity of a resource.
    """

    resources: tuple[dict[str, Any], ...] = ()
    included: tuple[dict[str, Any], ...] = ()
    state: str = COMPLETE
    reason: str | None = None
    next: str | None = None
    total: int | None = None
    hint: bool = False
    full_urls: Mapping[int, str] = field(default_factory=dict)


def read_page(bundle: Any, resource_type: str) -> Page:
    """One Bundle read as results of a search for `resource_type`; never raises."""
    if not isinstance(bundle, Mapping):
        return Page(state=FAILED, reason="not a FHIR Bundle")
    if bundle.get("resourceType") == "OperationOutcome":
        _, reason, hint = outcome_state(bundle)
        # Instead of a Bundle even a mild outcome leaves the data unobtained.
        return Page(state=FAILED, reason=reason or "OperationOutcome instead of data", hint=hint)
    if bundle.get("resourceType") != "Bundle":
        return Page(state=FAILED, reason="not a FHIR Bundle")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        return Page(state=FAILED, reason="malformed Bundle")
    return _read_entries(bundle, entries, resource_type)


def _read_entries(bundle: Mapping[str, Any], entries: list[Any], resource_type: str) -> Page:
    matches: list[dict[str, Any]] = []
    included: list[dict[str, Any]] = []
    full_urls: dict[int, str] = {}
    state, reason, hint = COMPLETE, None, False
    for entry in entries:
        found, why, hinted = COMPLETE, None, False
        resource = entry.get("resource") if isinstance(entry, dict) else None
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(resource, dict):
            found, why = TRUNCATED, "entry without a resource"
        elif kind == "OperationOutcome":
            found, why, hinted = outcome_state(resource)
        elif isinstance(kind, str) and _is_include(entry, kind, resource_type):
            included.append(resource)
        elif kind == resource_type:
            matches.append(resource)
        else:
            found, why = FAILED, "unexpected resource type"
        if isinstance(resource, dict) and isinstance(url := entry.get("fullUrl"), str):
            full_urls[id(resource)] = url
        hint |= hinted
        if found is not COMPLETE:
            state, reason = worse((state, reason), (found, why))
    if _failed_response(entries):
        state, reason = FAILED, "entry with an error response"
    if not _holds_results(bundle):
        state, reason = FAILED, "not a Bundle of search results"
    total = bundle.get("total")
    if total is not None and (not isinstance(total, int) or isinstance(total, bool) or total < 0):
        state, reason = worse((state, reason), (TRUNCATED, "unreadable total"))
    return Page(
        tuple(matches),
        tuple(included),
        state,
        reason,
        next_link(bundle),
        total if isinstance(total, int) and not isinstance(total, bool) else None,
        hint,
        full_urls,
    )


def _holds_results(bundle: Mapping[str, Any]) -> bool:
    """Whether a Bundle's type is one of results; without a type, whether it at least says what it holds."""
    if (kind := bundle.get("type")) is None:
        return "entry" in bundle or "total" in bundle
    return kind in _RESULT_TYPES


def _is_include(entry: Mapping[str, Any], kind: str, resource_type: str) -> bool:
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, dict) else None
    return mode == "include" or (mode is None and kind != resource_type and kind in _INCLUDED_TYPES)


def _failed_response(entries: list[Any]) -> bool:
    """Whether an entry is the answer of a batch that says that its search failed."""
    for entry in entries:
        response = entry.get("response") if isinstance(entry, dict) else None
        status = response.get("status") if isinstance(response, dict) else None
        if isinstance(status, str) and status[:1] in ("4", "5"):
            return True
    return False


def next_link(bundle: Mapping[str, Any]) -> str | None:
    """The URL of the Bundle's `next` link; an empty text for a link that can't be read."""
    links = bundle.get("link", [])
    if not isinstance(links, list) or any(not isinstance(link, dict) for link in links):
        return ""  # what can't be read may have been the link to more
    for link in links:
        if link.get("relation") == "next":
            url = link.get("url")
            return url if isinstance(url, str) else ""
    return None


def outcome_state(outcome: Mapping[str, Any]) -> tuple[str, str | None, bool]:
    """State, reason and hint of an OperationOutcome: errors fail, warnings truncate, hints only warn."""
    issues = outcome.get("issue")
    if not isinstance(issues, list) or not issues:
        return FAILED, "OperationOutcome", False
    state: tuple[str, str | None] = (COMPLETE, None)
    hint = False
    for issue in issues:
        severity = issue.get("severity") if isinstance(issue, dict) else None
        code = issue.get("code") if isinstance(issue, dict) else None
        known = code if isinstance(code, str) else None
        if severity not in ("warning", "information", "success"):
            found = (FAILED, "OperationOutcome")
        elif known in _INCOMPLETE_CODES or (severity == "warning" and known not in _HINT_CODES):
            found = (TRUNCATED, "OperationOutcome")
        else:
            hint |= known == "suppressed"
            continue
        state = worse(state, found)
    return (*state, hint)


_RANK: Final = {COMPLETE: 0, PENDING: 0, NOT_OFFERED: 1, TRUNCATED: 2, REFUSED: 3, FAILED: 4}


def worse(first: tuple[str, str | None], second: tuple[str, str | None]) -> tuple[str, str | None]:
    """The worse of two (state, reason) pairs; the first where they are alike."""
    return second if _RANK[second[0]] > _RANK[first[0]] else first


def names_other_patient(resource: Mapping[str, Any], patient_id: str) -> bool:
    """Whether the resource plainly belongs to another patient than `patient_id` (a bare id)."""
    if resource.get("resourceType") == "Patient":
        return resource.get("id") != patient_id
    for element in _SUBJECT_ELEMENTS:
        subject = resource.get(element)
        if subject is None:
            continue
        reference = subject.get("reference") if isinstance(subject, dict) else None
        if not isinstance(reference, str):
            continue
        parts = reference.split("/_history/")[0].split("/")
        if len(parts) >= 2 and parts[-2] == "Patient" and parts[-1] != patient_id:
            return True
    return False


def unique_count(resources: tuple[dict[str, Any], ...]) -> int:
    """How many different resources these are; one without an id counts for itself."""
    ids = {resource["id"] for resource in resources if isinstance(resource.get("id"), str)}
    return len(ids) + sum(not isinstance(resource.get("id"), str) for resource in resources)
