"""Observations that stand inside others, made to stand alone: components, answers of a questionnaire. (What is
contained: `contained`.)

Each derived Observation has an id of its own, a tag that says how it was derived, and the date, status and
posture of what it came from. Members of a panel that lack a date get the panel's. Resources have been tidied
before; nothing raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cds_service.records.dates import EFFECTIVE
from cds_service.records.versions import with_tag
from cds_service.terminology.systems import DERIVATION, LOINC
from cds_service.terminology.value_sets import ValueSets

Resource = dict[str, Any]

# Marks an Observation, until the end of normalisation, that came with a date which can't be read.
UNREADABLE_DATE = "_unreadableDate"
DATES = (*EFFECTIVE, UNREADABLE_DATE)
# What a component takes over from its Observation.
_INHERITED = (
    "status", *EFFECTIVE, UNREADABLE_DATE, "issued", "subject", "encounter", "category", "bodySite", "method",
    "specimen", "note", "extension", "device",
)  # fmt: skip
_LENDING = frozenset({"final", "amended", "corrected", "preliminary", "registered"})
# Of a QuestionnaireResponse: no answers yet, or none that were ever given.
UNFINISHED = frozenset({"in-progress", "stopped", "entered-in-error"})
# The answers of questionnaires that become Observations: those of these value sets.
QUESTIONNAIRE_SETS = frozenset({"AlsfrsRTotal", "AlsfrsRItems"})


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
            dates = {key: panel[key] for key in DATES if key in panel} or (
                {"issued": panel["issued"]} if "issued" in panel else {}
            )
            if not dates or panel.get("status") not in _LENDING:
                continue
            for member in panel.get("hasMember", ()):
                lent.setdefault(member.get("reference", ""), []).append(dates)
        changed = False
        for reference, choices in lent.items():
            member = by_reference.get(reference)
            if member is None or id(member) in replaced or any(key in member for key in DATES):
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

    An item counts by its `linkId`, `definition` or code being a LOINC code of the ALSFRS-R items or total. A status
    that is none of FHIR's passes on to the Observations: they may be the newest, and decide nothing.
    """
    status = response.get("status")
    if status in UNFINISHED:
        return
    stated = (
        {"status": "final"} if status in ("completed", "amended") else {"status": status} if status else {}
    )
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
                **stated,
                "code": {"coding": [{"system": LOINC, "code": code}]},
                **({"subject": response["subject"]} if "subject" in response else {}),
                **({"effectiveDateTime": response["authored"]} if "authored" in response else {}),
                **({UNREADABLE_DATE: True} if UNREADABLE_DATE in response else {}),
                **value,
                "derivedFrom": [{"reference": f"QuestionnaireResponse/{response.get('id', '')}"}],
            }


def _alsfrs_code(item: Mapping[str, Any], value_sets: ValueSets) -> str | None:
    for code in _item_codes(item):
        if value_sets.sets_of(LOINC, code) & QUESTIONNAIRE_SETS:
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
