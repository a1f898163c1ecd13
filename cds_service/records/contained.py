"""Resources contained in others, made to stand alone: by an id of their own, with what they take over from the resource
that holds them.

Resources have been tidied before (`with_contained_reasons` takes them as they came); nothing raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cds_service.records.dates import EFFECTIVE
from cds_service.records.observations import DATES, inherited_meta
from cds_service.records.patient_search import REFERRED
from cds_service.records.versions import UNKNOWN_MODIFIER, with_tag

Resource = dict[str, Any]

EXTRACTED: Final = REFERRED | {"Observation"}
# How deep contained resources are looked for in contained ones, which FHIR R4 does not allow.
_NESTED: Final = 3
_REPORTS: Final = frozenset({"DiagnosticReport", "Observation"})
_REPORT_STATUS: Final = {"appended": "amended", "partial": "preliminary"}


def contained(parent: Resource, patient_reference: str, used: set[str]) -> tuple[Resource, list[Resource]]:
    """(the parent with references to what is taken out, the contained resources that now stand alone).

    Observations, Medications, Substances, Devices and ResearchStudies come out as `{parent}-{contained id}`, with a
    number behind it where `used`, the names of the record's resources, has that name: two parents may contain resources
    of one id. A contained Observation takes the parent's date where it has none, and its status where it has none or
    the parent says that there is no such result. Of several by one id the first is taken, and no verdict may rest on it
    where they differ.
    """
    taken: dict[str, Resource] = {}
    firsts: dict[str, Resource] = {}
    for inner in _contained_in(parent):
        kind, own = inner.get("resourceType"), _local_id(inner)
        if not own or kind not in EXTRACTED:
            continue
        if f"#{own}" in taken:
            if inner != firsts[own]:
                outer = taken[f"#{own}"]
                outer["meta"] = with_tag(outer["meta"], UNKNOWN_MODIFIER)
            continue
        if kind != "Observation" and parent.get("status") == "entered-in-error":
            continue
        name = _unused(f"{kind}/{parent.get('id', '')}-{own}", used)
        outer = {**inner, "id": name.partition("/")[2], "meta": inherited_meta(parent, "contained")}
        outer.pop("contained", None)
        if kind == "Device":  # it is there for the resource that holds it, and says nothing by itself
            outer.pop("patient", None)
        if kind == "Observation":
            _complete(outer, parent, patient_reference)
        firsts[own] = inner
        taken[f"#{own}"] = outer
    if not taken:
        return parent, []
    names = {local: f"{outer['resourceType']}/{outer['id']}" for local, outer in taken.items()}
    # Within a contained resource `#` alone is the resource that holds it (FHIR R4 §2.3.0.2).
    inside = {**names, "#": f"{parent['resourceType']}/{parent.get('id', '')}"}
    for outer in taken.values():
        outer.update(_renamed(outer, inside))
    return {**parent, **_renamed(parent, names)}, list(taken.values())


def _contained_in(parent: Resource) -> Iterator[Resource]:
    """The contained resources, and those that some put inside these: their ids are of the outermost all the same."""
    listed = parent.get("contained")
    pending = deque((inner, _NESTED) for inner in (listed if isinstance(listed, list) else ()))
    while pending:
        inner, depth = pending.popleft()
        if not isinstance(inner, dict):
            continue
        yield inner
        further = inner.get("contained")
        if depth and isinstance(further, list):
            pending.extend((one, depth - 1) for one in further)


def _local_id(inner: Resource) -> str:
    """The id of a contained resource; some write the `#` of the references to it before it."""
    own = inner.get("id")
    return own.removeprefix("#") if isinstance(own, str) else ""


def _unused(name: str, used: set[str]) -> str:
    """The name, with a number behind it where it is used; used from now on."""
    number = 1
    found = name
    while found in used:
        number += 1
        found = f"{name}-{number}"
    used.add(found)
    return found


def _complete(outer: Resource, parent: Resource, patient_reference: str) -> None:
    """A contained Observation gets subject, date and status from the resource that holds it."""
    outer["subject"] = {"reference": patient_reference}
    if not any(key in outer for key in EFFECTIVE):
        lent = (*DATES, "issued")
        outer.update({key: parent[key] for key in lent if key in parent and key not in outer})
    status = parent.get("status")
    no_result = status == "cancelled" and parent.get("resourceType") in _REPORTS
    if status == "entered-in-error" or no_result or (not outer.get("status") and isinstance(status, str)):
        outer["status"] = _REPORT_STATUS.get(str(status), status)


def _renamed(resource: Resource, names: Mapping[str, str]) -> Resource:
    """The elements (top-level, and items) that refer to a contained resource, with its new name."""
    changes: Resource = {}
    for key, value in resource.items():
        if type(value) is dict:
            changed = _renamed_reference(value, names)
            if changed is not value:
                changes[key] = changed
        elif type(value) is list and key != "contained":
            parts = [_renamed_reference(part, names) if type(part) is dict else part for part in value]
            if any(new is not old for new, old in zip(parts, value, strict=True)):
                changes[key] = parts
    return changes


def _renamed_reference(element: Resource, names: Mapping[str, str]) -> Resource:
    item = element.get("itemReference")
    if type(item) is dict:
        changed = _renamed_reference(item, names)
        return element if changed is item else {**element, "itemReference": changed}
    reference = element.get("reference")
    if type(reference) is str and reference in names:
        return {**element, "reference": names[reference]}
    return element


def with_contained_reasons(resource: Resource) -> Resource:
    """The resource with the codes of Conditions that it contains and gives as its reason beside its reasonCode.

    Such a Condition is no entry of the patient's list; one that is doubted or denied is no reason.
    """
    held = {f"#{_local_id(inner)}": inner for inner in _contained_in(resource)}
    listed = resource.get("reasonReference")
    codes = []
    for entry in listed if isinstance(listed, list) else [listed]:
        reference = entry.get("reference") if isinstance(entry, dict) else None
        reason = held.get(reference) if isinstance(reference, str) else None
        if reason is None or reason.get("resourceType") != "Condition" or not _confirmed(reason):
            continue
        if isinstance(code := reason.get("code"), dict):
            codes.append(code)
    given = resource.get("reasonCode", [])
    return {**resource, "reasonCode": [*given, *codes]} if codes and isinstance(given, list) else resource


def _confirmed(condition: Resource) -> bool:
    status = condition.get("verificationStatus")
    codings = status.get("coding") if isinstance(status, dict) else None
    stated = [c.get("code") for c in codings if isinstance(c, dict)] if isinstance(codings, list) else []
    return status is None or stated == ["confirmed"]
