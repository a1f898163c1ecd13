"""What must never matter: other patients' resources, errors, unknown types, the order of the entries."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import Resource, resources_of
from tests.properties.records import entries, essence, records, tried
from tests.trials.assessing import assess, verdicts

FEW = tried(40)
_CONDITION_STATUS = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
# Their status says nothing of the sort in R4, or they are nobody's: a copy of them would be a fact, or means nothing.
_NEVER_IN_ERROR = {"Patient", "ResearchSubject", "ResearchStudy"}


def in_error(resource: Resource, number: int) -> Resource | None:
    """A copy of the resource under another id, marked as entered in error; None where the type can't say so."""
    wrong: Resource = {**copy.deepcopy(resource), "id": f"error-{number}"}
    kind = resource["resourceType"]
    if kind in _NEVER_IN_ERROR:
        return None
    if kind == "Condition":
        wrong.pop("clinicalStatus", None)
        wrong["verificationStatus"] = {"coding": [{"system": _CONDITION_STATUS, "code": "entered-in-error"}]}
    else:
        wrong["status"] = "entered-in-error"
    return wrong


def of_another(resource: Resource, number: int) -> Resource | None:
    """The same resource as another patient's; None for what belongs to nobody."""
    other: Resource = {**copy.deepcopy(resource), "id": f"other-{number}"}
    for element in ("subject", "patient", "individual"):
        if element in other or (element == "patient" and other["resourceType"] == "Device"):
            other[element] = {"reference": "Patient/somebody-else"}
            return other
    return None


def used_in_error(resource: Resource, number: int) -> Resource:
    """A statement, entered in error, that this device is in use."""
    return {
        "resourceType": "DeviceUseStatement",
        "id": f"use-{number}",
        "status": "entered-in-error",
        "subject": {"reference": "Patient/pat-1"},
        "device": {"reference": f"Device/{resource['id']}"},
    }


@FEW
@given(records())
def test_another_patient_s_resources_change_nothing(record: Resource) -> None:
    own = resources_of(record)
    others = [o for n, r in enumerate(own) if (o := of_another(r, n)) is not None]
    assert essence(assess(entries([*own, *others], record))) == essence(assess(record))


@FEW
@given(records(), records())
def test_another_patient_with_a_different_chart_changes_nothing(record: Resource, foreign: Resource) -> None:
    others = [o for n, r in enumerate(resources_of(foreign)) if (o := of_another(r, n)) is not None]
    mixed = entries([*others, *resources_of(record)], record)
    assert essence(assess(mixed)) == essence(assess(record))


@FEW
@given(records())
def test_copies_entered_in_error_change_nothing(record: Resource) -> None:
    own = resources_of(record)
    wrong = [w for n, r in enumerate(own) if (w := in_error(r, n)) is not None]
    uses = [used_in_error(r, n) for n, r in enumerate(own) if r["resourceType"] == "Device"]
    assert essence(assess(entries([*own, *wrong, *uses], record))) == essence(assess(record))


@FEW
@given(records(), records())
def test_another_chart_entered_in_error_changes_nothing(record: Resource, foreign: Resource) -> None:
    wrong = [w for n, r in enumerate(resources_of(foreign)) if (w := in_error(r, n)) is not None]
    assert essence(assess(entries([*wrong, *resources_of(record)], record))) == essence(assess(record))


@FEW
@given(records(), st.sampled_from(["Foo", "observation", "CONDITION", "Observation2", ""]))
def test_unknown_resource_types_change_nothing(record: Resource, kind: str) -> None:
    own = resources_of(record)
    strange = [{**copy.deepcopy(r), "resourceType": kind, "id": f"x-{n}"} for n, r in enumerate(own)]
    mixed = {**record, "entry": [*record["entry"], *({"resource": s} for s in strange)]}
    assert essence(assess(mixed)) == essence(assess(record))


@FEW
@given(st.data())
def test_the_order_of_the_entries_changes_nothing(data: st.DataObject) -> None:
    record = data.draw(records())
    shuffled = data.draw(st.permutations(record["entry"]))
    assert essence(assess({**record, "entry": shuffled})) == essence(assess(record))


@FEW
@given(records())
def test_every_resource_twice_changes_nothing(record: Resource) -> None:
    """The same resources served on two pages are the same facts."""
    doubled: dict[str, Any] = {**record, "entry": [*record["entry"], *record["entry"]]}
    assert essence(assess(doubled)) == essence(assess(record))


@FEW
@given(records())
def test_what_is_no_evidence_can_be_removed(record: Resource) -> None:
    """A resource that no row shows decides no row: its absence changes no verdict (reasons may shift).

    What refers to it goes with it: a device that can't be found would be a fact of its own.
    """
    whole = assess(record)
    shown = {item["reference"] for row in whole["criteria"] for item in row["evidence"]}
    for reference, together in belonging(record).items():
        if shown & together:
            continue
        kept = [e for e in record["entry"] if name_of(e["resource"]) not in together]
        rest = assess({**record, "entry": kept})
        assert verdicts(rest) == verdicts(whole), reference
        assert rest["status"] == whole["status"]


def name_of(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def belonging(record: Resource) -> dict[str, set[str]]:
    """Each resource but the Patient, with those that refer to it."""
    own = resources_of(record)[1:]
    return {
        name: {name} | {name_of(r) for r in own if f'"{name}"' in json.dumps(r)}
        for name in (name_of(resource) for resource in own)
    }


@FEW
@given(records())
def test_assessing_does_not_touch_its_input(record: Resource) -> None:
    before = copy.deepcopy(record)
    assess(record)
    assert record == before
