"""The entries of a Bundle and of the Bundles inside it, and what the Bundles say about their own
completeness.

Error policy: a Bundle whose `entry` is no list raises InputError; anything smaller becomes a warning or a
Problem.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.errors import InputError
from cds_service.records.bundle_account import Problem
from cds_service.records.origins import path_of
from cds_service.records.resource_types import R4_TYPES
from cds_service.records.searchset import next_link, outcome_state

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_MAX_BUNDLES = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of the Bundle.

    `id` is its own, else the uuid of its `fullUrl`, else (never a Patient's) made up from its place; `mode` is
    `search.mode`.
    """

    resource: dict[str, Any]
    type: str
    id: str | None
    full_url: str | None
    mode: str | None


def read_entries(bundle: Mapping[str, Any]) -> tuple[list[Entry], list[Problem], list[str]]:
    """All resources of the Bundle, nested Bundles opened; what is incomplete about them; warnings."""
    found: list[Entry] = []
    problems: list[Problem] = []
    ignored: Counter[str] = Counter()
    pending: list[Mapping[str, Any]] = [bundle]
    done = 0
    while pending:
        current = pending.pop()
        done += 1
        if done > _MAX_BUNDLES:
            raise InputError("the Bundle holds too many Bundles", expression="Bundle.entry")
        _read_one(current, found, problems, pending, ignored)
    warnings = []
    if ignored["type"]:
        warnings.append(f"{ignored['type']} of an unknown or mis-cased resource type ignored")
    if ignored["shape"]:
        warnings.append(f"{ignored['shape']} without a usable resource ignored")
    return found, problems, warnings


def _read_one(
    bundle: Mapping[str, Any],
    found: list[Entry],
    problems: list[Problem],
    pending: list[Mapping[str, Any]],
    ignored: Counter[str],
) -> None:
    listed = bundle.get("entry")
    if listed is None:
        listed = []
    if not isinstance(listed, list):
        raise InputError("Bundle.entry must be a list", expression="Bundle.entry")
    own: list[Entry] = []
    outcomes: list[Mapping[str, Any] | None] = []
    for raw in listed:
        resource = raw.get("resource") if isinstance(raw, dict) else None
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if isinstance(resource, dict) and kind == "Bundle":
            pending.append(resource)
        elif isinstance(resource, dict) and kind == "OperationOutcome":
            outcomes.append(resource)
        elif isinstance(resource, dict) and isinstance(kind, str) and kind in R4_TYPES:
            own.append(_entry(raw, resource, kind, len(found) + len(own) + 1))
        elif isinstance(resource, dict):
            ignored["type"] += 1
        elif not _has_response(raw):
            ignored["shape"] += 1
        failed, outcome = _failed_response(raw)
        if failed:
            outcomes.append(outcome)
    found += own
    problems += _problems(bundle, own, outcomes)


def _entry(raw: Mapping[str, Any], resource: dict[str, Any], kind: str, number: int) -> Entry:
    full_url = raw.get("fullUrl")
    full_url = full_url if isinstance(full_url, str) and full_url else None
    own = resource.get("id")
    if isinstance(own, int) and not isinstance(own, bool):
        own = f"{own:d}" if abs(own) < 10**60 else None
    if not isinstance(own, str) or not _ID.fullmatch(own):
        own = None
        if full_url is not None:
            tail = re.split(r"[:/]", full_url)[-1]
            own = tail if _ID.fullmatch(tail) else None
    if own is None and kind != "Patient":
        own = f"entry-{number}"  # what is derived from it needs a name to point to
    search = raw.get("search")
    mode = search.get("mode") if isinstance(search, dict) else None
    return Entry(resource, kind, own, full_url, mode if isinstance(mode, str) else None)


def _has_response(raw: Any) -> bool:
    return isinstance(raw, dict) and (
        isinstance(raw.get("response"), dict) or isinstance(raw.get("request"), dict)
    )


def _failed_response(raw: Any) -> tuple[bool, Mapping[str, Any] | None]:
    """Whether a batch's entry answers that its request failed, and the outcome it gives."""
    response = raw.get("response") if isinstance(raw, dict) else None
    if not isinstance(response, dict):
        return False, None
    outcome = response.get("outcome")
    outcome = outcome if isinstance(outcome, dict) else None
    status = response.get("status")
    if isinstance(status, str) and status[:1] in ("4", "5"):
        return True, None
    return outcome is not None and outcome_state(outcome)[0] != "complete", outcome


def _problems(
    bundle: Mapping[str, Any], own: list[Entry], outcomes: list[Mapping[str, Any] | None]
) -> list[Problem]:
    searched = bundle.get("type") == "searchset"
    concerned = _types_concerned(bundle, own)
    found = []
    if next_link(bundle) is not None:
        found.append(Problem(concerned, "truncated", "a further page is missing"))
    total = bundle.get("total")
    matches = sum(1 for entry in own if entry.mode not in ("include", "outcome"))
    if total is not None and (not isinstance(total, int) or isinstance(total, bool) or total < 0):
        found.append(Problem(concerned, "truncated", "the total can't be read"))
    elif total is not None and total > matches:
        found.append(Problem(concerned, "truncated", "fewer entries than the total"))
    for outcome in outcomes:
        state = "failed" if outcome is None else outcome_state(outcome)[0]
        if state == "complete" and searched:
            state = "truncated"  # a searchset with an outcome in it can't be taken as all there is
        if state != "complete":
            types = (_named_types(outcome) or concerned) if searched else _named_types(outcome)
            found.append(Problem(types, state, "operation-outcome"))
    return found


def _types_concerned(bundle: Mapping[str, Any], own: list[Entry]) -> frozenset[str] | None:
    """The types that a searchset was asked for; None when that can't be told."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == "self" and isinstance(link.get("url"), str):
            try:
                path = path_of(link["url"])
            except ValueError:
                continue
            segments = [part for part in path.split("/") if part and part != "_search"]
            if segments and segments[-1] in R4_TYPES:
                return frozenset({segments[-1]}) | {entry.type for entry in own if entry.mode == "include"}
            if segments and segments[-1].startswith("$"):
                return None
    if bundle.get("type") != "searchset":
        return None
    types = frozenset(entry.type for entry in own)
    matched = {entry.type for entry in own if entry.mode != "include"}
    # Several types beside each other come of a search for everything: what is missing may be of any type.
    return types if len(matched) == 1 and matched != {"Patient"} else None


def _named_types(outcome: Mapping[str, Any] | None) -> frozenset[str] | None:
    """The resource types that every issue of an outcome names in its expression (`Observation.code`)."""
    issues = outcome.get("issue") if outcome is not None else None
    if not isinstance(issues, list) or not issues:
        return None
    types = set()
    for issue in issues:
        expressions = issue.get("expression") if isinstance(issue, dict) else None
        first = expressions[0] if isinstance(expressions, list) and expressions else None
        name = first.partition(".")[0] if isinstance(first, str) else None
        if name not in R4_TYPES or name in ("Bundle", "Patient"):
            return None
        types.add(name)
    return frozenset(types)
