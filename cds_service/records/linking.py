"""The references of a resource in one form, `Type/id` of a resource of the record, wherever something downstream
follows them: at the top, in lists, of items, in contained resources, and at any depth of a Consent.

A reference to another server's resource whose `Type/id` the record happens to have, too, loses its address (display and
identifier stay): nothing that compares ids may take the one for the other. Nothing raises, and nothing is changed in
place.
"""

from __future__ import annotations

from typing import Any, Final

from cds_service.records.references import References, last_segments

Resource = dict[str, Any]

_LISTS: Final = frozenset(
    {
        "hasMember",
        "derivedFrom",
        "result",
        "usedReference",
        "basedOn",
        "partOf",
        "reasonReference",
        "ingredient",
        "contained",
    }
)
_DEEP: Final = frozenset({"Consent"})
_DEPTH: Final = 40


def linked(resource: Resource, references: References, holder: str | None = None) -> Resource:
    """The resource with its references as the record names their targets; itself when none changes.

    `holder`: the base of another server that the resource stands on.
    """
    if resource.get("resourceType") in _DEEP:
        changed: Resource = _deep(resource, references, holder, _DEPTH)
        return changed
    return _linked(resource, references, holder, 2)


def _linked(resource: Resource, references: References, holder: str | None, depth: int) -> Resource:
    changes: Resource = {}
    for key, value in resource.items():
        if type(value) is dict:
            if "reference" in value or "itemReference" in value:
                changed = _element(value, references, holder)
                if changed is not value:
                    changes[key] = changed
        elif type(value) is list and key in _LISTS:
            if key != "contained":
                parts = [_element(part, references, holder) if type(part) is dict else part for part in value]
            elif depth:
                parts = [
                    _linked(part, references, holder, depth - 1) if type(part) is dict else part
                    for part in value
                ]
            else:
                continue
            if any(new is not old for new, old in zip(parts, value, strict=True)):
                changes[key] = parts
    return {**resource, **changes} if changes else resource


def _element(element: Resource, references: References, holder: str | None) -> Resource:
    item = element.get("itemReference")
    if type(item) is dict:
        changed = _element(item, references, holder)
        return element if changed is item else {**element, "itemReference": changed}
    reference = element.get("reference")
    if type(reference) is not str:
        return element
    if holder is None and ":" not in reference and "_history" not in reference:
        return element  # relative already, as almost all are
    relative = references.relative(reference, holder)
    if relative == reference:
        return element
    if relative is not None:
        return {**element, "reference": relative}
    if last_segments(reference) in references.bases:
        return {key: value for key, value in element.items() if key != "reference"}
    return element


def _deep(value: Any, references: References, holder: str | None, depth: int) -> Any:
    if depth == 0:
        return value
    if type(value) is list:
        parts = [_deep(part, references, holder, depth - 1) for part in value]
        return parts if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    if type(value) is not dict:
        return value
    element = _element(value, references, holder)
    changes = {
        key: new
        for key, old in element.items()
        if (new := _deep(old, references, holder, depth - 1)) is not old
    }
    return {**element, **changes} if changes else element
