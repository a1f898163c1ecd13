"""Why a resource type was not got whole: the closed set of reasons, and what to do about each.

Whatever gathers data says why with one of these reasons; they go to cards, reports, logs and metrics, and so are fixed
words without data. Error policy: nothing here fails. A reason that is not in the set is never shown (`shown_reason`):
it might hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cds_service.records.record import COMPLETE, FAILED, NOT_OFFERED, PENDING, REFUSED, TRUNCATED

# What a clinician can do, who has neither the server nor its settings at hand.
AGAIN: Final = "open the chart again, or look these up in it"
CHART: Final = "look these up in the chart"
ACCESS: Final = "look these up in the chart; access is the administrator's to grant"
PATIENT: Final = "ask the patient"

_LATER_PAGE: Final = "a later page failed: "
_HTTP: Final = re.compile(r"HTTP ([1-5])\d\d")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `kind`: its word in the metrics. `remedy`: what whoever runs the service, the server or the client
    can do, with `{types}` and `{scopes}` for the types concerned. `advice`: what a clinician can do.
    """

    kind: str
    remedy: str
    advice: str = CHART


_INVALID: Final = Reason("malformed", "ask the server's maintainer why its answer is not valid FHIR")
_OUTCOME: Final = Reason(
    "operation-outcome", "read the OperationOutcome that a search of {types} is answered with"
)
_OTHERS: Final = Reason(
    "other-patient",
    "tell whoever maintains the source that a search by patient must find that patient's data only",
)
_PARTIAL: Final = Reason(
    "pages", "send all pages, or name a fhirServer (and fhirAuthorization) to fetch them from"
)
_EXPORT: Final = Reason(
    "pages", "export {types} whole, with every page and as many entries as the total says"
)
_LINKS: Final = Reason(
    "link", "make the server's paging links begin with the address that it is called by (fhirServer)"
)
_MANY: Final = Reason("too-large", "raise limits.fetched_resources, or have the server keep less in {types}")
_PREFETCH: Final = Reason(
    "prefetch", "send {types} in prefetch as the template asks, as a Bundle or as null for none"
)
_SEND: Final = Reason(
    "no-server", "send {types} as prefetch, or name a fhirServer (and fhirAuthorization) to fetch from"
)
_ABSENT: Final = "nothing where the source has no {types}; else "

REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "timeout": Reason(
            "timeout", "try again; a server that is often so slow needs a higher limits.fetch_seconds", AGAIN
        ),
        "connection": Reason(
            "connection", "check that the FHIR server runs and can be reached from here", AGAIN
        ),
        "certificate": Reason(
            "certificate",
            "check the certificate of the FHIR server (dates, name), and name its authority in service.ca_file",
        ),
        "server not answering": Reason(
            "breaker",
            "check the server, which failed several calls in a row and is left alone for a while",
            AGAIN,
        ),
        "address not allowed": Reason(
            "address",
            "list the server's network in private_networks, for its name leads to a private address",
        ),
        "redirect not followed": Reason(
            "redirect", "name the FHIR server by the address that it redirects to"
        ),
        "link to another server": _LINKS,
        "paging link to another server": _LINKS,
        "paging loop": Reason(
            "pages", "tell the server's maintainer that its next links lead back to themselves"
        ),
        "more pages than are read": Reason("pages", "have the server serve larger pages of {types}"),
        "more resources than are read": _MANY,
        "more data than are read": _MANY,
        "answer too large": Reason("too-large", "have the server answer in smaller pages"),
        "only reads are allowed": Reason("malformed", "report this, for the service tried what it must not"),
        "not JSON": _INVALID,
        "not a FHIR Bundle": _INVALID,
        "malformed Bundle": _INVALID,
        "not a Bundle of search results": _INVALID,
        "unexpected resource type": _INVALID,
        "entry without a resource": _INVALID,
        "entry with an error response": _INVALID,
        "unreadable total": _INVALID,
        "resources sent in part": Reason(
            "malformed", "have {types} sent whole, not as a summary or with some elements only"
        ),
        "the server answered with something else": _INVALID,
        "the total can't be read": _INVALID,
        "OperationOutcome": _OUTCOME,
        "OperationOutcome instead of data": _OUTCOME,
        "operation-outcome": _OUTCOME,
        "another patient's data": _OTHERS,
        "a resource whose patient can't be told": Reason(
            "other-patient",
            "have the resources of {types} name the patient by a reference that the Patient resource answers to",
        ),
        "total above the entries": Reason(
            "pages",
            "send as many entries of {types} as the total says, in prefetch all pages or a fhirServer to fetch them "
            "from",
        ),
        "more pages exist": _PARTIAL,
        "malformed prefetch": _PREFETCH,
        "wrong resource type in prefetch": _PREFETCH,
        "not in prefetch, and no fhirServer to ask": _SEND,
        "a further page is missing": _EXPORT,
        "fewer entries than the total": _EXPORT,
        "not exported": Reason("not-exported", "export {types}, too"),
        "scope not granted": Reason(
            "scope", "have {scopes} granted in fhirAuthorization.scope, or send {types} as prefetch", ACCESS
        ),
        "some data withheld": Reason(
            "scope",
            "have access granted to everything of {types}, for the server says that it withholds some",
            ACCESS,
        ),
        "scope granted for a part only": Reason(
            "scope", "have {scopes} granted in fhirAuthorization.scope without a filter (?…)", ACCESS
        ),
        "not offered at this site": Reason(
            "not-offered", _ABSENT + "take it off service.unavailable", PATIENT
        ),
        "not in the server's CapabilityStatement": Reason(
            "not-offered", _ABSENT + "its CapabilityStatement must name it", PATIENT
        ),
    }
)
_STATUSES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "HTTP 401": Reason(
            "http-4xx",
            "send an access token that is valid now, for the server does not accept this one",
            ACCESS,
        ),
        "HTTP 403": Reason(
            "http-4xx",
            "have {scopes} granted, for the server does not let this access token read {types}",
            ACCESS,
        ),
        "HTTP 404": Reason("http-4xx", "check the FHIR server's base address and that it has {types}"),
        "HTTP 410": Reason("http-4xx", "check the FHIR server's base address and that it has {types}"),
        "HTTP 429": Reason("http-4xx", "try again later, for the server limits how often it is asked", AGAIN),
    }
)
_CLASSES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "4": Reason("http-4xx", "see the server's log for why it refuses a search of {types}"),
        "5": Reason("http-5xx", "try again, and see the server's log for why it failed", AGAIN),
    }
)
# What is said where no reason is known.
_STATES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        FAILED: Reason(FAILED, "try again, or check {types} by hand", AGAIN),
        TRUNCATED: Reason(TRUNCATED, "check {types} by hand"),
        REFUSED: Reason(REFUSED, "have {scopes} granted in fhirAuthorization.scope", ACCESS),
        NOT_OFFERED: Reason(NOT_OFFERED, _ABSENT + "its CapabilityStatement must name it", PATIENT),
    }
)
# The Patient is read by its id, and without it there is no answer at all.
_OF_THE_PATIENT: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        ("HTTP 404", "HTTP 410"),
        "check the id and the base address, for the FHIR server has no such Patient",
    )
    | dict.fromkeys(
        ("another patient's data", "the server answered with something else"),
        "check the id and the base address, for what came is not the Patient that was asked for",
    )
    | {"scope not granted": "have patient/Patient.r granted in fhirAuthorization.scope"}
)
# How else a Patient may come is said of every one that did not: see whoever answers.
_NOT_SENT: Final = frozenset({"no-server", "prefetch"})
_OTHER: Final = Reason("other", "check {types} by hand")


def shown_reason(reason: str | None) -> str | None:
    """The reason where it is one of the closed set; None for any other text."""
    return reason if _known(reason) is not None else None


def kind_of(state: str, reason: str | None) -> str:
    """The kind of a shortfall as metrics count it: one of a few words."""
    return _reason_of(state, reason).kind


def remedy(state: str, reason: str | None, types: Sequence[str]) -> str:
    """What whoever runs service, server or client can do for these types, in words that go on after a colon."""
    return _reason_of(state, reason).remedy.format(
        types=", ".join(types),
        scopes=" ".join(f"patient/{kind}.{'r' if kind == 'Patient' else 'rs'}" for kind in types),
    )


def patient_remedy(reason: str | None) -> str | None:
    """What can be done about a Patient that could not be had, as a sentence; None where that is only to send it."""
    known = _known(reason)
    if known is None or reason is None or known.kind in _NOT_SENT:
        return None
    words = _OF_THE_PATIENT.get(reason) or remedy(FAILED, reason, ("Patient",))
    return f"{words[0].upper()}{words[1:]}."


def advice(state: str, reason: str | None) -> str:
    """What a clinician can do, in a few words."""
    return _reason_of(state, reason).advice


def is_short(state: str) -> bool:
    """Whether something is missing that the source has: every state but complete and not-offered."""
    return state not in (COMPLETE, NOT_OFFERED)


def _reason_of(state: str, reason: str | None) -> Reason:
    if state == PENDING:
        return _OTHER
    return _known(reason) or _STATES.get(state, _OTHER)


def _known(reason: str | None) -> Reason | None:
    if reason is None:
        return None
    reason = reason.removeprefix(_LATER_PAGE)
    if (status := _HTTP.fullmatch(reason)) is not None:
        return _STATUSES.get(reason) or _CLASSES.get(status[1])
    return REASONS.get(reason)
