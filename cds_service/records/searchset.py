"""What one Bundle really says about a resource type: its resources, whether they are all, and what went
wrong.

Shared by prefetch values and by the pages of a search. Nothing raises: a Bundle that can't be used becomes a
state and a reason, so that a failed search never looks like "no data" (clinical-spec §1.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cds_service.records.patient_search import REFERRED
from cds_service.records.record import COMPLETE, FAILED, NOT_OFFERED, PENDING, REFUSED, TRUNCATED

# R4 search parameters that name the patient are read from these elements.
_SUBJECT_ELEMENTS: Final = ("subject", "patient", "individual", "beneficiary")
# What a search answers with; a collection is what some clients make of it for prefetch.
_RESULT_TYPES: Final = ("searchset", "collection")
# An outcome of these codes says that the answer may lack something, however mild its severity.
_INCOMPLETE_CODES: Final = frozenset(
    {"incomplete", "too-costly", "timeout", "throttled", "transient", "exception", "lock-error", "no-store"}
)
# What a warning of these codes says leaves nothing out.
_HARMLESS_CODES: Final = frozenset({"informational", "success"})
# Codes in an issue's details, which say more than its severity and code: FHIR's, and Epic's, whose system bears the
# number of the installation. Epic warns on every search that finds nothing, and on every one for a patient's own app.
_FHIR_MESSAGES: Final = "http://terminology.hl7.org/CodeSystem/operation-outcome"
_EPIC: Final = re.compile(r"urn:oid:1\.2\.840\.114350\.1\.13\.\d+\.\d+\.7\.2\.657369", re.ASCII)
_NOTHING_FOUND: Final = frozenset({(_FHIR_MESSAGES, "MSG_NO_MATCH"), ("Epic", "4101")})
_ROUTINE: Final = frozenset({("Epic", "4119")})  # "may not contain the entire record": shown, but no failure
# A restricted chart, a kind of the type that this client may not have, and too many results.
_INCOMPLETE: Final = frozenset({("Epic", "4134"), ("Epic", "59204"), ("Epic", "59133")})


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
    entries = bundle.get("entry")
    entries = [] if entries is None else entries
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
        # An outcome is not kept, and the next page's resources may get its place in memory.
        if kind not in (None, "OperationOutcome") and isinstance(url := entry.get("fullUrl"), str):
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
    # Some Bundles don't say, or say wrongly, which is which.
    return mode == "include" or (kind != resource_type and kind in REFERRED)


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
    links = bundle.get("link")
    if links is None:
        return None
    if not isinstance(links, list) or any(not isinstance(link, dict) for link in links):
        return ""  # what can't be read may have been the link to more
    for link in links:
        if link.get("relation") == "next":
            url = link.get("url")
            return url if isinstance(url, str) else ""
    return None


def outcome_state(outcome: Mapping[str, Any]) -> tuple[str, str | None, bool]:
    """State, reason and hint of an OperationOutcome: errors fail; warnings, and whatever says that something was
    left out, truncate; hints only warn.
    """
    issues = outcome.get("issue")
    if not isinstance(issues, list) or not issues:
        return FAILED, "OperationOutcome", False
    state: tuple[str, str | None] = (COMPLETE, None)
    hint = False
    for issue in issues:
        known = set(_said(issue))
        hint |= not known.isdisjoint(_ROUTINE)
        state = worse(state, _issue_state(issue if isinstance(issue, dict) else {}, known))
    return (*state, hint)


def _issue_state(issue: Mapping[str, Any], said: set[tuple[str, str]]) -> tuple[str, str | None]:
    severity, code = issue.get("severity"), issue.get("code")
    known = code if isinstance(code, str) else None
    if severity not in ("warning", "information", "success"):
        return FAILED, "OperationOutcome"
    if said & _ROUTINE:
        return COMPLETE, None
    if known == "suppressed":
        return TRUNCATED, "some data withheld"
    if said & _INCOMPLETE or known in _INCOMPLETE_CODES:
        return TRUNCATED, "OperationOutcome"
    if severity == "warning" and known not in _HARMLESS_CODES and not said & _NOTHING_FOUND:
        return TRUNCATED, "OperationOutcome"
    return COMPLETE, None


def _said(issue: Any) -> Iterator[tuple[str, str]]:
    """The codes in an issue's details, each with its system, or its vendor's name."""
    details = issue.get("details") if isinstance(issue, dict) else None
    codings = details.get("coding") if isinstance(details, dict) else None
    for coding in codings if isinstance(codings, list) else ():
        system = coding.get("system") if isinstance(coding, dict) else None
        code = coding.get("code") if isinstance(coding, dict) else None
        if isinstance(system, str) and isinstance(code, str):
            yield ("Epic" if _EPIC.fullmatch(system) else system, code)


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
