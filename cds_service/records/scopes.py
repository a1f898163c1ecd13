"""SMART scopes of an access token (App Launch 2.x, and 1.0 as 2.x reads it), compared with a resource type before it
is asked for.

A scope is `patient|user|system` `/` a type of R4 or `*` `.` the permissions and, from 2.x, `?` a filter. Permissions
are a part of `cruds` in that order; of 1.0, `read` is `rs`, `write` is `cud`, `*` is `cruds`. Words are told apart by
case (RFC 6749 §3.3). Whatever else stands there grants nothing: the specification lets a server ignore it. Nothing
fails, and a scope that speaks of no resource at all says nothing: the server is then asked.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from cds_service.records.resource_types import PATIENT_ELEMENTS, R4_TYPES

_SCOPE: Final = re.compile(
    r"(?:patient|user|system)/([A-Za-z]+|\*)\.(read|write|\*|(?=[cruds])c?r?u?d?s?)(?:\?(.*))?", re.ASCII
)
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": "cruds"}


class _Grant(NamedTuple):
    type: str
    permissions: str
    filtered: bool


def _granted(scope: str | None) -> list[_Grant]:
    """What a scope grants of resources, word by word."""
    grants = []
    for word in (scope or "").split():
        found = _SCOPE.fullmatch(word)
        if found is not None and (found[1] == "*" or found[1] in R4_TYPES):
            grants.append(_Grant(found[1], _VERSION_1.get(found[2], found[2]), bool(found[3])))
    return grants


def _needed(resource_type: str) -> str:
    """The permissions of which one lets this service have the type.

    `r` lets a resource be read by its id, `s` a type be searched. What a search finds comes whole with it, so that a
    search needs no `r` besides, and `r` alone allows none. What belongs to no patient (a Medication, a study) comes by
    either: searched by its id, or read.
    """
    if resource_type == "Patient":
        return "r"
    return "s" if resource_type in PATIENT_ELEMENTS else "rs"


def _allowing(scope: str | None, resource_type: str) -> list[_Grant] | None:
    """The grants by which the type can be had; None where the scope speaks of no resources."""
    granted = _granted(scope)
    if not granted:
        return None
    needed = set(_needed(resource_type))
    return [g for g in granted if g.type in ("*", resource_type) and not needed.isdisjoint(g.permissions)]


def lacks(scope: str | None, resource_type: str) -> bool:
    """Whether a scope speaks of resources and plainly leaves this type out, so that asking for it is no use."""
    return _allowing(scope, resource_type) == []


def narrows(scope: str | None, resource_type: str) -> bool:
    """Whether the type is granted with filters only (`patient/Observation.rs?category=…`): what comes may not be all.

    No filter passes for one that matches everything, not even several that together seem to: which of its resources
    carry what a filter asks for, only the server knows. A Patient that was read is whole, whatever let it through.
    """
    allowing = _allowing(scope, resource_type)
    return resource_type != "Patient" and bool(allowing) and all(grant.filtered for grant in allowing or ())
