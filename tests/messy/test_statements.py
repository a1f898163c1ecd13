"""What a record says of itself: nothing known, nobody knows, kept back; and what only its narrative says."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.records.narrative import narrative
from tests.builders import (
    SNOMED,
    Resource,
    bundle,
    condition,
    device_use_statement,
    medication_request,
    medication_statement,
    minimal,
    patient,
    procedure,
    rxnorm,
    snomed,
)
from tests.trials.assessing import assess, criterion, verdict

IPS = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
LOINC = "http://loinc.org"


def ips(code: str, display: str | None = None) -> dict[str, Any]:
    return {"system": IPS, "code": code} | ({} if display is None else {"display": display})


def device(code: dict[str, Any]) -> Resource:
    inside = {"resourceType": "Device", "id": "d", "type": {"coding": [code]}}
    return device_use_statement("#d", contained=[inside])


# ---------------------------------------------------------------- nothing known: no evidence, and no riddle
@pytest.mark.parametrize(
    ("said", "criterion_id"),
    [
        (medication_statement(ips("no-known-medications", "No known medications")), "EX09-Immunosuppressant"),
        (medication_statement(ips("no-known-medications")), "EX09-Immunosuppressant"),
        (medication_statement(snomed("787481004")), "EX09-Immunosuppressant"),
        (medication_statement(snomed("787481004"), status="unknown"), "EX01-PriorCellTherapy"),
        (procedure(ips("no-known-procedures")), "EX01-PriorCellTherapy"),
        (condition(snomed("160245001")), "EX05-OtherNeuro"),
        (device(ips("no-known-devices")), "EX13a-Niv"),
        (device(snomed("787483001")), "EX15-AlternativeFeeding"),
    ],
)
def test_nothing_known_is_no_evidence(said: Resource, criterion_id: str) -> None:
    row = verdict(minimal(said), criterion_id)
    assert (row["status"], row["basis"]) == ("not-met", "no-evidence")


# ---------------------------------------------------------------- no information: nobody looked
@pytest.mark.parametrize(
    ("said", "criterion_id"),
    [
        (
            medication_statement(ips("no-medication-info", "No information about medications")),
            "EX09-Immunosuppressant",
        ),
        (medication_statement(ips("no-medication-info")), "EX09-Immunosuppressant"),
        (procedure(ips("no-procedure-info")), "EX01-PriorCellTherapy"),
        (device(ips("no-device-info")), "EX13a-Niv"),
    ],
)
def test_no_information_is_not_no(said: Resource, criterion_id: str) -> None:
    """The record says that it doesn't know: ask the patient, as where a server doesn't offer the data (§1.2)."""
    row = verdict(minimal(said), criterion_id)
    assert (row["status"], row["reasons"]) == ("unknown", ["not-offered"])


def test_no_information_beside_information_says_nothing() -> None:
    nobody = medication_statement(ips("no-medication-info"))
    riluzole = medication_request(rxnorm("35623"), authored="2026-01-01")
    azathioprine = medication_request(rxnorm("1256"), authored="2026-05-20")
    assert verdict(minimal(nobody, riluzole), "EX09-Immunosuppressant")["status"] == "not-met"
    assert verdict(minimal(nobody, azathioprine), "EX09-Immunosuppressant")["status"] == "met"


def test_nobody_knows_of_problems_and_there_is_no_card() -> None:
    """Without any Condition there is no ALS evidence: H1 can't be told, and that alone makes no card (§1.2)."""
    assessment = assess(bundle(patient(), condition(ips("no-problem-info"))))
    row = criterion(assessment, "H1-Condition")
    assert (row["status"], row["reasons"], assessment["card"]) == ("unknown", ["not-offered"], False)


# ---------------------------------------------------------------- sections of a document that are empty
def document(code: str, reason: str | None, *facts: Resource, **more: Any) -> dict[str, Any]:
    section: dict[str, Any] = {"code": {"coding": [{"system": LOINC, "code": code}]}, **more}
    if reason is not None:
        system = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
        section["emptyReason"] = {"coding": [{"system": system, "code": reason}]}
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"coding": [{"system": LOINC, "code": "60591-5"}]},
        "section": [{"title": "outer", "section": [section]}],
    }
    record = minimal(composition, *facts)
    record["type"] = "document"
    record["entry"].insert(
        0, record["entry"].pop([e["resource"]["resourceType"] for e in record["entry"]].index("Composition"))
    )
    return record


@pytest.mark.parametrize(
    ("reason", "status", "reasons"),
    [
        ("nilknown", "not-met", []),
        (None, "not-met", []),
        ("unavailable", "unknown", ["not-offered"]),
        ("notasked", "unknown", ["not-offered"]),
        ("withheld", "unknown", ["retrieval-failed"]),
    ],
)
@pytest.mark.parametrize(
    ("section", "criterion_id"),
    [("10160-0", "EX09-Immunosuppressant"), ("47519-4", "EX01-PriorCellTherapy"), ("46264-8", "EX13a-Niv")],
)
def test_why_a_section_is_empty(
    section: str, criterion_id: str, reason: str | None, status: str, reasons: list[str]
) -> None:
    row = verdict(document(section, reason), criterion_id)
    assert (row["status"], row["reasons"]) == (status, reasons)


def test_what_is_kept_back_is_missing_beside_what_came() -> None:
    azathioprine = medication_request(rxnorm("1256"), authored="2026-05-20")
    row = verdict(document("10160-0", "withheld", azathioprine), "EX09-Immunosuppressant")
    assert (row["status"], row["likely"]) == ("unknown", "met")
    row = verdict(document("10160-0", "unavailable", azathioprine), "EX09-Immunosuppressant")
    assert row["status"] == "met"


@pytest.mark.parametrize(
    "section", [5, [], [None], [{"code": 5, "emptyReason": []}], {"code": {}}, [{"section": [[[]]]}]]
)
def test_a_section_of_any_shape_is_taken(section: Any) -> None:
    record = document("10160-0", None)
    record["entry"][0]["resource"]["section"] = section
    assert verdict(record, "EX09-Immunosuppressant")["status"] == "not-met"


# ---------------------------------------------------------------- narratives
def div(content: str) -> dict[str, Any]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>'}


@pytest.mark.parametrize(
    ("content", "likely"),
    [
        ("Esclerose <b>lateral</b> amiotr&oacute;fica", "met"),
        ("<p>Diagn&#243;stico:</p><p>Doença do neurônio motor</p>", "met"),
        ("<p>ELA</p>", "met"),
        ("Nega esclerose lateral amiotrófica", "not-met"),
        # A denial in another cell denies something else.
        ("<table><tr><td>Nega</td><td>Esclerose lateral amiotrófica</td></tr></table>", "met"),
    ],
)
def test_a_condition_that_only_its_narrative_names_is_text_only(content: str, likely: str) -> None:
    for code in ({}, {"code": {"extension": [{"url": "x"}]}}, {"code": {"coding": []}}):
        als = {"resourceType": "Condition", "text": div(content), **code}
        row = verdict(bundle(patient(), als), "H1-Condition")
        assert (row["status"], row["reasons"], row["likely"]) == ("unknown", ["text-only"], likely)


@pytest.mark.parametrize(
    "code", [{"text": "Hipertensão"}, {"coding": [{"system": SNOMED, "code": "38341003"}]}]
)
def test_a_narrative_beside_a_name_is_not_read(code: dict[str, Any]) -> None:
    """It repeats what is coded, or tells of somebody else: a mother with ALS."""
    hypertension = {"resourceType": "Condition", "text": div("Mãe com esclerose lateral"), "code": code}
    assert verdict(bundle(patient(), hypertension), "H1-Condition")["status"] == "not-met"


def test_a_refuted_narrative_is_refuted() -> None:
    als = condition(verification="refuted") | {"text": div("Esclerose lateral amiotrófica")}
    assert verdict(bundle(patient(), als), "H1-Condition")["status"] == "not-met"


def test_a_procedure_that_only_its_narrative_names_is_text_only() -> None:
    transplant = {
        "resourceType": "Procedure",
        "status": "completed",
        "text": div("Transplante de medula óssea"),
    }
    row = verdict(minimal(transplant), "EX01-PriorCellTherapy")
    assert (row["status"], row["reasons"]) == ("unknown", ["text-only"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, []),
        ("x", []),
        ({}, []),
        ({"div": 5}, []),
        ({"div": ""}, []),
        ({"div": "<div>a<br/>b &lt;c&gt; <i>d</i>e</div>"}, ["a", "b <c> de"]),
        ({"div": "<![foo <p a='>'>x</p> < y"}, ["<![foo", "'>x", "< y"]),
        ({"div": "<" * 30_000}, ["<" * 20_000]),
        ({"div": "<" + "a" * 30_000}, ["<" + "a" * 19_999]),
    ],
)
def test_a_narrative_of_any_shape_is_taken(text: Any, found: list[str]) -> None:
    assert narrative({"text": text}) == found
