"""Codings as people write them: URIs of systems in many forms, blanks, several codings, parts that are missing."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.builders import (
    ATC,
    ICD10,
    ICD10CM,
    LOINC,
    RXNORM,
    SNOMED,
    UCUM,
    Resource,
    als,
    ast,
    bundle,
    condition,
    medication_request,
    minimal,
    observation,
    patient,
    reference_range,
)
from tests.trials.assessing import assess, criterion, verdict

H1 = "H1-Condition"
BR_OLD = "http://www.saude.gov.br/fhir/r4/CodeSystem"
BR_NOW = "https://terminologia.saude.gov.br/fhir/CodeSystem"
BR_IG = "https://rnds-fhir.saude.gov.br/CodeSystem"

SYSTEMS = [
    *(
        (SNOMED, written)
        for written in (
            "http://snomed.info/sct",
            "https://snomed.info/sct",
            "http://snomed.info/sct/",
            "HTTP://SNOMED.INFO/SCT",
            " http://snomed.info/sct\t",
            "http://snomed.info/sct|http://snomed.info/sct/731000124108",
            "http://snomed.info/sct/731000124108",
            "http://snomed.info/sct/731000124108/version/20250301",
            "urn:oid:2.16.840.1.113883.6.96",
            "2.16.840.1.113883.6.96",
            "URN:OID:2.16.840.1.113883.6.96",
            "SNOMED-CT",
        )
    ),
    *(
        (LOINC, written)
        for written in (
            "https://loinc.org",
            "http://loinc.org/",
            "http://www.loinc.org",
            "http://loinc.org|2.77",
            "urn:oid:2.16.840.1.113883.6.1",
            "LOINC",
            f"{BR_OLD}/BRNomeExameLOINC",
            f"{BR_NOW}/BRNomeExameLOINC",
            f"{BR_IG}/BRNomeExameLOINC",
        )
    ),
    *(
        (ICD10, written)
        for written in (
            "https://hl7.org/fhir/sid/icd-10/",
            "urn:oid:2.16.840.1.113883.6.3",
            f"{BR_OLD}/BRCID10",
            f"{BR_NOW}/BRCID10",
            f"{BR_IG}/BRCID10",
            "CID-10",
        )
    ),
    *(
        (ICD10CM, written)
        for written in (
            "https://hl7.org/fhir/sid/icd-10-cm",
            "http://hl7.org/fhir/sid/icd-10-cm|2026",
            "urn:oid:2.16.840.1.113883.6.90",
            "ICD-10-CM",
        )
    ),
    *((RXNORM, written) for written in ("urn:oid:2.16.840.1.113883.6.88", "RxNorm", f"{RXNORM}/")),
    *((ATC, written) for written in ("https://www.whocc.no/atc", "whocc.no/atc", "ATC")),
]
# In each system one fact that excludes: the verdict is the same however the system is written.
FACTS: dict[str, tuple[str, str]] = {
    SNOMED: ("EX03e-Lymphoma", "118601006"),
    ICD10: ("EX03e-Lymphoma", "C83.3"),
    ICD10CM: ("EX03e-Lymphoma", "C83.30"),
    LOINC: ("EX06-AstAlt", "1742-6"),
    RXNORM: ("EX09-Immunosuppressant", "1256"),
    ATC: ("EX09-Immunosuppressant", "L04AX01"),
}


def _fact(system: str, coding: dict[str, Any]) -> Resource:
    if system == LOINC:
        value = {"valueQuantity": {"value": 500, "unit": "U/L", "system": UCUM, "code": "U/L"}}
        return observation(coding, value, on="2026-06-01", ranges=[reference_range(high=41, unit="U/L")])
    if system in (RXNORM, ATC):
        return medication_request(coding, authored="2026-05-20")
    return condition(coding, onset="2019")


@pytest.mark.parametrize(("system", "written"), SYSTEMS)
def test_a_system_is_known_by_any_of_its_uris(system: str, written: str) -> None:
    criterion_id, code = FACTS[system]
    row = verdict(minimal(als(), _fact(system, {"system": written, "code": code})), criterion_id)
    assert row["status"] == "met"


@pytest.mark.parametrize(
    "written",
    ["http://snomed.info/xsct", "http://example.org/loinc.org", "urn:oid:2.16.840.1.113883.6.9", "ICD-10"],
)
def test_what_only_resembles_a_known_system_is_another(written: str) -> None:
    """ "ICD-10" alone may be the WHO's or the American one."""
    for system, (criterion_id, code) in FACTS.items():
        if system == LOINC:
            continue
        fact = _fact(system, {"system": written, "code": code})
        assert verdict(minimal(als(), fact), criterion_id)["status"] != "met"


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\u00a0", "\u200b", "\ufeff", "\u2009"])
@pytest.mark.parametrize("system", sorted(FACTS))
def test_blanks_around_a_code_are_no_part_of_it(system: str, blank: str) -> None:
    criterion_id, code = FACTS[system]
    for written in (blank + code, code + blank):
        row = verdict(minimal(als(), _fact(system, {"system": system, "code": written})), criterion_id)
        assert row["status"] == "met", ascii(written)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("g12.21", "met"),
        ("G1221", "met"),
        ("G12.21 ", "met"),
    ],
)
def test_dots_and_case_of_an_icd_code_do_not_matter(code: str, status: str) -> None:
    record = bundle(patient(), condition({"system": ICD10CM, "code": code}))
    assert verdict(record, H1)["status"] == status


@pytest.mark.parametrize(
    ("coding", "status", "reason", "likely"),
    [
        # Only the words can be read: never met, never ignored (§2.2).
        ({"code": "86044005", "display": "Amyotrophic lateral sclerosis"}, "unknown", "text-only", "met"),
        ({"display": "Esclerose lateral amiotrófica"}, "unknown", "text-only", "met"),
        (
            {"system": "urn:oid:1.2.3.4", "code": "7", "display": "Doença do neurônio motor"},
            "unknown",
            "text-only",
            "met",
        ),
        # A code that a set holds silences its words: they are what somebody typed beside it.
        (
            {"system": SNOMED, "code": "86044005", "display": "Nega esclerose lateral amiotrófica"},
            "met",
            None,
            None,
        ),
        # A code without a system and without words says nothing that could be compared.
        ({"code": "86044005"}, "not-met", None, None),
        ({"system": SNOMED, "display": "Amyotrophic lateral sclerosis"}, "unknown", "text-only", "met"),
    ],
)
def test_a_coding_that_lacks_a_part(
    coding: dict[str, Any], status: str, reason: str | None, likely: str | None
) -> None:
    row = verdict(bundle(patient(), condition(coding)), H1)
    assert (row["status"], row["likely"]) == (status, likely)
    assert row["reasons"] == ([reason] if reason else [])


LOCAL = {"system": "https://lab.example/exames", "code": "TGP", "display": "TGP (ALT)", "userSelected": True}
SEVERAL: dict[str, tuple[list[dict[str, Any]], str]] = {
    "specific-and-broader": (
        [
            {"system": SNOMED, "code": "86044005", "version": "http://snomed.info/sct/900000000000207008"},
            {"system": f"{BR_OLD}/BRCID10", "code": "G12.2", "display": "Doença do neurônio motor"},
            {"system": f"{BR_OLD}/BRCIAP2", "code": "N99", "display": "Outras doenças neurológicas"},
            {"system": "https://ehr.example/problems", "code": "8812", "userSelected": True},
        ],
        H1,
    ),
    "als-and-lupus": (
        [
            {"system": ICD10CM, "code": "G12.21"},
            {"system": ICD10CM, "code": "G35"},
            {"system": "https://ehr.example/problems", "code": "1", "display": "x"},
        ],
        "EX05-OtherNeuro",
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_the_order_of_codings_changes_no_verdict(name: str) -> None:
    codings, criterion_id = SEVERAL[name]
    chance = random.Random(name)
    found = set()
    for _ in range(8):
        chance.shuffle(codings)
        record = bundle(patient(), condition(*codings))
        found.add(tuple((row["id"], row["status"], *row["reasons"]) for row in assess(record)["criteria"]))
    assert len(found) == 1
    rows = {row[0]: row[1] for row in found.pop()}
    # G12.21 beside G35 in one Condition: which of the two it is, can't be told (§2.2).
    expected = "met" if criterion_id == H1 else "unknown"
    assert rows[criterion_id] == expected


def test_a_local_code_beside_the_loinc_code_changes_nothing() -> None:
    range_ = reference_range(high=41, unit="U/L")
    for codings in (
        [LOCAL, {"system": LOINC, "code": "1742-6"}],
        [{"system": LOINC, "code": "1742-6"}, LOCAL],
    ):
        alt = observation(
            "1742-6", {"valueQuantity": {"value": 28, "unit": "U/L"}}, on="2026-06-01", ranges=[range_]
        )
        alt["code"] = {"coding": codings, "text": "Transaminase pirúvica"}
        row = criterion(assess(minimal(als(), alt, ast(31))), "EX06-AstAlt")
        assert (row["status"], row["basis"]) == ("not-met", "explicit")
