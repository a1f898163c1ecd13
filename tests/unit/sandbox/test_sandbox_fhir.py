"""The sandbox's FHIR endpoint, as a FHIR client meets it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from cds_service.sandbox import load_vignettes, store
from tests.unit.sandbox.wards import AS_OF, FHIR, client, ids, observation, search, vignette, ward


def answer(**more: Any) -> dict[str, Any]:
    """A QuestionnaireResponse of ann."""
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "https://cds-service.example/fhir/Questionnaire/eligibility-attestation",
        "status": "completed",
        "subject": {"reference": "Patient/ann"},
        "authored": "2026-06-15",
        "author": {"reference": "Practitioner/sandbox-clinician"},
        "item": [{"linkId": "EX01a-This", "answer": [{"valueCoding": {"system": "urn:x", "code": "no"}}]}],
        **more,
    }


def test_the_capability_statement_is_valid_fhir_and_names_what_can_be_written() -> None:
    response = client().get(f"{FHIR}/metadata")
    statement = CapabilityStatement.model_validate_json(response.data)
    assert response.content_type.startswith("application/fhir+json")
    rest = response.get_json()["rest"][0]["resource"]
    writable = {r["type"] for r in rest if {"code": "create"} in r["interaction"]}
    assert writable == {"QuestionnaireResponse", "ServiceRequest"}
    assert statement.fhirVersion == "4.0.1"


def test_a_patients_search_returns_that_patients_resources_only() -> None:
    http = client()
    found = search(http, "Observation?patient=bea")
    assert found["total"] == 1
    assert found["entry"][0]["resource"]["subject"]["reference"] == "Patient/bea"
    assert search(http, "Observation?patient=ann")["total"] == 7
    assert search(http, "Observation?patient=nobody")["total"] == 0


def test_same_named_resources_of_two_vignettes_stay_two_resources() -> None:
    http = client()
    names = ids(search(http, "Observation"))
    assert len(names) == len(set(names)) == 8
    assert http.get(f"{FHIR}/Observation/ann-obs-1").get_json()["subject"]["reference"] == "Patient/ann"
    assert http.get(f"{FHIR}/Observation/bea-obs-1").get_json()["subject"]["reference"] == "Patient/bea"


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("Observation?subject=Patient/ann", 7),
        ("Observation?subject:Patient=ann", 7),
        ("Observation?patient=Patient/ann", 7),
        ("Observation?patient=http://localhost/sandbox/fhir/Patient/ann", 7),
        ("Observation?patient=ann&code=1742-6", 5),
        ("Observation?patient=ann&code=http://loinc.org|1742-6", 5),
        ("Observation?patient=ann&code=http://snomed.info/sct|1742-6", 0),
        ("Observation?patient=ann&code=|1742-6", 0),
        ("Observation?patient=ann&code=2160-0,5196-1", 2),
        ("Observation?patient=ann&code:not=1742-6", 2),
        ("Observation?patient=ann&code:text=result+21", 1),
        ("Observation?patient=ann&category=laboratory&status=final", 6),
        ("Observation?patient=ann&status=preliminary", 1),
        ("Observation?patient=ann&date=ge2026-05-04", 4),
        ("Observation?patient=ann&date=gt2026-05-04&date=lt2026-05-06", 1),
        ("Observation?patient=ann&date=2026-05", 6),
        ("Observation?patient=ann&date=2026-06-01", 1),
        ("Observation?patient=ann&date=sa2026-05", 1),
        ("Observation?patient=ann&value-concept:missing=true", 7),
        ("Observation?patient=ann&_lastUpdated=2026-06-15", 7),
        ("Observation?_id=ann-obs-1,bea-obs-1", 2),
        ("Patient?name=maria", 1),
        ("Patient?name:exact=maria", 0),
        ("Patient?family=alm", 1),
        ("Patient?name:contains=cost", 1),
        ("Patient?birthdate=1971&gender=female", 2),
        ("Patient?birthdate=lt1971-03-10", 0),
        ("Patient?_id=ann", 1),
        ("Questionnaire?url=https://cds-service.example/fhir/Questionnaire/eligibility-attestation", 1),
    ],
)
def test_searches_find_what_they_ask_for(query: str, total: int) -> None:
    bundle = search(client(), query)
    assert bundle["total"] == total
    assert len(bundle.get("entry", [])) == total


@pytest.mark.parametrize(
    "query",
    [
        "Observation?nonsense=1",
        "Observation?patient.name=x",
        "Observation?_has:Provenance:target:agent=1",
        "Observation?code:in=http://example.org/vs",
        "Observation?patient=",
        "Observation?date=yesterday",
        "Observation?date=2026-13",
        "Observation?_count=many",
        "Observation?_summary=perhaps",
        "Observation?_sort=nonsense",
        "Observation?_include=Observation:nonsense",
        "Observation?_revinclude=Nothing:at-all",
        "Observation?_page=forged",
        "Observation?_page=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Observation?status:missing=maybe",
    ],
)
def test_what_the_server_does_not_understand_is_refused_and_never_ignored(query: str) -> None:
    response = client().get(f"{FHIR}/{query}")
    assert response.status_code == 400
    outcome = OperationOutcome.model_validate_json(response.data)
    assert outcome.issue[0].severity == "error"


def test_pages_add_up_to_the_whole_and_links_lead_from_one_to_the_next() -> None:
    http = client()
    url = f"{FHIR}/Observation?patient=ann&_count=3"
    seen: list[str] = []
    pages = 0
    while url:
        bundle = http.get(url).get_json()
        Bundle.model_validate(bundle)
        assert bundle["total"] == 7
        seen += ids(bundle)
        pages += 1
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        assert "ann" not in url, "a page token is opaque"
    assert pages == 3
    assert len(seen) == len(set(seen)) == 7


def test_a_page_token_of_one_sandbox_means_nothing_to_another() -> None:
    links = search(client(), "Observation?_count=1")["link"]
    following = next(link["url"] for link in links if link["relation"] == "next")
    assert client().get(following).status_code == 400


def test_a_search_by_post_equals_the_search_by_get_and_its_pages_go_on() -> None:
    http = client()
    posted = http.post(
        f"{FHIR}/Observation/_search?patient=ann", data={"code": "1742-6", "_count": "2"}
    ).get_json()
    assert posted["total"] == 5
    assert len(posted["entry"]) == 2
    following = next(link["url"] for link in posted["link"] if link["relation"] == "next")
    assert len(http.get(following).get_json()["entry"]) == 2


def test_a_long_code_list_still_fits_into_a_request_line() -> None:
    codes = ",".join(f"{n}-{n % 10}" for n in range(10000, 10400)) + ",1742-6"
    posted = (
        client()
        .post(f"{FHIR}/Observation/_search", data={"patient": "ann", "code": codes, "_count": "1"})
        .get_json()
    )
    following = next(link["url"] for link in posted["link"] if link["relation"] == "next")
    assert len(following) < 4000


def test_a_count_asks_for_no_entries() -> None:
    http = client()
    assert "entry" not in search(http, "Observation?patient=ann&_summary=count")
    assert search(http, "Observation?patient=ann&_count=0")["total"] == 7


def test_sorting_by_date_both_ways() -> None:
    http = client()
    up = ids(search(http, "Observation?patient=ann&_sort=date"))
    assert up[0] == "ann-obs-1"
    assert up[-1] == "obs-7"
    assert ids(search(http, "Observation?patient=ann&_sort=-date")) == up[::-1]


def test_an_include_brings_the_medication_and_is_marked_as_such() -> None:
    bundle = search(client(), "MedicationRequest?patient=ann&_include=MedicationRequest:medication")
    modes = [(e["resource"]["resourceType"], e["search"]["mode"]) for e in bundle["entry"]]
    assert modes == [("MedicationRequest", "match"), ("Medication", "include")]
    assert bundle["total"] == 1


def test_an_include_never_brings_another_patients_resource() -> None:
    device = {"resourceType": "Device", "id": "bipap", "patient": {"reference": "Patient/bea"}}
    use = {
        "resourceType": "DeviceUseStatement",
        "id": "use",
        "status": "active",
        "device": {"reference": "Device/bipap"},
        "subject": {"reference": "Patient/ann"},
    }
    http = client([vignette("ann", use), vignette("bea", device)])
    bundle = search(http, "DeviceUseStatement?patient=ann&_include=DeviceUseStatement:device")
    assert [e["resource"]["resourceType"] for e in bundle["entry"]] == ["DeviceUseStatement"]


def test_everything_of_a_patient_is_all_of_hers_and_nothing_of_another() -> None:
    bundle = client().get(f"{FHIR}/Patient/ann/$everything").get_json()
    owned = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
    assert len(owned) == 9
    assert {r.get("subject", {}).get("reference", "Patient/ann") for r in owned} == {"Patient/ann"}
    assert [e["resource"]["id"] for e in bundle["entry"] if e["search"]["mode"] == "include"] == ["riluzole"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "Patient/nobody", 404),
        ("GET", "Starship", 404),
        ("GET", "Starship/1", 404),
        ("GET", "Patient/ann/$everything/more", 404),
        ("GET", "Patient/nobody/$everything", 404),
        ("GET", "Patient/ann/_history/9", 404),
        ("GET", "", 404),
        ("GET", "Patient?_format=xml", 406),
        ("POST", "", 405),
        ("DELETE", "Patient/ann", 405),
        ("PATCH", "Patient/ann", 405),
        ("POST", "Patient", 405),
    ],
)
def test_errors_are_operation_outcomes(method: str, path: str, status: int) -> None:
    response = client().open(f"{FHIR}/{path}", method=method, json={"resourceType": "Patient"})
    assert response.status_code == status
    assert response.content_type.startswith("application/fhir+json")
    OperationOutcome.model_validate_json(response.data)


def test_other_origins_may_read_and_write_after_a_preflight() -> None:
    http = client()
    origin = {"Origin": "https://sandbox.cds-hooks.org"}
    preflight = http.options(f"{FHIR}/Patient/ann", headers=origin | {"Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert preflight.headers["Access-Control-Allow-Private-Network"] == "true"
    assert http.get(f"{FHIR}/Patient/nobody", headers=origin).headers["Access-Control-Allow-Origin"] == "*"


def test_an_answer_is_created_read_back_updated_and_gone_after_a_reset() -> None:
    http = client()
    created = http.post(f"{FHIR}/QuestionnaireResponse", json=answer())
    assert created.status_code == 201
    resource = created.get_json()
    assert created.headers["Location"].endswith(f"/QuestionnaireResponse/{resource['id']}/_history/1")
    assert created.headers["ETag"] == 'W/"1"'
    found = search(http, "QuestionnaireResponse?patient=ann&status=completed")
    assert found["entry"][0]["resource"]["item"] == resource["item"]

    changed = http.put(
        f"{FHIR}/QuestionnaireResponse/{resource['id']}", json=answer(id=resource["id"], status="amended")
    )
    assert changed.status_code == 200
    assert changed.get_json()["meta"]["versionId"] == "2"
    assert changed.get_json()["meta"]["lastUpdated"] > resource["meta"]["lastUpdated"]
    assert search(http, "QuestionnaireResponse?patient=ann")["total"] == 1

    assert http.post("/sandbox/reset", json={}).status_code == 204
    assert search(http, "QuestionnaireResponse?patient=ann")["total"] == 0


def test_an_update_may_create_and_is_held_to_if_match() -> None:
    http = client()
    url = f"{FHIR}/QuestionnaireResponse/mine"
    assert http.put(url, json=answer(id="mine")).status_code == 201
    assert http.put(url, json=answer(id="mine"), headers={"If-Match": 'W/"7"'}).status_code == 412
    assert http.put(url, json=answer(id="mine"), headers={"If-Match": 'W/"1"'}).status_code == 200
    assert http.put(f"{FHIR}/QuestionnaireResponse/other", json=answer(id="mine")).status_code == 400


def test_a_minimal_answer_on_request() -> None:
    response = client().post(
        f"{FHIR}/QuestionnaireResponse", json=answer(), headers={"Prefer": "return=minimal"}
    )
    assert (response.status_code, response.data) == (201, b"")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"resourceType": "Patient"}', 400),
        (b'{"resourceType": "QuestionnaireResponse"}', 422),
        (b'{"resourceType": "QuestionnaireResponse", "status": "completed"}', 422),
    ],
)
def test_what_is_not_a_valid_answer_is_refused(body: bytes, status: int) -> None:
    http = client()
    response = http.post(f"{FHIR}/QuestionnaireResponse", data=body, content_type="application/fhir+json")
    assert response.status_code == status
    OperationOutcome.model_validate_json(response.data)
    assert search(http, "QuestionnaireResponse")["total"] == 0


def test_a_refusal_names_the_element_and_never_its_value() -> None:
    response = client().post(f"{FHIR}/QuestionnaireResponse", json=answer(authored="CANARY-4711"))
    assert response.status_code == 422
    assert b"authored" in response.data
    assert b"CANARY" not in response.data


def test_an_answer_about_nobody_here_is_refused() -> None:
    response = client().post(
        f"{FHIR}/QuestionnaireResponse", json=answer(subject={"reference": "Patient/zoe"})
    )
    assert response.status_code == 422


def test_the_wrong_content_type_and_too_long_a_body_are_refused() -> None:
    http = client()
    assert http.post(f"{FHIR}/QuestionnaireResponse", data="<x/>", content_type="text/xml").status_code == 415
    long = b'{"resourceType": "QuestionnaireResponse", "x": "' + b"x" * 1_100_000 + b'"}'
    response = http.post(f"{FHIR}/QuestionnaireResponse", data=long, content_type="application/fhir+json")
    assert response.status_code == 413
    OperationOutcome.model_validate_json(response.data)


def test_the_store_is_bounded_and_says_so() -> None:
    small = store.Store([], AS_OF, capacity=2)
    for _ in range(2):
        small.create({"resourceType": "ServiceRequest"})
    with pytest.raises(store.StoreFullError):
        small.create({"resourceType": "ServiceRequest"})
    small.reset()
    assert small.create({"resourceType": "ServiceRequest"})["id"] == "sandbox-1"


def test_many_threads_write_without_losing_or_doubling_one() -> None:
    held = store.Store([], AS_OF)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: held.create({"resourceType": "ServiceRequest"})["id"], range(200)))
    assert len(set(made)) == 200
    assert len(held.all("ServiceRequest")) == 200


def test_two_sandboxes_share_nothing() -> None:
    one, other = client(), client()
    one.post(f"{FHIR}/QuestionnaireResponse", json=answer())
    assert search(other, "QuestionnaireResponse")["total"] == 0


def test_resources_that_claim_another_vignettes_patient_are_left_out() -> None:
    stray = observation(1, subject={"reference": "Patient/ann"})
    http = client([vignette("ann"), vignette("bea", stray)])
    assert search(http, "Observation?patient=ann")["total"] == 0


def test_of_two_versions_of_one_resource_the_higher_stays() -> None:
    old = observation(1, meta={"versionId": "2"}, status="final")
    new = observation(1, meta={"versionId": "10"}, status="amended")
    http = client([vignette("ann", new, old)])
    assert [e["resource"]["status"] for e in search(http, "Observation")["entry"]] == ["amended"]


def test_references_by_full_url_lead_to_the_resource() -> None:
    one = vignette("ann")
    medication = {"resourceType": "Medication", "id": "m", "code": {"text": "x"}}
    request = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/ann"},
        "medicationReference": {"reference": "urn:uuid:1"},
    }
    one.bundle["entry"].extend([{"fullUrl": "urn:uuid:1", "resource": medication}, {"resource": request}])
    bundle = search(client([one]), "MedicationRequest?_include=MedicationRequest:medication")
    assert len(bundle["entry"]) == 2


def test_the_wards_of_the_tests_load_from_files_too(tmp_path: Any) -> None:
    import json

    for one in ward():
        body = {"title": one.title, "asOf": one.as_of, "bundle": one.bundle, "expected": {}}
        (tmp_path / f"{one.name}.json").write_text(json.dumps(body))
    assert [v.patient_id for v in load_vignettes(tmp_path)] == ["ann", "bea"]


def test_a_vignettes_own_version_and_time_stand_and_what_is_written_counts_as_newer() -> None:
    old = answer(id="old", meta={"versionId": "7", "lastUpdated": "2026-06-15T10:00:00Z"})
    http = client([vignette("ann", old)])
    assert http.get(f"{FHIR}/QuestionnaireResponse/old").get_json()["meta"] == old["meta"]
    written = http.post(f"{FHIR}/QuestionnaireResponse", json=answer()).get_json()
    assert written["meta"]["lastUpdated"] > old["meta"]["lastUpdated"]
    assert written["meta"]["lastUpdated"].startswith("2026-06-15")
