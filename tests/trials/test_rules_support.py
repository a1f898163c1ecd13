"""Rules of EX13a (NIV), EX13b (tracheostomy: orders, devices), EX13c (diaphragm pacing) and EX15 (alternative feeding).

Readings taken where the specification is silent stand as comments at their cases. S is 2026-06-15; 90 days before it is
2026-03-17.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    ALSFRS_ITEMS,
    CUTTING_WITH_GASTROSTOMY,
    HCPCS,
    RESPIRATORY_INSUFFICIENCY,
    SWALLOWING,
    Json,
    Resource,
    als,
    alsfrs,
    alsfrs_item,
    attestation,
    bundle,
    cid10,
    coding,
    component,
    concept,
    condition,
    device,
    device_request,
    device_use_statement,
    family_member_history,
    icd10cm,
    icd10pcs,
    minimal,
    nutrition_order,
    observation,
    patient,
    procedure,
    questionnaire_response,
    service_request,
    snomed,
    supply_delivery,
    value_integer,
    value_quantity,
    value_text,
)
from tests.trials.assessing import Case, assess, check, criterion, verdict

NIV, TRA, DPS, PEG = "EX13a-Niv", "EX13b-Tracheostomy", "EX13c-DiaphragmPacing", "EX15-AlternativeFeeding"
FRS = "IN03-AlsfrsR"
G12_21 = icd10cm("G12.21", "Amyotrophic lateral sclerosis")
# The bounds of a window of 90 days.
FIRST_DAY_IN, LAST_DAY_OUT = "2026-03-17", "2026-03-16"

VENTILATION = snomed("428311008", "Non-invasive ventilation")
BILEVEL = snomed("702173003", "Home bilevel positive airway pressure unit")
CPAP = snomed("47545007", "CPAP ventilation treatment")
CPAP_UNIT = snomed("702172008", "Home continuous positive airway pressure unit")
INVASIVE = snomed("1258985005", "Invasive mechanical ventilation")
ON_NIV = snomed("713655003", "Dependence on non-invasive ventilation")
TITRATION = snomed("447243000", "BiPAP titration")
TRACHEOSTOMY = snomed("307007002", "Percutaneous tracheostomy")
IMPLANT, EXPLANT = icd10pcs("0BHT4MZ"), icd10pcs("0BPT4MZ")
GASTROSTOMY = snomed("235159007", "Percutaneous endoscopic insertion of gastrostomy tube")
REMOVAL = snomed("90838004", "Removal of gastrostomy tube")
JEJUNOSTOMY = snomed("265379004", "Creation of jejunostomy")
ENTERAL = snomed("229912004", "Enteral feeding")
NASOGASTRIC = snomed("17102003", "Nasogastric tube, device")

DOUBTFUL = ("preparation", "on-hold", "stopped", "unknown")
ORDERED = ("active", "on-hold", "completed", "unknown")
NOT_ORDERED = ("draft", "revoked", "entered-in-error")


def hcpcs(code: str) -> Json:
    return coding(HCPCS, code)


def used(kind: Resource, **use: Any) -> list[Resource]:
    """A device with one statement of its use."""
    return [{**kind, "id": "unit"}, device_use_statement("Device/unit", **{"id": "use", **use})]


def case(name: str, criterion_id: str, *facts: Any, status: str, reasons: Any = (), **more: Any) -> Case:
    wanted = (reasons,) if isinstance(reasons, str) else tuple(reasons)
    return Case(name, criterion_id, minimal(*facts), status, wanted, **more)


# ---------------------------------------------------------------- EX13a: Conditions
CONDITIONS = [
    case("none", NIV, status="not-met", basis="no-evidence"),
    case("dependence-on-niv", NIV, condition(ON_NIV, id="c"), status="met", basis="explicit", evidence=("c",)),
    case("dependence-on-bipap", NIV, condition(snomed("429091008")), status="met"),
    case("recurrent", NIV, condition(ON_NIV, clinical="recurrence"), status="met"),
    case("status-absent", NIV, condition(ON_NIV, clinical=None), status="met"),
    case("verification-absent", NIV, condition(ON_NIV, verification=None), status="met", note="not stated"),
    *[
        case(f"past-{s}", NIV, condition(ON_NIV, clinical=s), status="unknown")
        for s in ("inactive", "remission", "resolved")
    ],
    case("abated", NIV, condition(ON_NIV, clinical=None, abatement="2026-01"), status="unknown"),
    *[
        case(
            f"verification-{s}", NIV, condition(ON_NIV, verification=s), status="unknown",
            reasons="unverified-condition",
        )
        for s in ("unconfirmed", "provisional", "differential")
    ],
    *[
        case(f"verification-{s}", NIV, condition(ON_NIV, verification=s), status="not-met", basis="no-evidence")
        for s in ("refuted", "entered-in-error")
    ],
    case("health-concern", NIV, condition(ON_NIV, category="health-concern"), status="unknown"),
    case("recorded-later", NIV, condition(ON_NIV, recorded="2026-07-01"), status="not-met", note="future-dated"),
    case("in-the-family", NIV, family_member_history(ON_NIV), status="not-met"),
    Case(
        "of-another-patient",
        NIV,
        minimal(condition(ON_NIV, subject={"reference": "Patient/other"})),
        "not-met",
    ),
    Case(
        "coded-as-als-too", NIV, bundle(patient(), condition(G12_21, ON_NIV)), "unknown", ("ambiguous-code",),
        others=(("H1-Condition", "unknown"),),
    ),
    # InvasiveVentilation is a positive set of EX13a as well.
    Case(
        "invasive-ventilation-coded-as-als-too", NIV, bundle(patient(), condition(G12_21, INVASIVE)), "unknown",
        ("ambiguous-code",), others=(("H1-Condition", "unknown"),),
    ),
    case("z99.11", NIV, condition(icd10cm("Z99.11")), status="unknown", likely="met"),
    case("cid-z99.1", NIV, condition(cid10("Z99.1")), status="unknown", likely="met"),
    case("z9911-without-dot", NIV, condition(icd10cm("Z9911")), status="unknown", likely="met"),
    # "Other enabling machines" may be a wheelchair: no hint either way.
    case("z99.89", NIV, condition(icd10cm("Z99.89")), status="unknown", likely=""),
    case("z99.11-resolved", NIV, condition(icd10cm("Z99.11"), clinical="resolved"), status="unknown", likely=""),
    case("z99.11-refuted", NIV, condition(icd10cm("Z99.11"), verification="refuted"), status="not-met"),
    # Review sets beside an ALS code are no contradiction.
    Case(
        "z99.11-beside-als", NIV, bundle(patient(), condition(G12_21, icd10cm("Z99.11"))), "unknown",
        others=(("H1-Condition", "met"),),
    ),
    case("wheelchair", NIV, condition(icd10cm("Z99.3")), status="not-met"),
    case("breathing-room-air", NIV, condition(snomed("722742002")), status="not-met"),
    case("words", NIV, condition(text="Em uso de BiPAP noturno"), status="unknown", reasons="text-only", likely="met"),
    case("words-vni", NIV, condition(text="VNI"), status="unknown", reasons="text-only"),
    *[
        case(f"words-{text}", NIV, condition(text=text), status="unknown", reasons="text-only", likely="met")
        for text in ("Bi-PAP", "Non-invasive ventilation at night", "Ventilação mecânica não invasiva")
    ],
    case("words-bilevel", NIV, condition(text="bilevel support"), status="unknown", reasons="text-only"),
    case(
        "words-portuguese", NIV, condition(text="Ventilação não-invasiva"), status="unknown", reasons="text-only"
    ),
    case("words-of-the-past", NIV, condition(text="VNI", clinical="resolved"), status="unknown", likely=""),
    case("words-refuted", NIV, condition(text="VNI", verification="refuted"), status="not-met"),
    case("words-inside-a-word", NIV, condition(text="Universidade"), status="not-met"),
    case("words-negated", NIV, condition(text="Nega VNI"), status="not-met", note="negated text"),
    case("words-beside-a-code-of-a-set", NIV, condition(icd10cm("Z99.3"), text="BiPAP"), status="unknown"),
    case("words-silenced-by-a-code", NIV, condition(snomed("722742002"), text="sem BiPAP; BiPAP"), status="not-met"),
]  # fmt: skip

# ---------------------------------------------------------------- EX13a: Procedures
PROCEDURES = [
    case("done-90-days-ago", NIV, procedure(VENTILATION, on=FIRST_DAY_IN, id="p"), status="met", evidence=("p",)),
    case("done-91-days-ago", NIV, procedure(VENTILATION, on=LAST_DAY_OUT), status="unknown", reasons="stale-data"),
    case("done-today", NIV, procedure(VENTILATION, on="2026-06-15"), status="met"),
    case("done-tomorrow", NIV, procedure(VENTILATION, on="2026-06-16"), status="not-met", note="future-dated"),
    case("done-some-day", NIV, procedure(VENTILATION), status="unknown", reasons="partial-date"),
    case("done-in-march", NIV, procedure(VENTILATION, on="2026-03"), status="unknown", reasons="partial-date"),
    case("done-in-april", NIV, procedure(VENTILATION, on="2026-04"), status="met"),
    case("done-in-2025", NIV, procedure(VENTILATION, on="2025"), status="unknown", reasons="stale-data"),
    case("done-this-year", NIV, procedure(VENTILATION, on="2026"), status="unknown", reasons="partial-date"),
    case("in-progress", NIV, procedure(VENTILATION, status="in-progress"), status="met"),
    case("in-progress-since-2024", NIV, procedure(VENTILATION, status="in-progress", start="2024"), status="met"),
    case("in-progress-from-2024", NIV, procedure(VENTILATION, status="in-progress", on="2024-01-01"), status="met"),
    case("began-90-days-ago", NIV, procedure(VENTILATION, start=FIRST_DAY_IN), status="met"),
    case("began-91-days-ago", NIV, procedure(VENTILATION, start=LAST_DAY_OUT), status="unknown", reasons="stale-data"),
    case("ends-today", NIV, procedure(VENTILATION, start="2024-01-01", end="2026-06-15"), status="met"),
    case("ends-next-month", NIV, procedure(VENTILATION, start="2026-06-01", end="2026-07-01"), status="met"),
    # "Performed within 90 days" and "acute NIV ended" meet here: an end on record is a doubt, not an exclusion.
    case("ended-yesterday", NIV, procedure(VENTILATION, start="2026-06-10", end="2026-06-14"), status="unknown"),
    case("ended-in-progress", NIV, procedure(VENTILATION, status="in-progress", end="2026-06-14"), status="unknown"),
    case("ends-some-day-of-june", NIV, procedure(VENTILATION, start="2026-05-01", end="2026-06"), status="unknown",
         reasons="partial-date"),
    case("ended-in-2024", NIV, procedure(VENTILATION, start="2024-02-10", end="2024-02-13"), status="unknown",
         reasons="stale-data"),
    *[case(f"status-{s}", NIV, procedure(VENTILATION, status=s, on="2026-06-01"), status="unknown") for s in DOUBTFUL],
    case("status-absent", NIV, {k: v for k, v in procedure(VENTILATION, on="2026-06-01").items() if k != "status"},
         status="unknown"),
    *[
        case(f"status-{s}", NIV, procedure(VENTILATION, status=s, on="2026-06-01"), status="not-met", basis="no-evidence")
        for s in ("not-done", "entered-in-error")
    ],
    case("completed-and-ending-later", NIV, procedure(VENTILATION, end="2026-07-01"), status="unknown"),
    case("in-progress-until-later", NIV, procedure(VENTILATION, status="in-progress", end="2026-07-01"), status="met"),
    case("pcs", NIV, procedure(icd10pcs("5A09458"), on="2026-06-01"), status="met"),
    case("nocturnal", NIV, procedure(snomed("34291000175108"), on="2026-06-01"), status="met"),
    case("words", NIV, procedure(text="Ventilação não invasiva (BiPAP)", on="2026-06-01"), status="unknown",
         reasons="text-only", likely="met"),
    case("words-not-done", NIV, procedure(text="BiPAP", status="not-done"), status="not-met"),
    case("words-doubtful", NIV, procedure(text="BiPAP", status="unknown"), status="unknown", likely=""),
    case("invasive-going-on", NIV, procedure(INVASIVE, status="in-progress", start="2026-06-01"), status="met"),
    case("invasive-until-later", NIV, procedure(INVASIVE, start="2026-06-01", end="2026-06-20"), status="met"),
    # Ended or one-off invasive ventilation: silent in the specification; a doubt, as ended NIV is.
    case("invasive-ended", NIV, procedure(INVASIVE, start="2026-06-01", end="2026-06-03"), status="unknown"),
    case("invasive-once", NIV, procedure(icd10pcs("5A1935Z"), on="2026-05-01"), status="unknown"),
    case("invasive-long-ago", NIV, procedure(INVASIVE, on="2012-05-01"), status="unknown", reasons="stale-data"),
    case("invasive-not-done", NIV, procedure(INVASIVE, status="not-done"), status="not-met"),
    case("titration", NIV, procedure(TITRATION, on="2019-01-01"), status="unknown"),
    case("management", NIV, procedure(snomed("430191008"), on="2026-06-01"), status="unknown"),
    case("titration-not-done", NIV, procedure(TITRATION, status="not-done"), status="not-met"),
    case("titration-beside-niv", NIV, procedure(TITRATION, on="2026-06-01"), procedure(VENTILATION, on="2026-06-02"),
         status="met"),
    case("oxygen", NIV, procedure(snomed("57485005"), status="in-progress"), status="not-met"),
    case("oxygen-with-words", NIV, procedure(snomed("57485005"), text="O2, fora do BiPAP", on="2026-06-01"),
         status="not-met"),
]  # fmt: skip

# ---------------------------------------------------------------- EX13a: CPAP
_CPAP_FACTS: list[tuple[str, Any]] = [
    ("procedure", procedure(CPAP, on="2026-06-01")),
    ("condition", condition(snomed("429487005"))),
    ("device", used(device(CPAP_UNIT))),
    ("pcs", procedure(icd10pcs("5A09357"), on="2026-06-01")),
    ("supply", supply_delivery(hcpcs("E0601"))),
]
CPAPS = [
    *[case(f"cpap-{n}", NIV, f, status="unknown", reasons="boundary", note="CPAP only") for n, f in _CPAP_FACTS],
    *[Case(f"cpap-{n}-as-niv", NIV, minimal(f), "met", config={"cpapIs": "niv"}) for n, f in _CPAP_FACTS],
    *[
        Case(f"cpap-{n}-ignored", NIV, minimal(f), "not-met", basis="no-evidence", config={"cpapIs": "ignore"})
        for n, f in _CPAP_FACTS
    ],
    case("cpap-mask", NIV, used(device(snomed("706226000"))), status="unknown"),
    case("cpap-old", NIV, procedure(CPAP, on="2020-01-01"), status="unknown", reasons="stale-data"),
    case("cpap-ordered", NIV, device_request(CPAP_UNIT), status="unknown", note="ordered"),
    case("cpap-not-done", NIV, procedure(CPAP, status="not-done"), status="not-met"),
    # A titration is no therapy, whatever CPAP is.
    Case(
        "cpap-titration-as-niv", NIV, minimal(procedure(snomed("446573003"), on="2026-06-01")), "unknown",
        config={"cpapIs": "niv"},
    ),
    case("cpap-beside-bipap", NIV, procedure(CPAP, on="2026-06-01"), used(device(BILEVEL)), status="met"),
]  # fmt: skip

# ---------------------------------------------------------------- EX13a: devices, orders, supplies
DEVICES = [
    case("in-use", NIV, used(device(BILEVEL)), status="met", evidence=("use", "unit")),
    case("in-use-hand-held", NIV, used(device(snomed("714700001"))), status="met"),
    case("in-use-hcpcs", NIV, used(device(hcpcs("E0471"))), status="met"),
    case("in-use-since-2024", NIV, used(device(BILEVEL), timingPeriod={"start": "2024-01-01"}), status="met"),
    case("in-use-until-today", NIV, used(device(BILEVEL), timingPeriod={"end": "2026-06-15"}), status="met"),
    case("in-use-on-a-day", NIV, used(device(BILEVEL), timingDateTime="2025-06-15"), status="met"),
    case("ended-yesterday", NIV, used(device(BILEVEL), timingPeriod={"end": "2026-06-14"}), status="unknown",
         reasons="stale-data"),
    case("ended-some-day-of-june", NIV, used(device(BILEVEL), timingPeriod={"end": "2026-06"}), status="unknown",
         reasons="partial-date"),
    case("used-on-a-day-to-come", NIV, used(device(BILEVEL), timingTiming={"event": ["2026-08-01"]}),
         status="not-met", note="future-dated"),
    case("used-on-days", NIV, used(device(BILEVEL), timingTiming={"event": ["2026-08-01", "2026-05-01"]}),
         status="met"),
    *[
        case(f"use-{s}", NIV, used(device(BILEVEL), status=s), status="unknown", reasons="stale-data")
        for s in ("completed", "stopped", "on-hold")
    ],
    *[
        case(f"use-{s}", NIV, used(device(BILEVEL), status=s), status="not-met", basis="no-evidence")
        for s in ("intended", "entered-in-error")
    ],
    case("use-of-no-known-status", NIV, used(device(BILEVEL), status="in-use"), status="unknown"),
    case("use-from-tomorrow", NIV, used(device(BILEVEL), timingPeriod={"start": "2026-06-16"}), status="not-met",
         note="future-dated"),
    # A unit without any statement of its use may be in use.
    case("without-use", NIV, device(BILEVEL, patient={"reference": "Patient/pat-1"}), status="unknown"),
    case("in-error", NIV, device(BILEVEL, status="entered-in-error"), status="not-met"),
    # In use, and out of service: the record contradicts itself.
    case("in-use-inactive", NIV, used(device(BILEVEL, status="inactive")), status="unknown",
         reasons="conflicting-data"),
    case("two-uses", NIV, used(device(BILEVEL), status="completed"), device_use_statement("Device/unit"),
         status="met"),
    case("oxygen-cannula", NIV, used(device(snomed("336623009"))), status="not-met"),
    case("words", NIV, used(device(text="BiPAP Philips")), status="unknown", reasons="text-only", likely="met"),
    case("words-of-a-past-use", NIV, used(device(text="BiPAP"), status="stopped"), status="unknown", likely=""),
    case("words-of-an-intended-use", NIV, used(device(text="BiPAP"), status="intended"), status="not-met"),
    case("name", NIV, used(device(deviceName=[{"name": "BiPAP", "type": "user-friendly-name"}])), status="unknown",
         reasons="text-only"),
    *[
        case(f"ordered-{s}", NIV, service_request(VENTILATION, status=s), status="unknown", note="ordered")
        for s in ORDERED
    ],
    *[case(f"ordered-{s}", NIV, service_request(VENTILATION, status=s), status="not-met") for s in NOT_ORDERED],
    case("ordered-not-to-do", NIV, service_request(VENTILATION, doNotPerform=True), status="not-met"),
    case("ordered-tomorrow", NIV, service_request(VENTILATION, authoredOn="2026-06-16"), status="not-met"),
    case("titration-ordered", NIV, service_request(TITRATION), status="unknown"),
    case("invasive-ventilation-ordered", NIV, service_request(INVASIVE), status="unknown"),
    *[case(f"unit-ordered-{s}", NIV, device_request(BILEVEL, status=s), status="unknown") for s in ORDERED],
    *[case(f"unit-ordered-{s}", NIV, device_request(BILEVEL, status=s), status="not-met")
      for s in (*NOT_ORDERED, "cancelled")],
    case("unit-ordered-in-words", NIV, device_request(text="BiPAP domiciliar"), status="unknown", note="ordered"),
    # What was supplied is taken to be in use, whenever that was: the specification gives no window for it.
    *[case(f"supplied-{c}", NIV, supply_delivery(hcpcs(c), id="s"), status="met", evidence=("s",))
      for c in ("E0470", "E0471", "E0466")],
    case("supplied-in-2023", NIV, supply_delivery(hcpcs("E0470"), on="2023-06-01"), status="met"),
    case("supplied-some-day", NIV, supply_delivery(hcpcs("E0470"), on=None), status="met"),
    case("supplied-today", NIV, supply_delivery(hcpcs("E0470"), on="2026-06-15"), status="met"),
    case("supplied-tomorrow", NIV, supply_delivery(hcpcs("E0470"), on="2026-06-16"), status="not-met",
         note="future-dated"),
    case("supply-in-progress", NIV, supply_delivery(hcpcs("E0470"), status="in-progress"), status="unknown"),
    case("supply-unknown", NIV, supply_delivery(hcpcs("E0470"), status="unknown"), status="unknown"),
    *[case(f"supply-{s}", NIV, supply_delivery(hcpcs("E0470"), status=s), status="not-met")
      for s in ("abandoned", "entered-in-error")],
    # Supplied, and its use ended since: no longer a fact of today.
    case("supplied-then-stopped", NIV, supply_delivery(hcpcs("E0470"), on="2025-01-01", id="s"),
         used(device(BILEVEL), status="stopped", timingPeriod={"end": "2025-12-01"}), status="unknown",
         evidence=("s", "use")),
    case("supplied-then-stopped-in-words", NIV, supply_delivery(hcpcs("E0470"), on="2025-01-01"),
         used(device(text="BiPAP"), status="stopped"), status="unknown"),
    case("stopped-then-supplied", NIV, supply_delivery(hcpcs("E0470"), on="2026-01-01"),
         used(device(BILEVEL), status="stopped", timingPeriod={"end": "2025-12-01"}), status="met"),
    case("supplied-on-a-day-to-come", NIV,
         supply_delivery(hcpcs("E0470"), on=None, occurrenceTiming={"event": ["2026-08-01"]}), status="not-met",
         note="future-dated"),
    case("supplied-in-words", NIV, supply_delivery(text="Aparelho BiPAP"), status="unknown", reasons="text-only"),
    case("claimed", NIV, procedure(hcpcs("E0471"), on="2025-06-01"), status="met"),
    case("claimed-not-done", NIV, procedure(hcpcs("E0471"), status="not-done"), status="not-met"),
    case("claimed-in-preparation", NIV, procedure(hcpcs("E0471"), status="preparation"), status="unknown"),
    case("supplied-a-wheelchair", NIV, supply_delivery(hcpcs("K0001")), status="not-met"),
]  # fmt: skip


# ---------------------------------------------------------------- devices that nothing names
def _unresolved(reference: Json, **use: Any) -> Resource:
    return {**device_use_statement("", **use), "device": reference}


UNREADABLE = [
    built
    for criterion_id, words in ((NIV, "BiPAP"), (TRA, "Cânula de traqueostomia"), (DPS, "NeuRx"), (PEG, "Sonda PEG"))
    for built in (
        case("lost-device", criterion_id, _unresolved({"reference": "Device/lost"}, id="u"), status="unknown",
             reasons="ambiguous-code", evidence=("u",)),
        case("lost-device-with-words", criterion_id, _unresolved({"reference": "Device/lost", "display": words}),
             status="unknown", reasons="text-only"),
        case("device-in-words-only", criterion_id, _unresolved({"display": words}), status="unknown",
             reasons="text-only"),
        case("lost-device-of-another-kind", criterion_id,
             _unresolved({"reference": "Device/lost", "display": "Prótese de quadril"}), status="not-met"),
        # A Device is there, and nothing tells what it is.
        case("bare-device", criterion_id, used({"resourceType": "Device"}), status="unknown",
             reasons="ambiguous-code", evidence=("use",)),
        case("bare-device-with-words", criterion_id, {"resourceType": "Device", "id": "unit"},
             _unresolved({"reference": "Device/unit", "display": words}), status="unknown", reasons="text-only"),
        case("bare-device-intended", criterion_id, used({"resourceType": "Device"}, status="intended"),
             status="not-met"),
        case("bare-device-unused", criterion_id, {"resourceType": "Device"}, status="not-met"),
        case("device-of-another-code", criterion_id, used(device(coding("https://ehr.example/stock", "X1"))),
             status="not-met"),
        case("lost-device-intended", criterion_id, _unresolved({"reference": "Device/lost"}, status="intended"),
             status="not-met"),
        case("lost-device-in-error", criterion_id,
             _unresolved({"reference": "Device/lost"}, status="entered-in-error"), status="not-met"),
        case("words-in-an-order", criterion_id, device_request(text=words), status="unknown", note="ordered"),
        case("words-in-a-draft-order", criterion_id, device_request(text=words, status="draft"), status="not-met"),
        case("words-in-a-supply", criterion_id, supply_delivery(text=words), status="unknown", reasons="text-only"),
        case("order-of-nothing", criterion_id,
             {k: v for k, v in device_request().items() if k != "codeCodeableConcept"}, status="unknown",
             reasons="ambiguous-code"),
        case("supply-of-nothing", criterion_id, {**supply_delivery(), "suppliedItem": {}}, status="unknown",
             reasons="ambiguous-code"),
    )
]  # fmt: skip


# ---------------------------------------------------------------- EX13a: ALSFRS-R respiratory item
def breathing(score: int, on: str | None = "2026-06-10", **elements: Any) -> Resource:
    return alsfrs_item(RESPIRATORY_INSUFFICIENCY, score, on=on, **elements)


def _panel(code: str, score: int) -> Resource:
    return observation(
        "82954-9", on="2026-06-10", category="survey", components=[component(code, value_integer(score))]
    )


def _form(code: str, score: int) -> Resource:
    return questionnaire_response(
        [{"linkId": code, "answer": [{"valueInteger": score}]}],
        questionnaire="http://loinc.org/q/82954-9",
    )


ITEMS = [
    *[case(f"score-{n}", NIV, breathing(n, id="i"), status="met", evidence=("i",)) for n in (0, 1, 2, 3)],
    case("score-4", NIV, breathing(4), status="not-met", basis="no-evidence"),
    case("90-days-old", NIV, breathing(3, on=FIRST_DAY_IN), status="met"),
    case("91-days-old", NIV, breathing(3, on=LAST_DAY_OUT), status="unknown", reasons="stale-data", likely="met"),
    Case("window-of-the-site", NIV, minimal(breathing(3, on="2026-05-01")), "unknown", ("stale-data",),
         config={"nivWindowDays": 30}),
    case("old-score-4", NIV, breathing(4, on="2024-01-01"), status="not-met"),
    case("in-march", NIV, breathing(3, on="2026-03"), status="unknown", reasons="partial-date"),
    case("tomorrow", NIV, breathing(3, on="2026-06-16"), status="not-met", note="future-dated"),
    case("undated", NIV, breathing(3, on=None), status="unknown", reasons="partial-date"),
    case("undated-narrative", NIV, observation(RESPIRATORY_INSUFFICIENCY, value_text("at night"), on=None),
         status="unknown", reasons="partial-date"),
    case("undated-score-4", NIV, breathing(4, on=None), status="not-met"),
    case("preliminary", NIV, breathing(3, status="preliminary"), status="unknown", reasons="preliminary-only"),
    case("preliminary-score-4", NIV, breathing(4, status="preliminary"), status="not-met"),
    *[case(f"status-{s}", NIV, breathing(2, status=s), status="not-met")
      for s in ("cancelled", "entered-in-error", "unknown")],
    case("status-of-no-kind", NIV, breathing(2, status="done"), status="unknown", reasons="ambiguous-code"),
    *[case(f"status-{s}", NIV, breathing(2, status=s), status="met") for s in ("amended", "corrected")],
    case("latest-is-better", NIV, breathing(3, on="2026-05-01"), breathing(4, on="2026-06-01"), status="not-met"),
    case("latest-is-worse", NIV, breathing(4, on="2026-05-01"), breathing(3, on="2026-06-01"), status="met"),
    case("twice-in-a-day", NIV, breathing(4), breathing(2), status="unknown", reasons="conflicting-data"),
    case("twice-the-same", NIV, breathing(2), breathing(3), status="met"),
    case("implausible", NIV, breathing(5), status="unknown", reasons="implausible-value"),
    case("half", NIV, observation(RESPIRATORY_INSUFFICIENCY, value_quantity(2.5, "{score}")), status="unknown",
         reasons="implausible-value"),
    case("narrative", NIV, observation(RESPIRATORY_INSUFFICIENCY, value_text("uses it at night")), status="unknown",
         reasons="text-only"),
    case("text-with-digit", NIV, observation(RESPIRATORY_INSUFFICIENCY, value_text("2 - BiPAP at night")),
         status="met"),
    case("without-value", NIV, observation(RESPIRATORY_INSUFFICIENCY), status="not-met"),
    case("in-a-panel", NIV, _panel(RESPIRATORY_INSUFFICIENCY, 2), status="met"),
    case("in-a-form", NIV, _form(RESPIRATORY_INSUFFICIENCY, 2), status="met"),
    # Orthopnea and dyspnea feed other rows.
    case("dyspnea-and-orthopnea", NIV, alsfrs_item("82950-7", 0), alsfrs_item("82951-5", 0), status="not-met"),
    # The use of NIV as an observed fact: its values are not defined.
    case("observed-use", NIV, observation(VENTILATION, value_text("8 h/night"), on="2026-06-01"), status="unknown"),
    case("observed-use-old", NIV, observation(VENTILATION, value_text("8 h"), on="2025-06-01"), status="unknown",
         reasons="stale-data"),
    case("observed-no-use", NIV, observation(VENTILATION, {"valueBoolean": False}), status="not-met"),
    case("observed-in-error", NIV, observation(VENTILATION, value_text("8 h"), status="entered-in-error"),
         status="not-met"),
]  # fmt: skip

# ---------------------------------------------------------------- EX13b
TRACHEOSTOMIES = [
    case("closed-in-a-condition", TRA, procedure(TRACHEOSTOMY, on="2019-02-01"),
         condition(text="Decanulado", onset="2019-08", clinical="resolved", id="c"), status="unknown", evidence=("c",)),
    case("closed-before", TRA, procedure(text="Decanulação", on="2018-01-01"), procedure(TRACHEOSTOMY, on="2019-02-01"),
         status="met"),
    case("stated-closed-before", TRA, condition(text="Decanulado", onset="2018-01-01"),
         procedure(TRACHEOSTOMY, on="2019-02-01"), status="met"),
    case("closure-not-done", TRA, procedure(TRACHEOSTOMY, on="2019-02-01"),
         procedure(text="Decanulação", status="not-done"), status="met"),
    case("status-closed-since", TRA, condition(cid10("Z93.0"), recorded="2019-03-01"),
         procedure(text="Decanulação", on="2019-08-20", id="x"), status="unknown", evidence=("x",)),
    # A stoma that is past was closed; its complications and the visits for it pass while it stays.
    case("stoma-of-the-past", TRA, procedure(TRACHEOSTOMY, on="2019-02-01"),
         condition(cid10("Z93.0"), clinical="resolved", id="c"), status="unknown", evidence=("c",)),
    case("stoma-abated", TRA, procedure(TRACHEOSTOMY, on="2019-02-01"),
         condition(icd10cm("Z930"), clinical=None, abatement="2019-08"), status="unknown"),
    case("stoma-of-an-earlier-time", TRA, procedure(TRACHEOSTOMY, on="2019-02-01"),
         condition(cid10("Z93.0"), clinical="resolved", abatement="2018-12"), status="met"),
    case("stoma-of-an-encounter", TRA, procedure(TRACHEOSTOMY, on="2019-02-01"),
         condition(cid10("Z93.0"), clinical="resolved", category="encounter-diagnosis"), status="met"),
    case("stoma-of-the-past-in-error", TRA, procedure(TRACHEOSTOMY, on="2019-02-01"),
         condition(cid10("Z93.0"), clinical="resolved", verification="entered-in-error"), status="met"),
    case("infection-of-the-past", TRA, procedure(TRACHEOSTOMY, on="2019-02-01"),
         condition(icd10cm("J95.02"), clinical="resolved"), status="met"),
    *[case(f"words-{n}", TRA, f, status="unknown", reasons="text-only")
      for n, f in enumerate((
          condition(text="Paciente traqueostomizado"),
          procedure(text="Laringectomia total", on="2015-01-01"),
          condition(text="Laryngectomy, 2015"),
      ))],
    case("status-after-a-closure", TRA, condition(cid10("Z93.0"), recorded="2020-03-01"),
         procedure(text="Decanulação", on="2019-08-20"), status="met"),
    case("status-in-doubt", TRA, procedure(TRACHEOSTOMY, status="preparation"), status="unknown"),
    case("in-the-future", TRA, procedure(TRACHEOSTOMY, on="2026-07-01"), status="not-met", note="future-dated"),
    case("order-of-no-known-status", TRA, service_request(TRACHEOSTOMY, status="unknown"), status="unknown"),
    Case("coded-as-als-too", TRA, bundle(patient(), condition(G12_21, cid10("Z93.0"))), "unknown",
         ("ambiguous-code",)),
]  # fmt: skip

# ---------------------------------------------------------------- EX13c
PACERS = [
    case("none", DPS, status="not-met", basis="no-evidence"),
    *[case(f"implant-{c}", DPS, procedure(icd10pcs(c), on="2020-01-01"), status="met")
      for c in ("0BHT0MZ", "0BHT3MZ", "0BHT4MZ")],
    case("implant-undated", DPS, procedure(IMPLANT), status="met"),
    case("implant-in-progress", DPS, procedure(IMPLANT, status="in-progress"), status="met"),
    *[case(f"implant-{s}", DPS, procedure(IMPLANT, status=s), status="unknown") for s in DOUBTFUL],
    *[case(f"implant-{s}", DPS, procedure(IMPLANT, status=s), status="not-met")
      for s in ("not-done", "entered-in-error")],
    case("implant-tomorrow", DPS, procedure(IMPLANT, on="2026-06-16"), status="not-met", note="future-dated"),
    case("removed-the-same-day", DPS, procedure(IMPLANT, on="2025-01-10"), procedure(EXPLANT, on="2025-01-10"),
         status="unknown"),
    case("removed-before", DPS, procedure(EXPLANT, on="2025-01-09"), procedure(IMPLANT, on="2025-01-10"),
         status="met"),
    case("removed-some-day", DPS, procedure(IMPLANT, on="2025-01-10"), procedure(EXPLANT), status="unknown"),
    case("removed-in-the-same-year", DPS, procedure(IMPLANT, on="2025-05"), procedure(EXPLANT, on="2025"),
         status="unknown"),
    case("removal-not-done", DPS, procedure(IMPLANT, on="2025-01-10"), procedure(EXPLANT, status="not-done"),
         status="met"),
    case("removal-planned", DPS, procedure(IMPLANT, on="2025-01-10"), procedure(EXPLANT, on="2026-07-01"),
         status="met"),
    case("removal-in-preparation", DPS, procedure(IMPLANT, on="2025-01-10"), procedure(EXPLANT, status="preparation"),
         status="unknown"),
    # A removal shows that something was there.
    case("only-a-removal", DPS, procedure(EXPLANT, on="2025-01-10"), status="unknown"),
    case("only-a-removal-not-done", DPS, procedure(EXPLANT, status="not-done"), status="not-met"),
    case("removed-in-words", DPS, procedure(IMPLANT, on="2025-01-10"),
         procedure(text="Retirada de marcapasso diafragmático", on="2026-01-10"), status="unknown"),
    *[case(f"ordered-{s}", DPS, service_request(IMPLANT, status=s), status="unknown", note="ordered")
      for s in ORDERED],
    *[case(f"ordered-{s}", DPS, service_request(IMPLANT, status=s), status="not-met") for s in NOT_ORDERED],
    *[case(f"words-{n}", DPS, used(device(text=text)), status="unknown", reasons="text-only", likely="met")
      for n, text in enumerate(
          ("Diaphragm pacer", "diaphragm pacing system", "Marcapasso diafragmático", "NeuRx DPS",
           "Marca-passo diafragmático", "Diaphragmatic pacemaker"))],
    case("words-in-a-procedure", DPS, procedure(text="Diaphragm pacing, laparoscopic", on="2025-01-01"),
         status="unknown", reasons="text-only"),
    case("words-in-a-condition", DPS, condition(text="Portador de marcapasso diafragmático"), status="unknown",
         reasons="text-only"),
    case("words-negated", DPS, condition(text="Nega marcapasso diafragmático"), status="not-met", note="negated text"),
    case("words-of-an-intended-use", DPS, used(device(text="NeuRx"), status="intended"), status="not-met"),
    case("words-of-a-device-in-error", DPS, device(text="NeuRx", status="entered-in-error"), status="not-met"),
    *[case(f"no-pacer-{n}", DPS, *facts, status="not-met", basis="no-evidence")
      for n, facts in enumerate((
          [used(device(text="Marca-passo cardíaco"))],
          [used(device(text="Cardiac pacemaker"))],
          [condition(icd10cm("Z95.0", "Presence of cardiac pacemaker"))],
          [condition(text="Diaphragm failure")],
          [device(text="Contraceptive diaphragm", patient={"reference": "Patient/pat-1"})],
          [condition(icd10cm("J98.6", "Disorders of diaphragm"))],
      ))],
]  # fmt: skip

# ---------------------------------------------------------------- EX15: placed tubes
PLACED = [
    case("none", PEG, status="not-met", basis="no-evidence"),
    case("peg", PEG, procedure(GASTROSTOMY, on="2026-03-11", id="p"), status="met", evidence=("p",)),
    case("stoma-of-the-past", PEG, procedure(GASTROSTOMY, on="2025-01-01"),
         condition(cid10("Z93.1"), clinical="resolved", abatement="2025-09-01", id="c"), status="unknown", evidence=("c",)),
    case("stoma-of-an-earlier-time", PEG, procedure(GASTROSTOMY, on="2025-10-01"),
         condition(cid10("Z93.1"), clinical="resolved", abatement="2025-09-01"), status="met"),
    case("jejunostomy-s-stoma-of-the-past", PEG, procedure(JEJUNOSTOMY, on="2025-01-01"),
         condition(cid10("Z93.4"), clinical="resolved"), status="unknown"),
    case("another-stoma-of-the-past", PEG, procedure(GASTROSTOMY, on="2025-01-01"),
         condition(cid10("Z93.4"), clinical="resolved"), status="met"),
    case("words-jejunostomy", PEG, condition(text="Jejunostomia"), status="unknown", reasons="text-only"),
    case("peg-long-ago", PEG, procedure(GASTROSTOMY, on="2010"), status="met"),
    case("peg-undated", PEG, procedure(GASTROSTOMY), status="met"),
    case("peg-in-progress", PEG, procedure(GASTROSTOMY, status="in-progress"), status="met"),
    case("peg-pcs", PEG, procedure(icd10pcs("0DH67UZ"), on="2026-03-11"), status="met"),
    case("jejunostomy", PEG, procedure(JEJUNOSTOMY, on="2026-03-11"), status="met"),
    *[case(f"peg-{s}", PEG, procedure(GASTROSTOMY, status=s), status="unknown") for s in DOUBTFUL],
    *[case(f"peg-{s}", PEG, procedure(GASTROSTOMY, status=s), status="not-met")
      for s in ("not-done", "entered-in-error")],
    case("peg-planned", PEG, procedure(GASTROSTOMY, on="2026-07-01"), status="not-met", note="future-dated"),
    case("removed-the-same-day", PEG, procedure(GASTROSTOMY, on="2025-01-10"), procedure(REMOVAL, on="2025-01-10"),
         status="unknown"),
    case("replaced", PEG, procedure(GASTROSTOMY, on="2025-01-10"), procedure(REMOVAL, on="2025-09-01"),
         procedure(GASTROSTOMY, on="2025-09-02"), status="met"),
    case("removed-before", PEG, procedure(REMOVAL, on="2024-01-01"), procedure(GASTROSTOMY, on="2025-01-10"),
         status="met"),
    case("removal-undated", PEG, procedure(GASTROSTOMY, on="2025-01-10"), procedure(REMOVAL), status="unknown"),
    case("removal-not-done", PEG, procedure(GASTROSTOMY, on="2025-01-10"), procedure(REMOVAL, status="not-done"),
         status="met"),
    case("removal-after-today", PEG, procedure(GASTROSTOMY, on="2025-01-10"), procedure(REMOVAL, on="2026-07-01"),
         status="met"),
    case("only-a-removal", PEG, procedure(REMOVAL, on="2025-09-01"), status="unknown"),
    case("removed-in-words", PEG, procedure(GASTROSTOMY, on="2025-01-10"),
         procedure(text="Retirada da sonda de gastrostomia", on="2025-09-01", id="x"), status="unknown",
         evidence=("x",)),
    case("removed-as-a-condition-says", PEG, procedure(GASTROSTOMY, on="2025-01-10"),
         condition(text="Closure of gastrostomy", recorded="2025-09-01"), status="unknown"),
    # A gastrostomy tube taken out leaves a jejunostomy where it is.
    case("jejunostomy-stays", PEG, procedure(JEJUNOSTOMY, on="2025-01-10"), procedure(REMOVAL, on="2025-09-01"),
         status="met"),
    case("venting", PEG, procedure(GASTROSTOMY, text="Venting gastrostomy", on="2026-03-11"), status="unknown"),
    *[case(f"status-{c['code']}-{c['system'][-6:]}", PEG, condition(c), status="met")
      for c in (icd10cm("Z93.1"), cid10("Z93.1"), icd10cm("Z93.4"), cid10("Z43.1"), icd10cm("K94.23"),
                icd10cm("K9429"), snomed("442858008"))],
    case("status-of-another-stoma", PEG, condition(icd10cm("Z93.3", "Colostomy status")), status="not-met"),
    case("status-resolved", PEG, condition(icd10cm("Z93.1"), clinical="resolved"), status="unknown"),
    case("status-refuted", PEG, condition(icd10cm("Z93.1"), verification="refuted"), status="not-met"),
    case("status-provisional", PEG, condition(icd10cm("Z93.1"), verification="provisional"), status="unknown",
         reasons="unverified-condition"),
    case("status-later", PEG, condition(icd10cm("Z93.1"), onset="2026-06-16"), status="not-met", note="future-dated"),
    case("status-then-removed", PEG, condition(icd10cm("Z93.1"), recorded="2025-01-12"),
         procedure(REMOVAL, on="2025-09-01"), status="unknown"),
    case("removed-then-status", PEG, procedure(REMOVAL, on="2025-09-01"),
         condition(icd10cm("Z93.1"), onset="2026-01-12"), status="met"),
    Case("coded-as-als-too", PEG, bundle(patient(), condition(G12_21, icd10cm("Z93.1"))), "unknown",
         ("ambiguous-code",), others=(("H1-Condition", "unknown"),)),
    case("in-the-family", PEG, family_member_history(icd10cm("Z93.1")), status="not-met"),
    Case("of-another-patient", PEG,
         minimal(procedure(GASTROSTOMY, on="2026-03-11", subject={"reference": "Patient/other"})), "not-met"),
    *[case(f"words-{n}", PEG, procedure(text=text, on="2026-03-11"), status="unknown", reasons="text-only",
           likely="met")
      for n, text in enumerate(("PEG", "Gastrostomia endoscópica", "GTT", "Insertion of gastrostomy"))],
    *[case(f"no-words-{n}", PEG, procedure(text=text, on="2026-03-11"), status="not-met")
      for n, text in enumerate(("Pegada", "Esophagogastrostomy", "Sem gastrostomia", "Dieta pastosa"))],
    case("words-negated", PEG, condition(text="Nega gastrostomia"), status="not-met", note="negated text"),
    case("counselling", PEG, procedure(text="Nutrition counselling", on="2026-06-01"), status="unknown"),
    case("counselling-portuguese", PEG, procedure(text="Aconselhamento nutricional", on="2026-06-01"),
         status="unknown"),
    *[case(f"decoy-{c}", PEG, procedure(snomed(c), on="2026-03-11"), status="not-met")
      for c in ("408910007", "70676003", "11127003", "75389003", "80772001")],
    case("decoy-with-words", PEG, procedure(snomed("70676003"), text="not a gastrostomy: PEG"), status="not-met"),
]  # fmt: skip

# ---------------------------------------------------------------- EX15: feeding, orders, devices
FEEDINGS = [
    *[case(f"therapy-{c}", PEG, condition(snomed(c)), status="met") for c in ("229912004", "225372007", "61420007")],
    case("therapy-resolved", PEG, condition(ENTERAL, clinical="resolved"), status="unknown"),
    Case("therapy-coded-as-als-too", PEG, bundle(patient(), condition(G12_21, ENTERAL)), "unknown",
         ("ambiguous-code",)),
    case("feeding-in-progress", PEG, procedure(ENTERAL, status="in-progress", start="2025-01-01"), status="met"),
    case("feeding-until-today", PEG, procedure(ENTERAL, start="2026-01-01", end="2026-06-15"), status="met"),
    case("feeding-until-yesterday", PEG, procedure(ENTERAL, start="2026-01-01", end="2026-06-14"), status="unknown"),
    # Only feeding that goes on counts; that a completed procedure goes on is open.
    case("feeding-completed", PEG, procedure(ENTERAL, on="2026-06-10"), status="unknown"),
    case("feeding-not-done", PEG, procedure(ENTERAL, status="not-done"), status="not-met"),
    case("feeding-on-hold", PEG, procedure(ENTERAL, status="on-hold"), status="unknown"),
    case("parenteral-once", PEG, procedure(snomed("225372007"), start="2024-01-01", end="2024-01-09"),
         status="unknown"),
    case("formula", PEG, nutrition_order(enteral=True, id="n"), status="met", evidence=("n",)),
    case("formula-undated", PEG, nutrition_order(enteral=True, on=None), status="met"),
    case("formula-tomorrow", PEG, nutrition_order(enteral=True, on="2026-06-16"), status="not-met",
         note="future-dated"),
    # Revoked: stopped before its end, so it may have been given; like feeding that ended.
    *[case(f"formula-{s}", PEG, nutrition_order(enteral=True, status=s), status="unknown", reasons="stale-data")
      for s in ("completed", "revoked")],
    *[case(f"formula-{s}", PEG, nutrition_order(enteral=True, status=s), status="unknown", reasons="needs-clinician")
      for s in ("on-hold", "unknown", "no-such-status")],
    *[case(f"formula-{s}", PEG, nutrition_order(enteral=True, status=s), status="not-met")
      for s in ("draft", "entered-in-error")],
    case("formula-planned", PEG, nutrition_order(enteral=True, intent="plan"), status="unknown"),
    case("formula-by-mouth", PEG, nutrition_order(enteral=True, enteralFormula={"routeofAdministration": concept(
        coding("http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration", "PO"))}), status="unknown"),
    case("formula-by-tube", PEG, nutrition_order(enteral=True, enteralFormula={"routeofAdministration": concept(
        coding("http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration", "GT"))}), status="met"),
    case("formula-and-diet", PEG, nutrition_order(enteral=True, oralDiet={"type": [concept(text="puree")]}),
         status="met"),
    case("supplement", PEG, nutrition_order(supplement=[{"type": concept(text="Oral supplement")}]), status="not-met"),
    *[case(f"ordered-{s}", PEG, service_request(GASTROSTOMY, status=s), status="unknown", note="ordered")
      for s in ORDERED],
    *[case(f"ordered-{s}", PEG, service_request(GASTROSTOMY, status=s), status="not-met") for s in NOT_ORDERED],
    case("jejunostomy-ordered", PEG, service_request(JEJUNOSTOMY), status="unknown"),
    case("feeding-ordered", PEG, service_request(ENTERAL), status="unknown"),
    case("removal-ordered", PEG, service_request(REMOVAL), status="unknown"),
    case("education-ordered", PEG, service_request(snomed("408910007")), status="not-met"),
    case("kit-ordered", PEG, device_request(hcpcs("B4035")), status="unknown", note="ordered"),
    # Feeding kits are used up within days: they count for 90 days.
    case("kit-90-days-ago", PEG, supply_delivery(hcpcs("B4034"), on=FIRST_DAY_IN), status="met"),
    case("kit-91-days-ago", PEG, supply_delivery(hcpcs("B4034"), on=LAST_DAY_OUT), status="unknown",
         reasons="stale-data"),
    case("kit-some-day", PEG, supply_delivery(hcpcs("B4034"), on=None), status="unknown", reasons="partial-date"),
    case("kit-tomorrow", PEG, supply_delivery(hcpcs("B4034"), on="2026-06-16"), status="not-met", note="future-dated"),
    case("kit-in-progress", PEG, supply_delivery(hcpcs("B4034"), status="in-progress"), status="unknown"),
    case("kit-abandoned", PEG, supply_delivery(hcpcs("B4034"), status="abandoned"), status="not-met"),
    case("kit-claimed", PEG, procedure(hcpcs("B4035"), on="2026-06-01"), status="met"),
    case("kit-claimed-long-ago", PEG, procedure(hcpcs("B4035"), on="2025-06-01"), status="unknown",
         reasons="stale-data"),
    case("kit-in-use", PEG, used(device(hcpcs("B4035"))), status="met"),
    case("kit-no-longer-in-use", PEG, used(device(hcpcs("B4035")), status="completed"), status="unknown",
         reasons="stale-data"),
    # A nasogastric tube may drain the stomach, or be long gone: a review, whatever its dates.
    case("tube-without-dates", PEG, device(NASOGASTRIC, patient={"reference": "Patient/pat-1"}), status="unknown"),
    case("tube-in-use", PEG, used(device(NASOGASTRIC)), status="unknown"),
    case("tube-no-longer-in-use", PEG, used(device(NASOGASTRIC), status="completed"), status="unknown"),
    case("tube-intended", PEG, used(device(NASOGASTRIC), status="intended"), status="not-met"),
    case("tube-ordered", PEG, device_request(NASOGASTRIC), status="unknown", note="ordered"),
    case("tube-supplied", PEG, supply_delivery(NASOGASTRIC), status="unknown"),
    case("tube-in-words", PEG, used(device(text="Sonda de gastrostomia")), status="unknown", reasons="text-only",
         likely="met"),
    case("oxygen-is-no-food", PEG, used(device(snomed("336623009"))), status="not-met"),
]  # fmt: skip


# ---------------------------------------------------------------- EX15: ALSFRS-R items
def swallowing(score: int, on: str | None = "2026-06-10", **elements: Any) -> Resource:
    return alsfrs_item(SWALLOWING, score, on=on, **elements)


def with_gastrostomy(score: int = 2, on: str | None = "2026-06-10", **elements: Any) -> Resource:
    return alsfrs_item(CUTTING_WITH_GASTROSTOMY, score, on=on, **elements)


def without_gastrostomy(score: int = 2, on: str | None = "2026-06-10", **elements: Any) -> Resource:
    return alsfrs_item("82944-0", score, on=on, **elements)


FEEDING_ITEMS = [
    *[case(f"swallowing-{n}", PEG, swallowing(n), status="met") for n in (0, 1)],
    *[case(f"swallowing-{n}", PEG, swallowing(n), status="not-met") for n in (2, 3, 4)],
    case("swallowing-90-days-ago", PEG, swallowing(1, on=FIRST_DAY_IN), status="met"),
    case("swallowing-91-days-ago", PEG, swallowing(1, on=LAST_DAY_OUT), status="unknown", reasons="stale-data"),
    case("swallowing-better-since", PEG, swallowing(1, on="2026-05-01"), swallowing(2), status="not-met"),
    case("swallowing-undated", PEG, swallowing(1, on=None), status="unknown", reasons="partial-date"),
    case("swallowing-preliminary", PEG, swallowing(1, status="preliminary"), status="unknown",
         reasons="preliminary-only"),
    case("swallowing-twice", PEG, swallowing(1), swallowing(3), status="unknown", reasons="conflicting-data"),
    case("swallowing-implausible", PEG, swallowing(7), status="unknown", reasons="implausible-value"),
    case("swallowing-tomorrow", PEG, swallowing(1, on="2026-06-16"), status="not-met", note="future-dated"),
    case("swallowing-in-a-form", PEG, _form(SWALLOWING, 1), status="met"),
    *[case(f"with-gastrostomy-{n}", PEG, with_gastrostomy(n), status="met") for n in (0, 2, 4)],
    case("with-gastrostomy-90-days-ago", PEG, with_gastrostomy(on=FIRST_DAY_IN), status="met"),
    case("with-gastrostomy-91-days-ago", PEG, with_gastrostomy(on=LAST_DAY_OUT), status="unknown",
         reasons="stale-data"),
    case("with-gastrostomy-undated", PEG, with_gastrostomy(on=None), status="unknown", reasons="partial-date"),
    case("with-gastrostomy-preliminary", PEG, with_gastrostomy(status="preliminary"), status="unknown",
         reasons="preliminary-only"),
    case("with-gastrostomy-in-error", PEG, with_gastrostomy(status="entered-in-error"), status="not-met"),
    case("with-gastrostomy-implausible", PEG, with_gastrostomy(9), status="unknown", reasons="implausible-value"),
    case("with-gastrostomy-in-a-panel", PEG, _panel(CUTTING_WITH_GASTROSTOMY, 2), status="met"),
    case("without-gastrostomy", PEG, without_gastrostomy(), status="not-met"),
    # Both wordings answered: one of them by mistake. And a later form without gastrostomy: as after a removal.
    case("both-wordings", PEG, with_gastrostomy(id="a"), without_gastrostomy(id="b"), status="unknown",
         reasons="conflicting-data", evidence=("a", "b")),
    case("without-since", PEG, with_gastrostomy(on="2026-05-01", id="a"), without_gastrostomy(id="b"),
         status="unknown", reasons="conflicting-data", evidence=("a", "b")),
    case("with-since", PEG, without_gastrostomy(on="2026-05-01"), with_gastrostomy(), status="met"),
]  # fmt: skip


# ---------------------------------------------------------------- IN03: which wording counts
def _twelve_and(with_score: int, *facts: Any) -> Resource:
    """Eleven items of 28, the cutting item 2 without gastrostomy (30) and `with_score` with it."""
    codes = [code for code in ALSFRS_ITEMS if code != "82944-0"]
    scores = [3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2]
    items = [alsfrs_item(code, score) for code, score in zip(codes, scores, strict=True)]
    return minimal(items, without_gastrostomy(2), with_gastrostomy(with_score), *facts)


CUTTING = [
    Case("no-tube", FRS, _twelve_and(0), "met"),
    Case("a-tube", FRS, _twelve_and(0, procedure(GASTROSTOMY, on="2026-01-01")), "not-met"),
    Case("a-jejunostomy", FRS, _twelve_and(0, procedure(JEJUNOSTOMY, on="2026-01-01")), "not-met"),
    Case("a-tube-later", FRS, _twelve_and(0, procedure(GASTROSTOMY, on="2026-07-01")), "met"),
    Case(
        "a-tube-taken-out", FRS,
        _twelve_and(0, procedure(GASTROSTOMY, on="2025-01-01"), procedure(REMOVAL, on="2025-06-01")), "met",
    ),
    Case("formula", FRS, _twelve_and(0, nutrition_order(enteral=True)), "not-met"),
    Case("feeding-going-on", FRS, _twelve_and(0, condition(ENTERAL)), "not-met"),
    Case("feeding-kits", FRS, _twelve_and(0, supply_delivery(hcpcs("B4034"), on="2026-06-01")), "not-met"),
    Case("oral-diet", FRS, _twelve_and(0, nutrition_order()), "met"),
    Case("a-stoma", FRS, _twelve_and(0, condition(icd10cm("Z93.1"))), "not-met"),
    Case("a-stoma-of-the-past", FRS, _twelve_and(0, condition(icd10cm("Z93.1"), clinical="resolved")), "met"),
]  # fmt: skip

# ---------------------------------------------------------------- Conditions coded as what they are not
MISCODED = [
    built
    for criterion_id, code in (
        (NIV, BILEVEL), (TRA, TRACHEOSTOMY), (DPS, IMPLANT), (PEG, GASTROSTOMY), (PEG, JEJUNOSTOMY),
    )
    for built in (
        case("miscoded", criterion_id, condition(code, id="c"), status="unknown", reasons="ambiguous-code",
             likely="met", evidence=("c",)),
        case("miscoded-past", criterion_id, condition(code, clinical="resolved"), status="unknown", likely=""),
        case("miscoded-refuted", criterion_id, condition(code, verification="refuted"), status="not-met"),
    )
]  # fmt: skip

SECTIONS = [
    *MISCODED, *CONDITIONS, *PROCEDURES, *CPAPS, *DEVICES, *UNREADABLE, *ITEMS, *TRACHEOSTOMIES, *PACERS, *PLACED, *FEEDINGS,
    *FEEDING_ITEMS, *CUTTING,
]  # fmt: skip


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: f"{c.criterion[:5]}-{c.id}")
def test_rule(case: Case) -> None:
    check(case)


# ---------------------------------------------------------------- attestations
ATTESTED = [
    ("no-evidence", NIV, [], "yes", "met", "attested"),
    ("no-evidence", PEG, [], "no", "not-met", "attested"),
    ("words", NIV, [condition(text="BiPAP")], "yes", "met", "attested"),
    ("words", DPS, [used(device(text="NeuRx"))], "no", "not-met", "attested"),
    ("order", PEG, [service_request(GASTROSTOMY)], "no", "not-met", "attested"),
    ("cpap", NIV, [procedure(CPAP, on="2026-06-01")], "no", "not-met", "attested"),
    ("ended", NIV, [used(device(BILEVEL), status="completed")], "no", "not-met", "attested"),
    ("removed", PEG, [procedure(GASTROSTOMY, on="2025-01"), procedure(REMOVAL, on="2025-09")], "no", "not-met",
     "attested"),
    ("lost-device", DPS, [_unresolved({"reference": "Device/lost"})], "no", "not-met", "attested"),
    ("against-a-fact", NIV, [used(device(BILEVEL))], "no", "unknown", None),
    ("with-a-fact", PEG, [procedure(GASTROSTOMY, on="2026-03-11")], "yes", "met", "explicit"),
    ("unsure", DPS, [], "unsure", "unknown", None),
    ("twice-in-a-day", NIV, [breathing(4), breathing(2)], "no", "unknown", None),
    ("preliminary", PEG, [swallowing(1, status="preliminary")], "no", "unknown", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("criterion_id", "facts", "answer", "status", "basis"),
    [row[1:] for row in ATTESTED],
    ids=[f"{row[1][:5]}-{row[0]}-{row[3]}" for row in ATTESTED],
)
def test_an_answer_on_top(
    criterion_id: str, facts: list[Any], answer: str, status: str, basis: str | None
) -> None:
    row = verdict(minimal(*facts, attestation({criterion_id: answer}, on="2026-06-12")), criterion_id)
    assert row["status"] == status, row
    assert row["basis"] == basis, row


@pytest.mark.parametrize(("on", "basis"), [(FIRST_DAY_IN, "attested"), (LAST_DAY_OUT, "no-evidence")])
def test_an_answer_on_niv_holds_for_90_days(on: str, basis: str) -> None:
    """After that it counts as absent, with the reason (§1.3)."""
    row = verdict(minimal(attestation({NIV: "yes"}, on=on)), NIV)
    assert row["basis"] == basis
    assert ("stale-data" in row["reasons"]) is (basis == "no-evidence")


# ---------------------------------------------------------------- completeness of the data
READ = {
    NIV: ("Procedure", "Condition", "DeviceUseStatement", "Device", "DeviceRequest", "ServiceRequest",
          "SupplyDelivery", "Observation"),
    TRA: ("Procedure", "Condition", "DeviceUseStatement", "Device", "DeviceRequest", "ServiceRequest",
          "SupplyDelivery"),
    DPS: ("Procedure", "Condition", "DeviceUseStatement", "Device", "DeviceRequest", "ServiceRequest",
          "SupplyDelivery"),
    PEG: ("Procedure", "Condition", "NutritionOrder", "DeviceUseStatement", "Device", "DeviceRequest",
          "ServiceRequest", "SupplyDelivery", "Observation"),
}  # fmt: skip


@pytest.mark.parametrize(("criterion_id", "kind"), [(c, kind) for c, kinds in READ.items() for kind in kinds])
def test_a_type_that_failed_or_is_not_offered(criterion_id: str, kind: str) -> None:
    failed = verdict(minimal(), criterion_id, states={kind: "failed"})
    assert (failed["status"], failed["reasons"]) == ("unknown", ["retrieval-failed"])
    absent = verdict(minimal(), criterion_id, states={kind: "not-offered"})
    assert (absent["status"], absent["reasons"]) == ("unknown", ["not-offered"])


@pytest.mark.parametrize("kind", ["Procedure", "Condition", "NutritionOrder"])
def test_the_feeding_is_read_for_the_score_only_where_it_decides(kind: str) -> None:
    """IN03 reads the feeding for its choice between the two cutting items, and for nothing else."""
    assert verdict(minimal(alsfrs(22)), FRS, states={kind: "failed"})["status"] == "not-met"
    both = verdict(_twelve_and(0), FRS, states={kind: "failed"})
    assert (both["status"], both["reasons"]) == ("unknown", ["retrieval-failed"])


def test_a_score_may_stand_in_a_form_that_was_not_got() -> None:
    row = verdict(minimal(alsfrs(38)), FRS, states={"QuestionnaireResponse": "failed"})
    assert (row["status"], row["reasons"], row["likely"]) == ("unknown", ["retrieval-failed"], "met")
    assert (
        verdict(minimal(alsfrs(38)), FRS, states={"QuestionnaireResponse": "not-offered"})["status"] == "met"
    )


@pytest.mark.parametrize(
    ("criterion_id", "kind"), [(NIV, "NutritionOrder"), (TRA, "Observation"), (PEG, "MedicationRequest")]
)
def test_types_that_are_not_read_do_not_matter(criterion_id: str, kind: str) -> None:
    assert verdict(minimal(), criterion_id, states={kind: "failed"})["status"] == "not-met"


@pytest.mark.parametrize(
    ("criterion_id", "facts"),
    [
        (NIV, used(device(BILEVEL))),
        (DPS, [procedure(IMPLANT, on="2025-01-01")]),
        (PEG, [nutrition_order(enteral=True)]),
    ],
)
def test_evidence_stands_where_another_type_is_not_offered(criterion_id: str, facts: list[Resource]) -> None:
    row = verdict(minimal(*facts), criterion_id, states={"ServiceRequest": "not-offered"})
    assert row["status"] == "met"


# ---------------------------------------------------------------- together
@pytest.mark.parametrize(
    ("criterion_id", "fact"),
    [
        (NIV, condition(ON_NIV)),
        (NIV, supply_delivery(hcpcs("E0470"))),
        (DPS, procedure(IMPLANT, on="2025-01-01")),
        (PEG, nutrition_order(enteral=True)),
        (PEG, procedure(GASTROSTOMY, on="2026-03-11")),
    ],
)
def test_an_unknown_modifier_leaves_it_open(criterion_id: str, fact: Resource) -> None:
    odd = {**fact, "modifierExtension": [{"url": "https://ehr.example/odd", "valueBoolean": True}]}
    row = verdict(minimal(odd), criterion_id)
    assert (row["status"], row["reasons"], row["likely"]) == ("unknown", ["ambiguous-code"], "met")


def test_each_of_the_three_ways_excludes_by_itself() -> None:
    """EX13 is an OR: one of its rows suffices, the others stay as they are."""
    assessment = assess(minimal(procedure(IMPLANT, on="2025-01-01")))
    assert assessment["status"] == "excluded"
    assert criterion(assessment, NIV)["status"] == "not-met"
    assert criterion(assessment, TRA)["status"] == "not-met"


def test_the_evidence_of_a_lost_device_is_its_use() -> None:
    use = _unresolved({"display": "BiPAP"}, id="u", timingPeriod={"start": "2026-02-01"})
    (shown,) = verdict(minimal(use), NIV)["evidence"]
    assert shown == {
        "reference": "DeviceUseStatement/u",
        "display": "BiPAP",
        "value": None,
        "date": "2026-02-01",
        "status": "active",
    }


def test_two_conditions_of_als_do_not_disturb() -> None:
    record = bundle(patient(), als(), condition(G12_21), used(device(BILEVEL)))
    assert verdict(record, NIV)["status"] == "met"


def _holding(kind: str, **elements: Any) -> Resource:
    """A resource that holds the bilevel unit of the patient inside itself."""
    unit = device(BILEVEL, id="unit", patient={"reference": "Patient/pat-1"})
    return {"resourceType": kind, "contained": [unit], **elements}


@pytest.mark.parametrize(
    ("holder", "status"),
    [
        (_holding("DeviceUseStatement", status="active", device={"reference": "#unit"}), "met"),
        (_holding("DeviceUseStatement", status="intended", device={"reference": "#unit"}), "not-met"),
        (_holding("DeviceUseStatement", status="entered-in-error", device={"reference": "#unit"}), "not-met"),
        (_holding("DeviceRequest", status="active", codeReference={"reference": "#unit"}), "unknown"),
        (
            _holding("DeviceRequest", status="entered-in-error", codeReference={"reference": "#unit"}),
            "not-met",
        ),
        (_holding("DeviceRequest", status="revoked", codeReference={"reference": "#unit"}), "not-met"),
    ],
)
def test_a_contained_device_is_there_for_what_holds_it(holder: Resource, status: str) -> None:
    assert verdict(minimal(holder), NIV)["status"] == status
