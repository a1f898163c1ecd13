"""Readable builders of FHIR R4 resources for tests: each returns a plain JSON dict, as a server sends it.

A builder states only what it is told: `None` leaves an element out. Ids and subject references are given by
`bundle`, so a test names the facts alone. `b0` is the base record of the acceptance vignettes. All of it is
synthetic.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Resource = dict[str, Any]
Json = dict[str, Any]

SCREENING_DAY: Final = "2026-06-15"
CANONICAL: Final = "https://cds-service.example/fhir"

SNOMED: Final = "http://snomed.info/sct"
LOINC: Final = "http://loinc.org"
ICD10: Final = "http://hl7.org/fhir/sid/icd-10"
ICD10CM: Final = "http://hl7.org/fhir/sid/icd-10-cm"
ICD9CM: Final = "http://hl7.org/fhir/sid/icd-9-cm"
ICD10PCS: Final = "http://www.cms.gov/Medicare/Coding/ICD10"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC: Final = "http://www.whocc.no/atc"
HCPCS: Final = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
CVX: Final = "http://hl7.org/fhir/sid/cvx"
UCUM: Final = "http://unitsofmeasure.org"
INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
OBSERVATION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION_CLINICAL: Final = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONDITION_VERIFICATION: Final = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CONDITION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/condition-category"
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
EL_ESCORIAL: Final = f"{CANONICAL}/CodeSystem/el-escorial-category"
TRIAL_OBSERVATIONS: Final = f"{CANONICAL}/CodeSystem/trial-observations"
ATTESTATION_ANSWER: Final = f"{CANONICAL}/CodeSystem/attestation-answer"
ATTESTATION_QUESTIONNAIRE: Final = f"{CANONICAL}/Questionnaire/eligibility-attestation"

NCT: Final = "NCT02917681"
_FULL_URL: Final = "https://ehr.example/fhir"
# The element that points to the patient, where it isn't `subject`.
_PATIENT_ELEMENT: Final = {
    "AllergyIntolerance": "patient",
    "Consent": "patient",
    "Coverage": "beneficiary",
    "FamilyMemberHistory": "patient",
    "Immunization": "patient",
    "NutritionOrder": "patient",
    "ResearchSubject": "individual",
    "SupplyDelivery": "patient",
}
_NOT_PATIENT_BOUND: Final = frozenset(
    {
        "Patient",
        "Device",
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Medication",
        "ResearchStudy",
        "Location",
    }
)


# ---------------------------------------------------------------- data types
def _without_none(element: Json) -> Json:
    return {key: value for key, value in element.items() if value is not None}


def coding(system: str | None, code: str | None, display: str | None = None) -> Json:
    return _without_none({"system": system, "code": code, "display": display})


def snomed(code: str, display: str | None = None) -> Json:
    return coding(SNOMED, code, display)


def loinc(code: str, display: str | None = None) -> Json:
    return coding(LOINC, code, display)


def cid10(code: str, display: str | None = None) -> Json:
    """WHO ICD-10, which is what Brazil's CID-10 is."""
    return coding(ICD10, code, display)


def icd10cm(code: str, display: str | None = None) -> Json:
    return coding(ICD10CM, code, display)


def icd10pcs(code: str, display: str | None = None) -> Json:
    return coding(ICD10PCS, code, display)


def rxnorm(code: str, display: str | None = None) -> Json:
    return coding(RXNORM, code, display)


def atc(code: str, display: str | None = None) -> Json:
    return coding(ATC, code, display)


def concept(*codings: Json, text: str | None = None) -> Json:
    return _without_none({"coding": list(codings) or None, "text": text})


def interpretation(code: str) -> Json:
    return concept(coding(INTERPRETATION, code))


def quantity(
    value: float | int, unit: str | None, comparator: str | None = None, *, ucum: bool = True
) -> Json:
    """A Quantity. `ucum=False`: the unit is a human string only, without system and code."""
    whole: Json = {"value": value, "comparator": comparator, "unit": unit}
    if ucum and unit is not None:
        whole |= {"system": UCUM, "code": unit}
    return _without_none(whole)


def value_quantity(
    value: float | int, unit: str | None, comparator: str | None = None, *, ucum: bool = True
) -> Json:
    return {"valueQuantity": quantity(value, unit, comparator, ucum=ucum)}


def value_text(text: str) -> Json:
    return {"valueString": text}


def value_integer(value: int) -> Json:
    return {"valueInteger": value}


def value_coded(*codings: Json, text: str | None = None) -> Json:
    return {"valueCodeableConcept": concept(*codings, text=text)}


def reference_range(
    low: float | None = None,
    high: float | None = None,
    unit: str | None = None,
    *,
    text: str | None = None,
    kind: str | None = None,
    applies_to: Json | None = None,
    age: Json | None = None,
) -> Json:
    """One Observation.referenceRange. `kind`: a code of referencerange-meaning (normal, recommended, …)."""
    return _without_none(
        {
            "low": None if low is None else quantity(low, unit),
            "high": None if high is None else quantity(high, unit),
            "type": None
            if kind is None
            else concept(coding("http://terminology.hl7.org/CodeSystem/referencerange-meaning", kind)),
            "appliesTo": None if applies_to is None else [applies_to],
            "age": age,
            "text": text,
        }
    )


# ---------------------------------------------------------------- resources
def patient(
    patient_id: str = "pat-1",
    *,
    gender: str | None = "male",
    birth_date: str | None = "1971-03-10",
    given: str = "João",
    family: str = "Exemplo",
    state: str | None = "SP",
    city: str | None = "São Paulo",
    country: str | None = "BR",
    **elements: Any,
) -> Resource:
    address = _without_none({"city": city, "state": state, "country": country})
    return _without_none(
        {
            "resourceType": "Patient",
            "id": patient_id,
            "active": True,
            "name": [{"use": "official", "family": family, "given": [given]}],
            "gender": gender,
            "birthDate": birth_date,
            "address": [address] if address else None,
        }
        | elements
    )


def practitioner(practitioner_id: str, given: str = "Ana", family: str = "Médica") -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": practitioner_id,
        "active": True,
        "name": [{"family": family, "given": [given], "prefix": ["Dra."]}],
    }


def condition(
    *codings: Json,
    text: str | None = None,
    clinical: str | None = "active",
    verification: str | None = "confirmed",
    category: str | None = "problem-list-item",
    onset: str | None = None,
    abatement: str | None = None,
    recorded: str | None = None,
    **elements: Any,
) -> Resource:
    return _without_none(
        {
            "resourceType": "Condition",
            "clinicalStatus": _code_of(CONDITION_CLINICAL, clinical),
            "verificationStatus": _code_of(CONDITION_VERIFICATION, verification),
            "category": None
            if category is None
            else [
                concept(
                    coding(
                        "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
                        if category == "health-concern"
                        else CONDITION_CATEGORY,
                        category,
                    )
                )
            ],
            "code": concept(*codings, text=text) if codings or text else None,
            "onsetDateTime": onset,
            "abatementDateTime": abatement,
            "recordedDate": recorded,
        }
        | elements
    )


def observation(
    code: str | Json,
    value: Json | None = None,
    *,
    on: str | None = SCREENING_DAY,
    status: str = "final",
    category: str | None = "laboratory",
    interpretation_code: str | None = None,
    ranges: Sequence[Json] = (),
    components: Sequence[Json] = (),
    **elements: Any,
) -> Resource:
    """An Observation; `code` is a LOINC code or a coding; `value` one of the `value_…` elements."""
    return _without_none(
        {
            "resourceType": "Observation",
            "status": status,
            "category": None if category is None else [concept(coding(OBSERVATION_CATEGORY, category))],
            "code": concept(loinc(code) if isinstance(code, str) else code),
            "effectiveDateTime": on,
            **(value or {}),
            "interpretation": None if interpretation_code is None else [interpretation(interpretation_code)],
            "referenceRange": list(ranges) or None,
            "component": list(components) or None,
        }
        | elements
    )


def lab(
    code: str | Json,
    value: float | int,
    unit: str | None,
    *,
    high: float | None = None,
    low: float | None = None,
    on: str | None = "2026-06-01",
    comparator: str | None = None,
    **elements: Any,
) -> Resource:
    """A numeric laboratory result with the laboratory's own range in the value's unit."""
    ranges = [reference_range(low, high, unit)] if high is not None or low is not None else []
    ranges += elements.pop("ranges", [])
    return observation(code, value_quantity(value, unit, comparator), on=on, ranges=ranges, **elements)


_RESULTS: Final = {
    "pos": snomed("10828004", "Positive"),
    "neg": snomed("260385009", "Negative"),
    "ind": snomed("82334004", "Indeterminate"),
    "reactive": snomed("11214006", "Reactive"),
    "nonreactive": snomed("131194007", "Non-Reactive"),
    "detected": snomed("260373001", "Detected"),
    "not-detected": snomed("260415000", "Not detected"),
    "weak": snomed("260408008", "Weakly positive"),
}


def serology(code: str | Json, result: str, *, on: str | None = "2026-05-25", **elements: Any) -> Resource:
    """A qualitative result: pos, neg, ind, reactive, nonreactive, detected, not-detected, weak."""
    return observation(code, value_coded(_RESULTS[result]), on=on, **elements)


def component(code: str | Json, value: Json, **elements: Any) -> Json:
    return {"code": concept(loinc(code) if isinstance(code, str) else code), **value, **elements}


def procedure(
    *codings: Json,
    text: str | None = None,
    status: str = "completed",
    on: str | None = None,
    start: str | None = None,
    end: str | None = None,
    body_site: Json | None = None,
    **elements: Any,
) -> Resource:
    period = _without_none({"start": start, "end": end})
    return _without_none(
        {
            "resourceType": "Procedure",
            "status": status,
            "code": concept(*codings, text=text),
            "performedDateTime": on,
            "performedPeriod": period or None,
            "bodySite": None if body_site is None else [body_site],
        }
        | elements
    )


def medication_request(
    *codings: Json,
    text: str | None = None,
    status: str = "active",
    intent: str = "order",
    authored: str | None = "2026-01-10",
    **elements: Any,
) -> Resource:
    return _without_none(
        {
            "resourceType": "MedicationRequest",
            "status": status,
            "intent": intent,
            "medicationCodeableConcept": concept(*codings, text=text),
            "authoredOn": authored,
        }
        | elements
    )


def medication_statement(
    *codings: Json,
    text: str | None = None,
    status: str = "active",
    start: str | None = None,
    end: str | None = None,
    **elements: Any,
) -> Resource:
    period = _without_none({"start": start, "end": end})
    return _without_none(
        {
            "resourceType": "MedicationStatement",
            "status": status,
            "medicationCodeableConcept": concept(*codings, text=text),
            "effectivePeriod": period or None,
        }
        | elements
    )


def medication_administration(
    *codings: Json, on: str, status: str = "completed", **elements: Any
) -> Resource:
    return {
        "resourceType": "MedicationAdministration",
        "status": status,
        "medicationCodeableConcept": concept(*codings),
        "effectiveDateTime": on,
    } | elements


def medication_dispense(
    *codings: Json,
    text: str | None = None,
    status: str = "completed",
    handed_over: str | None = None,
    days: float | None = None,
    **elements: Any,
) -> Resource:
    """A dispense; `days`: its daysSupply."""
    return _without_none(
        {
            "resourceType": "MedicationDispense",
            "status": status,
            "medicationCodeableConcept": concept(*codings, text=text),
            "whenHandedOver": handed_over,
            "daysSupply": None if days is None else quantity(days, "d"),
        }
        | elements
    )


def medication(medication_id: str, *codings: Json, text: str | None = None, **elements: Any) -> Resource:
    """A Medication for `medicationReference` to lead to."""
    return {
        "resourceType": "Medication",
        "id": medication_id,
        "status": "active",
        "code": concept(*codings, text=text),
    } | elements


def immunization(
    *codings: Json, text: str | None = None, on: str = "2026-05-15", status: str = "completed"
) -> Resource:
    return {
        "resourceType": "Immunization",
        "status": status,
        "vaccineCode": concept(*codings, text=text),
        "occurrenceDateTime": on,
    }


def family_member_history(*codings: Json, text: str | None = None, relative: str = "MTH") -> Resource:
    """A relative's disease; never evidence for the patient. `relative`: a v3-RoleCode (MTH, FTH, …)."""
    return {
        "resourceType": "FamilyMemberHistory",
        "status": "completed",
        "relationship": concept(coding("http://terminology.hl7.org/CodeSystem/v3-RoleCode", relative)),
        "condition": [{"code": concept(*codings, text=text)}],
    }


def device(*codings: Json, text: str | None = None, **elements: Any) -> Resource:
    return {"resourceType": "Device", "status": "active", "type": concept(*codings, text=text)} | elements


def device_use_statement(device_reference: str, *, status: str = "active", **elements: Any) -> Resource:
    return {
        "resourceType": "DeviceUseStatement",
        "status": status,
        "device": {"reference": device_reference},
    } | elements


def device_request(
    *codings: Json, text: str | None = None, status: str = "active", intent: str = "order", **elements: Any
) -> Resource:
    return {
        "resourceType": "DeviceRequest",
        "status": status,
        "intent": intent,
        "codeCodeableConcept": concept(*codings, text=text),
    } | elements


def supply_delivery(
    *codings: Json,
    text: str | None = None,
    status: str = "completed",
    on: str | None = "2026-02-01",
    **elements: Any,
) -> Resource:
    return _without_none(
        {
            "resourceType": "SupplyDelivery",
            "status": status,
            "suppliedItem": {"itemCodeableConcept": concept(*codings, text=text)},
            "occurrenceDateTime": on,
        }
        | elements
    )


def nutrition_order(
    *, status: str = "active", on: str | None = "2026-03-01", enteral: bool = False, **elements: Any
) -> Resource:
    """A NutritionOrder: enteral formula, or (as built here) an oral diet in puree."""
    diet: Json = (
        {"enteralFormula": {"baseFormulaType": concept(snomed("443031000124106"))}}
        if enteral
        else {"oralDiet": {"type": [concept(text="puree")]}}
    )
    return _without_none(
        {"resourceType": "NutritionOrder", "status": status, "intent": "order", "dateTime": on}
        | diet
        | elements
    )


def service_request(
    *codings: Json, status: str = "active", intent: str = "order", **elements: Any
) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "status": status,
        "intent": intent,
        "code": concept(*codings),
    } | elements


def allergy(*codings: Json, text: str | None = None) -> Resource:
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": concept(
            coding("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active")
        ),
        "code": concept(*codings, text=text),
    }


def consent(
    *,
    status: str = "active",
    scope: str = "research",
    uri: str | None = f"https://clinicaltrials.gov/study/{NCT}",
    on: str | None = "2026-06-01",
    provision: str | None = None,
    **elements: Any,
) -> Resource:
    return _without_none(
        {
            "resourceType": "Consent",
            "status": status,
            "scope": concept(coding(CONSENT_SCOPE, scope)),
            "category": [concept(loinc("59284-0", "Consent Document"))],
            "dateTime": on,
            "policy": None if uri is None else [{"uri": uri}],
            "provision": None if provision is None else {"type": provision},
        }
        | elements
    )


def research_study(study_id: str, nct: str, title: str = "A study", **elements: Any) -> Resource:
    return {
        "resourceType": "ResearchStudy",
        "id": study_id,
        "status": "active",
        "title": title,
        "identifier": [{"system": "https://clinicaltrials.gov", "value": nct}],
    } | elements


def research_subject(study_reference: str, status: str = "on-study", **elements: Any) -> Resource:
    return {
        "resourceType": "ResearchSubject",
        "status": status,
        "study": {"reference": study_reference},
    } | elements


def attestation(
    answers: Mapping[str, str],
    *,
    on: str = "2026-06-10",
    author: str | None = "Practitioner/coordinator",
    status: str = "completed",
    questionnaire: str = ATTESTATION_QUESTIONNAIRE,
    **elements: Any,
) -> Resource:
    """A coordinator's answers: criterion id → yes, no or unsure."""
    items = [
        {"linkId": link_id, "answer": [{"valueCoding": coding(ATTESTATION_ANSWER, answer)}]}
        for link_id, answer in answers.items()
    ]
    return questionnaire_response(
        items, on=on, author=author, status=status, questionnaire=questionnaire, **elements
    )


def questionnaire_response(
    items: Sequence[Json],
    *,
    on: str = "2026-06-10",
    author: str | None = "Practitioner/coordinator",
    status: str = "completed",
    questionnaire: str = ATTESTATION_QUESTIONNAIRE,
    **elements: Any,
) -> Resource:
    return _without_none(
        {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": questionnaire,
            "status": status,
            "authored": on,
            "author": None if author is None else {"reference": author},
            "item": list(items),
        }
        | elements
    )


# ---------------------------------------------------------------- facts of this trial
def als(**elements: Any) -> Resource:
    """The ALS Condition of B0: SNOMED and CID-10 of the same disease, confirmed, active."""
    return condition(
        snomed("86044005", "Amyotrophic lateral sclerosis"),
        cid10("G12.2", "Motor neuron disease"),
        **{"onset": "2025-02", **elements},
    )


def el_escorial(category: str, *, on: str | None = "2026-04-20", **elements: Any) -> Resource:
    return observation(
        coding(TRIAL_OBSERVATIONS, "el-escorial-category"),
        value_coded(coding(EL_ESCORIAL, category)),
        on=on,
        category="exam",
        **elements,
    )


def alsfrs(total: int | float, *, on: str | None = "2026-06-01", **elements: Any) -> Resource:
    """An ALSFRS-R total (0–48)."""
    value = value_integer(total) if isinstance(total, int) else value_quantity(total, "{score}")
    return observation("82953-1", value, on=on, category="survey", **elements)


# The twelve items in the order of the form; item 5 has two wordings (without and with gastrostomy).
ALSFRS_ITEMS: Final = (
    "82940-8",
    "82941-6",
    "82942-4",
    "82943-2",
    "82944-0",
    "82946-5",
    "82947-3",
    "82948-1",
    "82949-9",
    "82950-7",
    "82951-5",
    "82952-3",
)
CUTTING_WITH_GASTROSTOMY: Final = "82945-7"
SWALLOWING: Final = "82942-4"
RESPIRATORY_INSUFFICIENCY: Final = "82952-3"


def alsfrs_item(code: str, score: int, *, on: str | None = "2026-06-10", **elements: Any) -> Resource:
    return observation(code, value_integer(score), on=on, category="survey", **elements)


def alsfrs_items(scores: Iterable[int], *, on: str | None = "2026-06-10") -> list[Resource]:
    """Standalone item Observations, in the form's order, as many as there are scores."""
    return [alsfrs_item(code, score, on=on) for code, score in zip(ALSFRS_ITEMS, scores, strict=False)]


def fvc_percent(
    value: float,
    unit: str | None = "%",
    *,
    code: str | Json = "19872-1",
    on: str | None = "2026-05-20",
    **elements: Any,
) -> Resource:
    return observation(code, value_quantity(value, unit), on=on, category="procedure", **elements)


def fvc_volume(
    value: float,
    unit: str | None = "L",
    *,
    code: str | Json = "19870-5",
    on: str | None = "2026-05-20",
    **elements: Any,
) -> Resource:
    return observation(code, value_quantity(value, unit), on=on, category="procedure", **elements)


def height(cm: float, *, on: str = "2026-05-20") -> Resource:
    return observation("8302-2", value_quantity(cm, "cm"), on=on, category="vital-signs")


def weight(kg: float, *, on: str = "2026-05-20") -> Resource:
    return observation("29463-7", value_quantity(kg, "kg"), on=on, category="vital-signs")


def alt(value: float, *, high: float | None = 41, on: str | None = "2026-06-01", **elements: Any) -> Resource:
    return lab("1742-6", value, elements.pop("unit", "U/L"), high=high, on=on, **elements)


def ast(value: float, *, high: float | None = 40, on: str | None = "2026-06-01", **elements: Any) -> Resource:
    return lab("1920-8", value, elements.pop("unit", "U/L"), high=high, on=on, **elements)


def creatinine(
    value: float, *, high: float | None = 1.2, on: str | None = "2026-06-01", **elements: Any
) -> Resource:
    return lab("2160-0", value, elements.pop("unit", "mg/dL"), high=high, on=on, **elements)


# ---------------------------------------------------------------- records
def bundle(who: Resource, *resources: Resource | Iterable[Resource]) -> Resource:
    """A collection Bundle of one patient; the arguments are left as they are.

    Resources get an id `{patient}-{type}-{n}` and the patient as subject where the test gave none.
    """
    patient_id = who["id"]
    entries = [copy.deepcopy(who)]
    counts: dict[str, int] = {}
    for resource in _flat(resources):
        own = copy.deepcopy(resource)
        kind = own["resourceType"]
        counts[kind] = counts.get(kind, 0) + 1
        own.setdefault("id", f"{patient_id}-{kind.lower()}-{counts[kind]}")
        if kind not in _NOT_PATIENT_BOUND:
            own.setdefault(_PATIENT_ELEMENT.get(kind, "subject"), {"reference": f"Patient/{patient_id}"})
        entries.append(own)
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"{_FULL_URL}/{r['resourceType']}/{r['id']}", "resource": r} for r in entries],
    }


def minimal(*facts: Resource | Iterable[Resource], **about: Any) -> Resource:
    """A man of 55 with confirmed ALS and the given facts, nothing else; `about` goes to `patient`."""
    return bundle(patient(**about), als(), *facts)


def woman(*facts: Resource | Iterable[Resource], **about: Any) -> Resource:
    """A woman of 34 with confirmed ALS and the given facts, nothing else."""
    return minimal(*facts, **{"gender": "female", "birth_date": "1991-11-02", "given": "Maria", **about})


def b0_facts() -> dict[str, Resource]:
    """The facts of the base record B0 (clinical-spec §9) by name, without the Patient."""
    return {
        "height": height(175),
        "weight": weight(70),
        "als": als(),
        "el_escorial": el_escorial("probable"),
        "alsfrs": alsfrs(38),
        "fvc": fvc_percent(82),
        "alt": alt(28),
        "ast": ast(31),
        "creatinine": creatinine(0.7),
        "hbsag": serology(loinc("5196-1", "HBsAg"), "neg"),
        "anti_hbc": serology(loinc("13952-7", "anti-HBc"), "neg"),
        "hcv_ab": serology(loinc("13955-0", "HCV Ab"), "neg"),
        "hiv": serology(loinc("56888-1", "HIV Ag/Ab"), "nonreactive"),
        "htlv": serology(loinc("22362-8", "HTLV I+II Ab"), "neg"),
        "vdrl": serology(loinc("5292-8", "VDRL"), "nonreactive"),
        "treponemal": serology(loinc("24110-9", "T. pallidum Ab"), "nonreactive"),
        "hypertension": condition(cid10("I10", "Essential (primary) hypertension"), onset="2015"),
        "riluzole": medication_request(
            rxnorm("35623", "riluzole"), text="Riluzol 50 mg, 1 comprimido de 12/12 h", authored="2025-03-02"
        ),
    }


def b0(
    *extra: Resource | Iterable[Resource],
    who: Resource | None = None,
    without: Iterable[str] = (),
    **replaced: Resource,
) -> Resource:
    """The base record B0 with facts replaced by name, left out (`without`), or added (`extra`).

    `b0(alt=alt(200))` replaces, `b0(without=["fvc"])` leaves out; an unknown name raises KeyError.
    """
    facts = b0_facts()
    for name in without:
        del facts[name]
    for name, fact in replaced.items():
        if name not in facts:
            raise KeyError(name)
        facts[name] = fact
    person = who or patient()
    named = [{"id": f"{person['id']}-{name.replace('_', '-')}", **fact} for name, fact in facts.items()]
    return bundle(person, named, *extra)


def resources_of(a_bundle: Resource) -> list[Resource]:
    return [entry["resource"] for entry in a_bundle["entry"]]


def _flat(items: Iterable[Resource | Iterable[Resource]]) -> Iterable[Resource]:
    for item in items:
        if isinstance(item, dict):
            yield item
        else:
            yield from item


def _code_of(system: str, code: str | None) -> Json | None:
    return None if code is None else concept(coding(system, code))
