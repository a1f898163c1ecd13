"""Rules of EX05 (other neurological disease), EX11 (immunodeficiency) and EX14a (substance use)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.builders import (
    ICD9CM,
    Json,
    Resource,
    als,
    atc,
    attestation,
    b0,
    bundle,
    cid10,
    coding,
    concept,
    condition,
    family_member_history,
    icd10cm,
    lab,
    medication_administration,
    medication_dispense,
    medication_request,
    medication_statement,
    minimal,
    observation,
    patient,
    quantity,
    rxnorm,
    serology,
    snomed,
    value_integer,
    value_quantity,
)
from tests.trials.assessing import Case, assess, check, criterion, verdict

H1 = "H1-Condition"
NEU, IMD, SUD = "EX05-OtherNeuro", "EX11-Immunodeficiency", "EX14a-SubstanceUse"
INTERFERING = "EX04-OtherInterferingDisease"
ALS = snomed("86044005", "Amyotrophic lateral sclerosis")
MS = snomed("24700007", "Multiple sclerosis")
CVID = cid10("D83.9", "Common variable immunodeficiency")
ALCOHOL = cid10("F10.2")
MODIFIER = {"url": "https://ehr.example/modifier", "valueBoolean": True}


def with_condition(*codings: Json, **elements: Any) -> Resource:
    return minimal(condition(*codings, id="it", **elements))


# --- what is the same in all three (§2.2) -------------------------------------------------------------------

SUBJECTS = [(NEU, MS), (IMD, CVID), (SUD, ALCOHOL)]


def conditions(criterion_id: str, code: Json) -> list[Case]:
    def of(name: str, status: str, reasons: tuple[str, ...] = (), note: Any = None, **elements: Any) -> Case:
        evidence = ("it",) if status != "not-met" else ()
        basis = {"met": "explicit", "not-met": "no-evidence"}.get(status)
        record = with_condition(code, **elements)
        return Case(name, criterion_id, record, status, reasons, basis=basis, note=note, evidence=evidence)

    return [
        *[of(f"clinical-{s}", "met", clinical=s) for s in ("active", "recurrence", "relapse")],
        of("no-clinical-status", "met", clinical=None),
        *[of(f"clinical-{s}", "unknown", clinical=s) for s in ("inactive", "remission", "resolved")],
        of("no-clinical-status-and-ended-in-words", "unknown", clinical=None, abatementString="in childhood"),
        of("clinical-status-of-another-kind", "unknown", clinical="better"),
        of("ends-later", "unknown", ("future-dated",), abatement="2026-06-16"),
        # Active, with an end that may or may not lie before S (§2.2): substance use counts either way.
        *[
            of(f"active-ending-{day}", "met" if criterion_id == SUD else "unknown", abatement=day)
            for day in ("2026", "2026-06")
        ],
        of("verification-absent", "met", note="verification not stated", verification=None),
        *[
            of(f"verification-{v}", "unknown", ("unverified-condition",), verification=v)
            for v in ("unconfirmed", "provisional", "differential", "perhaps")
        ],
        *[of(f"verification-{v}", "not-met", verification=v) for v in ("refuted", "entered-in-error")],
        of("refuted-and-resolved", "not-met", verification="refuted", clinical="resolved"),
        of("encounter-diagnosis", "met", category="encounter-diagnosis"),
        of("no-category", "met", category=None),
        of("health-concern", "unknown", ("needs-clinician",), category="health-concern"),
        of("begins-tomorrow", "not-met", note="future-dated", onset="2026-06-16"),
        of("recorded-tomorrow", "not-met", note="future-dated", recorded="2026-06-16"),
        of("recorded-today", "met", recorded="2026-06-15"),
        of("begun-this-year", "met", onset="2026"),
        of("modifier-extension", "unknown", ("ambiguous-code",), modifierExtension=[MODIFIER]),
        of("of-another-patient", "not-met", subject={"reference": "Patient/other"}),
        Case(
            "in-the-family",
            criterion_id,
            minimal(family_member_history(code)),
            "not-met",
            basis="no-evidence",
        ),
        Case("nothing", criterion_id, b0(), "not-met", basis="no-evidence", note=False),
        Case(
            "beside-als-in-one-condition",
            criterion_id,
            bundle(patient(), condition(ALS, code, id="it")),
            "unknown",
            ("ambiguous-code",),
            evidence=("it",),
            others=((H1, "unknown"),),
        ),
        Case(
            "beside-a-broader-als-code-in-one-condition",
            criterion_id,
            bundle(patient(), condition(cid10("G12.2"), code, id="it")),
            "unknown",
            ("ambiguous-code",),
        ),
        Case(
            "with-another-code",
            criterion_id,
            with_condition(code, coding("urn:local", "77")),
            "met",
            others=((H1, "met"),),
        ),
        Case(
            "met-beside-unverified",
            criterion_id,
            minimal(condition(code, id="it"), condition(code, verification="provisional")),
            "met",
            no_reasons=("unverified-condition",),
            evidence=("it",),
        ),
        Case(
            "attested-absent",
            criterion_id,
            minimal(attestation({criterion_id: "no"})),
            "not-met",
            basis="attested",
        ),
        Case(
            "attested-present",
            criterion_id,
            minimal(attestation({criterion_id: "yes"})),
            "met",
            basis="attested",
        ),
        Case(
            "attested-against-the-record",
            criterion_id,
            minimal(condition(code), attestation({criterion_id: "no"})),
            "unknown",
            ("conflicting-data",),
        ),
        Case(
            "unverified-then-attested",
            criterion_id,
            minimal(condition(code, verification="provisional"), attestation({criterion_id: "no"})),
            "not-met",
            basis="attested",
        ),
    ]


SHARED = [case for criterion_id, code in SUBJECTS for case in conditions(criterion_id, code)]


@pytest.mark.parametrize("case", SHARED, ids=lambda c: f"{c.criterion.partition('-')[0]}-{c.id}")
def test_conditions(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("criterion_id", [NEU, IMD, SUD])
def test_conditions_that_could_not_be_got(criterion_id: str) -> None:
    row = verdict(minimal(), criterion_id, missing=("Condition",))
    assert (row["status"], row["reasons"]) == ("unknown", ["retrieval-failed"])
    row = verdict(minimal(), criterion_id, states={"Condition": "not-offered"})
    assert (row["status"], row["reasons"]) == ("unknown", ["not-offered"])


@pytest.mark.parametrize(
    ("criterion_id", "needed"),
    [
        (NEU, frozenset({"Condition"})),
        (IMD, frozenset({"Condition"})),
        (
            SUD,
            frozenset(
                {
                    "Condition",
                    "Observation",
                    "MedicationRequest",
                    "MedicationStatement",
                    "MedicationAdministration",
                    "MedicationDispense",
                }
            ),
        ),
    ],
)
def test_only_types_of_the_matrix_are_needed(criterion_id: str, needed: frozenset[str]) -> None:
    """§2.10: a failed type makes a criterion unknown only if its row of the matrix names it."""
    kinds = (
        "Condition",
        "Observation",
        "Procedure",
        "Device",
        "MedicationRequest",
        "MedicationStatement",
        "MedicationAdministration",
        "MedicationDispense",
        "Immunization",
    )
    for kind in kinds:
        row = verdict(minimal(), criterion_id, missing=(kind,))
        assert (row["reasons"] == ["retrieval-failed"]) is (kind in needed), kind


@pytest.mark.parametrize(("criterion_id", "code"), SUBJECTS)
def test_met_stands_when_a_type_that_is_not_needed_fails(criterion_id: str, code: Json) -> None:
    assert verdict(minimal(condition(code)), criterion_id, missing=("Procedure",))["status"] == "met"


def test_a_low_igg_of_a_partial_search_still_hints() -> None:
    assert verdict(minimal(igg()), IMD, states={"Observation": "truncated"})["status"] == "unknown"


# --- EX05 ---------------------------------------------------------------------------------------------------


def neuro(name: str, status: str, *codings: Json, reasons: tuple[str, ...] = (), **elements: Any) -> Case:
    evidence = ("it",) if status != "not-met" else ()
    return Case(name, NEU, with_condition(*codings, **elements), status, reasons, evidence=evidence)


REVIEW = ("needs-clinician",)
EPILEPSY = snomed("84757009", "Epilepsy")

NEUROLOGY = [
    # Major: current met, past unknown.
    *[
        neuro(f"major-{c['code']}", "met", c)
        for c in (
            snomed("49049000"),
            snomed("230690007"),
            cid10("I63.9"),
            icd10cm("I60.9"),
            cid10("G10"),
            cid10("G12.0"),
            cid10("G12.1"),
            snomed("5262007"),
            snomed("230253001"),
            snomed("54280009", "Kugelberg-Welander disease"),
            icd10cm("G20.A1"),
            icd10cm("G35.A"),
            icd10cm("G35.D"),
            cid10("g40.9"),
            cid10("G409"),
            cid10("B91"),
            cid10("G14"),
            cid10("A81.0"),
            cid10("I62.0"),  # I60-I63
            icd10cm("I62.9"),
            cid10("G04.1"),
            icd10cm("G04.1"),
            cid10("G45.9"),
            icd10cm("I69.351"),
        )
    ],
    neuro(
        "gbs-of-2001",
        "unknown",
        snomed("40956001"),
        reasons=REVIEW,
        clinical="resolved",
        onset="2001",
        abatement="2001",
    ),
    neuro("active-but-ended", "unknown", EPILEPSY, reasons=REVIEW, abatement="2026-06-15"),
    neuro("ended-this-year-by-its-status", "unknown", EPILEPSY, clinical="resolved", abatement="2026"),
    neuro("sequelae-of-long-ago", "met", cid10("I69.4"), onset="2009", recorded="2009-04-01"),
    neuro("sequelae-resolved", "unknown", cid10("I69.4"), clinical="resolved"),
    # Minor: current or past.
    *[
        neuro(f"minor-{c['code']}", "unknown", c, reasons=REVIEW)
        for c in (
            snomed("32914008"),
            snomed("78275009"),
            snomed("424736006"),
            cid10("G56.0"),
            cid10("G51.0"),
            cid10("G25.0"),
            cid10("G47.3"),
            icd10cm("R56.9"),
            cid10("R56.8"),
        )
    ],
    neuro("minor-past", "unknown", snomed("37796009"), reasons=REVIEW, clinical="resolved", abatement="1999"),
    neuro(
        "minor-provisional",
        "unknown",
        snomed("37796009"),
        reasons=("unverified-condition",),
        verification="provisional",
    ),
    neuro("minor-refuted", "not-met", snomed("37796009"), verification="refuted"),
    neuro("minor-health-concern", "unknown", snomed("37796009"), category="health-concern"),
    neuro("minor-tomorrow", "not-met", snomed("37796009"), onset="2026-06-16"),
    # Motor neuron disease of a known cause looks like ALS: a clinician tells them apart.
    neuro("mnd-of-lead", "unknown", snomed("866051002"), reasons=REVIEW),
    # Stroke, dementia and brain injury by codes that the sets lack; one with motor neuron disease is an ALS-plus disorder.
    *[
        neuro(f"unnamed-{c['system'][-6:]}-{c['code']}", "unknown", c, reasons=REVIEW)
        for c in (
            cid10("I64"),
            cid10("F03"),
            icd10cm("F03.90"),
            cid10("F01.1"),
            icd10cm("F02.80"),
            snomed("429998004"),
            snomed("278857002"),
            snomed("230274000"),
            cid10("S06.5"),
            cid10("T90.5"),
        )
    ],
    neuro("hemorrhage-past", "unknown", cid10("I62.0"), clinical="resolved"),
    # Not listed: chapter G, and the root of the disorders.
    *[
        neuro(f"unlisted-{c['system'][-6:]}-{c['code']}", "unknown", c, reasons=REVIEW)
        for c in (
            cid10("G93.3"),
            icd10cm("G93.32"),
            cid10("g93.3"),
            cid10("G82.2"),
            cid10("G12"),
            cid10("G12.8"),
            cid10("G12.9"),
            icd10cm("G73.1"),
            cid10("G00.9"),
            cid10("G99.2"),
            snomed("118940003"),
        )
    ],
    neuro("unlisted-past", "unknown", cid10("G93.3"), clinical="resolved"),
    neuro("unlisted-refuted", "not-met", cid10("G93.3"), verification="refuted"),
    *[
        neuro(f"code-without-system-{c}", "not-met", coding(None, c))
        for c in ("G35", "G93.3", "84757009", "G43.9")
    ],
    neuro("chapter-g-of-another-system", "not-met", coding("urn:local", "G93.3")),
    *[
        neuro(f"system-written-{n}", "met", coding(system, "G40.9"))
        for n, system in enumerate(
            (
                "https://hl7.org/fhir/sid/icd-10",
                "http://hl7.org/fhir/sid/icd-10/",
                "https://hl7.org/fhir/sid/icd-10-cm",
                "http://hl7.org/fhir/sid/icd-10-cm/",
                "urn:oid:2.16.840.1.113883.6.3",
                "urn:oid:2.16.840.1.113883.6.90",
            )
        )
    ],
    # Symptoms of ALS, other chapters, ALS itself.
    *[
        neuro(f"ignored-{c['system'][-6:]}-{c['code']}", "not-met", c)
        for c in (
            icd10cm("F48.2"),
            icd10cm("R47.1"),
            icd10cm("R13.12"),
            snomed("221360009"),
            snomed("40739000"),
            snomed("62744007"),
            cid10("R25.2"),
            cid10("R29.6"),
            cid10("R06.0"),
            icd10cm("M21.371"),
            cid10("F32.9"),
            cid10("I10"),
            coding(ICD9CM, "335.20"),
            coding(ICD9CM, "335.24"),
            icd10cm("G12.21"),
            icd10cm("G12.23"),
            icd10cm("G12.25"),
            cid10("G12.2"),
            snomed("37340000"),
            snomed("54304004"),
            snomed("230254007"),
        )
    ],
]

ONE_CONDITION = [
    # (codings, status): what several codings of one Condition give (§2.2).
    ((ALS, snomed("118940003")), "not-met"),
    ((ALS, cid10("G12")), "not-met"),
    ((ALS, icd10cm("G12.20")), "not-met"),
    ((ALS, snomed("37340000")), "not-met"),
    ((ALS, icd10cm("R47.1")), "not-met"),
    ((ALS, cid10("G12.9")), "unknown"),
    ((ALS, cid10("G47.3")), "unknown"),
    ((ALS, snomed("1259122001")), "unknown"),
    ((ALS, EPILEPSY), "unknown"),
    ((ALS, cid10("I62.0")), "unknown"),
    ((ALS, cid10("F02.8")), "unknown"),
    ((ALS, snomed("230253001")), "unknown"),
    ((snomed("1259124000"), snomed("230270009")), "unknown"),
    ((EPILEPSY, cid10("G40.9")), "met"),
    ((EPILEPSY, snomed("118940003")), "met"),
    ((snomed("40956001"), snomed("42658009")), "met"),
    ((cid10("R47.1"), EPILEPSY), "met"),
]


@pytest.mark.parametrize(("codings", "status"), ONE_CONDITION)
def test_codings_of_one_condition(codings: tuple[Json, ...], status: str) -> None:
    assert verdict(bundle(patient(), condition(*codings)), NEU)["status"] == status


PLUS = [
    *[
        Case(
            f"als-plus-{code}",
            NEU,
            bundle(patient(), condition(snomed(code), id="it", **elements)),
            "unknown",
            (reason,),
            note="ALS-plus",
            evidence=("it",),
        )
        for code in ("1259122001", "1259125004", "838276009", "230258005", "722987009")
        for elements, reason in (
            ({}, "needs-clinician"),
            ({"verification": "provisional"}, "unverified-condition"),
        )
    ],
    Case(
        "restrictive-lung-disease-of-als",
        NEU,
        bundle(patient(), condition(snomed("103851000119100"))),
        "not-met",
        others=((H1, "met"),),
    ),
    Case(
        "als-plus-refuted",
        NEU,
        minimal(condition(snomed("1259122001"), verification="refuted")),
        "not-met",
    ),
]

TOGETHER = [
    Case(
        "current-beside-past",
        NEU,
        minimal(condition(EPILEPSY, id="it"), condition(snomed("40956001"), clinical="resolved", id="past")),
        "met",
        no_reasons=("needs-clinician",),
        evidence=("it",),
    ),
    Case(
        "past-beside-minor",
        NEU,
        minimal(
            condition(snomed("37796009"), id="minor"),
            condition(snomed("40956001"), clinical="resolved", id="past"),
        ),
        "unknown",
        REVIEW,
        evidence=("minor", "past"),
    ),
    Case(
        "als-with-a-mimic-excludes-by-this-row",
        NEU,
        minimal(condition(snomed("230253001"))),
        "met",
        others=((H1, "unknown"),),
    ),
    Case(
        "attested-separate-disease",
        NEU,
        minimal(condition(snomed("37796009")), attestation({NEU: "yes"})),
        "met",
        basis="attested",
    ),
    Case(
        "attested-no-separate-disease",
        NEU,
        minimal(condition(snomed("37796009")), attestation({NEU: "no"})),
        "not-met",
        basis="attested",
    ),
    Case(
        "attested-too-long-ago",
        NEU,
        minimal(condition(snomed("37796009")), attestation({NEU: "no"}, on="2026-05-15")),
        "unknown",
        ("stale-data",),
    ),
]

WORDS = [
    *[
        Case(
            f"words-{n}",
            NEU,
            with_condition(text=text),
            "unknown",
            ("text-only",),
            likely="met",
            evidence=("it",),
        )
        for n, text in enumerate(
            (
                "Epilepsia",
                "Doença de Parkinson",
                "AVC em 2015",
                "Acidente Vascular Cerebral isquêmico",
                "Miastenia gravis",
                "Esclerose múltipla",
                "Nega linfoma. Epilepsia desde 2009",
                "Focal epilepsy",
                "Multiple sclerosis",
                "Ischaemic stroke",
            )
        )
    ],
    Case(
        "words-past",
        NEU,
        with_condition(text="Epilepsia", clinical="resolved"),
        "unknown",
        ("text-only",),
        likely="",
    ),
    Case("words-refuted", NEU, with_condition(text="Epilepsia", verification="refuted"), "not-met"),
    Case(
        "words-tomorrow",
        NEU,
        with_condition(text="Epilepsia", onset="2026-06-16"),
        "not-met",
        note="future-dated",
    ),
    *[
        Case(
            f"negated-{n}",
            NEU,
            with_condition(text=text),
            "not-met",
            basis="no-evidence",
            note="negated text",
        )
        for n, text in enumerate(
            ("Nega epilepsia", "Sem história de AVC", "Mãe com Parkinson", "AVC descartado")
        )
    ],
    *[
        Case(f"other-words-{n}", NEU, with_condition(text=text), "not-met", basis="no-evidence", note=False)
        for n, text in enumerate(
            (
                "Wolff Parkinson White",
                "Síndrome de Wolff-Parkinson-White",
                "Esclerose lateral amiotrófica",
                "Havc",
            )
        )
    ],
    Case(
        "words-of-a-local-code",
        NEU,
        with_condition(coding("urn:local", "5", "Epilepsia focal")),
        "unknown",
        ("text-only",),
    ),
    Case(
        "words-silenced-by-a-code-of-the-table",
        NEU,
        with_condition(icd10cm("F48.2"), text="Epilepsia"),
        "not-met",
    ),
    Case(
        "words-beside-a-code-that-is-not-of-the-table",
        NEU,
        with_condition(cid10("R78.2"), text="Epilepsia"),
        "unknown",
        ("text-only",),
    ),
    Case(
        "words-beside-an-unlisted-code",
        NEU,
        with_condition(cid10("G93.3"), text="Epilepsia"),
        "unknown",
        ("text-only", "needs-clinician"),
    ),
]

# --- EX11 ---------------------------------------------------------------------------------------------------
PAST = {"clinical": "resolved", "abatement": "2015"}


def immune(name: str, status: str, *codings: Json, reasons: tuple[str, ...] = (), **elements: Any) -> Case:
    basis = "explicit" if status == "met" else None
    evidence = ("it",) if status != "not-met" else ()
    record = with_condition(*codings, **elements)
    return Case(name, IMD, record, status, reasons, basis=basis, evidence=evidence)


IMMUNODEFICIENCY = [
    *[
        immune(f"current-{c['code']}", "met", c)
        for c in (
            snomed("234532001"),
            snomed("23238000"),
            snomed("31323000"),
            snomed("62479008"),
            cid10("D84.1"),
            icd10cm("D84.821"),
            icd10cm("D81.82"),
            icd10cm("B20"),
            cid10("B20.6"),
        )
    ],
    *[
        immune(f"past-but-inherited-{c['code']}", "met", c, **PAST)
        for c in (
            snomed("31323000"),
            snomed("65880007"),
            snomed("36070007"),
            cid10("D80.0"),
            cid10("D81.1"),
            icd10cm("D81.31"),
            cid10("D82.9"),
            icd10cm("D84.0"),
            snomed("62479008"),
            cid10("B20.1"),
            icd10cm("B20"),
        )
    ],
    *[
        immune(f"past-{c['code']}", "unknown", c, reasons=REVIEW, **PAST)
        for c in (
            snomed("234532001"),
            snomed("119250001"),
            cid10("D80.1"),
            cid10("D83.9"),
            cid10("D84.9"),
            icd10cm("D84.822"),
            icd10cm("D84.82"),
        )
    ],
    *[
        immune(f"review-{c['code']}", "unknown", c, reasons=REVIEW)
        for c in (
            snomed("234646005"),
            cid10("D89.8"),
            icd10cm("D70.9"),
            icd10cm("D81.818"),
            icd10cm("D81.819"),
            cid10("D81.8"),
            icd10cm("Z90.81"),
            icd10cm("Q89.01"),
            cid10("Q89.0"),
            cid10("D73.0"),
        )
    ],
    immune("review-past", "unknown", snomed("370391006"), reasons=REVIEW, **PAST),
    immune(
        "review-provisional",
        "unknown",
        snomed("370391006"),
        reasons=("unverified-condition",),
        verification="provisional",
    ),
    immune("review-refuted", "not-met", snomed("370391006"), verification="refuted"),
    *[
        immune(f"none-{c['system'][-6:]}-{c['code']}", "not-met", c)
        for c in (
            icd10cm("D81.810"),
            cid10("Z21"),
            icd10cm("Z21"),
            snomed("86406008", "HIV infection"),
            cid10("B24"),
            cid10("R75"),
            icd10cm("Z79.60"),
        )
    ],
    # Inherited and unverified: what is not known to be there can't be past.
    immune(
        "inherited-provisional",
        "unknown",
        snomed("31323000"),
        reasons=("unverified-condition",),
        verification="provisional",
        **PAST,
    ),
    # Coded as drug-induced and otherwise: not only drug-induced, so it stays open.
    immune("drug-induced-and-unspecified-past", "unknown", icd10cm("D84.821"), icd10cm("D84.9"), **PAST),
    immune("drug-induced-and-inherited-past", "met", icd10cm("D84.821"), snomed("31323000"), **PAST),
    Case(
        "drug-induced-past-is-explicit",
        IMD,
        with_condition(icd10cm("D84.821"), **PAST),
        "not-met",
        basis="explicit",
        evidence=("it",),
    ),
    immune("drug-induced-provisional", "unknown", icd10cm("D84.821"), verification="provisional", **PAST),
    Case(
        "inherited-beside-drug-induced",
        IMD,
        minimal(condition(icd10cm("D84.821"), **PAST), condition(snomed("31323000"), id="it")),
        "met",
        evidence=("it",),
    ),
    Case(
        "aids-is-hiv-too",
        IMD,
        with_condition(cid10("B20")),
        "met",
        others=(("EX08c-Hiv", "met"),),
    ),
    immune("words-aids", "unknown", reasons=("text-only",), text="AIDS em tratamento"),
    immune("words-hiv", "not-met", text="HIV positivo"),
    immune("words-negated", "not-met", text="Nega AIDS"),
    immune("words-hearing-aids", "not-met", text="Hearing aids"),
    Case(
        "attested-of-any-age",
        IMD,
        minimal(condition(snomed("370391006"), recorded="2019"), attestation({IMD: "no"}, on="2020-06-10")),
        "not-met",
        basis="attested",
    ),
]


def igg(
    value: float | None = 320,
    *,
    low: float | None = 700,
    unit: str = "mg/dL",
    flag: str | None = None,
    **elements: Any,
) -> Resource:
    """An immunoglobulin G with its range from `low` on."""
    result = lab("2465-3", value or 0, unit, low=low, **elements)
    if value is None:
        del result["valueQuantity"]
    if flag:
        result["interpretation"] = [
            concept(coding("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", flag))
        ]
    return result


IGG = [
    Case("igg-below-its-range", IMD, minimal(igg(id="it")), "unknown", REVIEW, note="hint", evidence=("it",)),
    Case("igg-just-below", IMD, minimal(igg(699)), "unknown"),
    Case("igg-at-the-limit", IMD, minimal(igg(700)), "not-met", basis="no-evidence"),
    Case("igg-in-g-l", IMD, minimal(igg(3.2, low=7, unit="g/L")), "unknown"),
    Case("igg-comparator", IMD, minimal(igg(200, comparator="<")), "unknown"),
    *[Case(f"igg-flag-{f}", IMD, minimal(igg(low=None, flag=f)), "unknown") for f in ("L", "LL")],
    *[Case(f"igg-flag-{f}", IMD, minimal(igg(900, flag=f)), "not-met") for f in ("N", "H", "HH")],
    Case("igg-flag-alone", IMD, minimal(igg(None, low=None, flag="L")), "unknown"),
    # Neither range nor flag: only what no laboratory calls normal is a hint.
    Case("igg-plainly-low", IMD, minimal(igg(low=None)), "unknown"),
    Case("igg-plainly-low-in-g-l", IMD, minimal(igg(3.2, low=None, unit="g/L")), "unknown"),
    Case("igg-not-plainly-low", IMD, minimal(igg(500, low=None)), "not-met"),
    Case("igg-of-another-unit", IMD, minimal(igg(320, low=None, unit="[IU]/mL")), "not-met"),
    Case("igg-of-years-ago", IMD, minimal(igg(on="2016-01-01")), "unknown"),
    Case("igg-normal-since", IMD, minimal(igg(on="2026-01-01"), igg(900)), "not-met"),
    Case("igg-low-since", IMD, minimal(igg(900, on="2026-01-01"), igg()), "unknown"),
    Case("igg-tomorrow", IMD, minimal(igg(on="2026-06-16")), "not-met"),
    Case("igg-undated", IMD, minimal(igg(on=None)), "unknown", ("partial-date",)),
    Case("igg-preliminary", IMD, minimal(igg(status="preliminary")), "unknown", ("preliminary-only",)),
    Case("igg-preliminary-beside-normal", IMD, minimal(igg(status="preliminary"), igg(900)), "not-met"),
    Case("igg-status-missing", IMD, minimal(igg(status=None)), "unknown"),
    *[
        Case(f"igg-{s}", IMD, minimal(igg(status=s)), "not-met")
        for s in ("entered-in-error", "cancelled", "unknown")
    ],
    Case("igg-of-another-patient", IMD, minimal(igg(subject={"reference": "Patient/other"})), "not-met"),
    Case("igg-attested", IMD, minimal(igg(), attestation({IMD: "no"})), "not-met", basis="attested"),
    Case("igg-beside-a-diagnosis", IMD, minimal(igg(), condition(CVID, id="it")), "met", evidence=("it",)),
    Case(
        "igg-beside-a-past-drug-induced-one",
        IMD,
        minimal(igg(), condition(icd10cm("D84.821"), **PAST)),
        "unknown",
        REVIEW,
    ),
]

# --- EX14a: Conditions --------------------------------------------------------------------------------------
# The window is [2025-06-15, 2026-06-15].


def use(
    name: str,
    status: str,
    *codings: Json,
    reasons: tuple[str, ...] = (),
    basis: str | None = "explicit",
    as_of: str = "2026-06-15",
    config: dict[str, Any] | None = None,
    **elements: Any,
) -> Case:
    if status == "unknown":
        basis = None
    evidence = ("it",) if basis != "no-evidence" else ()
    record = with_condition(*(codings or (ALCOHOL,)), **elements)
    return Case(
        name, SUD, record, status, reasons, basis=basis, evidence=evidence, as_of=as_of, config=config
    )


REMISSION = icd10cm("F10.21")
PARTIAL = ("partial-date",)

PERIODS = [
    # End within the window, both ends included.
    *[
        use(f"ended-{day}-{status}", status, clinical=clinical, onset="2010", abatement=day, reasons=reasons)
        for clinical in ("resolved", "remission", "inactive", None, "active")
        for day, status, reasons in (
            ("2025-06-14", "not-met", ()),
            ("2025-06-15", "met", ()),
            ("2026-06-15", "met", ()),
            ("2025-05", "not-met", ()),
            ("2024", "not-met", ()),
            ("2025-07", "met", ()),
            ("2025-06", "unknown", PARTIAL),
            ("2025", "unknown", PARTIAL),
        )
    ],
    use("ended-this-year", "met", clinical="resolved", onset="2010", abatement="2026"),
    use("ended-tomorrow", "unknown", clinical="resolved", abatement="2026-06-16", reasons=("future-dated",)),
    use(
        "ended-with-a-period",
        "met",
        clinical="resolved",
        abatementPeriod={"start": "2025-01-01", "end": "2025-06-15"},
    ),
    use(
        "ended-with-a-period-before",
        "not-met",
        clinical="resolved",
        abatementPeriod={"start": "2025-01-01", "end": "2025-06-14"},
    ),
    # The site's calendar day decides: 02:00 UTC is still the day before in São Paulo.
    use("ended-by-the-site-s-day", "not-met", clinical="resolved", abatement="2025-06-15T02:00:00Z"),
    # Onset within the window.
    use("begun-and-over", "met", clinical="resolved", onset="2025-06-15"),
    use("begun-and-over-last-day", "met", clinical="resolved", onset="2026-06-15"),
    use("begun-before-and-over", "unknown", clinical="resolved", onset="2025-06-14", reasons=PARTIAL),
    use("begun-in-that-month-and-over", "unknown", clinical="resolved", onset="2025-06", reasons=PARTIAL),
    use(
        "end-before-onset",
        "unknown",
        clinical="resolved",
        onset="2026-01-01",
        abatement="2020-01-01",
        reasons=("conflicting-data",),
    ),
    # End unknown.
    use("over-without-dates", "unknown", clinical="resolved", reasons=PARTIAL),
    use("over-recorded-long-ago", "unknown", clinical="resolved", recorded="2015-01-01", reasons=PARTIAL),
    use("over-in-words", "unknown", clinical="resolved", abatementString="years ago", reasons=PARTIAL),
    # Remission codes: begun no later than recorded.
    use("remission-recorded-before", "not-met", REMISSION, clinical="remission", recorded="2025-06-14"),
    use("remission-recorded-in", "unknown", REMISSION, clinical="remission", recorded="2025-06-15"),
    use("remission-recorded-in-that-month", "unknown", REMISSION, clinical="remission", recorded="2025-06"),
    use(
        "remission-recorded-the-month-before", "not-met", REMISSION, clinical="remission", recorded="2025-05"
    ),
    use("remission-code-of-an-active-problem", "not-met", REMISSION, recorded="2023-01-01"),
    use("remission-code-without-status", "not-met", REMISSION, clinical=None, recorded="2023-01-01"),
    use("remission-begun-long-ago-only", "unknown", REMISSION, onset="2023-01-01", reasons=PARTIAL),
    use("remission-begun-in-the-window", "met", REMISSION, clinical="remission", onset="2025-09-01"),
    use(
        "remission-end-wins-over-recorded",
        "met",
        REMISSION,
        clinical="remission",
        abatement="2025-09-01",
        recorded="2023-01-01",
    ),
    use(
        "remission-ended-before",
        "not-met",
        REMISSION,
        clinical="remission",
        abatement="2023",
        recorded="2026-02",
    ),
    use("remission-by-status-recorded-before", "unknown", clinical="remission", recorded="2023-01-01"),
    use(
        "remission-beside-a-code-of-dependence",
        "not-met",
        REMISSION,
        snomed("66590003"),
        recorded="2023-01-01",
    ),
    *[
        use(
            f"remission-code-with-status-{s}",
            "unknown",
            REMISSION,
            clinical=s,
            recorded="2023-01-01",
            reasons=("conflicting-data",),
        )
        for s in ("recurrence", "relapse")
    ],
    use(
        "remission-provisional",
        "unknown",
        REMISSION,
        clinical="remission",
        verification="provisional",
        recorded="2023-01-01",
        reasons=("unverified-condition",),
    ),
    use("remission-refuted", "not-met", REMISSION, verification="refuted", basis="no-evidence"),
    *[
        use(f"remission-{c}", "not-met", icd10cm(c), recorded="2023-01-01")
        for c in ("F11.11", "F12.91", "F14.21", "F19.21")
    ],
    # Active: met, unless all its dates are more than three years old.
    use("active-of-three-years", "met", onset="2023-06-15"),
    use("active-of-more-than-three-years", "unknown", onset="2023-06-14", reasons=("stale-data",)),
    use("active-recorded-long-ago", "unknown", recorded="2019-01-01", reasons=("stale-data",)),
    use("active-both-dates-old", "unknown", onset="2010", recorded="2019-01-01", reasons=("stale-data",)),
    use("active-since-long-recorded-lately", "met", onset="2010", recorded="2026-02-01"),
    use("active-of-that-year", "unknown", onset="2023", reasons=PARTIAL),
    use("active-of-the-year-before", "unknown", onset="2022", reasons=("stale-data",)),
    use("active-of-the-year-after", "met", onset="2024"),
    use("active-undated", "met"),
    use("relapse-of-long-ago", "unknown", clinical="relapse", recorded="2019-01-01", reasons=("stale-data",)),
    # Leap days: a calendar year back from the 29th of February is the 28th.
    use("leap-in", "met", clinical="resolved", onset="2010", abatement="2027-02-28", as_of="2028-02-29"),
    use("leap-out", "not-met", clinical="resolved", onset="2010", abatement="2027-02-27", as_of="2028-02-29"),
    use("leap-day-in", "met", clinical="resolved", onset="2010", abatement="2024-02-29", as_of="2025-02-28"),
    use(
        "leap-day-out",
        "not-met",
        clinical="resolved",
        onset="2010",
        abatement="2024-02-29",
        as_of="2025-03-01",
    ),
    # The window is a parameter.
    use(
        "two-years",
        "met",
        clinical="resolved",
        onset="2010",
        abatement="2024-06-15",
        config={"substanceWindow": "P2Y"},
    ),
    use(
        "six-months",
        "not-met",
        clinical="resolved",
        onset="2010",
        abatement="2025-12-14",
        config={"substanceWindow": "P6M"},
    ),
]

CODES = [
    *[
        use(f"counts-{c['system'][-6:]}-{c['code']}", "met", c)
        for c in (
            snomed("66214007"),
            snomed("31956009"),
            cid10("F10.0"),
            cid10("F11.2"),
            cid10("F12.1"),
            cid10("F13.2"),
            cid10("F14"),
            cid10("F16.1"),
            cid10("F18.9"),
            cid10("F19.2"),
            icd10cm("F15.20"),
            cid10("f142"),
        )
    ],
    *[
        use(f"does-not-{c['system'][-6:]}-{c['code']}", "not-met", c, basis="no-evidence")
        for c in (
            cid10("F17.2"),
            snomed("56294008"),
            icd10cm("Z79.891"),
            icd10cm("T40.2X1A"),
            cid10("T40.5"),
            cid10("X42"),
            icd10cm("Z81.1"),
            cid10("Z81.2"),
            cid10("F32.9"),
            icd10cm("Z72.0"),
        )
    ],
    use("nicotine-beside-alcohol", "met", cid10("F17.2"), ALCOHOL),
    # F15 of WHO holds caffeine.
    *[
        use(f"caffeine-{n}", status, cid10("F15.2"), text=text)
        for n, (text, status) in enumerate(
            (
                ("Dependência de cafeína", "unknown"),
                ("Abuso de CAFEINA", "unknown"),
                ("Caffeine intoxication", "unknown"),
                ("Cafeína e anfetaminas", "met"),
                ("Caffeine and methamphetamine", "met"),
                ("Metanfetamina", "met"),
                ("Uso de outros estimulantes, inclusive a cafeína", "met"),
                (None, "met"),
            )
        )
    ],
    use(
        "caffeine-in-the-code-s-own-title",
        "met",
        cid10("F15.2", "Mental and behavioural disorders due to use of other stimulants, including caffeine"),
    ),
    use(
        "caffeine-beside-its-title",
        "unknown",
        cid10("F15.2", "Use of stimulants, including caffeine"),
        text="Cafeína",
    ),
    use("caffeine-as-display", "unknown", cid10("F15.2", "Dependência de cafeína")),
    use("caffeine-in-icd-10-cm", "unknown", icd10cm("F15.10"), text="Caffeine abuse"),
    use("caffeine-beside-cocaine", "met", cid10("F15.2"), cid10("F14.2"), text="Cafeína"),
    use("caffeine-decomposed", "unknown", cid10("F15.2"), text="cafei\u0301na", reasons=("ambiguous-code",)),
    use("cocaine-beside-caffeine", "met", cid10("F15.2"), text="coca\u00edna e cafe\u00edna"),
    # In remission from one substance, and with another: the remission says nothing of the other.
    use(
        "remission-beside-another-use",
        "unknown",
        icd10cm("F11.20"),
        icd10cm("F10.21"),
        recorded="2024-01",
        reasons=("conflicting-data",),
    ),
    use(
        "remission-beside-another-past-use",
        "unknown",
        icd10cm("F11.20"),
        icd10cm("F10.21"),
        recorded="2024-01",
        clinical="resolved",
        reasons=PARTIAL,
    ),
    use("remission-of-the-same", "not-met", icd10cm("F10.20"), icd10cm("F10.21"), recorded="2024-01"),
    use("remission-in-snomed-too", "not-met", snomed("66590003"), icd10cm("F10.21"), recorded="2024-01"),
    use(
        "caffeine-of-long-ago",
        "not-met",
        cid10("F15.2"),
        clinical="resolved",
        abatement="2020",
        text="Cafeína",
    ),
]

# --- EX14a: hints -------------------------------------------------------------------------------------------
AUDIT, COCAINE, OPIATES = "75624-7", "3397-7", "19295-5"


def audit(score: int = 8, *, on: str | None = "2026-05-20", **elements: Any) -> Resource:
    return observation(AUDIT, value_integer(score), on=on, category="survey", **elements)


def screen(result: str = "pos", *, on: str | None = "2026-05-20", **elements: Any) -> Resource:
    return serology(COCAINE, result, on=on, **elements)


def hint(
    name: str, status: str, *facts: Resource, reasons: tuple[str, ...] = (), note: Any = None, **how: Any
) -> Case:
    if status == "not-met":
        return Case(name, SUD, minimal(*facts), status, basis="no-evidence", **how)
    return Case(name, SUD, minimal(*facts), status, reasons, note="hint" if note is None else note, **how)


HINTS = [
    *[
        hint(f"use-{c}", "unknown", condition(cid10(c)), reasons=REVIEW)
        for c in ("Z72.1", "Z72.2", "R78.0", "R78.5")
    ],
    hint("found-in-blood-cm", "unknown", condition(icd10cm("R78.2"))),
    hint(
        "use-of-long-ago", "not-met", condition(cid10("Z72.1"), clinical="resolved", abatement="2025-06-14")
    ),
    hint(
        "use-ended-lately", "unknown", condition(cid10("Z72.1"), clinical="resolved", abatement="2025-06-15")
    ),
    hint("use-ended-some-day", "unknown", condition(cid10("Z72.1"), clinical="resolved")),
    hint("use-refuted", "not-met", condition(cid10("Z72.2"), verification="refuted")),
    hint(
        "use-provisional",
        "unknown",
        condition(cid10("Z72.2"), verification="provisional"),
        reasons=("unverified-condition",),
    ),
    hint("use-tomorrow", "not-met", condition(cid10("Z72.2"), onset="2026-06-16")),
    hint("audit-7", "not-met", audit(7)),
    hint("audit-8", "unknown", audit(8, id="it"), reasons=REVIEW, evidence=("it",)),
    hint("audit-40", "unknown", audit(40)),
    hint("audit-41", "unknown", audit(41), reasons=("implausible-value",)),
    hint(
        "audit-as-a-quantity", "unknown", observation(AUDIT, value_quantity(9, "{score}"), category="survey")
    ),
    hint("audit-a-year-old", "unknown", audit(on="2025-06-15")),
    hint("audit-more-than-a-year-old", "not-met", audit(on="2025-06-14")),
    hint("audit-of-that-month", "unknown", audit(on="2025-06"), reasons=PARTIAL),
    hint("audit-lower-since", "not-met", audit(12, on="2026-01-10"), audit(3)),
    hint("audit-higher-since", "unknown", audit(3, on="2026-01-10"), audit(12)),
    hint("audit-tomorrow", "not-met", audit(on="2026-06-16")),
    hint("audit-undated", "unknown", audit(on=None), reasons=PARTIAL),
    hint("audit-undated-and-low", "not-met", audit(3, on=None)),
    hint("audit-preliminary", "unknown", audit(status="preliminary"), reasons=("preliminary-only",)),
    hint("audit-preliminary-low", "not-met", audit(3, status="preliminary")),
    hint("audit-in-error", "not-met", audit(status="entered-in-error")),
    hint("audit-without-status", "unknown", audit(status=None)),
    # Known by its name only.
    hint("audit-in-words", "unknown", observation(coding("urn:site", "A", "AUDIT total"), value_integer(10))),
    hint("audit-in-words-low", "not-met", observation(coding("urn:site", "A", "AUDIT"), value_integer(7))),
    hint("audit-c-in-words", "not-met", observation(coding("urn:site", "A", "AUDIT-C"), value_integer(9))),
    hint(
        "audit-in-words-beside-the-code",
        "not-met",
        audit(3),
        observation(coding("urn:site", "A", "AUDIT"), value_integer(10)),
    ),
    hint("audit-attested", "unknown", audit(), note="AUDIT"),
    hint(
        "screen-positive", "unknown", screen(id="it"), reasons=REVIEW, note="prescriptions", evidence=("it",)
    ),
    hint("screen-weak", "unknown", screen("weak")),
    hint("screen-detected", "unknown", screen("detected")),
    hint("screen-indeterminate", "unknown", screen("ind")),
    hint("screen-negative", "not-met", screen("neg")),
    hint("screen-in-words", "unknown", observation(COCAINE, {"valueString": "Positivo"}, on="2026-05-20")),
    hint(
        "screen-negative-in-words",
        "not-met",
        observation(COCAINE, {"valueString": "Não detectado"}, on="2026-05-20"),
    ),
    hint("screen-by-its-flag", "unknown", observation(COCAINE, on="2026-05-20", interpretation_code="POS")),
    hint(
        "screen-that-contradicts-itself",
        "unknown",
        screen("neg", interpretation_code="POS"),
        reasons=("conflicting-data",),
    ),
    hint("screen-a-year-old", "unknown", screen(on="2025-06-15")),
    hint("screen-more-than-a-year-old", "not-met", screen(on="2025-06-14")),
    hint("screen-of-that-year", "unknown", screen(on="2025"), reasons=PARTIAL),
    # Safer than §2.3(7): one that is negative later does not undo the use.
    hint("screen-negative-since", "unknown", screen(on="2025-12-01"), screen("neg")),
    hint("screen-of-another-drug", "unknown", screen("neg"), serology(OPIATES, "pos")),
    hint("screen-undated", "unknown", screen(on=None), reasons=PARTIAL),
    hint("screen-tomorrow", "not-met", screen(on="2026-06-16")),
    hint("screen-preliminary", "unknown", screen(status="preliminary"), reasons=("preliminary-only",)),
    hint("screen-preliminary-of-long-ago", "not-met", screen(status="preliminary", on="2024-01-01")),
    hint("screen-cancelled", "not-met", screen(status="cancelled")),
    hint("screen-of-another-patient", "not-met", screen(subject={"reference": "Patient/other"})),
    Case(
        "screen-beside-a-disorder",
        SUD,
        minimal(screen(), condition(ALCOHOL, id="it")),
        "met",
        evidence=("it",),
    ),
    Case(
        "screen-beside-a-past-disorder",
        SUD,
        minimal(screen(), condition(ALCOHOL, clinical="resolved", abatement="2020")),
        "unknown",
    ),
    # A positive result is for the data, an AUDIT for the person who asks (§1.3).
    Case("screen-and-attested", SUD, minimal(screen(), attestation({SUD: "no"})), "unknown"),
    Case("audit-and-attested", SUD, minimal(audit(), attestation({SUD: "no"})), "not-met", basis="attested"),
]

# --- EX14a: drugs against dependence ------------------------------------------------------------------------
NALTREXONE, METHADONE = atc("N07BB04", "naltrexone"), rxnorm("6813", "methadone")


def request(**elements: Any) -> Resource:
    return medication_request(METHADONE, **elements)


def statement(**elements: Any) -> Resource:
    return medication_statement(NALTREXONE, **elements)


def given(on: str, **elements: Any) -> Resource:
    return medication_administration(NALTREXONE, on=on, **elements)


def dispensed(**elements: Any) -> Resource:
    return medication_dispense(METHADONE, **elements)


def supply(days: int, repeats: int | None = None) -> Json:
    found: Json = {"expectedSupplyDuration": quantity(days, "d")}
    return found if repeats is None else {**found, "numberOfRepeatsAllowed": repeats}


def bounds(start: str, end: str | None = None) -> list[Json]:
    period = {"start": start} if end is None else {"start": start, "end": end}
    return [{"timing": {"repeat": {"boundsPeriod": period}}}]


TREATMENTS: list[tuple[str, Resource, bool]] = [
    # (name, resource, whether it is a hint)
    ("methadone", request(), True),
    ("methadone-atc", medication_request(atc("N07BC02")), True),
    ("buprenorphine", medication_request(rxnorm("1819")), True),
    ("naltrexone", medication_request(rxnorm("7243")), True),
    ("methadone-for-pain", medication_request(atc("N02AC52")), False),
    ("nicotine", medication_request(atc("N07BA01")), False),
    ("riluzole", medication_request(rxnorm("35623")), False),
    *[
        (f"request-{s}", request(status=s), True)
        for s in ("active", "on-hold", "completed", "stopped", "odd")
    ],
    *[(f"request-{s}", request(status=s), False) for s in ("draft", "cancelled", "entered-in-error")],
    *[
        (f"request-{i}", request(intent=i), True)
        for i in ("order", "original-order", "filler-order", "instance-order")
    ],
    *[(f"request-{i}", request(intent=i), False) for i in ("plan", "proposal", "option")],
    ("request-not-to-perform", request(doNotPerform=True), False),
    ("request-from-tomorrow", request(authored="2026-06-16"), False),
    ("request-for-tomorrow", request(dosageInstruction=bounds("2026-06-16")), False),
    ("request-of-long-ago-and-active", request(authored="2015-01-01"), True),
    ("request-bounds-in", request(dosageInstruction=bounds("2020-01-01", "2025-06-15")), True),
    ("request-bounds-out", request(dosageInstruction=bounds("2020-01-01", "2025-06-14")), False),
    (
        "request-validity-out",
        request(authored="2020-01-01", dispenseRequest={"validityPeriod": {"end": "2025-06-14"}}),
        False,
    ),
    ("request-supply-in", request(authored="2025-06-06", dispenseRequest=supply(10)), True),
    ("request-supply-out", request(authored="2025-06-05", dispenseRequest=supply(10)), False),
    ("request-repeats-in", request(authored="2025-05-27", dispenseRequest=supply(10, 1)), True),
    ("request-over-less-than-two-years", request(status="stopped", authored="2024-06-16"), True),
    ("request-over-two-years", request(status="stopped", authored="2024-06-15"), False),
    ("request-undated-and-over", request(status="completed", authored=None), True),
    *[
        (f"statement-{s}", statement(status=s, start="2026-01-01"), True)
        for s in ("active", "completed", "stopped", "on-hold", "unknown")
    ],
    *[
        (f"statement-{s}", statement(status=s, start="2026-01-01"), False)
        for s in ("not-taken", "intended", "entered-in-error")
    ],
    ("statement-in", statement(start="2019-01-01", end="2025-06-15"), True),
    ("statement-out", statement(start="2019-01-01", end="2025-06-14"), False),
    ("statement-out-by-the-month", statement(start="2019-01-01", end="2025-05"), False),
    ("statement-perhaps-in", statement(start="2019-01-01", end="2025-06"), True),
    ("statement-undated", statement(), True),
    ("statement-from-tomorrow", statement(start="2026-06-16"), False),
    ("given-in", given("2025-06-15"), True),
    ("given-out", given("2025-06-14"), False),
    ("given-tomorrow", given("2026-06-16"), False),
    *[(f"given-{s}", given("2026-01-01", status=s), False) for s in ("not-done", "entered-in-error")],
    ("dispensed-in", dispensed(handed_over="2025-06-06", days=10), True),
    ("dispensed-out", dispensed(handed_over="2025-06-05", days=10), False),
    ("dispensed-weeks-in", dispensed(handed_over="2025-05-19", daysSupply=quantity(4, "wk")), True),
    ("dispensed-weeks-out", dispensed(handed_over="2025-05-18", daysSupply=quantity(4, "wk")), False),
    ("dispensed-unit-unread", dispensed(handed_over="2025-05-18", daysSupply={"value": 10}), True),
    ("dispensed-in-part", dispensed(status="in-progress", handed_over="2026-01-05", days=10), True),
    ("dispense-going-on", dispensed(status="in-progress"), False),
    ("dispensed-without-days", dispensed(handed_over="2025-01-05"), True),
    ("dispensed-long-ago-without-days", dispensed(handed_over="2024-01-05"), False),
    *[
        (f"dispensed-{s}", dispensed(status=s, handed_over="2026-01-05", days=10), False)
        for s in ("preparation", "cancelled", "declined", "entered-in-error")
    ],
]


@pytest.mark.parametrize(("name", "drug", "is_hint"), TREATMENTS, ids=[t[0] for t in TREATMENTS])
def test_drugs_against_dependence(name: str, drug: Resource, is_hint: bool) -> None:
    if is_hint:
        check(
            Case(name, SUD, minimal({**drug, "id": "it"}), "unknown", REVIEW, note="hint", evidence=("it",))
        )
    else:
        check(Case(name, SUD, minimal(drug), "not-met", basis="no-evidence"))


SECTIONS = [
    *NEUROLOGY,
    *PLUS,
    *TOGETHER,
    *WORDS,
    *IMMUNODEFICIENCY,
    *IGG,
    *PERIODS,
    *CODES,
    *HINTS,
]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: f"{c.criterion.partition('-')[0]}-{c.id}")
def test_rule(case: Case) -> None:
    check(case)


# --- EX04: what stands elsewhere is not listed again --------------------------------------------------------


def listed(*facts: Resource) -> set[str]:
    row = criterion(assess(minimal(*facts)), INTERFERING)
    return {item["reference"].rpartition("/")[2] for item in row["evidence"]}


@pytest.mark.parametrize(
    "code",
    [
        icd10cm("F48.2"),
        icd10cm("R47.1"),
        snomed("40739000"),
        EPILEPSY,
        snomed("37796009"),
        CVID,
        ALCOHOL,
        REMISSION,
        cid10("G35"),
        cid10("F20.0"),
        cid10("B18.2"),
    ],
)
def test_symptoms_of_als_and_evidence_of_other_rows_are_no_other_disease(code: Json) -> None:
    assert listed(condition(code, id="it"), condition(cid10("I10"), id="other")) == {"other"}


@pytest.mark.parametrize(
    "code",
    [
        cid10("C91.0"),
        icd10cm("D70.9"),
        cid10("I50.0"),
        cid10("C18.9"),
        cid10("c189"),
        icd10cm("N18.4"),
        cid10("N18.5"),
        snomed("363406005", "Malignant tumor of colon"),
    ],
)
def test_what_hints_strongly_is_always_listed(code: Json) -> None:
    assert listed(condition(code, id="it")) == {"it"}
    assert any("strong" in note for note in verdict(minimal(condition(code)), INTERFERING)["notes"])


@pytest.mark.parametrize(
    ("text", "strong"),
    [
        ("câncer de cólon em quimioterapia", True),
        ("Adenocarcinoma de pulmão", True),
        ("Nega câncer", False),
        ("História familiar de câncer de mama", False),
        ("Carcinoma basocelular", False),
    ],
)
def test_a_malignancy_in_words(text: str, strong: bool) -> None:
    notes = verdict(minimal(condition(text=text)), INTERFERING)["notes"]
    assert any("strong" in note for note in notes) is strong


def test_als_itself_is_not_listed() -> None:
    assert listed(als(id="second")) == set()


Build = Callable[[], Resource]


@pytest.mark.parametrize(
    "build",
    [
        lambda: minimal(condition(EPILEPSY)),
        lambda: minimal(condition(CVID)),
        lambda: minimal(condition(ALCOHOL)),
    ],
)
def test_each_excludes_by_itself(build: Build) -> None:
    assert assess(build())["status"] == "excluded"


def test_doubts_of_these_rows_do_not_block() -> None:
    """Tier B (§1.2): B0 with a doubt in each stays eligible as far as these rows go."""
    doubts = (condition(snomed("37796009")), condition(snomed("370391006")), condition(cid10("Z72.1")))
    assert assess(b0(*doubts))["status"] == assess(b0())["status"]
