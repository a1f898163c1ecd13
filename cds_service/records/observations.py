"""Observations that stand inside others, made to stand alone: components, contained ones, answers of a
questionnaire.

Each derived Observation has an id of its own, a tag that says how it was derived, and the date, status and
posture of what it came from. Members of a panel that lack a date get the panel's. Resources have been tidied
before; nothing raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cds_service.records.dates import EFFECTIVE
from cds_service.records.versions import UNKNOWN_MODIFIER, with_tag
from cds_service.terminology.systems import DERIVATION, LOINC
from cds_service.terminology.value_sets import ValueSets

Resource = dict[str, Any]

# Marks an Observation, until the end of normalisation, that came with a date which can't be read.
UNREADABLE_DATE = "_unreadableDate"
_DATES = (*EFFECTIVE, UNREADABLE_DATE)
# What a component takes over from its Observation.
_INHERITED = (
    "status", *EFFECTIVE, UNREADABLE_DATE, "issued", "subject", "encounter", "category", "bodySite", "method",
    "specimen", "note", "extension", "device",
)  # fmt: skip
# How deep contained resources are looked for in contained ones, which FHIR R4 does not allow.
_NESTED = 3
_VOID = frozenset({"entered-in-error", "cancelled", "unknown"})
_REPORT_STATUS = {"appended": "amended", "partial": "preliminary"}
_LENDING = frozenset({"final", "amended", "corrected", "preliminary", "registered"})
_ALSFRS_SETS = frozenset({"AlsfrsRTotal", "AlsfrsRItems"})
EXTRACTED = frozenset({"Observation", "Medication", "Substance", "Device", "ResearchStudy"})


def tag(code: str) -> dict[str, str]:
    """The tag of a derived resource."""
    return {"system": DERIVATION, "code": code}


def inherited_meta(parent: Mapping[str, Any], code: str) -> dict[str, Any]:
    """The `meta` of a derived resource: the parent's time of update and doubts, and how it was derived."""
    meta = parent.get("meta")
    own: dict[str, Any] = {}
    if isinstance(meta, dict):
        if "lastUpdated" in meta:
            own["lastUpdated"] = meta["lastUpdated"]
        doubts = [
            t
            for t in meta.get("tag", ())
            if t.get("system") == DERIVATION and t.get("code") == "unknown-modifier"
        ]
        if doubts:
            own["tag"] = doubts
    return with_tag(own, tag(code))


def components(parent: Resource) -> Iterator[Resource]:
    """Each coded component as an Observation, `{parent}-c{n}` counted from 1 over all components."""
    listed = parent.get("component")
    if not listed:
        return
    shared = {key: parent[key] for key in _INHERITED if key in parent}
    for number, component in enumerate(listed, start=1):
        code = component.get("code")
        if not isinstance(code, dict) or not code.get("coding"):
            continue
        yield {
            **shared,
            **{key: value for key, value in component.items() if key not in ("id", "modifierExtension")},
            "resourceType": "Observation",
            "id": f"{parent.get('id', '')}-c{number}",
            "meta": inherited_meta(parent, "component"),
            "derivedFrom": [{"reference": f"Observation/{parent.get('id', '')}"}],
        }


def contained(parent: Resource, patient_reference: str, used: set[str]) -> tuple[Resource, list[Resource]]:
    """(the parent with references to what is taken out, the contained resources that now stand alone).

    Observations, Medications, Substances, Devices and ResearchStudies come out as `{parent}-{contained id}`, with a
    number behind it where `used`, the names of the record's resources, has that name: two parents may contain resources
    of one id. A contained Observation takes the parent's date where it has none, and its status where the parent was
    never true. Of several by one id the first is taken, and no verdict may rest on it where they differ.
    """
    taken: dict[str, Resource] = {}
    firsts: dict[str, Resource] = {}
    for inner in _contained_in(parent):
        kind, own = inner.get("resourceType"), inner.get("id")
        if not isinstance(own, str) or not own or kind not in EXTRACTED:
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
    pending = deque((inner, _NESTED) for inner in parent.get("contained", ()))
    while pending:
        inner, depth = pending.popleft()
        if not isinstance(inner, dict):
            continue
        yield inner
        further = inner.get("contained")
        if depth and isinstance(further, list):
            pending.extend((one, depth - 1) for one in further)


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
        lent = (*_DATES, "issued")
        outer.update({key: parent[key] for key in lent if key in parent and key not in outer})
    status = parent.get("status")
    if status in _VOID or ("status" not in outer and isinstance(status, str)):
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


def dated_members(observations: list[Resource]) -> dict[int, Resource]:
    """Undated members of panels with the panel's date, by the id() of the member that each replaces.

    A member of panels of different dates stays undated. Panels within panels are followed three deep.
    """
    replaced: dict[int, Resource] = {}
    if not any("hasMember" in observation for observation in observations):
        return replaced
    by_reference: dict[str, Resource] = {f"Observation/{o.get('id')}": o for o in observations}
    for _ in range(3):
        lent: dict[str, list[Resource]] = {}
        for panel in observations:
            panel = replaced.get(id(panel), panel)
            dates = {key: panel[key] for key in _DATES if key in panel} or (
                {"issued": panel["issued"]} if "issued" in panel else {}
            )
            if not dates or panel.get("status") not in _LENDING:
                continue
            for member in panel.get("hasMember", ()):
                lent.setdefault(member.get("reference", ""), []).append(dates)
        changed = False
        for reference, choices in lent.items():
            member = by_reference.get(reference)
            if member is None or id(member) in replaced or any(key in member for key in _DATES):
                continue
            if any(choice != choices[0] for choice in choices):
                continue
            replaced[id(member)] = {**choices[0], **member}
            changed = True
        if not changed:
            break
    return replaced


def questionnaire_answers(response: Resource, value_sets: ValueSets) -> Iterator[Resource]:
    """ALSFRS-R answers of a completed or amended response as Observations, `{response}-{LOINC}[-n]`.

    An item counts by its `linkId`, `definition` or code being a LOINC code of the ALSFRS-R items or total.
    """
    if response.get("status") not in ("completed", "amended"):
        return
    pending = deque(response.get("item", ()))
    seen: dict[str, int] = {}
    while pending:
        item = pending.popleft()
        pending.extend(item.get("item", ()))
        answers = item.get("answer", ())
        for answer in answers:
            pending.extend(answer.get("item", ()))
        code = _alsfrs_code(item, value_sets)
        if code is None:
            continue
        for answer in answers:
            value = _answer_value(answer)
            if value is None:
                continue
            seen[code] = number = seen.get(code, 0) + 1
            suffix = f"-{number}" if number > 1 else ""
            yield {
                "resourceType": "Observation",
                "id": f"{response.get('id', '')}-{code}{suffix}",
                "meta": inherited_meta(response, "questionnaire"),
                "status": "final",
                "code": {"coding": [{"system": LOINC, "code": code}]},
                **({"subject": response["subject"]} if "subject" in response else {}),
                **({"effectiveDateTime": response["authored"]} if "authored" in response else {}),
                **({UNREADABLE_DATE: True} if UNREADABLE_DATE in response else {}),
                **value,
                "derivedFrom": [{"reference": f"QuestionnaireResponse/{response.get('id', '')}"}],
            }


def _alsfrs_code(item: Mapping[str, Any], value_sets: ValueSets) -> str | None:
    for code in _item_codes(item):
        if value_sets.sets_of(LOINC, code) & _ALSFRS_SETS:
            return code
    return None


def _item_codes(item: Mapping[str, Any]) -> Iterable[str]:
    for key in ("linkId", "definition"):
        text = item.get(key)
        if isinstance(text, str):
            yield text.rsplit("#", 1)[-1].rstrip("/").rsplit("/", 1)[-1]
    codes = item.get("code")
    for coding in codes if isinstance(codes, list) else ():
        if isinstance(coding, dict) and coding.get("system") == LOINC and isinstance(coding.get("code"), str):
            yield coding["code"]


def _answer_value(answer: Mapping[str, Any]) -> Resource | None:
    """The answer as an Observation's value[x]; None for an answer without a value."""
    if "valueCoding" in answer:
        return {"valueCodeableConcept": {"coding": [answer["valueCoding"]]}}
    if "valueDecimal" in answer:
        return {"valueQuantity": {"value": answer["valueDecimal"]}}
    for key in ("valueInteger", "valueQuantity", "valueString", "valueBoolean", "valueDateTime"):
        if key in answer:
            return {key: answer[key]}
    return {"valueDateTime": answer["valueDate"]} if "valueDate" in answer else None
