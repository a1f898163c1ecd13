"""Rules of EX01 (prior cell therapy) and EX03a to EX03h (personal history): every sentence of their sections."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    TRIAL_OBSERVATIONS,
    Resource,
    allergy,
    atc,
    attestation,
    bundle,
    cid10,
    coding,
    concept,
    condition,
    device_request,
    family_member_history,
    icd10cm,
    icd10pcs,
    medication,
    medication_administration,
    medication_dispense,
    medication_request,
    medication_statement,
    minimal,
    observation,
    patient,
    procedure,
    rxnorm,
    service_request,
    snomed,
    value_integer,
    value_quantity,
    value_text,
)
from tests.trials.assessing import Case, assess, check, criterion, verdict

H1 = "H1-Condition"
CEL = "EX01-PriorCellTherapy"
AI = "EX03a-Autoimmune"
MPN, MDS, LEU, LYM = (
    "EX03b-Myeloproliferative",
    "EX03c-Myelodysplastic",
    "EX03d-Leukemia",
    "EX03e-Lymphoma",
)
TBI, HIP, SCO = "EX03f-WholeBodyIrradiation", "EX03g-HipFracture", "EX03h-SevereScoliosis"
DISEASES = (AI, MPN, MDS, LEU, LYM)
ALL = (CEL, *DISEASES, TBI, HIP, SCO)

SEVERE = concept(snomed("24484000", "Severe"))
MODERATE = concept(snomed("6736007", "Moderate"))
MILD = concept(snomed("255604002", "Mild"))


def by(*facts: Any) -> Resource:
    return minimal(*facts)


# ---------------------------------------------------------------- conditions of every positive set (§2.2)
POSITIVE: dict[str, tuple[Resource, dict[str, Any]]] = {
    CEL: (icd10cm("Z92.858"), {}),
    AI: (snomed("69896004"), {}),
    MPN: (cid10("D45"), {}),
    MDS: (cid10("D46.9"), {}),
    LEU: (cid10("C91.1"), {}),
    LYM: (cid10("C83.3"), {}),
    HIP: (cid10("S72.0"), {}),
    SCO: (cid10("M41.9"), {"severity": SEVERE}),
}


def _conditions(criterion_id: str) -> list[Case]:
    code, more = POSITIVE[criterion_id]

    def disease(**elements: Any) -> Resource:
        return by(condition(code, **{**more, **elements}))

    met = [
        *[(f"clinical-{c}", {"clinical": c}) for c in ("active", "recurrence", "relapse", "inactive")],
        *[(f"clinical-{c}", {"clinical": c}) for c in ("remission", "resolved", None)],
        ("abated", {"clinical": "resolved", "abatement": "1999"}),
        ("abated-without-a-status", {"clinical": None, "abatement": "1999-03"}),
        ("abated-at-an-age", {"abatementAge": {"value": 20, "unit": "a"}}),
        ("encounter-diagnosis", {"category": "encounter-diagnosis"}),
        ("recorded-on-the-screening-day", {"recorded": "2026-06-15"}),
        ("onset-long-ago", {"onset": "1980"}),
        ("onset-in-the-year-of-screening", {"onset": "2026"}),
    ]
    unknown = [
        *[
            (f"verification-{v}", {"verification": v}, "unverified-condition")
            for v in ("unconfirmed", "provisional", "differential")
        ],
        ("health-concern", {"category": "health-concern"}, "needs-clinician"),
        ("ends-later", {"abatement": "2026-12-01"}, "future-dated"),
    ]
    ignored = [
        *[(f"verification-{v}", {"verification": v}, False) for v in ("refuted", "entered-in-error")],
        ("onset-after-the-screening-day", {"onset": "2026-06-16"}, "future-dated"),
        ("recorded-after-the-screening-day", {"recorded": "2026-06-16"}, "future-dated"),
    ]
    evidence = ("pat-1-condition-2",)
    return [
        *[
            Case(name, criterion_id, disease(**e), "met", basis="explicit", evidence=evidence)
            for name, e in met
        ],
        *[
            Case(name, criterion_id, disease(**e), "unknown", (reason,), evidence=evidence)
            for name, e, reason in unknown
        ],
        *[
            Case(name, criterion_id, disease(**e), "not-met", basis="no-evidence", note=note)
            for name, e, note in ignored
        ],
        Case(
            "verification-absent",
            criterion_id,
            disease(verification=None),
            "met",
            note="verification not stated",
        ),
        Case(
            "beside-als-in-one-condition",
            criterion_id,
            bundle(patient(), condition(icd10cm("G12.21"), code, **more)),
            "unknown",
            ("ambiguous-code",),
            others=((H1, "unknown"),),
        ),
        Case("of-another-patient", criterion_id, _of_another(condition(code, **more)), "not-met"),
        Case("of-a-relative", criterion_id, by(family_member_history(code)), "not-met", basis="no-evidence"),
    ]


def _of_another(fact: Resource) -> Resource:
    record = by()
    other = {**fact, "id": "foreign", "subject": {"reference": "Patient/somebody-else"}}
    record["entry"].append({"fullUrl": "urn:uuid:0d4a3a0e-59a4-4c80-8f3c-1f0d5a3d0001", "resource": other})
    return record


CONDITIONS = [case for criterion_id in POSITIVE for case in _conditions(criterion_id)]

# ---------------------------------------------------------------- EX01: procedures, history
MARROW = snomed("58390007", "Allogeneic bone marrow transplantation (procedure)")
LIMBAL = snomed("397554006", "Limbal stem cell transplantation")


def transplant(**elements: Any) -> Resource:
    return by(procedure(MARROW, **{"on": "2012-03-01", **elements}))


PROCEDURES = [
    Case("nothing", CEL, by(), "not-met", basis="no-evidence", note=False),
    *[Case(f"procedure-{s}", CEL, transplant(status=s), "met") for s in ("completed", "in-progress")],
    *[
        Case(f"procedure-{s}", CEL, transplant(status=s), "not-met", basis="no-evidence")
        for s in ("not-done", "entered-in-error")
    ],
    *[
        Case(f"procedure-{s}", CEL, transplant(status=s), "unknown", ("needs-clinician",))
        for s in ("preparation", "on-hold", "stopped", "unknown", "Completed")
    ],
    Case("procedure-without-a-status", CEL, transplant(status=None), "unknown"),
    Case("procedure-on-the-screening-day", CEL, transplant(on="2026-06-15"), "met"),
    Case("procedure-the-day-after", CEL, transplant(on="2026-06-16"), "not-met", note="future-dated"),
    Case("procedure-this-year", CEL, transplant(on="2026"), "met"),
    Case("procedure-next-year", CEL, transplant(on="2027"), "not-met", note="future-dated"),
    Case("procedure-undated", CEL, transplant(on=None), "met"),
    Case("procedure-period", CEL, transplant(on=None, start="2012-03", end="2012-04"), "met"),
    Case("of-a-local-code", CEL, by(procedure(icd10pcs("30233G2"), on="2012-03-01")), "met"),
    Case("pcs-without-case", CEL, by(procedure(icd10pcs("30243y0"), on="2012-03-01")), "met"),
    Case("cord-blood", CEL, by(procedure(icd10pcs("30243X3"), on="2012-03-01")), "met"),
    Case(
        "a-procedure-among-the-diagnoses",
        CEL,
        by(condition(MARROW)),
        "unknown",
        ("ambiguous-code",),
    ),
    Case("a-status-among-the-procedures", CEL, by(procedure(icd10cm("Z94.81"))), "unknown"),
    Case("marrow-status", CEL, by(condition(icd10cm("Z94.81"))), "met"),
    Case("car-t", CEL, by(condition(icd10cm("Z92.850"))), "met"),
    Case("history-in-snomed", CEL, by(condition(snomed("2631000119108"))), "met"),
    # Review: never more than unknown.
    *[
        Case(f"review-{c['code']}", CEL, by(condition(c)), "unknown", ("ambiguous-code",))
        for c in (cid10("Z94.8"), icd10cm("Z92.86"), icd10cm("T86.5"), icd10cm("T86.09"), LIMBAL)
    ],
    Case("review-past", CEL, by(condition(cid10("Z94.8"), clinical="resolved")), "unknown"),
    Case("review-refuted", CEL, by(condition(cid10("Z94.8"), verification="refuted")), "not-met"),
    Case(
        "review-provisional",
        CEL,
        by(condition(cid10("Z94.8"), verification="provisional")),
        "unknown",
        ("unverified-condition",),
    ),
    Case("review-procedure", CEL, by(procedure(LIMBAL, on="2019")), "unknown", ("ambiguous-code",)),
    Case("review-procedure-not-done", CEL, by(procedure(LIMBAL, status="not-done")), "not-met"),
    Case("review-procedure-later", CEL, by(procedure(LIMBAL, on="2027")), "not-met", note="future-dated"),
    Case("review-and-a-transplant", CEL, by(procedure(LIMBAL), procedure(MARROW)), "met"),
    Case("chondrocytes", CEL, by(procedure(text="Implante de condrócitos autólogos")), "unknown"),
    Case("fat-graft", CEL, by(procedure(text="Lipoenxertia enriquecida com células-tronco")), "unknown"),
    # What does not count.
    *[
        Case(f"not-{code['code']}", CEL, by(procedure(code, on="2024-01-01")), "not-met")
        for code in (
            snomed("180208003", "Intravenous blood transfusion of platelets"),
            snomed("49401003", "Bone marrow aspiration"),
            snomed("70536003", "Transplant of kidney"),
            snomed("396415009", "Bone marrow donation"),
            icd10pcs("07DR3ZX"),
            icd10pcs("30233N1", "Transfusion of Nonautologous Red Blood Cells"),
        )
    ],
    *[
        Case(f"not-{code['code']}", CEL, by(condition(code)), "not-met")
        for code in (
            icd10cm("Z52.3", "Bone marrow donor"),
            icd10cm("Z52.001", "Unspecified donor, stem cells"),
            icd10cm("Z52.091", "Other blood donor, stem cells"),
            icd10cm("Z94.0", "Kidney transplant status"),
            icd10cm("Z51.81"),
        )
    ],
    Case("platelet-rich-plasma", CEL, by(procedure(text="Plasma rico em plaquetas em joelho")), "not-met"),
]

# ---------------------------------------------------------------- EX01: products
REMESTEMCEL = rxnorm("2700765", "remestemcel-L")
DAY = "2024-04-01"


def given(*codes: Any, on: str = DAY, **elements: Any) -> Resource:
    return by(medication_administration(*(codes or (REMESTEMCEL,)), on=on, **elements))


def stated(**elements: Any) -> Resource:
    return by(medication_statement(REMESTEMCEL, **{"start": DAY, **elements}))


def dispensed(**elements: Any) -> Resource:
    return by(medication_dispense(REMESTEMCEL, **{"handed_over": DAY, **elements}))


def requested(**elements: Any) -> Resource:
    return by(medication_request(REMESTEMCEL, **elements))


def referring(kind: str, reference: Resource, status: str, *others: Resource) -> Resource:
    """A drug named by reference only."""
    fact = {
        "resourceType": kind,
        "status": status,
        "medicationReference": reference,
        "effectiveDateTime": DAY,
    }
    if kind == "MedicationDispense":
        fact["whenHandedOver"] = fact.pop("effectiveDateTime")
    if kind == "MedicationRequest":
        fact |= {"intent": "order", "authoredOn": fact.pop("effectiveDateTime")}
    return by(fact, *others)


KINDS = (
    ("MedicationAdministration", "completed"),
    ("MedicationStatement", "active"),
    ("MedicationDispense", "completed"),
)

PRODUCTS = [
    *[
        Case(f"administration-{s}", CEL, given(status=s), verdict_)
        for s, verdict_ in (
            ("completed", "met"),
            ("in-progress", "met"),
            ("not-done", "not-met"),
            ("entered-in-error", "not-met"),
            ("on-hold", "unknown"),
            ("stopped", "unknown"),
            ("unknown", "unknown"),
            ("done", "unknown"),
        )
    ],
    *[
        Case(f"statement-{s}", CEL, stated(status=s), verdict_)
        for s, verdict_ in (
            ("active", "met"),
            ("completed", "met"),
            ("stopped", "met"),
            ("not-taken", "not-met"),
            ("intended", "not-met"),
            ("entered-in-error", "not-met"),
            ("on-hold", "unknown"),
            ("unknown", "unknown"),
            (None, "unknown"),
        )
    ],
    *[
        Case(f"dispense-{s}", CEL, dispensed(status=s), verdict_)
        for s, verdict_ in (
            ("completed", "met"),
            ("cancelled", "not-met"),
            ("declined", "not-met"),
            ("entered-in-error", "not-met"),
            ("preparation", "unknown"),
            ("in-progress", "unknown"),
            ("on-hold", "unknown"),
            ("stopped", "unknown"),
            ("unknown", "unknown"),
            (None, "unknown"),
        )
    ],
    *[
        Case(f"request-{s}", CEL, requested(status=s), "unknown", ("needs-clinician",), note="ordered")
        for s in ("active", "on-hold", "completed", "stopped", "unknown")
    ],
    *[
        Case(f"request-{s}", CEL, requested(status=s), "not-met", basis="no-evidence")
        for s in ("draft", "cancelled", "entered-in-error")
    ],
    *[
        Case(f"request-{i}", CEL, requested(intent=i), "not-met", basis="no-evidence")
        for i in ("plan", "proposal", "option")
    ],
    Case("request-not-to-be-done", CEL, requested(doNotPerform=True), "not-met"),
    Case("request-later", CEL, requested(authored="2026-06-16"), "not-met"),
    Case(
        "request-and-administration",
        CEL,
        by(medication_request(REMESTEMCEL), medication_administration(REMESTEMCEL, on=DAY)),
        "met",
        evidence=("pat-1-medicationadministration-1",),
    ),
    Case("administration-later", CEL, given(on="2026-06-16"), "not-met", note="future-dated"),
    Case("administration-today", CEL, given(on="2026-06-15"), "met"),
    Case("statement-later", CEL, stated(start="2026-06-16"), "not-met", note="future-dated"),
    Case("statement-undated", CEL, stated(start=None), "met"),
    Case("statement-asserted-later", CEL, stated(start=None, dateAsserted="2026-07-01"), "not-met"),
    Case("dispense-later", CEL, dispensed(handed_over="2026-06-16"), "not-met", note="future-dated"),
    Case("dispense-prepared-later", CEL, dispensed(handed_over=None, whenPrepared="2026-07"), "not-met"),
    Case("dispense-undated", CEL, dispensed(handed_over=None), "met"),
    *[
        Case(f"atc-{c}", CEL, given(atc(c)), verdict_)
        for c, verdict_ in (
            ("L01XL03", "met"),
            ("L01XL09", "met"),
            ("L01XL12", "met"),
            ("L04AX08", "met"),
            ("l04ax08", "met"),
        )
    ],
    Case("virus-therapy", CEL, given(atc("L01XL02", "talimogene laherparepvec")), "not-met"),
    Case("tofersen", CEL, given(rxnorm("2637200", "tofersen")), "not-met"),
    Case("immunoglobulin", CEL, given(atc("J06BA02", "immunoglobulins, normal human")), "not-met"),
    Case("allergy", CEL, by(allergy(REMESTEMCEL)), "not-met"),
    # §2.8: what the reference leads to, its name, or nothing readable.
    *[
        Case(
            f"{kind}-of-a-medication",
            CEL,
            referring(kind, {"reference": "Medication/m"}, status, medication("m", REMESTEMCEL)),
            "met",
        )
        for kind, status in KINDS
    ],
    *[
        Case(
            f"{kind}-by-name",
            CEL,
            referring(kind, {"reference": "Medication/none", "display": "Remestemcel-L"}, status),
            "unknown",
            ("text-only",),
            likely="met",
        )
        for kind, status in KINDS
    ],
    *[
        Case(
            f"{kind}-of-another-name",
            CEL,
            referring(kind, {"reference": "Medication/none", "display": "Riluzol 50 mg"}, status),
            "not-met",
        )
        for kind, status in KINDS
    ],
    *[
        Case(
            f"{kind}-unreadable",
            CEL,
            referring(kind, {"reference": "Medication/none"}, status),
            "unknown",
            ("ambiguous-code",),
            likely="",
        )
        for kind, status in KINDS
    ],
    *[
        Case(
            f"{kind}-unreadable-in-error",
            CEL,
            referring(kind, {"reference": "Medication/x"}, "entered-in-error"),
            "not-met",
        )
        for kind, _ in KINDS
    ],
    # A coded product that is ordered is unknown; so is an order that may be of one.
    Case(
        "request-unreadable",
        CEL,
        referring("MedicationRequest", {"reference": "Medication/none"}, "active"),
        "unknown",
        ("ambiguous-code",),
        note="ordered",
    ),
    Case(
        "request-unreadable-cancelled",
        CEL,
        referring("MedicationRequest", {"reference": "Medication/none"}, "cancelled"),
        "not-met",
    ),
    Case("drug-of-an-unknown-code", CEL, given(coding("urn:site", "4711")), "unknown", ("ambiguous-code",)),
    Case(
        "drug-in-words",
        CEL,
        by(medication_statement(text="Tisagenlecleucel", start=DAY)),
        "unknown",
        ("text-only",),
    ),
    Case(
        "cells-in-words",
        CEL,
        by(medication_statement(text="infusão de células-tronco", start=DAY)),
        "unknown",
        ("text-only",),
    ),
    Case(
        "cells-in-words-not-taken",
        CEL,
        by(medication_statement(text="células-tronco", start=DAY, status="not-taken")),
        "not-met",
    ),
    Case(
        "cells-requested-in-words",
        CEL,
        by(medication_request(text="células-tronco mesenquimais")),
        "unknown",
        ("text-only",),
        note="ordered",
    ),
    Case(
        "cells-denied",
        CEL,
        by(medication_statement(text="nega células-tronco", start=DAY)),
        "not-met",
        basis="no-evidence",
        note="negated text",
    ),
]

ORDERS = [
    *[
        Case(
            f"service-{s}",
            CEL,
            by(service_request(MARROW, status=s)),
            "unknown",
            ("needs-clinician",),
            note="ordered",
            evidence=("pat-1-servicerequest-1",),
        )
        for s in ("active", "on-hold", "completed", "unknown")
    ],
    *[
        Case(f"service-{s}", CEL, by(service_request(MARROW, status=s)), "not-met", basis="no-evidence")
        for s in ("draft", "revoked", "cancelled", "entered-in-error")
    ],
    Case("service-not-to-be-done", CEL, by(service_request(MARROW, doNotPerform=True)), "not-met"),
    Case("service-later", CEL, by(service_request(MARROW, authoredOn="2026-07-01")), "not-met"),
    Case("service-of-review", CEL, by(service_request(LIMBAL)), "unknown"),
    Case("service-done", CEL, by(service_request(MARROW, status="completed"), procedure(MARROW)), "met"),
    *[
        Case(f"device-{s}", CEL, by(device_request(REMESTEMCEL, status=s)), "unknown")
        for s in ("active", "on-hold", "completed")
    ],
    *[
        Case(f"device-{s}", CEL, by(device_request(REMESTEMCEL, status=s)), "not-met")
        for s in ("draft", "revoked", "entered-in-error")
    ],
    Case("device-in-words", CEL, by(device_request(text="kit de células-tronco")), "unknown", ("text-only",)),
]

CELL_WORDS = [
    *[
        Case(f"{text}", CEL, by(condition(text=text)), "unknown", ("text-only",), likely="met")
        for text in (
            "Células-tronco na Tailândia, 2023",
            "stem cell infusion abroad",
            "CAR-T 2022",
            "Transplante de medula óssea",
            "Terapia celular em clínica privada",
        )
    ],
    *[
        Case(f"{text}", CEL, by(condition(text=text)), "not-met", basis="no-evidence", note="negated text")
        for text in (
            "Nega células-tronco",
            "sem história de transplante de medula",
            "mãe com transplante de medula",
        )
    ],
    Case("words-refuted", CEL, by(condition(text="stem cell", verification="refuted")), "not-met"),
    Case("words-not-done", CEL, by(procedure(text="stem cell", status="not-done")), "not-met"),
    Case("words-later", CEL, by(procedure(text="stem cell", on="2027")), "not-met", note="future-dated"),
    Case(
        "a-code-silences-the-words",
        CEL,
        by(
            condition(cid10("I10"), text="stem cell", onset="2015"),
            procedure(icd10pcs("07DR3ZX"), text="células-tronco"),
        ),
        "unknown",
    ),
    Case(
        "a-known-code-silences-the-words",
        CEL,
        by(procedure(icd10pcs("07DR3ZX"), text="células-tronco")),
        "not-met",
    ),
]

# ---------------------------------------------------------------- EX03a
BOUNDARY = [
    snomed("46635009"), snomed("21983002"), snomed("353295004"), cid10("E10.9"), cid10("E06.3"), icd10cm("E05.00"),
    snomed("9014002"), snomed("56727007"), snomed("68225006"), snomed("86142006"), cid10("L40.0"), cid10("L10.0"),
    cid10("L12.1"), cid10("L63.9"), cid10("L80"), cid10("L93.0"),
]  # fmt: skip
PLAIN = [
    snomed("69896004"), snomed("55464009"), snomed("200936003"), snomed("83901003"), snomed("156370009"),
    snomed("34000006"), snomed("396331005"), snomed("24700007"), snomed("32273002"), snomed("84027009"),
    snomed("85828009"), cid10("M05.9"), cid10("M32.1"), icd10cm("M32.10"), cid10("K50.0"), cid10("K90.0"),
    icd10cm("G35.D"), cid10("G35"), icd10cm("G61.81"), cid10("D69.3"), icd10cm("D68.61"), cid10("D51.0"), cid10("M45"),
]  # fmt: skip
DRUG_LUPUS = (cid10("M32.0"), icd10cm("M32.0"))

AUTOIMMUNE = [
    *[
        Case(
            f"boundary-{c['code']}", AI, by(condition(c)), "met", ("boundary",), overall="excluded", card=True
        )
        for c in BOUNDARY
    ],
    Case("boundary-past", AI, by(condition(snomed("9014002"), clinical="resolved")), "met", ("boundary",)),
    *[
        Case(
            f"plain-{c['code']}-{c['system'][-6:]}",
            AI,
            by(condition(c)),
            "met",
            no_reasons=("boundary",),
            overall="excluded",
        )
        for c in PLAIN
    ],
    # The exclusion does not rest on the boundary alone.
    Case(
        "boundary-beside-a-plain-one",
        AI,
        by(condition(snomed("9014002")), condition(snomed("69896004"))),
        "met",
        no_reasons=("boundary",),
        note="the PI decides",
        evidence=("pat-1-condition-2", "pat-1-condition-3"),
    ),
    Case(
        "boundary-beside-a-plain-one-in-one-condition",
        AI,
        by(condition(cid10("L40.5"), snomed("156370009"))),
        "met",
        no_reasons=("boundary",),
    ),
    Case(
        "boundary-beside-a-provisional-one",
        AI,
        by(condition(snomed("9014002")), condition(snomed("69896004"), verification="provisional")),
        "met",
        ("boundary",),
    ),
    Case("two-boundaries", AI, by(condition(cid10("E10")), condition(cid10("L80"))), "met", ("boundary",)),
    *[
        Case(
            f"drug-lupus-resolved-{c['system'][-6:]}",
            AI,
            by(condition(c, clinical="resolved")),
            "met",
            ("boundary",),
        )
        for c in DRUG_LUPUS
    ],
    *[
        Case(f"drug-lupus-current-{c['system'][-6:]}", AI, by(condition(c)), "met", no_reasons=("boundary",))
        for c in DRUG_LUPUS
    ],
    Case(
        "lupus-resolved",
        AI,
        by(condition(cid10("M32.9"), clinical="resolved")),
        "met",
        no_reasons=("boundary",),
    ),
    *[
        Case(f"review-{c['code']}", AI, by(condition(c)), "unknown", ("needs-clinician",))
        for c in (
            snomed("31541009"),
            cid10("D86.9"),
            snomed("75053002"),
            icd10cm("M30.3"),
            snomed("197441003"),
            snomed("236407003"),
            cid10("E27.1"),
            snomed("31996006"),
            cid10("M35.3"),
            cid10("M35.9"),
            cid10("I01.1"),
            cid10("H20.0"),
        )
    ],
    Case("review-past", AI, by(condition(cid10("D86.9"), clinical="resolved")), "unknown"),
    Case("review-refuted", AI, by(condition(cid10("D86.9"), verification="refuted")), "not-met"),
    Case("review-beside-als-codes", AI, by(condition(icd10cm("G12.21"), cid10("D86.9"))), "unknown"),
    Case("the-row-below-a-review", AI, by(condition(cid10("M30.1"))), "met"),
    *[
        Case(f"not-{c['code']}", AI, by(condition(c)), "not-met", basis="no-evidence")
        for c in (
            cid10("E11.9"),
            cid10("M15.0"),
            cid10("M16.1"),
            cid10("M17"),
            cid10("M19.9"),
            cid10("E03.9"),
            icd10cm("M35.7"),
            icd10cm("M35.81"),
            icd10cm("M31.11"),
            icd10cm("M36.1"),
            cid10("E05.2"),
            icd10cm("Z82.61"),
        )
    ],
    Case("rheumatoid-factor-alone", AI, by(observation("11572-5", value_quantity(80, "[IU]/mL"))), "not-met"),
    *[
        Case(f"words-{text}", AI, by(condition(text=text)), "unknown", ("text-only",), likely="met")
        for text in (
            "Lúpus",
            "artrite reumatóide soropositiva",
            "Psoríase em placas",
            "Doença de Crohn",
            "retocolite ulcerativa",
            "Esclerose múltipla?",
            "Miastenia gravis",
            "Rheumatoid arthritis",
        )
    ],
    *[
        Case(
            f"words-{text}", AI, by(condition(text=text)), "not-met", basis="no-evidence", note="negated text"
        )
        for text in ("Nega psoríase", "mãe com lúpus", "História familiar de artrite reumatoide")
    ],
    Case(
        "display-of-an-unlisted-code",
        AI,
        by(condition(snomed("200965009", "Plaque psoriasis (disorder)"))),
        "unknown",
        ("text-only",),
    ),
    Case("procedure-in-words", AI, by(procedure(text="Pulsoterapia por lúpus")), "unknown", ("text-only",)),
]

# ---------------------------------------------------------------- EX03b to EX03e
BLOOD = [
    *[
        Case(f"mpn-{c['code']}", MPN, by(condition(c)), "met")
        for c in (
            snomed("425333006"),
            snomed("109993000"),
            snomed("109992005"),
            snomed("109994006"),
            snomed("52967002"),
            cid10("D45"),
            cid10("D47.1"),
            cid10("D47.3"),
            cid10("D47.4"),
            icd10cm("D75.81"),
            cid10("C94.6"),
        )
    ],
    Case(
        "cml-is-both",
        MPN,
        by(condition(icd10cm("C92.11"), clinical="remission")),
        "met",
        others=((LEU, "met"),),
    ),
    *[
        Case(f"mds-{c['code']}", MDS, by(condition(c)), "met")
        for c in (snomed("109995007"), snomed("277597005"), cid10("D46.2"), icd10cm("D46.Z"), cid10("C94.6"))
    ],
    Case("cmml-is-both", MDS, by(condition(cid10("C93.1"))), "met", others=((LEU, "met"),)),
    Case("overlap-is-both", MDS, by(condition(snomed("445738007"))), "met", others=((MPN, "met"),)),
    *[
        Case(f"leukemia-{c['code']}", LEU, by(condition(c)), "met")
        for c in (
            snomed("93143009"),
            snomed("91861009"),
            snomed("92814006"),
            snomed("91855006"),
            cid10("C91.0"),
        )
    ],
    Case(
        "history-of-leukemia",
        LEU,
        by(condition(icd10cm("Z85.6"), clinical="resolved")),
        "met",
        others=((LYM, "not-met"),),
    ),
    *[
        Case(f"lymphoma-{c['code']}", LYM, by(condition(c)), "met")
        for c in (snomed("118600007"), snomed("118599009"), cid10("C81.9"), cid10("C88.0"), icd10cm("C86.00"))
    ],
    *[Case(f"history-{c}", LYM, by(condition(icd10cm(c))), "met") for c in ("Z85.71", "Z85.72")],
    *[
        Case(
            f"neighbour-{c['code']}-{c['system'][-6:]}",
            LYM,
            by(condition(c)),
            "unknown",
            ("needs-clinician",),
        )
        for c in (
            cid10("C90.0"),
            cid10("C96.9"),
            icd10cm("Z85.79"),
            cid10("Z86.2"),
            cid10("Z85.7"),
            cid10("D47.2"),
        )
    ],
    Case("neighbour-in-remission", LYM, by(condition(icd10cm("C90.01"), clinical="remission")), "unknown"),
    Case("neighbour-refuted", LYM, by(condition(cid10("C90.0"), verification="refuted")), "not-met"),
    *[
        Case(f"not-{c['code']}", LEU, by(condition(c)), "not-met", basis="no-evidence")
        for c in (cid10("D47.0"), cid10("D72.8"), icd10cm("D72.823", "Leukemoid reaction"), cid10("D72.820"))
    ],
    *[
        Case(f"family-{c['code']}", c_id, by(condition(c)), "not-met", basis="no-evidence")
        for c, c_id in (
            (cid10("Z80.6", "Family history of leukaemia"), LEU),
            (icd10cm("Z80.7", "Family history of other malignant neoplasms of lymphoid tissue"), LYM),
            (snomed("275937001", "Family history of leukemia"), LEU),
        )
    ],
    Case("minimum-data-set", MDS, by(condition(text="MDS")), "not-met"),
    Case("lymphocytosis", LYM, by(condition(text="Lymphocytosis")), "not-met"),
    *[
        Case(f"words-{text}", c_id, by(condition(text=text)), "unknown", ("text-only",), likely="met")
        for text, c_id in (
            ("Linfoma de Hodgkin 1998", LYM),
            ("leucemia mieloide aguda na infância", LEU),
            ("Mielodisplasia", MDS),
            ("Policitemia vera", MPN),
            ("lymphoma in remission", LYM),
            ("Leucemia mieloide crônica", MPN),
            ("Leucemia mieloide crônica", LEU),
        )
    ],
    *[
        Case(
            f"words-{text}",
            c_id,
            by(condition(text=text)),
            "not-met",
            basis="no-evidence",
            note="negated text",
        )
        for text, c_id in (
            ("Nega linfoma", LYM),
            ("pai teve leucemia", LEU),
            ("sem mielodisplasia", MDS),
            ("Family history of leukemia", LEU),
        )
    ],
    # A SNOMED CT family history by its name, with the colon that these have (§2.2): no set can list them all.
    Case(
        "of-the-family-by-name",
        LYM,
        by(condition(snomed("999999991", "Family history: Lymphoma (situation)"), text="Família: linfoma")),
        "not-met",
        basis="no-evidence",
        note="negated text",
    ),
    Case("words-provisional", LYM, by(condition(text="linfoma", verification="differential")), "unknown"),
    Case(
        "treatment-in-words",
        LYM,
        by(procedure(text="Quimioterapia para linfoma", on="2010")),
        "unknown",
        ("text-only",),
    ),
    Case(
        "treatment-not-done",
        LYM,
        by(procedure(text="Quimioterapia para linfoma", status="not-done")),
        "not-met",
    ),
]

# ---------------------------------------------------------------- EX03f
BEAM = snomed("33195004", "External beam radiation therapy procedure (procedure)")
WHOLE_BODY = concept(snomed("38266002", "Entire body as a whole (body structure)"))
BREAST = concept(snomed("76752008", "Breast structure (body structure)"))


def beam(*sites: Resource, **elements: Any) -> Resource:
    site = {"bodySite": list(sites)} if sites else {}
    return by(procedure(BEAM, **{"on": "2001-05-01", **site, **elements}))


IRRADIATION = [
    Case("none", TBI, by(), "not-met", basis="no-evidence", note=False),
    Case("whole-body", TBI, beam(WHOLE_BODY), "met", basis="explicit", evidence=("pat-1-procedure-1",)),
    Case("whole-body-in-progress", TBI, beam(WHOLE_BODY, status="in-progress"), "met"),
    *[
        Case(f"whole-body-{s}", TBI, beam(WHOLE_BODY, status=s), "not-met", basis="no-evidence")
        for s in ("not-done", "entered-in-error")
    ],
    *[
        Case(f"whole-body-{s}", TBI, beam(WHOLE_BODY, status=s), "unknown")
        for s in ("preparation", "on-hold", "unknown", None)
    ],
    Case("whole-body-later", TBI, beam(WHOLE_BODY, on="2026-06-16"), "not-met", note="future-dated"),
    Case("whole-body-and-breast", TBI, beam(BREAST, WHOLE_BODY), "met"),
    Case("breast-not-done-yet", TBI, beam(BREAST, status="preparation"), "not-met", basis="no-evidence"),
    Case("breast", TBI, beam(BREAST), "not-met", basis="explicit", evidence=("pat-1-procedure-1",)),
    Case(
        "breast-and-a-second-without-a-site",
        TBI,
        by(procedure(BEAM, body_site=BREAST), procedure(BEAM)),
        "unknown",
    ),
    Case("site-of-a-code-only", TBI, beam(concept(snomed("76752008"))), "not-met"),
    # A local code without words names no site that can be read.
    Case(
        "site-of-a-local-code",
        TBI,
        beam(concept(coding("urn:site", "17"))),
        "unknown",
        ("ambiguous-code",),
    ),
    Case("site-of-a-local-code-in-words", TBI, beam(concept(coding("urn:site", "17", "Mama"))), "not-met"),
    Case("site-of-a-question-mark", TBI, beam(concept(text="?")), "unknown", ("ambiguous-code",)),
    Case("site-in-words", TBI, beam(concept(text="mama esquerda")), "not-met"),
    *[
        Case(f"site-{text}", TBI, beam(concept(text=text)), "unknown", ("text-only",), likely="met")
        for text in (
            "corpo inteiro",
            "Corpo Inteiro (TBI)",
            "total body",
            "Whole-body",
            "irradiação corporal total",
        )
    ],
    Case(
        "site-displayed-as-the-whole-body",
        TBI,
        beam(concept(coding("urn:site", "wb", "Total body"))),
        "unknown",
        ("text-only",),
    ),
    Case(
        "breast-and-total-body-in-words",
        TBI,
        beam(BREAST, concept(text="total body")),
        "unknown",
        ("text-only",),
    ),
    *[
        Case(f"no-site-{name}", TBI, beam(*sites), "unknown", ("ambiguous-code",), note="total body?")
        for name, sites in (
            ("absent", ()),
            ("empty", (concept(text=" "),)),
            ("not-said", (concept(text="não informado"),)),
            ("unspecified", (concept(snomed("123037004", "Body structure")),)),
            ("several", (concept(text="múltiplos sítios"),)),
        )
    ],
    *[
        Case(f"no-site-{s}", TBI, beam(status=s), "not-met", basis="no-evidence")
        for s in ("not-done", "entered-in-error")
    ],
    Case("no-site-on-hold", TBI, beam(status="on-hold"), "unknown"),
    Case("radiotherapy-care", TBI, by(procedure(snomed("385798007"))), "unknown", ("ambiguous-code",)),
    *[
        Case(f"beam-{c}", TBI, by(procedure(icd10pcs(c), on="1999")), "met")
        for c in ("DW050ZZ", "DW051ZZ", "DW052ZZ")
    ],
    Case("beam-not-done", TBI, by(procedure(icd10pcs("DW050ZZ"), status="not-done")), "not-met"),
    *[
        Case(
            f"history-{c['system'][-6:]}",
            TBI,
            by(condition(c)),
            "unknown",
            ("ambiguous-code",),
            note="total body?",
        )
        for c in (cid10("Z92.3"), icd10cm("Z92.3"))
    ],
    Case("history-resolved", TBI, by(condition(cid10("Z92.3"), clinical="resolved")), "unknown"),
    Case("history-refuted", TBI, by(condition(cid10("Z92.3"), verification="refuted")), "not-met"),
    Case(
        "history-provisional",
        TBI,
        by(condition(cid10("Z92.3"), verification="provisional")),
        "unknown",
        ("unverified-condition",),
    ),
    Case("history-of-the-family", TBI, by(family_member_history(cid10("Z92.3"))), "not-met"),
    # Words that the lexicon of the specification lacks; they can only raise a question.
    *[
        Case(f"words-{text}", TBI, by(procedure(text=text)), "unknown", ("text-only",))
        for text in ("Irradiação corporal total", "Total body irradiation", "Radioterapia")
    ],
    Case("words-with-a-site", TBI, by(procedure(text="Radioterapia", body_site=BREAST)), "not-met"),
    Case(
        "words-denied",
        TBI,
        by(condition(text="nega irradiação corporal total")),
        "not-met",
        note="negated text",
    ),
    Case(
        "scan-of-the-whole-body",
        TBI,
        by(procedure(text="PET-CT de corpo inteiro")),
        "not-met",
        basis="no-evidence",
    ),
    *[
        Case(
            f"transplant-{name}", TBI, by(fact), "not-met", basis="no-evidence", note="allogeneic transplant"
        )
        for name, fact in (
            ("procedure", procedure(MARROW, on="2012")),
            ("history", condition(snomed("152621000119105"))),
            ("cord-blood", procedure(icd10pcs("30243X3"), on="2012")),
        )
    ],
    Case("transplant-autologous", TBI, by(procedure(snomed("58776007"), on="2012")), "not-met", note=False),
    Case("transplant-not-done", TBI, by(procedure(MARROW, status="not-done")), "not-met", note=False),
]

# ---------------------------------------------------------------- EX03g
ARTHROPLASTY = snomed("52734007", "Total replacement of hip (procedure)")


def arthroplasty(reason: Resource | None = None, **elements: Any) -> Resource:
    why = {} if reason is None else {"reasonCode": [reason]}
    return procedure(ARTHROPLASTY, **{"on": "2018-01-01", **why, **elements})


HIPS = [
    *[
        Case(f"fracture-{c['code']}", HIP, by(condition(c, clinical="resolved")), "met")
        for c in (
            snomed("5913000"),
            snomed("263225007"),
            snomed("359817006"),
            snomed("361118003"),
            snomed("700097003"),
            snomed("704063001"),
            snomed("431031001"),
            snomed("409666003"),
            cid10("S72.0"),
            cid10("S72.1"),
            cid10("S72.2"),
            icd10cm("S72.001D"),
            icd10cm("S72.22XS"),
            icd10cm("M84.359A"),
            icd10cm("M97.01XA"),
        )
    ],
    *[
        Case(f"nearby-{c['code']}", HIP, by(condition(c)), "unknown", ("ambiguous-code",))
        for c in (
            icd10cm("M84.351A"),
            icd10cm("M84.352"),
            icd10cm("M84.353"),
            icd10cm("S32.401A"),
            snomed("426962008"),
            icd10cm("M80.051A"),
            icd10cm("M84.451A"),
            cid10("S72.9"),  # of the femur, part not stated
            icd10cm("S72.91XA"),
            cid10("T93.1"),
        )
    ],
    Case("nearby-past", HIP, by(condition(icd10cm("S32.4"), clinical="resolved")), "unknown"),
    Case("nearby-refuted", HIP, by(condition(icd10cm("S32.4"), verification="refuted")), "not-met"),
    *[
        Case(
            f"healed-{code}-{text}",
            HIP,
            by(condition(icd10cm(code), text=text)),
            "unknown",
            ("ambiguous-code",),
        )
        for code in ("Z87.81", "Z87.310", "Z87.312")
        for text in ("fratura de quadril", "Hip fracture 2004", "FÊMUR D", "femur", "colo femoral")
    ],
    *[
        Case(
            f"healed-{text}", HIP, by(condition(icd10cm("Z87.81"), text=text)), "not-met", basis="no-evidence"
        )
        for text in (None, "fratura de punho", "hipertensão e fratura de costela", "chip fracture of finger")
    ],
    Case(
        "healed-with-a-note",
        HIP,
        by(condition(icd10cm("Z87.81"), note=[{"text": "queda em 2004, fratura de fêmur"}])),
        "unknown",
    ),
    Case(
        "healed-with-a-site",
        HIP,
        by(condition(icd10cm("Z87.81"), bodySite=[concept(snomed("29836001", "Hip region structure"))])),
        "unknown",
    ),
    Case("healed-beside-the-acetabulum", HIP, by(condition(icd10cm("Z87.81"), icd10cm("S32.4"))), "unknown"),
    *[
        Case(f"not-{c['code']}", HIP, by(condition(c)), "not-met", basis="no-evidence")
        for c in (
            cid10("S72.3"),
            icd10cm("S72.301A"),
            icd10cm("Z96.641"),
            snomed("391096007"),
            snomed("445501000124107"),
            snomed("416072008"),
            cid10("S82.1"),
            icd10cm("Z82.62", "Family history of osteoporosis"),
            cid10("M16.1"),
        )
    ],
    *[
        Case(f"words-{text}", HIP, by(condition(text=text)), "unknown", ("text-only",), likely="met")
        for text in (
            "Fratura de quadril",
            "fratura do colo do fêmur",
            "fratura de fêmur",
            "Hip fracture 2004",
            "Fratura transtrocanteriana",
            "Fracture of neck of right femur",
        )
    ],
    *[
        Case(
            f"words-{text}",
            HIP,
            by(condition(text=text)),
            "not-met",
            basis="no-evidence",
            note="negated text",
        )
        for text in ("Nega fratura de quadril", "mother hip fracture", "Mãe: nega. Mãe com fratura de fêmur")
    ],
    Case("words-of-the-wrist", HIP, by(condition(text="fratura de punho")), "not-met"),
    Case(
        "fixation-in-words",
        HIP,
        by(procedure(text="Osteossíntese de fratura do fêmur", on="2004")),
        "unknown",
        ("text-only",),
    ),
    # Surgery of the hip: a question unless something else than a fracture is its stated reason.
    Case(
        "surgery-without-a-reason",
        HIP,
        by(arthroplasty()),
        "unknown",
        note="after a fracture?",
        evidence=("pat-1-procedure-1",),
    ),
    Case("surgery-in-words", HIP, by(procedure(text="Artroplastia total do quadril esquerdo")), "unknown"),
    Case(
        "surgery-for-arthrosis",
        HIP,
        by(arthroplasty(concept(cid10("M16.1")))),
        "not-met",
        basis="no-evidence",
    ),
    Case("surgery-for-arthrosis-in-words", HIP, by(arthroplasty(concept(text="coxartrose"))), "not-met"),
    Case(
        "surgery-that-names-arthrosis",
        HIP,
        by(procedure(text="Artroplastia de quadril por coxartrose")),
        "not-met",
    ),
    Case(
        "surgery-for-a-fracture",
        HIP,
        by(arthroplasty(concept(cid10("S72.0")))),
        "unknown",
        note="after a fracture",
    ),
    Case(
        "surgery-for-a-fracture-in-words",
        HIP,
        by(arthroplasty(concept(text="fratura de colo do fêmur"))),
        "unknown",
    ),
    Case("surgery-for-an-icd-code", HIP, by(arthroplasty(concept(cid10("M87.0")))), "not-met"),
    Case("surgery-for-a-listed-fracture", HIP, by(arthroplasty(concept(snomed("5913000")))), "unknown"),
    # It may be a fracture that no set lists.
    Case("surgery-for-an-unreadable-code", HIP, by(arthroplasty(concept(snomed("239872002")))), "unknown"),
    Case(
        "surgery-for-a-code-with-words",
        HIP,
        by(arthroplasty(concept(snomed("239872002", "Osteoarthritis of hip")))),
        "not-met",
    ),
    Case("surgery-of-an-empty-reason", HIP, by(arthroplasty(concept(text=" "))), "unknown"),
    Case("surgery-not-done", HIP, by(arthroplasty(status="not-done")), "not-met"),
    Case("surgery-later", HIP, by(arthroplasty(on="2026-12-01")), "not-met", note="future-dated"),
    *[
        Case(
            f"surgery-for-a-condition-{name}",
            HIP,
            by(
                condition(code, id="why", **elements),
                arthroplasty(reasonReference=[{"reference": "Condition/why"}]),
            ),
            status,
        )
        for name, code, elements, status in (
            ("of-arthrosis", cid10("M16.1", "Coxarthrosis"), {}, "not-met"),
            ("of-a-fracture", cid10("S72.0"), {}, "met"),
            ("of-the-acetabulum", icd10cm("S32.4"), {}, "unknown"),
            ("refuted", cid10("M16.1"), {"verification": "refuted"}, "unknown"),
        )
    ],
    Case(
        "surgery-for-an-unknown-condition",
        HIP,
        by(arthroplasty(reasonReference=[{"reference": "Condition/none"}])),
        "unknown",
    ),
    Case("joint-in-place", HIP, by(condition(icd10cm("Z96.642"), text="prótese de quadril")), "not-met"),
]

# ---------------------------------------------------------------- EX03h
SCOLIOSIS = snomed("298382003", "Scoliosis deformity of spine (disorder)")
COBB = coding(TRIAL_OBSERVATIONS, "cobb-angle")


def angle(value: float | None, unit: str | None = "deg", **elements: Any) -> Resource:
    given_ = (
        None
        if value is None
        else value_quantity(value, unit, elements.pop("comparator", None), ucum=unit == "deg")
    )
    return observation(COBB, given_, **{"on": "2024-04-01", "category": "imaging", **elements})


def bent(severity: Resource | None = None, **elements: Any) -> Resource:
    more = {} if severity is None else {"severity": severity}
    return condition(SCOLIOSIS, **{**more, **elements})


SCOLIOSES = [
    *[
        Case(f"code-{c['code']}", SCO, by(condition(c, severity=SEVERE)), "met")
        for c in (
            SCOLIOSIS,
            snomed("203662005"),
            snomed("314391000119109"),
            cid10("M41.4"),
            cid10("Q67.5"),
            cid10("Q76.3"),
            cid10("M96.5"),
        )
    ],
    Case("severe", SCO, by(bent(SEVERE)), "met", basis="explicit", evidence=("pat-1-condition-2",)),
    Case("moderate", SCO, by(bent(MODERATE)), "not-met", basis="explicit"),
    Case("mild", SCO, by(bent(MILD)), "not-met", basis="explicit"),
    Case("no-severity", SCO, by(bent()), "unknown", ("missing-data",), likely="", note="how severe"),
    Case("past-no-severity", SCO, by(bent(clinical="resolved")), "unknown"),
    Case("past-moderate", SCO, by(bent(MODERATE, clinical="resolved")), "not-met"),
    Case("severity-of-another-code", SCO, by(bent(concept(snomed("371923003", "Mild to ..")))), "unknown"),
    Case("severity-unread", SCO, by(bent(concept(coding("urn:site", "3")))), "unknown", ("ambiguous-code",)),
    Case("severity-in-words", SCO, by(bent(concept(text="grave"))), "unknown", ("text-only",), likely="met"),
    Case(
        "severity-in-words-mild",
        SCO,
        by(bent(concept(text="leve"))),
        "unknown",
        ("text-only",),
        likely="not-met",
    ),
    Case(
        "severe-and-mild-at-once",
        SCO,
        by(bent(concept(snomed("24484000"), snomed("255604002")))),
        "unknown",
        ("conflicting-data",),
    ),
    Case("severe-and-an-older-mild", SCO, by(bent(SEVERE), bent(MILD)), "met"),
    *[
        Case(f"cobb-{v}", SCO, by(angle(v)), verdict_, basis="explicit")
        for v, verdict_ in ((0, "not-met"), (44.9, "not-met"), (45, "met"), (45.0, "met"), (90, "met"))
    ],
    *[Case(f"cobb-unit-{u}", SCO, by(angle(50, u)), "met") for u in ("°", "graus", "degrees", "Graus")],
    Case("cobb-without-a-unit", SCO, by(angle(50, None)), "unknown", ("unit-missing",)),
    Case("cobb-in-radians", SCO, by(angle(0.9, "rad")), "unknown", ("unit-mismatch",)),
    Case("cobb-of-500", SCO, by(angle(500)), "unknown", ("implausible-value",)),
    Case("cobb-in-words", SCO, by(observation(COBB, value_text("50°"), on="2024-04-01")), "met"),
    Case(
        "cobb-with-a-comma", SCO, by(observation(COBB, value_text("44,5 graus"), on="2024-04-01")), "not-met"
    ),
    Case(
        "cobb-narrative",
        SCO,
        by(observation(COBB, value_text("curva acentuada"), on="2024-04-01")),
        "unknown",
        ("text-only",),
    ),
    Case(
        "cobb-integer",
        SCO,
        by(observation(COBB, value_integer(50), on="2024-04-01")),
        "unknown",
        ("unit-missing",),
    ),
    *[
        Case(f"cobb-{c}{v}", SCO, by(angle(v, comparator=c)), verdict_)
        for c, v, verdict_ in (
            ("<", 45, "not-met"),
            ("<=", 45, "unknown"),
            ("<", 50, "unknown"),
            (">", 40, "unknown"),
            (">=", 45, "met"),
            (">", 45, "met"),
        )
    ],
    # An angle never expires: a curve does not straighten by itself.
    Case("cobb-of-1990", SCO, by(angle(50, on="1990-01-01")), "met"),
    Case("cobb-of-a-year", SCO, by(angle(20, on="2010")), "not-met"),
    Case("cobb-on-the-screening-day", SCO, by(angle(50, on="2026-06-15")), "met"),
    Case(
        "cobb-later", SCO, by(angle(50, on="2026-06-16")), "not-met", basis="no-evidence", note="future-dated"
    ),
    Case("cobb-undated", SCO, by(angle(20, on=None)), "unknown", ("partial-date",)),
    Case("cobb-undated-and-a-dated-one", SCO, by(angle(20, on=None), angle(30)), "not-met"),
    Case("cobb-preliminary", SCO, by(angle(20, status="preliminary")), "unknown", ("preliminary-only",)),
    *[
        Case(f"cobb-{s}", SCO, by(angle(50, status=s)), "not-met", basis="no-evidence")
        for s in ("cancelled", "entered-in-error", "unknown")
    ],
    *[Case(f"cobb-{s}", SCO, by(angle(50, status=s)), "met") for s in ("final", "amended", "corrected")],
    Case("cobb-of-an-unread-status", SCO, by(angle(50, status="Final")), "unknown", ("ambiguous-code",)),
    Case("cobb-without-a-value", SCO, by(angle(None)), "not-met", basis="no-evidence"),
    Case("cobb-growing", SCO, by(angle(30, on="2010-01-01"), angle(50, on="2020-01-01")), "met"),
    # "Personal history": an earlier severe curve is not taken back by a later angle (after surgery, of another curve).
    Case(
        "cobb-shrinking",
        SCO,
        by(angle(60, on="2010-01-01"), angle(20, on="2020-01-01")),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "cobb-then-unreadable",
        SCO,
        by(angle(20, on="2010-01-01"), angle(50, None, on="2020-01-01")),
        "unknown",
        ("unit-missing",),
    ),
    Case("two-curves-of-one-day", SCO, by(angle(20), angle(50)), "met"),
    Case(
        "two-curves-of-unclear-order",
        SCO,
        by(angle(20, on="2024"), angle(50, on="2024-03-01")),
        "unknown",
        ("conflicting-data",),
    ),
    Case("configured", SCO, by(angle(50)), "not-met", config={"severeScoliosisCobb": 60}),
    Case("configured-lower", SCO, by(angle(40)), "met", config={"severeScoliosisCobb": 40}),
    # Severity and angle together.
    Case("no-severity-and-severe-angle", SCO, by(bent(), angle(50)), "met"),
    Case("no-severity-and-mild-angle", SCO, by(bent(), angle(20)), "not-met"),
    Case("severe-and-severe-angle", SCO, by(bent(SEVERE), angle(50)), "met"),
    Case("mild-and-mild-angle", SCO, by(bent(MILD), angle(20)), "not-met"),
    Case(
        "severe-and-mild-angle",
        SCO,
        by(bent(SEVERE), angle(20)),
        "unknown",
        ("conflicting-data",),
        evidence=("pat-1-condition-2", "pat-1-observation-1"),
    ),
    Case(
        "angles-on-both-sides-answer-how-severe",
        SCO,
        by(condition(cid10("M41.9")), angle(50, on="2010-01-01"), angle(20)),
        "unknown",
        ("conflicting-data",),
        ("missing-data",),
    ),
    Case("mild-and-severe-angle", SCO, by(bent(MILD), angle(50)), "unknown", ("conflicting-data",)),
    Case("severe-in-words-and-mild-angle", SCO, by(bent(concept(text="grave")), angle(20)), "unknown"),
    Case("mild-in-words-and-severe-angle", SCO, by(bent(concept(text="leve")), angle(50)), "met"),
    Case(
        "provisional-and-mild-angle", SCO, by(bent(SEVERE, verification="provisional"), angle(20)), "unknown"
    ),
    Case("provisional-and-severe-angle", SCO, by(bent(verification="provisional"), angle(50)), "met"),
    Case("refuted-and-severe-angle", SCO, by(bent(MILD, verification="refuted"), angle(50)), "met"),
    Case("severe-and-an-unreadable-angle", SCO, by(bent(SEVERE), angle(50, None)), "met"),
    Case("mild-and-an-unreadable-angle", SCO, by(bent(MILD), angle(50, None)), "unknown"),
    # Words that the lexicon of the specification lacks; they can only raise a question.
    Case("words", SCO, by(condition(text="Escoliose")), "unknown", ("text-only",), likely=""),
    Case("words-severe", SCO, by(condition(text="Escoliose grave")), "unknown", ("text-only",), likely="met"),
    Case("words-and-mild-angle", SCO, by(condition(text="Escoliose"), angle(20)), "not-met"),
    Case("words-severe-and-mild-angle", SCO, by(condition(text="Escoliose grave"), angle(20)), "unknown"),
    Case("words-denied", SCO, by(condition(text="Nega escoliose")), "not-met", note="negated text"),
    Case(
        "syndrome-of-another-kind",
        SCO,
        by(condition(snomed("773772000", "Seizures, scoliosis, macrocephaly syndrome (disorder)"))),
        "not-met",
    ),
]

SECTIONS = [
    *CONDITIONS, *PROCEDURES, *PRODUCTS, *ORDERS, *CELL_WORDS, *AUTOIMMUNE, *BLOOD, *IRRADIATION, *HIPS, *SCOLIOSES,
]  # fmt: skip


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: f"{c.criterion[:5]}-{c.id}")
def test_rule(case: Case) -> None:
    check(case)


# ---------------------------------------------------------------- attestations, retrieval, questions
FIRM = [
    (SCO, by(bent(SEVERE), angle(20))),
    (SCO, by(angle(60, on="2010-01-01"), angle(20, on="2020-01-01"))),
    (SCO, by(angle(20, status="preliminary"))),
]
ANSWERABLE = [
    (CEL, by(condition(text="stem cell"))),
    (CEL, by(service_request(MARROW))),
    (CEL, by(condition(icd10cm("Z92.858"), verification="provisional"))),
    (AI, by(condition(snomed("31541009")))),
    (LYM, by(condition(cid10("C90.0")))),
    (TBI, by(procedure(BEAM))),
    (HIP, by(arthroplasty())),
    (SCO, by(bent())),
]


def _answered(record: Resource, criterion_id: str, answer: str) -> Resource:
    form = {**attestation({criterion_id: answer}), "id": "answer", "subject": {"reference": "Patient/pat-1"}}
    return {
        **record,
        "entry": [
            *record["entry"],
            {"fullUrl": "https://ehr.example/fhir/QuestionnaireResponse/answer", "resource": form},
        ],
    }


@pytest.mark.parametrize(
    ("criterion_id", "record"), ANSWERABLE, ids=[f"{c[:5]}-{n}" for n, (c, _) in enumerate(ANSWERABLE)]
)
def test_an_answer_resolves_a_question(criterion_id: str, record: Resource) -> None:
    for answer, status in (("yes", "met"), ("no", "not-met"), ("unsure", "unknown")):
        row = verdict(_answered(record, criterion_id, answer), criterion_id)
        assert row["status"] == status, answer
        assert row["basis"] == (None if answer == "unsure" else "attested")


@pytest.mark.parametrize(
    ("criterion_id", "record"), FIRM, ids=[f"{c[:5]}-{n}" for n, (c, _) in enumerate(FIRM)]
)
def test_no_answer_resolves_contradicting_data(criterion_id: str, record: Resource) -> None:
    for answer in ("yes", "no"):
        assert verdict(_answered(record, criterion_id, answer), criterion_id)["status"] == "unknown"


@pytest.mark.parametrize("criterion_id", ALL)
def test_an_answer_stands_where_nothing_is_recorded(criterion_id: str) -> None:
    """Without a limit in time: a history stays."""
    for answer, status in (("yes", "met"), ("no", "not-met")):
        row = verdict(bundle(patient(), attestation({criterion_id: answer}, on="2016-01-10")), criterion_id)
        assert (row["status"], row["basis"]) == (status, "attested")


@pytest.mark.parametrize("criterion_id", POSITIVE)
def test_an_answer_never_overrides_a_recorded_disease(criterion_id: str) -> None:
    code, more = POSITIVE[criterion_id]
    record = _answered(by(condition(code, recorded="2020-01-01", **more)), criterion_id, "no")
    row = verdict(record, criterion_id)
    assert (row["status"], row["reasons"]) == ("unknown", ["conflicting-data"])


READ = {
    CEL: (
        "Procedure", "Condition", "MedicationAdministration", "MedicationStatement", "MedicationDispense",
        "MedicationRequest", "ServiceRequest",
    ),
    **dict.fromkeys(DISEASES, ("Condition", "Procedure")),
    TBI: ("Procedure", "Condition"),
    HIP: ("Condition", "Procedure"),
    SCO: ("Condition", "Observation"),
}  # fmt: skip


@pytest.mark.parametrize(("criterion_id", "kind"), [(c, kind) for c, kinds in READ.items() for kind in kinds])
def test_a_type_that_was_not_got_leaves_it_open(criterion_id: str, kind: str) -> None:
    failed = verdict(by(), criterion_id, states={kind: "failed"})
    assert failed["status"] == "unknown"
    assert "retrieval-failed" in failed["reasons"]
    absent = verdict(by(), criterion_id, states={kind: "not-offered"})
    assert absent["status"] == "unknown"
    assert "not-offered" in absent["reasons"]


@pytest.mark.parametrize("criterion_id", ALL)
def test_other_types_do_not_matter(criterion_id: str) -> None:
    others = {"DeviceRequest", "Immunization", "Consent", "Observation", "ServiceRequest"} - set(
        READ[criterion_id]
    )
    row = verdict(by(), criterion_id, states=dict.fromkeys(others, "failed"))
    assert row["status"] == "not-met"


@pytest.mark.parametrize("criterion_id", ALL)
def test_an_unknown_modifier_leaves_it_open(criterion_id: str) -> None:
    modifier = {"modifierExtension": [{"url": "urn:site:negation", "valueBoolean": True}]}
    if criterion_id == TBI:
        fact = procedure(BEAM, body_site=WHOLE_BODY, **modifier)
    else:
        code, more = POSITIVE[criterion_id]
        fact = condition(code, **more, **modifier)
    row = verdict(by(fact), criterion_id)
    assert (row["status"], row["reasons"]) == ("unknown", ["ambiguous-code"])


def test_prior_cell_therapy_is_always_asked_for() -> None:
    """EX01, also without any record of it."""
    for record in (by(), by(condition(text="stem cell"))):
        question = verdict(record, CEL)["question"]
        assert "stem cells or any cell product" in question
        assert "private clinics" in question


def test_several_criteria_of_one_row_are_listed_each() -> None:
    record = by(condition(cid10("C92.1")), condition(cid10("S72.0")), procedure(MARROW, on="2012"))
    assessment = assess(record)
    assert assessment["status"] == "excluded"
    for criterion_id in (CEL, MPN, LEU, HIP):
        assert criterion(assessment, criterion_id)["status"] == "met"


def test_the_worldwide_alias_of_the_code_system_counts() -> None:
    """CID-10 by its OID (§2.2)."""
    code = coding("urn:oid:2.16.840.1.113883.6.3", "C83.3")
    assert verdict(by(condition(code)), LYM)["status"] == "met"
