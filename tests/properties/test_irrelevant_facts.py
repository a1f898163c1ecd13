"""What must never matter: other patients' resources, errors, unknown types, the order of the entries."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import Resource, resources_of
from tests.properties.records import entries, essence, records
from tests.trials.assessing import assess, verdicts

FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
# The element that says "entered in error", by resource type; ResearchSubject has none.
_IN_ERROR = {
    "Observation": "status",
    "Procedure": "status",
    "ServiceRequest": "status",
    "Immunization": "status",
    "MedicationRequest": "status",
    "QuestionnaireResponse": "status",
    "Consent": "status",
}
_CONDITION_STATUS = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def in_error(resource: Resource, number: int) -> Resource | None:
    """A copy of the resource under another id, marked as entered in error; None where the type can't say so."""
    wrong: Resource = {**copy.deepcopy(resource), "id": f"error-{number}"}
    kind = resource["resourceType"]
    if kind == "Condition":
        wrong.pop("clinicalStatus", None)
        wrong["verificationStatus"] = {"coding": [{"system": _CONDITION_STATUS, "code": "entered-in-error"}]}
    elif kind in _IN_ERROR:
        wrong[_IN_ERROR[kind]] = "entered-in-error"
    else:
        return None
    return wrong


def of_another(resource: Resource, number: int) -> Resource | None:
    """The same resource as another patient's; None for what belongs to nobody."""
    other: Resource = {**copy.deepcopy(resource), "id": f"other-{number}"}
    for element in ("subject", "patient", "individual"):
        if element in other:
            other[element] = {"reference": "Patient/somebody-else"}
            return other
    return None


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
    assert essence(assess(entries([*own, *wrong], record))) == essence(assess(record))


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


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(records())
def test_what_is_no_evidence_can_be_removed(record: Resource) -> None:
    """A resource that no row shows decides no row: its absence changes no verdict (reasons may shift)."""
    whole = assess(record)
    shown = {item["reference"] for row in whole["criteria"] for item in row["evidence"]}
    for entry in record["entry"][1:]:
        resource = entry["resource"]
        if f"{resource['resourceType']}/{resource['id']}" in shown:
            continue
        rest = assess({**record, "entry": [e for e in record["entry"] if e is not entry]})
        assert verdicts(rest) == verdicts(whole), resource
        assert rest["status"] == whole["status"]


@FEW
@given(records())
def test_assessing_does_not_touch_its_input(record: Resource) -> None:
    before = copy.deepcopy(record)
    assess(record)
    assert record == before
