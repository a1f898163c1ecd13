"""Records whose resources refer to each other as real systems write it: the verdicts are those of the plain record, and
what belongs to another server or to nobody that can be told is never evidence, and never silently missing.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.builders import (
    NCT,
    Resource,
    b0,
    bundle,
    cid10,
    condition,
    consent,
    device,
    device_use_statement,
    medication,
    medication_request,
    patient,
    procedure,
    research_study,
    research_subject,
    resources_of,
    rxnorm,
    snomed,
)
from tests.trials.assessing import assess, criterion

EHR, FAR = "https://ehr.example/fhir", "https://far.example/fhir"
Json = dict[str, Any]
NIV = snomed("702173003", "Breathing room")
RILUZOLE, AZATHIOPRINE = rxnorm("35623", "riluzole"), rxnorm("1256", "azathioprine")


def of_medication(reference: str | None, **more: Any) -> Resource:
    request = medication_request()
    del request["medicationCodeableConcept"]
    return request | ({} if reference is None else {"medicationReference": {"reference": reference, **more}})


def rich(**replaced: Resource) -> Resource:
    """B0 with one of each kind of reference that a verdict may rest on."""
    facts = {
        "request": of_medication("Medication/m"),
        "medication": medication("m", AZATHIOPRINE),
        "use": device_use_statement("Device/d"),
        "device": device(NIV, id="d"),
        "subject": research_subject("ResearchStudy/s"),
        "study": research_study("s", "NCT00000001", "A trial of something"),
        "own_study": research_study("t", NCT, "This trial"),
        "consent": consent(
            uri=None,
            provision=None,
        )
        | {
            "provision": {
                "type": "permit",
                "data": [{"meaning": "related", "reference": {"reference": "ResearchStudy/t"}}],
            }
        },
        "arthrosis": condition(cid10("M16.1"), id="f", onset="2018-01-01"),
        "hip": procedure(
            snomed("52734007", "Artroplastia total de quadril"),
            on="2019-01-02",
            reasonReference=[{"reference": "Condition/f"}],
        ),
    }
    facts.update(replaced)
    return b0(list(facts.values()))


def verdicts(found: Resource, **more: Any) -> dict[str, tuple[Any, ...]]:
    rows = assess(found, **more)["criteria"]
    return {row["id"]: (row["status"], row.get("basis"), tuple(row.get("reasons", ()))) for row in rows}


def elements(value: Any) -> Iterator[Json]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from elements(part)


def written(found: Resource, say: Callable[[str], str]) -> Resource:
    """The Bundle with every literal reference said otherwise."""
    said = json.loads(json.dumps(found))
    for element in elements([entry["resource"] for entry in said["entry"]]):
        if isinstance(element.get("reference"), str):
            element["reference"] = say(element["reference"])
    return said


def placed(found: Resource, where: Callable[[Resource], str | None]) -> Resource:
    """The Bundle with other fullUrls."""
    said = copy.deepcopy(found)
    for entry in said["entry"]:
        url = where(entry["resource"])
        del entry["fullUrl"]
        entry |= {} if url is None else {"fullUrl": url}
    return said


def urn(name: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


def name_of(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def by_urn(found: Resource) -> Resource:
    return placed(written(found, urn), lambda resource: urn(name_of(resource)))


def by_urn_alone(found: Resource) -> Resource:
    """As a document or a transaction has it: no resource but the Patient has an id."""
    said = by_urn(found)
    for entry in said["entry"]:
        if entry["resource"]["resourceType"] != "Patient":
            del entry["resource"]["id"]
    return said


def as_pages(found: Resource) -> Resource:
    """A collection of searchsets, as an export by searches gives it."""
    kinds: dict[str, list[Resource]] = {}
    for entry in found["entry"]:
        kinds.setdefault(entry["resource"]["resourceType"], []).append(entry)
    pages = [
        {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
        for entries in kinds.values()
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": page} for page in pages]}


FORMS: dict[str, Callable[[Resource], Resource]] = {
    "absolute": lambda found: written(found, lambda name: f"{EHR}/{name}"),
    "by http": lambda found: written(found, lambda name: f"http://ehr.example:80/fhir/{name}"),
    "versioned": lambda found: written(found, lambda name: f"{name}/_history/3"),
    "absolute and versioned": lambda found: written(found, lambda name: f"{EHR}/{name}/_history/3"),
    "urn": by_urn,
    "urn without ids": by_urn_alone,
    "urn in capitals": lambda found: written(by_urn(found), str.upper),
    "without fullUrl": lambda found: placed(found, lambda _: None),
    "absolute without fullUrl": lambda found: placed(
        written(found, lambda name: f"{EHR}/{name}"), lambda _: None
    ),
    "versioned fullUrl": lambda found: placed(found, lambda r: f"{EHR}/{name_of(r)}/_history/3"),
    "urn fullUrl": lambda found: placed(found, lambda resource: urn(name_of(resource))),
    "pages of searches": as_pages,
    "one page that calls its server otherwise": lambda found: {
        **placed(found, lambda r: f"{EHR if len(name_of(r)) % 2 else FAR}/{name_of(r)}"),
        "type": "searchset",
    },
}


# What the references lead to, each with what the criterion says once they lead nowhere.
RESTING = {
    "EX09-Immunosuppressant": ("met", "unknown"),
    "EX12-OtherTrial": ("met", "unknown"),
    "EX13a-Niv": ("met", "unknown"),
    "EX03g-HipFracture": ("not-met", "unknown"),
    "IN07-ConsentCapacity": ("met", "unknown"),
}


def test_the_record_rests_on_each_of_its_references() -> None:
    plain, torn = (
        verdicts(rich()),
        verdicts(written(rich(), lambda name: name if "Patient" in name else f"{FAR}/{name}")),
    )
    assert {name: (plain[name][0], torn[name][0]) for name in RESTING} == RESTING


@pytest.mark.parametrize("form", FORMS)
def test_however_references_are_written_the_verdicts_are_the_same(form: str) -> None:
    assert verdicts(FORMS[form](rich())) == verdicts(rich())


# --- another server's ids -----------------------------------------------------------------------------------------------


def with_far(found: Resource, *resources: Resource) -> Resource:
    """The Bundle with resources of another server."""
    far = [{"fullUrl": f"{FAR}/{name_of(resource)}", "resource": resource} for resource in resources]
    return {**found, "entry": [*found["entry"], *far]}


def one(found: Resource, name: str) -> tuple[Any, ...]:
    return verdicts(found)[name]


@pytest.mark.parametrize(
    ("reference", "verdict"),
    [
        ("Medication/m", ("not-met", "no-evidence", ())),
        (f"{EHR}/Medication/m", ("not-met", "no-evidence", ())),
        (f"{FAR}/Medication/m", ("met", "explicit", ())),
        (f"{FAR}/Medication/m/_history/2", ("met", "explicit", ())),
        ("https://third.example/Medication/m", ("unknown", None, ("ambiguous-code",))),
        ("Medication/unknown", ("unknown", None, ("ambiguous-code",))),
        (None, ("unknown", None, ("ambiguous-code",))),
    ],
)
@pytest.mark.parametrize("far_first", [False, True])
def test_a_drug_is_that_of_the_server_which_the_reference_names(
    reference: str | None, verdict: tuple[Any, ...], far_first: bool
) -> None:
    found = with_far(b0(of_medication(reference), medication("m", RILUZOLE)), medication("m", AZATHIOPRINE))
    if far_first:
        found["entry"] = [*found["entry"][:1], *reversed(found["entry"][1:])]
    assert one(found, "EX09-Immunosuppressant") == verdict


def test_words_beside_a_reference_that_leads_to_another_server_are_read() -> None:
    found = b0(of_medication(f"{FAR}/Medication/m", display="Azatioprina 50 mg"), medication("m", RILUZOLE))
    assert one(found, "EX09-Immunosuppressant") == ("unknown", None, ("text-only",))
    found = b0(of_medication(f"{FAR}/Medication/m", display="Riluzol 50 mg"), medication("m", AZATHIOPRINE))
    assert one(found, "EX09-Immunosuppressant")[0] == "not-met"


def test_a_study_of_another_server_is_not_the_record_s_of_that_id() -> None:
    this, other = research_study("s", NCT), research_study("s", "NCT00000001")
    far = f"{FAR}/ResearchStudy/s"
    assert one(b0(research_subject("ResearchStudy/s"), this), "EX12-OtherTrial")[0] == "not-met"
    assert one(b0(research_subject(far), this), "EX12-OtherTrial")[0] != "not-met"
    assert one(with_far(b0(research_subject(far), this), other), "EX12-OtherTrial")[0] == "met"
    assert one(with_far(b0(research_subject("ResearchStudy/s"), other), this), "EX12-OtherTrial")[0] == "met"


def test_consent_to_another_server_s_study_is_no_consent_to_this_trial() -> None:
    def to(reference: str) -> Resource:
        data = [{"meaning": "related", "reference": {"reference": reference}}]
        return consent(uri=None, provision="permit") | {"provision": {"type": "permit", "data": data}}

    study = research_study("s", NCT)
    assert one(b0(to("ResearchStudy/s"), study), "IN07-ConsentCapacity")[0] == "met"
    assert one(b0(to(f"{FAR}/ResearchStudy/s"), study), "IN07-ConsentCapacity")[0] == "unknown"


def test_a_device_of_another_server_is_not_the_record_s_of_that_id() -> None:
    found = b0(device_use_statement(f"{FAR}/Device/d"), device(NIV, id="d"))
    assert one(found, "EX13a-Niv") == ("unknown", None, ("ambiguous-code",))


def test_an_operation_s_reason_on_another_server_is_not_the_record_s_of_that_id() -> None:
    hip = procedure(snomed("52734007", "Artroplastia total de quadril"), on="2019-01-02")
    arthrosis = condition(cid10("M16.1"), id="f", onset="2018-01-01")
    near, far = ({**hip, "reasonReference": [{"reference": f"{base}/Condition/f"}]} for base in (EHR, FAR))
    assert one(b0(near, arthrosis), "EX03g-HipFracture")[0] == "not-met"
    assert one(b0(far, arthrosis), "EX03g-HipFracture")[0] == "unknown"


# --- whose data ---------------------------------------------------------------------------------------------------------


def about(subject: Json | None, fact: Resource) -> Resource:
    return {**fact, "subject": subject} if subject is not None else fact


@pytest.mark.parametrize(
    ("subject", "verdict"),
    [
        ({"reference": "Patient/p1"}, ("met", "explicit", ())),
        ({"reference": "Patient/someone"}, ("not-met", "no-evidence", ())),
        ({"reference": f"{FAR}/Patient/p1"}, ("unknown", None, ("retrieval-failed",))),
        ({"reference": f"{FAR}/Patient/someone"}, ("not-met", "no-evidence", ())),
        ({"reference": "urn:uuid:00000000-0000-0000-0000-000000000000"}, ("unknown", None, ("retrieval-failed",))),
        ({"reference": "Group/family"}, ("unknown", None, ("retrieval-failed",))),
        ({"reference": "Patient?identifier=urn:else|1"}, ("unknown", None, ("retrieval-failed",))),
        ({"reference": "p1"}, ("unknown", None, ("retrieval-failed",))),
        ({"display": "the patient"}, ("met", "explicit", ())),
    ],
)  # fmt: skip
def test_a_finding_is_evidence_only_for_whom_it_names(subject: Json, verdict: tuple[Any, ...]) -> None:
    sclerosis = about(subject, condition(cid10("G35"), id="ms", onset="2019"))
    found = b0(sclerosis, who=patient("p1"))
    assert one(found, "EX05-OtherNeuro") == verdict


def test_the_account_says_why_a_type_is_not_complete() -> None:
    found = b0(about({"reference": "Group/g"}, condition(cid10("G35"), id="ms")))
    text = json.dumps(assess(found))
    assert "a resource whose patient can't be told" in text
    assert "Group/g" not in text


def test_an_als_of_nobody_that_can_be_told_is_no_evidence_of_als() -> None:
    als = about(
        {"reference": "urn:uuid:00000000-0000-0000-0000-000000000000"}, condition(cid10("G12.2"), id="als")
    )
    found = assess(bundle(patient("p1"), als))
    assert criterion(found, "H1-Condition")["reasons"] == ["retrieval-failed"]
    assert not criterion(found, "H1-Condition")["evidence"]


# --- contained ----------------------------------------------------------------------------------------------------------


def test_contained_drugs_of_one_id_in_two_requests_stay_apart() -> None:
    def holding(kind: str, drug: Json) -> Resource:
        held = [medication("med0", drug)]
        return {**of_medication("#med0"), "resourceType": kind, "id": "1", "contained": held}

    statement = {**holding("MedicationStatement", RILUZOLE), "effectiveDateTime": "2026-06-01"}
    del statement["authoredOn"], statement["intent"]
    found = b0(holding("MedicationRequest", AZATHIOPRINE), statement)
    assert one(found, "EX09-Immunosuppressant")[0] == "met"
    turned = {**found, "entry": [*found["entry"][:1], *reversed(found["entry"][1:])]}
    assert one(turned, "EX09-Immunosuppressant")[0] == "met"


def test_a_document_s_contained_results_are_the_patient_s() -> None:
    """Results inside a report whose subject is a urn, as documents have them, were lost in silence once."""
    plain = b0()
    (alt,) = (r for r in resources_of(plain) if r["id"].endswith("-alt"))
    inner = {**alt, "id": "alt", "valueQuantity": {**alt["valueQuantity"], "value": 500}}
    report = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "final",
        "subject": alt["subject"],
        "code": {"text": "Hepatograma"},
        "effectiveDateTime": alt["effectiveDateTime"],
        "contained": [inner],
        "result": [{"reference": "#alt"}],
    }
    others = [r for r in resources_of(plain) if r is not alt]
    found = bundle(others[0], others[1:], report)
    assert one(found, "EX06-AstAlt")[0] == "met"

    def said(name: str) -> str:
        return name if name.startswith("#") else urn(name)

    document = placed(written(found, said), lambda resource: urn(name_of(resource)))
    assert verdicts(document) == verdicts(found)
