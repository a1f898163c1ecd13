"""Bundles as records: whose resources they hold, which version counts, and what they say is missing."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.errors import InputError, PatientAmbiguousError
from cds_service.records.bundle import read_bundle
from cds_service.records.record import Acquired

from .helpers import MAN, Json, bundle, concept, condition, observation, tags


def ids(found: Any, kind: str = "Observation") -> list[str]:
    return [resource["id"] for resource in read_bundle(found).of_type(kind)]


def entry(resource: Json, full_url: str) -> Json:
    return {"fullUrl": full_url, "resource": resource}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        "Bundle",
        [],
        {},
        {"resourceType": "Patient", "id": "p"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "entry": {}},
        {"resourceType": "Bundle", "entry": "x"},
        {"resourceType": "Bundle", "entry": []},
        bundle(observation("1742-6"), patient=None),
        bundle(patient={"resourceType": "Patient"}),
        bundle(patient={"resourceType": "Patient", "id": ["p"]}),
        bundle(patient={"resourceType": "Patient", "id": "not an id"}),
    ],
)
def test_what_is_no_record_at_all_is_an_input_error(bad: Any) -> None:
    with pytest.raises(InputError):
        read_bundle(bad)


def test_several_patients_need_a_name() -> None:
    other = {"resourceType": "Patient", "id": "q"}
    two = bundle(other, observation("1742-6"))
    with pytest.raises(PatientAmbiguousError, match="2 Patients"):
        read_bundle(two)
    record = read_bundle(two, patient_id="p")
    assert record.patient_reference == "Patient/p"
    assert record.warnings == ("1 resource of another patient was dropped",)
    assert read_bundle(two, patient_id="Patient/q").of_type("Observation") == ()
    with pytest.raises(InputError):
        read_bundle(two, patient_id="r")


def test_a_patient_who_is_not_there_is_an_input_error() -> None:
    with pytest.raises(InputError):
        read_bundle(bundle(), patient_id="q")


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        ({"reference": "Patient/p"}, True),
        ({"reference": "Patient/p/_history/2"}, True),
        ({"reference": "https://ehr.example/fhir/Patient/p"}, True),
        ({"reference": "https://ehr.example/fhir/Patient/p/_history/2"}, True),
        ({"reference": "Patient/q"}, False),
        ({"reference": "Patient/p2"}, False),
        ({"reference": "https://ehr.example/fhir/Patient/q"}, False),
        ({"display": "somebody"}, True),
        ({"identifier": {"system": "urn:mrn", "value": "1"}}, True),
        ({"identifier": {"system": "urn:mrn", "value": "2"}}, False),
        ({"identifier": {"system": "urn:other", "value": "2"}}, True),
        ({"reference": "#me"}, True),
        ({"reference": "#other"}, False),
        ({"reference": 5}, True),
        ("Patient/p", True),
        (None, True),
    ],
)
def test_whose_resource_it_is(subject: Any, kept: bool) -> None:
    patient = {**MAN, "identifier": [{"system": "urn:mrn", "value": "1"}]}
    contained = [
        {"resourceType": "Patient", "id": "me", "identifier": [{"system": "urn:mrn", "value": "1"}]},
        {"resourceType": "Patient", "id": "other", "identifier": [{"system": "urn:mrn", "value": "2"}]},
    ]
    found = read_bundle(bundle(observation("1742-6", subject=subject, contained=contained), patient=patient))
    assert bool(found.of_type("Observation")) is kept
    if not kept:
        assert found.warnings == ("1 resource of another patient was dropped",)


def test_a_resource_naming_nobody_is_kept_with_a_warning_only_while_there_is_one_patient() -> None:
    nameless = observation("1742-6", subject=None)
    assert read_bundle(bundle(nameless)).warnings == (
        "1 resource naming no patient was taken as this patient's",
    )
    two = bundle(nameless, {"resourceType": "Patient", "id": "q"})
    assert read_bundle(two, patient_id="p").of_type("Observation") == ()


def test_resources_bound_to_no_patient_are_kept_silently() -> None:
    record = read_bundle(
        bundle({"resourceType": "Medication", "id": "m"}, {"resourceType": "Device", "id": "d"})
    )
    assert record.of_type("Medication")
    assert record.of_type("Device")
    assert record.warnings == ()


def test_another_patient_s_device_is_dropped() -> None:
    device = {"resourceType": "Device", "id": "d", "patient": {"reference": "Patient/q"}}
    assert read_bundle(bundle(device)).of_type("Device") == ()


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("ResearchSubject", "individual"),
        ("Immunization", "patient"),
        ("NutritionOrder", "patient"),
        ("Coverage", "beneficiary"),
    ],
)
def test_the_element_that_names_the_patient_differs_by_type(kind: str, element: str) -> None:
    mine = {"resourceType": kind, "id": "a", element: {"reference": "Patient/p"}}
    theirs = {"resourceType": kind, "id": "b", element: {"reference": "Patient/q"}}
    assert ids(bundle(mine, theirs), kind) == ["a"]


def test_urn_references_are_followed_and_made_relative() -> None:
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    panel_urn = "urn:uuid:11111111-1cbf-4d64-b04d-cd9187a4c6e0"
    member = {k: v for k, v in observation("1742-6", subject={"reference": urn}).items() if k != "id"}
    panel = observation(
        "24325-3", id="panel", subject={"reference": urn}, hasMember=[{"reference": panel_urn}]
    )
    found = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [entry(MAN, urn), entry(member, panel_urn), entry(panel, "urn:uuid:2")],
    }
    record = read_bundle(found)
    by_id = {resource["id"]: resource for resource in record.of_type("Observation")}
    assert by_id["panel"]["hasMember"] == [{"reference": "Observation/11111111-1cbf-4d64-b04d-cd9187a4c6e0"}]
    assert by_id["panel"]["subject"] == {"reference": "Patient/p"}
    assert record.original(by_id["panel"]) is panel
    assert record.original(by_id["11111111-1cbf-4d64-b04d-cd9187a4c6e0"]) is member


def test_the_same_id_on_another_server_is_another_patient() -> None:
    far = observation("1742-6", subject={"reference": "https://other.example/fhir/Patient/p"})
    near = observation("1742-6", id="near", subject={"reference": "https://ehr.example/fhir/Patient/p"})
    found = bundle(far, near, patient=None)
    found["entry"].append(entry(MAN, "https://ehr.example/fhir/Patient/p"))
    assert ids(found) == ["near"]


def test_ids_are_made_up_where_there_are_none() -> None:
    nameless = {k: v for k, v in observation("1742-6").items() if k != "id"}
    record = read_bundle(bundle(nameless, nameless | {"status": "amended"}))
    made = [resource["id"] for resource in record.of_type("Observation")]
    assert len(set(made)) == 2
    assert record.original(record.of_type("Observation")[0]) is nameless


# --- versions ---------------------------------------------------------------------------------------------------------


def version(number: Any, updated: str | None = None, status: str = "final") -> Json:
    meta = {
        key: value for key, value in (("versionId", number), ("lastUpdated", updated)) if value is not None
    }
    return observation("1742-6", status=status, meta=meta)


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (version("2", status="final"), version("10", status="amended"), "amended"),
        (version("10", status="final"), version("2", status="amended"), "final"),
        (version(3, status="final"), version("2", status="amended"), "final"),
        (
            version("b", "2026-01-01T00:00:00Z", "final"),
            version("a", "2026-01-01T01:00:00+03:00", "amended"),
            "final",
        ),
        (
            version("1", "2026-01-02T00:00:00Z", "final"),
            version("1", "2026-01-01T00:00:00Z", "amended"),
            "final",
        ),
        (
            version(None, "2026-01-01T00:00:00Z", "final"),
            version("2", "2026-01-02T00:00:00Z", "amended"),
            "amended",
        ),
    ],
)
def test_the_latest_version_counts(first: Json, second: Json, status: str) -> None:
    for order in ((first, second), (second, first)):
        found = read_bundle(bundle(*order)).of_type("Observation")
        assert [resource["status"] for resource in found] == [status]


def test_duplicates_count_once() -> None:
    assert ids(bundle(observation("1742-6"), observation("1742-6"))) == ["o"]


def test_versions_that_cannot_be_ordered_are_kept_and_marked() -> None:
    record = read_bundle(bundle(version("a"), version("b", status="cancelled")))
    assert [tags(resource) for resource in record.of_type("Observation")] == [{"unknown-modifier"}] * 2
    assert len(record.warnings) == 1


def test_contradictory_patients_keep_what_they_agree_on() -> None:
    record = read_bundle(bundle({**MAN, "birthDate": "1950-01-01"}))
    assert "birthDate" not in record.patient
    assert record.patient["gender"] == "male"
    assert tags(dict(record.patient)) == {"unknown-modifier"}


def test_different_patients_of_one_id_on_two_servers_are_not_told_apart_by_it() -> None:
    other = {**MAN, "birthDate": "1950-01-01"}
    two = bundle(patient=None)
    two["entry"] += [entry(MAN, "https://a.example/Patient/p"), entry(other, "https://b.example/Patient/p")]
    for named in (None, "p"):
        with pytest.raises(PatientAmbiguousError, match="several servers"):
            read_bundle(two, patient_id=named)
    assert "birthDate" not in read_bundle({**two, "type": "searchset"}).patient
    two["entry"][1]["resource"] = MAN
    assert read_bundle(two).patient == MAN


def test_one_id_on_two_servers_is_two_resources() -> None:
    found = bundle(patient=None)
    subject = {"reference": "https://a.example/Patient/p"}
    near = observation("1742-6", subject=subject, meta={"versionId": "8"})
    far = {**near, "status": "amended", "meta": {"versionId": "9"}}
    found["entry"] += [
        entry(MAN, "https://a.example/Patient/p"),
        entry(near, "https://a.example/Observation/o"),
        entry(far, "https://b.example/Observation/o"),
    ]
    record = read_bundle(found)
    assert [resource["status"] for resource in record.of_type("Observation")] == ["final", "amended"]
    assert record.original(record.of_type("Observation")[1]) is far
    # From one server they are versions of one resource, whatever it calls itself.
    pages = read_bundle({**found, "type": "searchset"})
    assert [resource["status"] for resource in pages.of_type("Observation")] == ["amended"]


# --- what is missing --------------------------------------------------------------------------------------------------


def searchset(
    *resources: Any, url: str | None = "https://ehr.example/fhir/Observation?patient=p", **more: Any
) -> Json:
    links = [{"relation": "self", "url": url}] if url else []
    links += more.pop("links", [])
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": links,
        "entry": [{"resource": r} for r in resources],
        **more,
    }


def outcome(severity: str = "error", **issue: Any) -> Json:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": "exception", **issue}],
    }


def states(found: Json) -> dict[str, str]:
    record = read_bundle(found)
    names = ("Patient", "Condition", "Observation", "Procedure", "AllergyIntolerance")
    return {name: record.state(name).state for name in names}


def all_but_patient(state: str) -> dict[str, str]:
    return {
        "Patient": "complete",
        "Condition": state,
        "Observation": state,
        "Procedure": state,
        "AllergyIntolerance": state,
    }


def test_a_bundle_is_the_whole_record() -> None:
    record = read_bundle(bundle(observation("1742-6")))
    assert record.state("Observation") == Acquired("complete", 1)
    assert record.state("Condition") == Acquired("complete", 0)


def test_missing_types_have_failed() -> None:
    record = read_bundle(bundle(), missing=["Observation"])
    assert record.state("Observation") == Acquired("failed", 0, "not exported")
    assert record.state("Condition").state == "complete"
    with pytest.raises(InputError, match="Observations"):
        read_bundle(bundle(), missing=["Observations"])


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (searchset(links=[{"relation": "next", "url": "x"}]), "truncated"),
        (searchset(observation("1742-6"), total=2), "truncated"),
        (searchset(observation("1742-6"), total=1), "complete"),
        (searchset(observation("1742-6"), total="2"), "truncated"),
        (searchset(outcome()), "failed"),
        (searchset(outcome("fatal")), "failed"),
        (searchset(outcome("information")), "truncated"),
        (searchset(observation("1742-6"), outcome(), url=None), "failed"),
        (searchset(url="https://ehr.example/fhir/Observation/_search", total=5), "truncated"),
        (searchset(url="https://ehr.example/fhir/Patient/p/Observation", total=5), "truncated"),
    ],
)
def test_an_incomplete_search_concerns_its_type(part: Json, expected: str) -> None:
    found = states(bundle(part))
    assert found == all_but_patient("complete") | {"Observation": expected}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (outcome(), "failed"),
        (outcome("fatal"), "failed"),
        (outcome("nonsense"), "failed"),
        ({"resourceType": "OperationOutcome"}, "failed"),
        (outcome("information", code="informational"), "complete"),
        (searchset(outcome(), url=None), "failed"),
        (searchset(url="https://ehr.example/fhir/Patient/p/$everything", total=9), "truncated"),
        (searchset(condition(), observation("1742-6"), url=None, total=9), "truncated"),
        (searchset(MAN, condition(), url=None, links=[{"relation": "next", "url": "x"}]), "truncated"),
    ],
)
def test_what_names_no_type_concerns_every_type_but_patient(part: Json, expected: str) -> None:
    assert states(bundle(part)) == all_but_patient(expected)


def test_an_outcome_may_name_its_types() -> None:
    found = states(bundle(outcome(expression=["Procedure.code"])))
    assert found == all_but_patient("complete") | {"Procedure": "failed"}


def test_included_resources_do_not_count_towards_the_total() -> None:
    part = searchset(observation("1742-6"), total=2)
    part["entry"].append(
        {"resource": {"resourceType": "Medication", "id": "m"}, "search": {"mode": "include"}}
    )
    assert states(bundle(part))["Observation"] == "truncated"


@pytest.mark.parametrize("tag", [{"code": "SUBSETTED"}, {"code": "HTEST"}, "SUBSETTED", None])
def test_what_was_sent_in_part_leaves_its_type_truncated(tag: Any) -> None:
    sent = observation("8302-2") | {"meta": {"tag": [tag]}}
    record = read_bundle(bundle(sent, condition()))
    found = record.state("Observation")
    assert [o["id"] for o in record.of_type("Observation")] == ["o"]
    in_part = tag == {"code": "SUBSETTED"}
    assert (found.state, found.reason) == (
        ("truncated", "resources sent in part") if in_part else ("complete", None)
    )
    assert record.state("Condition").state == "complete"


def test_a_failed_batch_entry_leaves_everything_unknown() -> None:
    found = bundle()
    found["entry"].append({"response": {"status": "500 Internal Server Error"}})
    assert states(found) == all_but_patient("failed")


def test_nested_bundles_are_opened() -> None:
    inner = searchset(observation("1742-6"))
    assert ids(bundle(bundle(inner, patient=None))) == ["o"]


def test_unknown_and_mis_cased_types_are_ignored_with_a_warning() -> None:
    record = read_bundle(
        bundle({"resourceType": "observation", "id": "a"}, {"resourceType": "Foo"}, {"id": "b"})
    )
    assert set(record.resources) == {"Patient"}
    assert record.warnings == ("3 of an unknown or mis-cased resource type ignored",)


@pytest.mark.parametrize(
    "junk", [None, 5, "x", [], {}, {"resource": None}, {"resource": 5}, {"resource": []}]
)
def test_entries_without_a_resource_are_ignored_with_a_warning(junk: Any) -> None:
    found = bundle(observation("1742-6"))
    found["entry"].append(junk)
    record = read_bundle(found)
    assert len(record.of_type("Observation")) == 1
    assert record.warnings == ("1 without a usable resource ignored",)


def test_the_input_is_not_changed() -> None:
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    found = bundle(condition(subject={"reference": urn}, code=concept("x")), patient=None)
    found["entry"].append(entry(MAN, urn))
    before = repr(found)
    read_bundle(found)
    assert repr(found) == before
