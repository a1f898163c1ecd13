"""SMART scopes (v1 and v2) of an access token, compared with a resource type before it is asked for. Nothing fails."""

from __future__ import annotations

import re

_SCOPE = re.compile(r"^(patient|user|system)/([A-Za-z]+|\*)\.(read|write|\*|c?r?u?d?s?)(\?.*)?$")


def _grants(scope: str | None, resource_type: str) -> list[str] | None:
    """The scopes that let the type be read and searched; None where no scope speaks of resources at all."""
    parsed = [m for word in (scope or "").split() if (m := _SCOPE.match(word))]
    if not parsed:
        return None
    reads = [
        m
        for m in parsed
        if m[2] in ("*", resource_type)
        and (m[3] in ("read", "*") or ("r" in m[3] and (resource_type == "Patient" or "s" in m[3])))
    ]
    return [m[4] or "" for m in reads if m[3] != "write"]


def lacks(scope: str | None, resource_type: str) -> bool:
    """Whether the scopes granted (SMART v1 or v2) speak of resources and plainly leave this type out."""
    return _grants(scope, resource_type) == []


def narrows(scope: str | None, resource_type: str) -> bool:
    """Whether the type is granted only with a filter (`patient/Observation.rs?category=…`)."""
    grants = _grants(scope, resource_type)
    return bool(grants) and "" not in (grants or [])
