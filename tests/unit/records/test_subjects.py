"""Whose resource it is: each shape of a subject, what becomes of the resource, and what the record says of it."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.records.bundle import read_bundle
from cds_service.records.subjects import UNTOLD_REASON

from .helpers import MAN, Json, bundle, observation, tags

UUID = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
EHR = "https://ehr.example/fhir"
PROFILE = "http://rnds.example/StructureDefinition/BRIndividuo-1.0"
CPF, OTHER_CPF, CNS, OTHER_CNS = "52998224725", "11144477735", "700000000000005", "800000000000001"
PATIENT = {
    **MAN,
    "identifier": [
        {"system": "urn:mrn", "value": "1"},
        {"system": "urn:mrn", "value": "A-77"},
        {"system": "urn:cpf", "value": "9"},
        {"system": "https://saude.example/sid/cpf", "value": CPF},
        {"system": PROFILE, "value": CNS},
        {"value": "x"},
    ],
}
CONTAINED = [
    {"resourceType": "Patient", "id": "me", "identifier": [{"system": "urn:mrn", "value": "1"}]},
    {"resourceType": "Patient", "id": "other", "identifier": [{"system": "urn:mrn", "value": "2"}]},
    {"resourceType": "Patient", "id": "nameless", "name": [{"family": "X"}]},
    {"resourceType": "RelatedPerson", "id": "sister"},
    {"resourceType": "Group", "id": "family"},
]
TOLD = {
    "own": (),
    "other": ("1 resource of another patient was dropped",),
    "nobody": ("1 resource about no person was dropped",),
    "unnamed": ("1 resource naming no patient was taken as this patient's",),
    "untold": ("1 resource whose patient can't be told was left out",),
}
SUBJECTS: list[tuple[Any, str]] = [
    ({"reference": "Patient/p"}, "own"),
    ({"reference": "/Patient/p"}, "own"),
    ({"reference": "Patient/p/_history/2"}, "own"),
    ({"reference": f"{EHR}/Patient/p"}, "own"),
    ({"reference": "http://ehr.example/fhir/Patient/p/_history/2"}, "own"),
    ({"reference": "Patient/q"}, "other"),
    ({"reference": "Patient/p2"}, "other"),
    ({"reference": f"{EHR}/Patient/q"}, "other"),
    ({"reference": "https://other.example/Patient/q"}, "other"),
    ({"reference": "https://other.example/Patient/p"}, "untold"),
    ({"reference": "RelatedPerson/p"}, "other"),
    ({"reference": "Practitioner/p"}, "other"),
    ({"reference": "Device/d"}, "nobody"),
    ({"reference": "Location/l"}, "nobody"),
    ({"reference": "Group/p"}, "untold"),
    ({"reference": "Pacient/p"}, "untold"),
    ({"reference": "patient/p"}, "untold"),
    ({"reference": "p"}, "untold"),
    ({"reference": f"{EHR}/Patient/"}, "untold"),
    ({"reference": f"urn:uuid:{UUID}"}, "untold"),
    ({"reference": "Patient?identifier=urn:mrn|1"}, "own"),
    ({"reference": f"{EHR}/Patient?identifier=urn%3Amrn%7C1&active=true"}, "own"),
    ({"reference": "Patient?identifier=urn:mrn|2"}, "other"),
    ({"reference": "Patient?identifier=urn:else|2"}, "untold"),
    ({"reference": "Patient?name=X"}, "untold"),
    ({"reference": "#me"}, "own"),
    ({"reference": "#other"}, "other"),
    ({"reference": "#sister"}, "other"),
    ({"reference": "#family"}, "untold"),
    ({"reference": "#nameless"}, "unnamed"),
    ({"reference": "#nowhere"}, "unnamed"),
    ({"reference": "#"}, "unnamed"),
    ({"identifier": {"system": "urn:mrn", "value": "1"}}, "own"),
    ({"identifier": {"system": "urn:mrn", "value": "2"}}, "other"),
    ({"identifier": {"system": "urn:else", "value": "2"}}, "unnamed"),
    ({"identifier": {"value": "2"}}, "unnamed"),
    ({"identifier": {"value": "x"}}, "own"),
    ({"identifier": {"system": " URN:mrn", "value": "1 "}}, "own"),
    ({"identifier": {"system": "urn:mrn", "value": "a77"}}, "untold"),
    ({"identifier": {"system": "urn:mrn", "value": "01"}}, "untold"),
    ({"identifier": {"system": "http://saude.example/sid/cpf/", "value": "529.982.247-25"}}, "own"),
    ({"identifier": {"system": "urn:else", "value": CPF}}, "own"),
    ({"identifier": {"value": CNS}}, "own"),
    ({"identifier": {"system": "https://saude.example/sid/cpf", "value": OTHER_CPF}}, "other"),
    ({"identifier": {"system": "https://saude.example/sid/cpf", "value": "52998224726"}}, "other"),
    ({"identifier": {"system": PROFILE, "value": OTHER_CPF}}, "untold"),
    ({"identifier": {"system": PROFILE, "value": OTHER_CNS}}, "untold"),
    ({"identifier": {"system": "urn:else", "value": OTHER_CPF}}, "unnamed"),
    ({"type": "Patient", "identifier": {"system": "urn:mrn", "value": "1"}}, "own"),
    ({"type": "Group", "identifier": {"system": "urn:mrn", "value": "1"}}, "untold"),
    ({"type": "Device", "identifier": {"system": "urn:mrn", "value": "1"}}, "nobody"),
    ({"reference": f"urn:uuid:{UUID}", "identifier": {"system": "urn:mrn", "value": "1"}}, "own"),
    ({"reference": f"urn:uuid:{UUID}", "identifier": {"system": "urn:mrn", "value": "2"}}, "untold"),
    ({"reference": "Patient/q", "identifier": {"system": "urn:mrn", "value": "1"}}, "untold"),
    ({"reference": "Patient/q", "identifier": {"system": "urn:mrn", "value": "2"}}, "other"),
    ({"display": "somebody"}, "unnamed"),
    ({"reference": 5}, "unnamed"),
    ({"reference": ""}, "unnamed"),
    ({"reference": None, "identifier": {"system": "urn:cpf", "value": "9"}}, "own"),
    ({"_reference": {"extension": [{"url": "urn:absent", "valueCode": "masked"}]}}, "unnamed"),
    ({}, "unnamed"),
    (None, "unnamed"),
    (5, "unnamed"),
    ("Patient/p", "own"),
    ("Patient/q", "other"),
    ([{"reference": "Patient/p"}], "own"),
    ([{"reference": "Patient/q"}], "other"),
    ([{"reference": "Patient/p"}, {"reference": "Patient/p/_history/1"}], "own"),
    ([{"reference": "Patient/p"}, {"reference": "Patient/q"}], "untold"),
    ([], "unnamed"),
]


def at(url: str | None, resource: Json) -> Json:
    return {"fullUrl": url, "resource": resource}


def collection(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}


@pytest.mark.parametrize(("subject", "whose"), SUBJECTS)
def test_each_shape_of_a_subject_has_its_reading(subject: Any, whose: str) -> None:
    said = observation("1742-6", subject=subject, contained=CONTAINED)
    record = read_bundle(collection(at(f"{EHR}/Patient/p", PATIENT), at(f"{EHR}/Observation/o", said)))
    assert bool(record.of_type("Observation")) is (whose in ("own", "unnamed"))
    assert record.warnings == TOLD[whose]
    state = record.state("Observation")
    assert (state.state, state.reason) == (
        ("truncated", UNTOLD_REASON) if whose == "untold" else ("complete", None)
    )
    assert record.state("Condition").state == "complete"


@pytest.mark.parametrize(("subject", "whose"), SUBJECTS)
def test_what_one_server_gave_for_the_patient_may_call_its_server_otherwise(subject: Any, whose: str) -> None:
    said = observation("1742-6", subject=subject, contained=CONTAINED)
    record = read_bundle(bundle(said, patient=PATIENT), patient_id="p", servers=(EHR,))
    expected = "own" if subject == {"reference": "https://other.example/Patient/p"} else whose
    assert bool(record.of_type("Observation")) is (expected in ("own", "unnamed"))
    assert record.warnings == TOLD[expected]
    absolute = isinstance(subject, dict) and str(subject.get("reference")).startswith("http")
    if expected == "own" and absolute and "?" not in subject["reference"]:
        assert record.of_type("Observation")[0]["subject"] == {"reference": "Patient/p"}


@pytest.mark.parametrize(
    ("identifier", "kept", "state"),
    [
        ({"system": PROFILE, "value": CNS}, True, "complete"),
        ({"system": PROFILE, "value": CPF}, True, "complete"),
        ({"system": PROFILE, "value": OTHER_CNS}, False, "complete"),
        ({"system": "urn:mrn", "value": "2"}, False, "complete"),
        ({"system": "urn:shared", "value": "1"}, False, "truncated"),
        ({"system": PROFILE, "value": "200000000000003"}, False, "truncated"),
        ({"system": "urn:else", "value": "1"}, False, "truncated"),
    ],
)
def test_of_several_patients_identifiers_tell_whose_it_is(identifier: Json, kept: bool, state: str) -> None:
    """As the RNDS writes it: the Patient's numbers under their naming systems, a subject's under a profile's URI."""
    shared = {"system": "urn:shared", "value": "1"}
    mine = {
        **MAN,
        "identifier": [
            {"system": "urn:cns", "value": CNS},
            {"system": "urn:cpf", "value": CPF},
            {"system": "urn:mrn", "value": "1"},
            shared,
        ],
    }
    sister = {
        "resourceType": "Patient",
        "id": "q",
        "identifier": [{"system": "urn:cns", "value": OTHER_CNS}, shared],
    }
    two = bundle(observation("1742-6", subject={"identifier": identifier}), sister, patient=mine)
    record = read_bundle(two, patient_id="p")
    assert bool(record.of_type("Observation")) is kept
    assert record.state("Observation").state == state


def test_who_names_nobody_among_several_patients_leaves_the_type_incomplete() -> None:
    two = bundle(observation("1742-6", subject=None), {"resourceType": "Patient", "id": "q"})
    record = read_bundle(two, patient_id="p")
    assert record.of_type("Observation") == ()
    assert record.state("Observation").state == "truncated"
    assert "1 resource naming no patient was dropped" in record.warnings


def test_a_relative_reference_on_another_server_can_be_meant_either_way() -> None:
    far = "https://far.example/fhir"
    patient = at(f"{EHR}/Patient/p", MAN)
    same = at(f"{far}/Observation/o", observation("1742-6"))
    record = read_bundle(collection(patient, same))
    assert record.of_type("Observation") == ()
    assert record.state("Observation").reason == UNTOLD_REASON
    other = at(f"{far}/Observation/o", observation("1742-6", subject={"reference": "Patient/q"}))
    record = read_bundle(collection(patient, other))
    assert record.warnings == TOLD["other"]
    absolute = at(f"{far}/Observation/o", observation("1742-6", subject={"reference": f"{EHR}/Patient/p"}))
    assert read_bundle(collection(patient, absolute)).of_type("Observation")


def test_the_pages_of_a_search_are_of_one_server_however_it_calls_itself() -> None:
    page = collection(
        at(f"{EHR}/Patient/p", MAN), at("http://10.0.0.5/fhir/Observation/o", observation("1742-6"))
    )
    assert read_bundle({**page, "type": "searchset"}).of_type("Observation")


def test_the_patient_s_uuid_names_him_without_a_full_url() -> None:
    said = observation("1742-6", subject={"reference": f"urn:uuid:{UUID}"})
    record = read_bundle(bundle(said, patient={**MAN, "id": UUID}))
    assert record.of_type("Observation")[0]["subject"] == {"reference": f"Patient/{UUID}"}
    assert record.warnings == ()


def test_a_shelf_s_device_is_kept_and_another_patient_s_dropped() -> None:
    shelf = {"resourceType": "Device", "id": "a"}
    room = {"resourceType": "Device", "id": "b", "patient": {"reference": "Location/1"}}
    theirs = {"resourceType": "Device", "id": "c", "patient": {"reference": "Patient/q"}}
    mine = {"resourceType": "Device", "id": "d", "patient": {"reference": "Patient/p"}}
    record = read_bundle(bundle(shelf, room, theirs, mine))
    assert [device["id"] for device in record.of_type("Device")] == ["a", "b", "d"]
    assert record.warnings == TOLD["other"]


@pytest.mark.parametrize(
    ("subject", "kept", "state"),
    [
        (None, True, "complete"),
        ({"reference": "Patient/p"}, True, "complete"),
        ({"reference": f"urn:uuid:{UUID}"}, True, "complete"),
        ({"reference": "#me"}, True, "complete"),
        ({"reference": "#nameless"}, True, "complete"),
        ({"reference": "Patient/p/_history/4"}, True, "complete"),
        ({"reference": "Patient/q"}, False, "complete"),
        ({"reference": "#other"}, False, "complete"),
        ({"reference": "urn:uuid:00000000-0000-0000-0000-000000000000"}, False, "truncated"),
        ({"reference": "Group/p"}, False, "truncated"),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_contained_observation_may_be_another_s(subject: Any, kept: bool, state: str, deep: bool) -> None:
    inner: Json = observation("1742-6", id="alt", subject=subject)
    if deep:
        inner = {"resourceType": "Specimen", "id": "deeper", "contained": [inner]}
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "subject": {"reference": "Patient/p"},
        "contained": [inner, *CONTAINED],
    }
    record = read_bundle(collection(at(f"urn:uuid:{UUID}", PATIENT), at(None, report)))
    (held,) = record.of_type("DiagnosticReport")
    assert ("alt" in repr(held["contained"])) is kept
    assert record.state("Observation").state == state
    assert bool(record.warnings) is not kept
    assert record.original(held) is report


@pytest.mark.parametrize(
    ("focus", "marked"),
    [
        ([{"reference": "RelatedPerson/wife"}], True),
        ([{"reference": "Patient/q"}], True),
        ({"reference": "Patient/q"}, True),
        ([{"reference": "Patient/p"}], False),
        ([{"reference": "Condition/c"}], False),
        ([{"display": "tumour"}], False),
        ([], False),
    ],
)
def test_no_verdict_rests_on_an_observation_about_somebody_else(focus: Any, marked: bool) -> None:
    (found,) = read_bundle(bundle(observation("1742-6", focus=focus))).of_type("Observation")
    assert ("unknown-modifier" in tags(found)) is marked
