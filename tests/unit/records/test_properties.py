"""Properties of reading and normalising: order doesn't matter, junk never crashes, other patients never matter."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.errors import InputError
from cds_service.records.bundle import read_bundle
from cds_service.records.normalise import normalise
from cds_service.records.record import PatientRecord
from cds_service.records.retriever import RecordRetriever
from cds_service.terminology import systems
from cds_service.terminology.value_sets import value_set_url

from .helpers import (
    AS_OF,
    MAN,
    MAPPINGS,
    SITE,
    VALUE_SETS,
    Json,
    bundle,
    concept,
    condition,
    observation,
    quantity,
)

SUBJECT = {"reference": "Patient/p"}
SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

RICH: list[Json] = [
    observation("1742-6", id="alt", valueQuantity=quantity(2.5, "ukat/L"), referenceRange=[{"high": quantity(0.6, "ukat/L")}]),
    observation(
        "1920-8",
        id="ast",
        valueString="45 UI/L",
        referenceRange=[{"text": "até 41 U/L", "appliesTo": [{"text": "male"}], "age": {"low": quantity(18, "a")}}],
    ),
    observation("5196-1", id="hbsag", valueString="Não reagente", interpretation=[concept("NEG", systems.OBSERVATION_INTERPRETATION)]),
    observation("20507-0", id="rpr", valueRatio={"numerator": {"value": 1}, "denominator": {"value": 16}}),
    observation("11011-4", id="rna", valueString="<15 IU/mL, not detected"),
    observation("19868-9", id="fvc", valueQuantity=quantity(2.2, "L"), component=[{"code": concept("19869-7"), "valueQuantity": quantity(4, "L")}]),
    observation("8302-2", id="height", valueQuantity=quantity(175, "cm")),
    observation("29463-7", id="weight", valueQuantity=quantity(70, "kg"), effectivePeriod={"start": "2026-05-01", "end": "2026-05-02"}),
    observation("82953-1", id="total", valueInteger=38),
    observation("82954-9", id="panel", hasMember=[{"reference": "Observation/item"}]),
    {key: value for key, value in observation("82940-8", id="item", valueInteger=3).items() if key != "effectiveDateTime"},
    observation("x", id="ee", code=concept("el-escorial-category", systems.TRIAL_OBSERVATIONS), valueString="Provável"),
    condition(
        id="als",
        clinicalStatus=concept("active", systems.CONDITION_CLINICAL),
        code={**concept("G12.2", "urn:oid:2.16.840.1.113883.6.3"), "text": "ELA"},
        onsetDateTime="2025-02",
        recordedDate="2026-06-01T01:00:00Z",
        stage=[{"summary": {"text": "Provável"}}],
    ),
    condition(id="text", code={"text": "Nega esclerose lateral amiotrófica"}),
    {"resourceType": "Procedure", "id": "trach", "status": "completed", "subject": SUBJECT, "code": {"text": "Traqueostomia"}},
    {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "final",
        "subject": SUBJECT,
        "effectiveDateTime": "2026-05-20",
        "contained": [observation("2160-0", id="cr", valueQuantity=quantity(1, "mg/dL"))],
        "result": [{"reference": "#cr"}],
    },
    {
        "resourceType": "QuestionnaireResponse",
        "id": "form",
        "status": "completed",
        "subject": SUBJECT,
        "authored": "2026-06-01",
        "item": [{"linkId": "82941-6", "answer": [{"valueCoding": {"code": "x", "display": "3 - x"}}]}],
    },
    {
        "resourceType": "MedicationRequest",
        "id": "drug",
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
        "medicationCodeableConcept": concept("35623", systems.RXNORM),
        "dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"start": "2026-01-01"}}}}],
    },
    {"resourceType": "DeviceUseStatement", "id": "use", "status": "active", "subject": SUBJECT, "device": {"reference": "Device/d"}},
    {"resourceType": "Device", "id": "d", "type": {"text": "Cânula de traqueostomia"}},
    {"resourceType": "Immunization", "id": "vaccine", "status": "completed", "patient": SUBJECT, "vaccineCode": concept("43", systems.CVX)},
    {"resourceType": "ResearchSubject", "id": "subject", "status": "on-study", "individual": SUBJECT},
]  # fmt: skip


def run(found: Any) -> PatientRecord:
    record = normalise(read_bundle(found), MAPPINGS, timezone=SITE, as_of=AS_OF)
    retriever = RecordRetriever(record, VALUE_SETS)
    for kind in record.resources:
        for path in ("code", "type", "medication", "vaccineCode"):
            retriever.retrieve(kind, path, None, value_set_url("AltActivity"))
        for resource in record.of_type(kind):
            record.original(resource)
    return record


def content(record: PatientRecord) -> dict[str, dict[str, Json]]:
    return {kind: {found["id"]: found for found in listed} for kind, listed in record.resources.items()}


@SLOW
@given(st.permutations([MAN, *RICH]))
def test_the_order_of_resources_does_not_matter(resources: list[Json]) -> None:
    assert content(run(bundle(*resources, patient=None))) == content(run(bundle(*RICH)))


@SLOW
@given(st.lists(st.sampled_from(RICH), max_size=8), st.integers(0, 20))
def test_other_patients_resources_never_matter(others: list[Json], at: int) -> None:
    theirs = []
    for number, resource in enumerate(others):
        their = copy.deepcopy(resource) | {"id": f"their-{number}"}
        for element in ("subject", "patient", "individual"):
            if element in their:
                their[element] = {"reference": "Patient/q"}
        if their["resourceType"] != "Device":
            theirs.append(their)
    mixed = [*RICH[:at], *theirs, *RICH[at:]]
    record = run(bundle(*mixed))
    assert content(record) == content(run(bundle(*RICH)))
    assert bool(record.warnings) is bool(theirs)


_NAMES = """
    id meta tag code coding system display text status subject reference valueQuantity value unit comparator
    valueString valueCodeableConcept valueRatio valueRange valueInteger low high referenceRange appliesTo age type
    component contained hasMember derivedFrom item linkId answer effectiveDateTime effectivePeriod start end
    effectiveTiming event stage summary modifierExtension interpretation dataAbsentReason resourceType versionId
    lastUpdated extension url
"""
KEYS = st.sampled_from(_NAMES.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, part in parts:
        found += [(*path, key), *places(part, (*path, key))]
    return found


@SLOW
@given(st.data())
def test_junk_anywhere_in_a_resource_never_crashes(data: st.DataObject) -> None:
    resources = copy.deepcopy([MAN, *RICH])
    for _ in range(data.draw(st.integers(1, 4))):
        target = data.draw(st.sampled_from(resources))
        path = data.draw(st.sampled_from(places(target)))
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = data.draw(JSON)
        if any(not isinstance(resource, dict) or not places(resource) for resource in resources):
            break
    try:
        run(bundle(*resources, patient=None))
    except InputError:
        assert not usable_patient(resources)


def usable_patient(resources: list[Any]) -> bool:
    patients = [r for r in resources if isinstance(r, dict) and r.get("resourceType") == "Patient"]
    return len(patients) == 1 and patients[0].get("id") == "p"


@SLOW
@given(st.sampled_from(sorted({r["resourceType"] for r in RICH})), st.dictionaries(KEYS, JSON, max_size=8))
def test_a_resource_made_of_junk_never_crashes(kind: str, junk: dict[str, Any]) -> None:
    run(bundle({**junk, "resourceType": kind}))


@SLOW
@given(JSON)
def test_any_json_is_a_record_or_an_input_error(junk: Any) -> None:
    for found in (
        junk,
        {"resourceType": "Bundle", "entry": junk},
        {"resourceType": "Bundle", "entry": [junk, {"resource": junk}]},
    ):
        try:
            read_bundle(found)
        except InputError:
            continue
