"""Random small patients (about 40 resources) for both engines: the same number gives the same patient, on every machine.

Each resource type that the trial's ELM retrieves has a table of what its elements may hold, in the well-shaped FHIR that both
engines read (malformed data has its own tests). Codes come from the very value sets and codes that the ELM asks for, beside
near misses of them: another system, another case, a longer code, a text alone. What FHIR allows to be missing sometimes is;
dates lie on both sides of every window, with and without a time of day, whole or partial. Nothing here can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, Final

from cds_service.elm import Code
from tests.builders import (
    CONDITION_CATEGORY,
    CONDITION_CLINICAL,
    CONDITION_VERIFICATION,
    EL_ESCORIAL,
    INTERPRETATION,
    LOINC,
    OBSERVATION_CATEGORY,
    SNOMED,
    UCUM,
)

Json = dict[str, Any]
Pools = Mapping[tuple[str, str], Sequence[Sequence[Code]]]
"""The code lists that are asked for at an element, by (resource type, path)."""

PROJECT: Final = "https://cds-service.example/fhir/CodeSystem"
DAYS: Final = (
    "2026-06-15", "2026-06-14", "2026-06-08", "2026-06-07", "2026-05-20", "2026-05-16", "2026-05-15", "2026-05-04",
    "2026-05-03", "2026-03-17", "2026-03-16", "2026-01-10", "2025-12-15", "2025-06-15", "2025-06-14", "2024-02-29",
    "2019-07-01", "2016-01-31", "2026-06-16", "2026-07-01", "2027-01-01",
)  # fmt: skip
PARTIAL: Final = ("2026-06", "2026-05", "2026-03", "2026", "2025", "2019", "2024-02", "2026-07")
CLOCKS: Final = (
    "T08:30:00-03:00",
    "T23:45:00-03:00",
    "T02:10:00Z",
    "T12:00:00.000-03:00",
    "T08:30:00.250+01:00",
)
WORDS: Final = (
    "Esclerose lateral amiotrófica", "VNI noturna", "nega uso de BiPAP", "Riluzol 50 mg", "Prednisona 20 mg/dia", "sentado",
    "espirometria em decúbito supino", "ALS registry", "líquor", "prednisone 7,5 mg ao dia", "Weak positive", "observational",
    "ALS diagnosed 2024", "1:16", "",
)  # fmt: skip
UNITS: Final = ("U/L", "mg/dL", "%", "L", "d", "umol/L", "[IU]/L", "{score}", "deg", "mg", "ng/mL", "1", None)
NUMBERS: Final = (
    0,
    1,
    3,
    4,
    7,
    12,
    22,
    30,
    38,
    41,
    48,
    65,
    70,
    82,
    123,
    400,
    0.5,
    0.7,
    1.2,
    2.4,
    3.6,
    64.9,
    65.1,
    1.16,
    0.0001,
)


class Drawing:
    """One patient's random choices."""

    def __init__(self, seed: int, pools: Pools) -> None:
        self.random = Random(seed)
        self.pools = pools
        self.ids: dict[str, list[str]] = {}

    def one(self, options: Sequence[Any]) -> Any:
        return options[self.random.randrange(len(options))]

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    # --- data types -----------------------------------------------------------------------------------------

    def day(self) -> str:
        return str(self.one(DAYS))

    def date(self) -> str:
        return str(self.one(PARTIAL if self.maybe(0.15) else DAYS))

    def moment(self) -> str:
        """A dateTime: a date, whole or partial, or a day with its time."""
        return self.day() + str(self.one(CLOCKS)) if self.maybe(0.35) else self.date()

    def instant(self) -> str:
        return self.day() + str(self.one(CLOCKS))

    def period(self) -> Json:
        ends = sorted((self.moment(), self.moment())) if self.maybe(0.9) else [self.moment(), self.moment()]
        return self.some({"start": (0.85, ends[0]), "end": (0.6, ends[1])})

    def quantity(self, *units: str | None, comparator: bool = True) -> Json:
        unit = self.one(units or UNITS)
        found: Json = {"value": self.one(NUMBERS)}
        if comparator and self.maybe(0.12):
            found["comparator"] = self.one(["<", "<=", ">=", ">"])
        if self.maybe(0.03):
            del found["value"]
        if unit is not None:
            found |= {"unit": unit, "system": UCUM, "code": unit} if self.maybe(0.85) else {"unit": unit}
        return found

    def range(self) -> Json:
        low, high = sorted((self.one(NUMBERS), self.one(NUMBERS)))
        unit = self.one(UNITS[:4])
        return self.some({
            "low": (0.8, {"value": low, "unit": unit}),
            "high": (0.8, {"value": high, "unit": unit}),
        })  # fmt: skip

    def ratio(self) -> Json:
        return {"numerator": {"value": 1}, "denominator": {"value": self.one([1, 2, 4, 8, 16, 32])}}

    def timing(self) -> Json:
        repeat = self.some({
            "boundsPeriod": (0.5, self.period()),
            "frequency": (0.6, self.one([1, 2, 3])),
            "period": (0.7, self.one([1, 2, 8, 12, 0.5])),
            "periodUnit": (0.7, self.one(["d", "h", "wk"])),
        })  # fmt: skip
        if "boundsPeriod" not in repeat and self.maybe(0.3):
            repeat["boundsDuration"] = self.quantity("d", "wk", "mo", comparator=False)
        events = [self.moment() for _ in range(self.random.randrange(3))]
        code = {"coding": [{"code": self.one(["QD", "BID", "TID", "PRN"])}]}
        return self.some({"event": (0.5, events or None), "repeat": (0.8, repeat), "code": (0.3, code)})

    def coding(self, system: str, *codes: str) -> Json:
        return {"system": system, "code": self.one(codes)}

    def concept(self, system: str, *codes: str) -> Json:
        return {"coding": [self.coding(system, *codes)]}

    def asked_for(self, kind: str, path: str) -> Json:
        """A concept that some retrieve of this element wants, or nearly wants."""
        pools = self.pools.get((kind, path)) or self.pools["Condition", "code"]
        codings = [self._asked(pools) for _ in range(self.one((1, 1, 1, 1, 2, 3)))]
        if self.maybe(0.06):
            codings = []
        found: Json = {"coding": codings} if codings else {}
        if self.maybe(0.25) or not codings:
            found["text"] = self.one(WORDS) or "x"
        return found

    def _asked(self, pools: Sequence[Sequence[Code]]) -> Json:
        code = self.one(self.one(pools))
        coding: Json = {"system": code.system, "code": code.code}
        if self.maybe(0.3):
            coding["display"] = code.display or self.one(WORDS) or "x"
        if self.maybe(0.1):
            near: Callable[[], Json] = self.one([
                lambda: {**coding, "system": self.one([SNOMED, LOINC, "urn:oid:1.2.3"])},
                lambda: {**coding, "code": coding["code"] + ".9"},
                lambda: {**coding, "code": coding["code"].lower()},
                lambda: {key: value for key, value in coding.items() if key != "system"},
                lambda: {"system": coding["system"], "display": "x"},
                lambda: {**coding, "version": "2024", "userSelected": True},
            ])  # fmt: skip
            return near()
        return coding

    def reference(self, kind: str) -> Json:
        """To a resource of the type that is in the patient's record, or to none there, or by identifier."""
        known = self.ids.get(kind, [])
        if known and self.maybe(0.85):
            return {"reference": f"{kind}/{self.one(known)}"}
        if self.maybe(0.5):
            return {"reference": f"{kind}/elsewhere", "display": self.one(WORDS) or "x"}
        return {
            "identifier": {
                "system": "https://clinicaltrials.gov",
                "value": self.one(["NCT02917681", "NCT09"]),
            }
        }

    # --- elements -------------------------------------------------------------------------------------------

    def some(self, chances: Mapping[str, tuple[float, Any]]) -> Json:
        """The elements that are there. A chance is spent whether or not the element stands in the record."""
        found = {name: value for name, (chance, value) in chances.items() if self.maybe(chance)}
        return {name: value for name, value in found.items() if value is not None}

    def choice(self, chance: float, name: str, *options: tuple[str, Callable[[], Any]]) -> Json:
        """One of a choice element's types, such as `onsetDateTime`; now and then an extension instead of a value."""
        if not self.maybe(chance):
            return {}
        suffix, value = self.one(options)
        if suffix in ("DateTime", "String") and self.maybe(0.05):
            return {f"_{name}{suffix}": ABSENT}
        return {name + suffix: value()}

    def primitive(self, chance: float, name: str, *values: Any) -> Json:
        if not self.maybe(chance):
            return {}
        if self.maybe(0.03):
            return {f"_{name}": ABSENT}
        found: Json = {name: self.one(values)}
        if self.maybe(0.03):
            found[f"_{name}"] = {"id": "x", **ABSENT}
        return found


ABSENT: Final[Json] = {
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    ]
}
_ENTERED: Final = "entered-in-error"


def _condition(d: Drawing) -> Json:
    clinical = d.concept(
        CONDITION_CLINICAL, "active", "active", "recurrence", "relapse", "remission", "resolved", "inactive"
    )
    verification = d.concept(
        CONDITION_VERIFICATION,
        "confirmed",
        "confirmed",
        "confirmed",
        "provisional",
        "differential",
        "refuted",
        _ENTERED,
    )
    category = d.concept(CONDITION_CATEGORY, "problem-list-item", "encounter-diagnosis", "health-concern")
    stage = {"summary": d.concept(EL_ESCORIAL, "definite", "probable", "possible", "suspected")}
    return {
        **d.some({
            "clinicalStatus": (0.85, clinical),
            "verificationStatus": (0.8, verification),
            "category": (0.8, [category]),
            "code": (0.97, d.asked_for("Condition", "code")),
            "severity": (0.2, d.concept(SNOMED, "24484000", "6736007", "255604002")),
            "stage": (0.15, [stage] if d.maybe(0.7) else [{"type": {"text": "x"}}]),
            "note": (0.1, [{"text": d.one(WORDS) or "x"}]),
            "bodySite": (0.1, [{"text": d.one(WORDS) or "x"}]),
        }),
        **d.choice(0.6, "onset", ("DateTime", d.moment), ("Period", d.period), ("String", lambda: "childhood"),
                   ("Age", lambda: {"value": 40, "unit": "a", "system": UCUM, "code": "a"})),
        **d.choice(0.25, "abatement", ("DateTime", d.moment), ("DateTime", d.moment), ("Period", d.period),
                   ("String", lambda: "last year")),
        **d.primitive(0.6, "recordedDate", d.moment()),
    }  # fmt: skip


def _observation(d: Drawing) -> Json:
    result = d.concept(
        f"{PROJECT}/qualitative-result", "positive", "weak-positive", "negative", "negative", "indeterminate"
    )
    flag = d.concept(INTERPRETATION, "H", "HH", "N", "L", "POS", "NEG")
    problem = d.concept(f"{PROJECT}/reading-problem", "unit-missing", "implausible-value", "text-only", "partial-date",
                        "conflicting-data")  # fmt: skip
    answers = d.concept(SNOMED, "373066001", "373067005", "77386006", "10828004", "260385009", "60001007")
    ranges = [
        d.some(
            {
                "low": (0.5, d.quantity("U/L", "mg/dL", comparator=False)),
                "high": (0.8, d.quantity("U/L", "mg/dL", comparator=False)),
            }
        )
        for _ in range(d.one((1, 1, 2)))
    ]
    return {
        **d.primitive(0.98, "status", "final", "final", "final", "final", "amended", "corrected", "preliminary", "registered",
                      "cancelled", "unknown", _ENTERED),
        **d.some({
            "category": (0.7, [d.concept(OBSERVATION_CATEGORY, "laboratory", "survey", "exam")]),
            "code": (0.99, d.asked_for("Observation", "code")),
            "interpretation": (0.6, [result] if d.maybe(0.7) else [flag, result]),
            "dataAbsentReason": (0.12, problem),
            "referenceRange": (0.4, [r for r in ranges if r] or None),
            "method": (0.1, {"text": d.one(WORDS) or "x"}),
            "bodySite": (0.05, {"text": d.one(WORDS) or "x"}),
            "specimen": (0.05, {"display": d.one(WORDS) or "x"}),
            "note": (0.1, [{"text": d.one(WORDS) or "x"}]),
            "meta": (0.2, {"lastUpdated": d.instant()}),
            "hasMember": (0.05, [d.reference("Observation")]),
        }),
        **d.choice(0.92, "effective", ("DateTime", d.moment), ("DateTime", d.moment), ("DateTime", d.moment),
                   ("Instant", d.instant), ("Period", d.period), ("Timing", d.timing)),
        **d.primitive(0.3, "issued", d.instant()),
        **d.choice(0.9, "value", ("Quantity", d.quantity), ("Quantity", d.quantity), ("Integer", lambda: d.one((0, 1, 2, 3, 4, 30, 38))),
                   ("CodeableConcept", lambda: answers), ("String", lambda: d.one(WORDS) or "x"), ("Range", d.range),
                   ("Ratio", d.ratio), ("DateTime", d.moment), ("Boolean", lambda: d.maybe(0.5)), ("Period", d.period)),
    }  # fmt: skip


def _procedure(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "completed", "completed", "completed", "in-progress", "not-done", "preparation",
                      "on-hold", "stopped", "unknown", _ENTERED),
        **d.some({
            "code": (0.97, d.asked_for("Procedure", "code")),
            "bodySite": (0.2, [d.concept(SNOMED, "69536005", "818983003", "12738006")]),
            "note": (0.1, [{"text": d.one(WORDS) or "x"}]),
            "category": (0.2, {"text": d.one(WORDS) or "x"}),
        }),
        **d.choice(0.85, "performed", ("DateTime", d.moment), ("Period", d.period), ("String", lambda: "2019?")),
    }  # fmt: skip


def _dosage(d: Drawing) -> Json:
    dose = d.one(({"doseQuantity": d.quantity("mg", "mg", "g")}, {"doseRange": d.range()}))
    return {
        **d.some({
            "text": (0.4, d.one(("Prednisona 20 mg/dia", "40 mg por dia", "1 cp 12/12h", "5,5 mg ao dia", "uso tópico"))),
            "timing": (0.6, d.timing()),
            "route": (0.5, d.concept(SNOMED, "26643006", "47625008", "6064005", "37161004", "447694001", "12130007")),
            "doseAndRate": (0.6, [dose]),
        }),
        **d.choice(0.15, "asNeeded", ("Boolean", lambda: d.maybe(0.5)), ("CodeableConcept", lambda: {"text": "dor"})),
    }  # fmt: skip


def _drug(d: Drawing, kind: str) -> Json:
    if d.ids.get("Medication") and d.maybe(0.2):
        return {"medicationReference": d.reference("Medication")}
    concept = d.asked_for(kind, "medication")
    if d.maybe(0.2):
        concept.setdefault("coding", []).append(
            d.coding(f"{PROJECT}/drug-form", "systemic", "non-systemic", "rectal", "foam")
        )
    return {"medicationCodeableConcept": concept}


def _medication_request(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "active", "active", "active", "completed", "stopped", "on-hold", "cancelled", "draft",
                      "unknown", _ENTERED),
        **d.primitive(0.97, "intent", "order", "order", "order", "plan", "proposal", "option", "original-order"),
        **_drug(d, "MedicationRequest"),
        **d.primitive(0.8, "authoredOn", d.moment()),
        **d.primitive(0.1, "doNotPerform", True, False),
        **d.some({
            "dosageInstruction": (0.7, [_dosage(d) for _ in range(d.one((1, 1, 2)))]),
            "dispenseRequest": (0.4, d.some({
                "validityPeriod": (0.5, d.period()),
                "expectedSupplyDuration": (0.5, d.quantity("d", "wk", "mo", comparator=False)),
                "numberOfRepeatsAllowed": (0.4, d.one((0, 1, 5))),
            }) or None),
        }),
    }  # fmt: skip


def _medication_statement(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "active", "active", "completed", "stopped", "on-hold", "not-taken", "intended",
                      "unknown", _ENTERED),
        **_drug(d, "MedicationStatement"),
        **d.choice(0.8, "effective", ("DateTime", d.moment), ("Period", d.period), ("Period", d.period)),
        **d.primitive(0.5, "dateAsserted", d.moment()),
        **d.some({"dosage": (0.6, [_dosage(d)])}),
    }  # fmt: skip


def _medication_administration(d: Drawing) -> Json:
    dosage = {key: value for key, value in _dosage(d).items() if key in ("text", "route")}
    return {
        **d.primitive(
            0.97,
            "status",
            "completed",
            "completed",
            "in-progress",
            "not-done",
            "on-hold",
            "stopped",
            _ENTERED,
        ),
        **_drug(d, "MedicationAdministration"),
        **d.choice(0.9, "effective", ("DateTime", d.moment), ("Period", d.period)),
        **d.some({"dosage": (0.5, dosage or None)}),
    }


def _medication_dispense(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "completed", "completed", "in-progress", "preparation", "cancelled", "on-hold",
                      "declined", "stopped", "unknown"),
        **_drug(d, "MedicationDispense"),
        **d.primitive(0.7, "whenHandedOver", d.moment()),
        **d.primitive(0.4, "whenPrepared", d.moment()),
        **d.some({
            "daysSupply": (0.6, d.quantity("d", "d", "wk", None, comparator=False)),
            "dosageInstruction": (0.4, [_dosage(d)]),
        }),
    }  # fmt: skip


def _device_use(d: Drawing) -> Json:
    return {
        **d.primitive(
            0.97, "status", "active", "active", "completed", "stopped", "on-hold", "intended", _ENTERED
        ),
        "device": d.reference("Device"),
        **d.choice(0.8, "timing", ("DateTime", d.moment), ("Period", d.period), ("Timing", d.timing)),
    }


def _order(d: Drawing, kind: str, element: str) -> Json:
    return {
        **d.primitive(
            0.97,
            "status",
            "active",
            "active",
            "draft",
            "on-hold",
            "revoked",
            "completed",
            "unknown",
            _ENTERED,
        ),
        **d.primitive(
            0.97, "intent", "order", "order", "plan", "proposal", "option", "original-order", "filler-order"
        ),
        element: d.asked_for(kind, "code"),
        **d.primitive(0.8, "authoredOn", d.moment()),
        **(d.primitive(0.1, "doNotPerform", True, False) if kind == "ServiceRequest" else {}),
    }


def _supply(d: Drawing) -> Json:
    item = d.asked_for("SupplyDelivery", "suppliedItem.item")
    return {
        **d.primitive(0.97, "status", "completed", "completed", "in-progress", "abandoned", _ENTERED),
        "suppliedItem": {"itemCodeableConcept": item}
        if d.maybe(0.8)
        else {"itemReference": d.reference("Device")},
        **d.choice(0.85, "occurrence", ("DateTime", d.moment), ("Period", d.period), ("Timing", d.timing)),
    }


def _nutrition(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "active", "active", "completed", "draft", "revoked", "on-hold", "unknown"),
        **d.primitive(0.9, "intent", "order", "plan", "proposal"),
        **d.primitive(0.8, "dateTime", d.moment()),
        **d.some({
            "enteralFormula": (0.6, {"baseFormulaType": {"text": "x"}} if d.maybe(0.7) else {"baseFormulaProductName": "x"}),
            "oralDiet": (0.4, {"type": [{"text": "puree"}]}),
        }),
    }  # fmt: skip


def _study(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "active", "active", "completed", "approved", "withdrawn", "in-review"),
        "title": d.one(("A study", "ALS registry", "Observational cohort", "A phase 2 trial")),
        **d.some({
            "identifier": (0.9, [{"system": "https://clinicaltrials.gov", "value": d.one(("NCT02917681", "NCT01234567", "x"))}]),
            "category": (0.4, [{"text": d.one(("Observational", "Interventional"))}]),
            "primaryPurposeType": (0.4, {"text": "treatment"}),
        }),
    }  # fmt: skip


def _subject(d: Drawing) -> Json:
    tag = d.coding(f"{PROJECT}/participation", "participating", "possibly", "no")
    return {
        **d.primitive(
            0.97,
            "status",
            "on-study",
            "screening",
            "candidate",
            "follow-up",
            "withdrawn",
            "off-study",
            "ineligible",
        ),
        "study": d.reference("ResearchStudy"),
        **d.some({"period": (0.7, d.period() or None), "meta": (0.5, {"tag": [tag]})}),
    }


def _immunization(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "completed", "completed", "not-done", _ENTERED),
        "vaccineCode": d.asked_for("Immunization", "vaccineCode"),
        **d.choice(0.95, "occurrence", ("DateTime", d.moment), ("String", lambda: "last spring")),
    }


def _encounter(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "finished", "finished", "in-progress", "planned", "cancelled"),
        "class": {"code": "AMB"},
        **d.some({
            "type": (0.7, [d.asked_for("Encounter", "type")]),
            "reasonCode": (0.6, [d.asked_for("Encounter", "reasonCode") for _ in range(d.one((1, 2)))]),
            "period": (0.8, d.period() or None),
        }),
    }  # fmt: skip


def _consent(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "active", "active", "rejected", "draft", "inactive"),
        "scope": d.concept("http://terminology.hl7.org/CodeSystem/consentscope", "research", "patient-privacy"),
        **d.primitive(0.9, "dateTime", d.moment()),
        **d.some({
            "policy": (0.6, [{"uri": d.one(("https://clinicaltrials.gov/study/NCT02917681", "https://example.org"))}]),
            "provision": (0.4, {"type": d.one(("permit", "deny"))}),
            "identifier": (0.3, [{"value": d.one(("NCT02917681", "x"))}]),
        }),
    }  # fmt: skip


def _report(d: Drawing) -> Json:
    return {
        **d.primitive(0.97, "status", "final", "final", "amended", "preliminary", "partial", "cancelled"),
        "code": d.asked_for("DiagnosticReport", "code"),
        **d.choice(0.8, "effective", ("DateTime", d.moment), ("Period", d.period)),
        **d.primitive(0.3, "issued", d.instant()),
        **d.some({
            "result": (0.4, [d.reference("Observation")]),
            "conclusion": (0.3, d.one(WORDS) or "x"),
        }),
    }  # fmt: skip


def _device(d: Drawing) -> Json:
    patient = {"reference": "Patient/p"}
    return {
        **d.primitive(0.9, "status", "active", "active", "inactive", _ENTERED),
        **d.some({"type": (0.97, d.asked_for("Device", "type")), "patient": (0.7, patient)}),
    }


def _medication(d: Drawing) -> Json:
    return {"status": "active", **d.some({"code": (0.95, d.asked_for("MedicationRequest", "medication"))})}


# What is referred to comes first. A weight says how often a type is drawn; together they are about 40 resources.
KINDS: Final[Mapping[str, tuple[int, Callable[[Drawing], Json]]]] = {
    "Medication": (2, _medication),
    "Device": (2, _device),
    "ResearchStudy": (1, _study),
    "Observation": (13, _observation),
    "Condition": (9, _condition),
    "Procedure": (4, _procedure),
    "MedicationRequest": (3, _medication_request),
    "MedicationStatement": (2, _medication_statement),
    "MedicationAdministration": (2, _medication_administration),
    "MedicationDispense": (2, _medication_dispense),
    "DeviceUseStatement": (2, _device_use),
    "DeviceRequest": (1, lambda d: _order(d, "DeviceRequest", "codeCodeableConcept")),
    "ServiceRequest": (1, lambda d: _order(d, "ServiceRequest", "code")),
    "SupplyDelivery": (1, _supply),
    "NutritionOrder": (1, _nutrition),
    "ResearchSubject": (1, _subject),
    "Immunization": (1, _immunization),
    "Encounter": (1, _encounter),
    "Consent": (1, _consent),
    "DiagnosticReport": (1, _report),
}
_BORN: Final = (
    "1971-03-10",
    "1991-11-02",
    "1955-06-15",
    "1955-06-16",
    "2008-06-15",
    "2008-06-16",
    "1960",
    "1956-06",
    "1890-01-01",
    "2026-07-01",
)
_SUBJECTS: Final = {
    "Consent": "patient", "Immunization": "patient", "NutritionOrder": "patient", "ResearchSubject": "individual",
    "SupplyDelivery": "patient", "Device": None, "Medication": None, "ResearchStudy": None,
}  # fmt: skip


def patient(seed: int, pools: Pools, size: int = 40) -> list[Json]:
    """The resources of patient number `seed`, the Patient first. `size`: about how many."""
    d = Drawing(seed, pools)
    resources = [_person(d)]
    total = sum(weight for weight, _ in KINDS.values())
    for kind, (weight, make) in KINDS.items():
        expected = weight * size / total
        for number in range(d.random.randrange(int(2 * expected + 1.999))):
            own = f"{kind.lower()}-{number}"
            resource = {"resourceType": kind, "id": own, **make(d)}
            subject = _SUBJECTS.get(kind, "subject")
            if subject is not None:
                resource[subject] = {"reference": "Patient/p"}
            d.ids.setdefault(kind, []).append(own)
            resources.append(resource)
    contained = [r for r in resources if r["resourceType"] in ("MedicationRequest", "DiagnosticReport")]
    if contained and d.maybe(0.15):
        holder = d.one(contained)
        holder["contained"] = [{"resourceType": "Observation", "id": "inner", **_observation(d)}]
    return resources


def _person(d: Drawing) -> Json:
    return {
        "resourceType": "Patient",
        "id": "p",
        **d.primitive(0.95, "gender", "male", "female", "female", "other", "unknown"),
        **d.primitive(0.95, "birthDate", *_BORN),
        **d.some(
            {
                "address": (
                    0.7,
                    [{"state": d.one(("SP", "RJ", "Paraná")), "city": "São Paulo", "country": "BR"}],
                )
            }
        ),
    }


def bundle(resources: Iterable[Mapping[str, Any]]) -> Json:
    """A collection of the resources."""
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in resources],
    }
