"""Short builders for the records' tests: one patient's Bundle, normalised as a site in São Paulo would."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from cds_service.records.bundle import read_bundle
from cds_service.records.mappings import load_mappings
from cds_service.records.normalise import normalise
from cds_service.records.record import PatientRecord
from cds_service.terminology import systems
from cds_service.terminology.value_sets import load_value_sets

Json = dict[str, Any]
SITE = ZoneInfo("America/Sao_Paulo")
AS_OF = date(2026, 6, 15)
VALUE_SETS = load_value_sets()
MAPPINGS = load_mappings(VALUE_SETS)
MAN: Json = {"resourceType": "Patient", "id": "p", "gender": "male", "birthDate": "1971-06-15"}


def concept(code: str, system: str = systems.LOINC, **more: Any) -> Json:
    return {"coding": [{"system": system, "code": code, **more}]}


def observation(code: str, /, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "Patient/p"},
        "code": concept(code),
        "effectiveDateTime": "2026-06-01",
        **more,
    }


def condition(**more: Any) -> Json:
    return {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}, **more}


def quantity(value: Any, unit: str | None = None, **more: Any) -> Json:
    if unit is None:
        return {"value": value, **more}
    return {"value": value, "unit": unit, "system": systems.UCUM, "code": unit, **more}


def bundle(*resources: Any, patient: Json | None = MAN) -> Json:
    everything = ([] if patient is None else [patient]) + list(resources)
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in everything]}


def normalised(*resources: Any, patient: Json = MAN) -> PatientRecord:
    return normalise(read_bundle(bundle(*resources, patient=patient)), MAPPINGS, timezone=SITE, as_of=AS_OF)


def only(*resources: Any, patient: Json = MAN) -> Json:
    """The first resource given, normalised."""
    found = normalised(*resources, patient=patient).of_type(resources[0]["resourceType"])
    return found[0]


def problem(resource: Json) -> str | None:
    """The code of the reading problem of an Observation."""
    for coding in resource.get("dataAbsentReason", {}).get("coding", ()):
        if coding.get("system") == systems.READING_PROBLEM:
            code: str = coding["code"]
            return code
    return None


def result(resource: Json) -> str | None:
    """The qualitative result of an Observation."""
    for entry in resource.get("interpretation", ()):
        for coding in entry.get("coding", ()):
            if coding.get("system") == systems.QUALITATIVE_RESULT:
                code: str = coding["code"]
                return code
    return None


def tags(resource: Json) -> set[str]:
    """The derivation tags of a resource."""
    return {
        tag["code"]
        for tag in resource.get("meta", {}).get("tag", ())
        if tag.get("system") == systems.DERIVATION
    }
