"""Rules for Conditions (§2.1, §2.2, §2.9, §2.11), seen through the criterion H1 and a few others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    Json,
    Resource,
    als,
    alt,
    ast,
    bundle,
    cid10,
    coding,
    condition,
    el_escorial,
    icd10cm,
    minimal,
    patient,
    procedure,
    resources_of,
    snomed,
)
from tests.trials.assessing import Case, assess, check, criterion

H1 = "H1-Condition"
TRA = "EX13b-Tracheostomy"
ALS = snomed("86044005", "Amyotrophic lateral sclerosis")
G12_21 = icd10cm("G12.21")
OID = "urn:oid:2.16.840.1.113883."


def of(*conditions: Resource, **about: Any) -> Resource:
    return bundle(patient(**about), *conditions)


VERIFICATION = [
    Case("confirmed", H1, of(condition(ALS)), "met", card=True),
    Case(
        "verification-not-stated",
        H1,
        of(condition(ALS, verification=None)),
        "met",
        note="verification",
        card=True,
    ),
    *[
        Case(
            status,
            H1,
            of(condition(ALS, verification=status)),
            "unknown",
            ("unverified-condition",),
            card=True,
        )
        for status in ("unconfirmed", "provisional", "differential")
    ],
    Case("refuted", H1, of(condition(ALS, verification="refuted")), "not-met", card=False),
    Case(
        "entered-in-error",
        H1,
        of(condition(ALS, clinical=None, verification="entered-in-error")),
        "not-met",
        card=False,
    ),
    Case(
        "refuted-beside-confirmed", H1, of(condition(ALS, verification="refuted"), condition(G12_21)), "met"
    ),
    Case(
        "differential-beside-confirmed",
        H1,
        of(condition(ALS, verification="differential"), condition(G12_21)),
        "met",
    ),
]

CLINICAL = [
    *[
        Case(f"clinical-{status}", H1, of(condition(ALS, clinical=status)), "met")
        for status in ("active", "recurrence", "relapse", None)
    ],
    *[
        Case(f"clinical-{status}", H1, of(condition(ALS, clinical=status)), "unknown", ("conflicting-data",))
        for status in ("inactive", "remission", "resolved")
    ],
    Case(
        "no-status-but-abated",
        H1,
        of(condition(ALS, clinical=None, abatement="2026-01-01")),
        "unknown",
        ("conflicting-data",),
    ),
    Case("category-encounter-diagnosis", H1, of(condition(ALS, category="encounter-diagnosis")), "met"),
    Case("category-absent", H1, of(condition(ALS, category=None)), "met"),
    Case(
        "category-health-concern-is-review-only",
        H1,
        of(condition(ALS, category="health-concern")),
        "unknown",
        card=True,
    ),
]

DATES = [
    Case("onset-year-of-the-screening", H1, of(condition(ALS, onset="2026")), "met"),
    Case("recorded-month-of-the-screening", H1, of(condition(ALS, recorded="2026-06")), "met"),
    Case("recorded-this-evening", H1, of(condition(ALS, recorded="2026-06-15T23:30:00-03:00")), "met"),
    Case(
        "recorded-tomorrow-in-utc-but-today-here",
        H1,
        of(condition(ALS, recorded="2026-06-16T01:00:00Z")),
        "met",
    ),
    Case("recorded-after-screening", H1, of(condition(ALS, recorded="2026-07-01")), "not-met", card=False),
    Case("onset-after-screening", H1, of(condition(ALS, onset="2026-06-16")), "not-met", card=False),
]

ABATEMENTS = [
    Case(
        f"abatement-{name}",
        H1,
        of({**condition(ALS, clinical=None), f"abatement{name}": value}),
        "unknown",
        ("conflicting-data",),
    )
    for name, value in (
        ("Period", {"start": "2025-01-01", "end": "2025-06-01"}),
        ("Age", {"value": 54, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}),
    )
]

MATCHING = [
    Case("icd-without-dot-and-in-lower-case", H1, of(condition(icd10cm("g1221"))), "met"),
    Case("icd-9-cm", H1, of(condition(coding("http://hl7.org/fhir/sid/icd-9-cm", "335.20"))), "met"),
    Case("snomed-oid", H1, of(condition(coding(f"{OID}6.96", "86044005"))), "met"),
    Case("icd-10-cm-oid", H1, of(condition(coding(f"{OID}6.90", "G12.21"))), "met"),
    Case(
        "icd-10-oid",
        H1,
        of(condition(coding(f"{OID}6.3", "G12.2"))),
        "unknown",
        ("ambiguous-code",),
        likely="met",
    ),
    Case(
        "version-and-display-are-ignored",
        H1,
        of(condition({**ALS, "version": "http://snomed.info/sct/1/version/20200101", "display": "Asthma"})),
        "met",
    ),
    Case("user-selected-is-ignored", H1, of(condition(ALS, {**cid10("I10"), "userSelected": True})), "met"),
    Case("same-code-of-another-system", H1, of(condition(coding("urn:local", "86044005"))), "not-met"),
    Case("als-type-1", H1, of(condition(snomed("1201863001"))), "met"),
    *[
        Case(f"broader-{code['code']}", H1, of(condition(code)), "unknown", ("ambiguous-code",))
        for code in (
            snomed("37340000", "Motor neuron disease"),
            snomed("81211007", "Primary lateral sclerosis"),
            icd10cm("G12.2"),
            icd10cm("G12.20"),
            icd10cm("G12.29"),
        )
    ],
    Case(
        "broader-and-a-qualifying-category",
        H1,
        of(condition(snomed("37340000")), el_escorial("definite")),
        "met",
    ),
    Case(
        "broader-and-a-category-that-does-not-qualify",
        H1,
        of(condition(snomed("37340000")), el_escorial("suspected")),
        "unknown",
        ("ambiguous-code",),
    ),
    Case(
        "refuted-broader-and-a-qualifying-category",
        H1,
        of(condition(cid10("G12.2"), verification="refuted"), el_escorial("definite")),
        "not-met",
    ),
    Case("als-and-a-mimic", H1, of(condition(ALS), condition(snomed("230253001"))), "unknown"),
    Case(
        "als-and-a-refuted-mimic",
        H1,
        of(condition(ALS), condition(snomed("230253001"), verification="refuted")),
        "met",
    ),
    Case("a-mimic-alone", H1, of(condition(snomed("230253001", "Kennedy disease"))), "not-met", card=False),
    Case("family-history-situation", H1, of(condition(snomed("416471007"))), "not-met", card=False),
    Case("family-history-z-code", H1, of(condition(cid10("Z82.0"))), "not-met", card=False),
    Case("no-condition-at-all", H1, of(), "not-met", card=False, overall="excluded"),
]

CODINGS = [
    Case("specific-and-broader-of-the-same-disease", H1, of(condition(ALS, cid10("G12.2"))), "met"),
    Case(
        "als-beside-a-neurological-disease",
        H1,
        of(condition(G12_21, icd10cm("G35"))),
        "unknown",
        ("ambiguous-code",),
        card=True,
    ),
    Case(
        "broader-beside-an-infection",
        H1,
        of(condition(cid10("G12.2"), cid10("B24"))),
        "unknown",
        ("ambiguous-code",),
        others=(("EX08c-Hiv", "unknown"),),
    ),
    Case(
        "als-beside-a-tracheostomy-status",
        TRA,
        of(condition(G12_21, icd10cm("Z93.0"))),
        "unknown",
        ("ambiguous-code",),
        others=((H1, "unknown"),),
    ),
    Case("als-beside-an-exclude-set", H1, of(condition(G12_21, icd10cm("Z11.4"))), "met"),
    Case("als-beside-a-hint-set", H1, of(condition(G12_21, icd10cm("F32.9"))), "met"),
    Case("als-beside-an-allow-listed-symptom", H1, of(condition(G12_21, icd10cm("R47.1"))), "met"),
    Case(
        "two-other-diseases-in-one-condition-count-each",
        TRA,
        minimal(condition(icd10cm("Z93.0"), icd10cm("B20"))),
        "met",
        others=(("EX08c-Hiv", "met"),),
    ),
]


def text(words: str, status: str, likely: str | None = None, *codings: Json, **elements: Any) -> Case:
    reasons = ("text-only",) if status == "unknown" else ()
    record = of(condition(*codings, text=words, **elements))
    return Case(words, H1, record, status, reasons, likely=likely, card=status == "unknown")


TEXTS = [
    text("Amyotrophic lateral sclerosis", "unknown", "met"),
    text("AMYOTROPHIC-LATERAL SCLEROSIS", "unknown", "met"),
    text("Lou Gehrig disease", "unknown", "met"),
    text("motor neuron disease", "unknown", "met"),
    text("Doença do neurônio motor", "unknown", "met"),
    text("Paciente com esclerose lateral amiotrofica desde 2025", "unknown", "met"),
    text("ELA", "unknown", "met"),
    text("ela", "not-met"),
    text("Ela", "not-met"),
    text("ELA REFERE FRAQUEZA", "not-met"),
    text("Esclerose múltipla", "not-met"),
    text("esclerose lateral amiotrófica?", "unknown", "met"),
    text("no amyotrophic lateral sclerosis", "unknown", "met"),
    text("sem esclerose lateral amiotrófica", "unknown", "not-met"),
    text("sem evidência de esclerose lateral amiotrófica", "unknown", "not-met"),
    text("Nega diagnóstico de esclerose lateral amiotrófica", "unknown", "not-met"),
    text("mãe com esclerose lateral amiotrófica", "unknown", "not-met"),
    text("denies amyotrophic lateral sclerosis", "unknown", "not-met"),
    text("amyotrophic lateral sclerosis ruled out", "unknown", "not-met"),
    text("Esclerose lateral amiotrófica descartado", "unknown", "not-met"),
    text("Nega fraqueza, esclerose lateral amiotrófica", "unknown", "met"),
    text("Esclerose lateral amiotrófica", "not-met", None, verification="refuted"),
    # A code that any set holds silences the text, an Exclude set included; a code that no set holds doesn't.
    text("esclerose lateral amiotrofica, M35.7", "not-met", None, icd10cm("M35.7")),
    text("esclerose lateral amiotrofica, I10", "unknown", "met", cid10("I10")),
    text("esclerose lateral amiotrofica, local", "unknown", "met", coding("urn:local:dx", "4711")),
]

SECTIONS = [*VERIFICATION, *CLINICAL, *DATES, *ABATEMENTS, *MATCHING, *CODINGS, *TEXTS]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: c.id)
def test_condition_rule(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("element", ["onset", "recorded"])
def test_a_future_dated_condition_is_said_to_be_ignored(element: str) -> None:
    assessment = assess(of(condition(ALS, **{element: "2026-07-01"})))
    row = criterion(assessment, H1)
    said = [*assessment["warnings"], *assessment["notes"], *row["notes"], *row["reasons"]]
    assert any("future-dated" in sentence for sentence in said)


def _with_subject(reference: str) -> Resource:
    return of(condition(ALS, subject={"reference": reference}))


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        ("Patient/pat-1", "met"),
        ("https://ehr.example/fhir/Patient/pat-1", "met"),
        ("Patient/pat-1/_history/2", "met"),
        ("Patient/other", "not-met"),
        ("Patient/pat-12", "not-met"),
        ("Group/pat-1", "unknown"),  # who is in the group can't be told
    ],
)
def test_only_this_patient_s_conditions_count(reference: str, status: str) -> None:
    check(Case(reference, H1, _with_subject(reference), status))


def test_references_by_urn_resolve_within_the_bundle() -> None:
    record = of(condition(ALS))
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    record["entry"][0]["fullUrl"] = urn
    record["entry"][1]["resource"]["subject"] = {"reference": urn}
    check(Case("urn", H1, record, "met"))


def test_another_patient_s_als_is_dropped_with_a_warning() -> None:
    record = of(condition(cid10("I10")))
    record["entry"] += of(condition(ALS), patient_id="other")["entry"]
    assessment = assess(record, patient_id="pat-1")
    assert criterion(assessment, H1)["status"] == "not-met"
    assert assessment["patient"] == "Patient/pat-1"
    assert assessment["warnings"]


class TestVersions:
    """Several versions of one resource: the highest meta.versionId counts (§2.1)."""

    @staticmethod
    def _versions(newer: Json, older: Json) -> Resource:
        return of(
            condition(ALS, verification="refuted", id="als", meta=newer),
            condition(ALS, id="als", meta=older),
        )

    @pytest.mark.parametrize("reverse", [False, True])
    def test_highest_version_counts(self, reverse: bool) -> None:
        record = self._versions({"versionId": "10"}, {"versionId": "9"})
        if reverse:
            record["entry"][1:] = record["entry"][:0:-1]
        assert len(resources_of(record)) == 3
        check(Case("versions", H1, record, "not-met"))

    def test_versions_that_are_no_numbers_go_by_last_update(self) -> None:
        record = self._versions(
            {"versionId": "a", "lastUpdated": "2026-05-02T10:00:00Z"},
            {"versionId": "b", "lastUpdated": "2026-05-01T10:00:00Z"},
        )
        check(Case("versions", H1, record, "not-met"))


@pytest.mark.parametrize("kind", ["Foo", "condition", "CONDITION"])
def test_unknown_resource_types_are_ignored_with_a_warning(kind: str) -> None:
    record = of(condition(ALS))
    plain = verdicts_of(record)
    record["entry"].append({"resource": {**condition(snomed("230253001")), "resourceType": kind, "id": "x"}})
    assessment = assess(record)
    assert {row["id"]: row["status"] for row in assessment["criteria"]} == plain
    assert assessment["warnings"]


def verdicts_of(record: Resource) -> dict[str, str]:
    return {row["id"]: row["status"] for row in assess(record)["criteria"]}


MODIFIER = {"url": "https://example.org/not-what-it-seems", "valueBoolean": True}


class TestModifierExtension:
    """A modifierExtension that the service doesn't know unsettles what rests on the resource (§2.1)."""

    def test_on_the_resource(self) -> None:
        record = of(condition(ALS, modifierExtension=[MODIFIER]))
        check(Case("on", H1, record, "unknown", ("ambiguous-code",), card=True))

    def test_inside_the_resource(self) -> None:
        stage = {"summary": {"text": "x"}, "modifierExtension": [MODIFIER]}
        check(Case("inside", H1, of(condition(ALS, stage=[stage])), "unknown", ("ambiguous-code",)))

    def test_on_a_laboratory_result(self) -> None:
        record = minimal(alt(28, modifierExtension=[MODIFIER]), ast(30))
        check(Case("lab", "EX06-AstAlt", record, "unknown", ("ambiguous-code",)))
        record = minimal(alt(500, modifierExtension=[MODIFIER]), ast(30))
        check(Case("lab", "EX06-AstAlt", record, "unknown", ("ambiguous-code",)))

    def test_on_a_resource_that_decides_nothing_here(self) -> None:
        record = minimal(alt(28), ast(30), procedure(snomed("80146002"), modifierExtension=[MODIFIER]))
        check(Case("elsewhere", "EX06-AstAlt", record, "not-met"))
        check(Case("elsewhere", H1, record, "met"))

    def test_on_the_patient(self) -> None:
        record = minimal(modifierExtension=[MODIFIER])
        check(Case("patient", "IN01-Age", record, "unknown", ("ambiguous-code",)))


def test_als_of_b0_is_met_by_its_specific_coding() -> None:
    check(Case("b0", H1, of(als()), "met", basis="explicit"))
