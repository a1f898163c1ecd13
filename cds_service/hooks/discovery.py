"""Discovery: one CDS service a trial and one for all, with prefetch templates in CDS Hooks 2.0 tokens.

2.0 is the form for everybody; a client that is configured for 3.0 (`cds_hooks = "3.0"`) also reads which version of
the specification and of the hook its services implement. Of what else the 3.0 ballot adds nothing is used: its tokens
and `actionSelectionBehavior` are for clients that are known to support them, which a version does not say.
Nothing fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cds_service.hooks.messages import PATIENT_VIEW
from cds_service.hooks.service import ALL_TRIALS, Service
from cds_service.records.prefetch import FULL_PAGE, templates

_REQUIREMENTS: Final = (
    "Works with prefetch, with a FHIR R4 server (fhirServer and, where it asks for one, a token), "
    "or with both."
)
VERSIONS: Final = ("2.0", "3.0")
# What 3.0 adds to a service: the specification's version (semantic; the ballot's own, while it is one) and the
# hook's, as the definition of patient-view gives it.
_ADDED: Final[Mapping[str, Mapping[str, str]]] = {
    "2.0": {},
    "3.0": {"version": "3.0.0-ballot", "hookVersion": "1.0"},
}


def discovery(service: Service, version: str = "2.0") -> dict[str, Any]:
    """The body of GET /cds-services for a client that speaks this version of CDS Hooks."""
    return {"services": [{**_entry(service, each), **_ADDED[version]} for each in service.service_ids()]}


def prefetch_types(service: Service, service_id: str) -> frozenset[str]:
    """The resource types that a service's discovery entry asks for as prefetch."""
    trials = service.trials_of(service_id)
    if service.full_prefetch:
        return service.screener.wanted(trials).types
    return service.screener.wanted_by_gates(trials).types


def _entry(service: Service, service_id: str) -> dict[str, Any]:
    page = FULL_PAGE if service.full_prefetch else None
    return {
        "hook": PATIENT_VIEW,
        "id": service_id,
        **_words(service, service_id),
        "prefetch": templates(prefetch_types(service, service_id), page_size=page),
        "usageRequirements": _REQUIREMENTS,
    }


def _words(service: Service, service_id: str) -> dict[str, str]:
    if service_id == ALL_TRIALS:
        return {
            "title": "Clinical trial pre-screening",
            "description": "Says which of the clinical trials known here the patient may be eligible for, and why.",
        }
    trial = service.trials[service_id.removeprefix("trial-")]
    return {
        "title": f"Pre-screening for {trial.nct}",
        "description": f"Says whether the patient may be eligible for {trial.nct} ({trial.short_title}), and why.",
    }
