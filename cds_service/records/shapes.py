"""The shape of FHIR resources as far as the service reads them, and the one walk over a resource that tidies
it.

The walk, compiled per type from the tables below, does four things and copies only what it changes:

- an element of the wrong JSON type never gets through as something else. What can be meant in one way only
  is put right (one object where a list belongs, a list of one where an object belongs, a number for a
  string), anything else is dropped; either way the resource is *doubtful*: marked, so that no verdict rests
  on it. `null`, "" and items that are null count as absent;
- URIs of code systems become canonical, codes that a site maps get the target's coding beside them;
- dateTimes and instants are brought to the site's offset;
- a `modifierExtension` at any depth makes the resource doubtful.

No error is raised for any JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Final

from cds_service.records.dates import site_datetime
from cds_service.terminology.concept_maps import Target
from cds_service.terminology.systems import READING_PROBLEM

# A primitive; `name*` in the tables is a list of `name`.
_PRIMITIVES: Final = ("string", "boolean", "number", "date")

_ELEMENTS: Final[dict[str, str]] = {
    "quantity": "value:number comparator:string unit:string system:uri code:string",
    "range": "low:quantity high:quantity",
    "ratio": "numerator:quantity denominator:quantity",
    "period": "start:date end:date",
    "timing": "event:date* repeat:repeat code:concept",
    "repeat": "boundsPeriod:period",
    "reference": "reference:string type:string identifier:identifier display:string",
    "identifier": "system:string value:string",
    "annotation": "text:string",
    "meta": "versionId:string lastUpdated:date tag:coding*",
    "address": "state:string city:string country:string district:string use:string period:period",
    "stage": "summary:concept assessment:reference* type:concept",
    "evidence": "code:concept* detail:reference*",
    "referenceRange": "low:quantity high:quantity type:concept appliesTo:concept* age:range text:string",
    "component": "code:concept {value} dataAbsentReason:concept interpretation:concept* referenceRange:referenceRange*",
    "performer": "actor:reference",
    "dosage": "text:string timing:timing route:concept asNeededBoolean:boolean",
    "medicationDosage": "text:string route:concept",
    "dispenseRequest": "validityPeriod:period numberOfRepeatsAllowed:number expectedSupplyDuration:quantity",
    "suppliedItem": "itemCodeableConcept:concept itemReference:reference",
    "enteralFormula": "baseFormulaType:concept baseFormulaProductName:string",
    "provision": "type:string period:period",
    "item": "linkId:string definition:string text:string answer:answer* item:item*",
    "answer": "valueBoolean:boolean valueDecimal:number valueInteger:number valueDate:date valueDateTime:date "
    "valueString:string valueCoding:coding valueQuantity:quantity item:item*",
    "phase": "text:string",
}  # fmt: skip
_VALUE: Final = (
    "valueQuantity:quantity valueCodeableConcept:concept valueString:string valueBoolean:boolean valueInteger:number "
    "valueRange:range valueRatio:ratio valueDateTime:date valuePeriod:period"
)
_MEDICATION: Final = "medicationCodeableConcept:concept medicationReference:reference"
_COMMON: Final = "meta:meta status:string subject:reference encounter:reference"
_RESOURCES: Final[dict[str, str]] = {
    "Patient": "meta:meta birthDate:birthDate gender:string deceasedBoolean:boolean deceasedDateTime:date "
    "address:address*",
    "Condition": f"{_COMMON} clinicalStatus:concept verificationStatus:concept category:concept* severity:concept "
    "code:concept bodySite:concept* onsetDateTime:date onsetPeriod:period onsetAge:quantity onsetString:string "
    "abatementDateTime:date abatementPeriod:period abatementAge:quantity abatementString:string "
    "abatementBoolean:boolean recordedDate:date asserter:reference stage:stage* evidence:evidence*",
    "Observation": "meta:meta status:string subject:reference code:concept effectiveDateTime:date "
    f"effectiveInstant:date effectivePeriod:period effectiveTiming:timing issued:date {_VALUE} dataAbsentReason:concept "
    "interpretation:concept* note:annotation* bodySite:concept method:concept "
    "referenceRange:referenceRange* hasMember:reference* derivedFrom:reference* component:component*",
    "DiagnosticReport": f"{_COMMON} category:concept* code:concept effectiveDateTime:date effectivePeriod:period "
    "issued:date result:reference* conclusion:string conclusionCode:concept*",
    "Procedure": f"{_COMMON} statusReason:concept category:concept code:concept performedDateTime:date "
    "performedPeriod:period performedString:string performedAge:quantity bodySite:concept* outcome:concept "
    "reasonCode:concept* usedReference:reference* usedCode:concept* note:annotation*",
    "MedicationRequest": f"{_COMMON} intent:string doNotPerform:boolean {_MEDICATION} authoredOn:date "
    "dosageInstruction:dosage* dispenseRequest:dispenseRequest category:concept* reasonCode:concept*",
    "MedicationStatement": f"{_COMMON} {_MEDICATION} effectiveDateTime:date effectivePeriod:period dateAsserted:date "
    "dosage:dosage* category:concept",
    "MedicationAdministration": f"{_COMMON} {_MEDICATION} effectiveDateTime:date effectivePeriod:period "
    "dosage:medicationDosage",
    "MedicationDispense": f"{_COMMON} {_MEDICATION} daysSupply:quantity whenPrepared:date whenHandedOver:date "
    "dosageInstruction:dosage*",
    "Medication": "meta:meta status:string code:concept form:concept",
    "Device": "meta:meta status:string type:concept patient:reference",
    "DeviceUseStatement": f"{_COMMON} device:reference timingDateTime:date timingPeriod:period timingTiming:timing "
    "recordedOn:date reasonCode:concept* bodySite:concept",
    "DeviceRequest": f"{_COMMON} intent:string codeCodeableConcept:concept codeReference:reference "
    "occurrenceDateTime:date occurrencePeriod:period authoredOn:date",
    "SupplyDelivery": "meta:meta status:string patient:reference type:concept suppliedItem:suppliedItem "
    "occurrenceDateTime:date occurrencePeriod:period",
    "NutritionOrder": "meta:meta status:string intent:string patient:reference dateTime:date "
    "enteralFormula:enteralFormula",
    "ServiceRequest": f"{_COMMON} intent:string category:concept* doNotPerform:boolean code:concept authoredOn:date "
    "occurrenceDateTime:date occurrencePeriod:period",
    "ResearchSubject": "meta:meta status:string individual:reference study:reference period:period",
    "ResearchStudy": "meta:meta status:string title:string identifier:identifier* category:concept* "
    "primaryPurposeType:concept period:period",
    "Consent": "meta:meta status:string scope:concept category:concept* patient:reference dateTime:date "
    "provision:provision",
    "QuestionnaireResponse": f"{_COMMON} questionnaire:string authored:date author:reference item:item*",
    "Encounter": "meta:meta status:string class:coding type:concept* subject:reference period:period "
    "reasonCode:concept*",
    "Immunization": "meta:meta status:string vaccineCode:concept patient:reference occurrenceDateTime:date "
    "occurrenceString:string recorded:date",
    "CareTeam": f"{_COMMON} category:concept* period:period",
    "AllergyIntolerance": "meta:meta clinicalStatus:concept verificationStatus:concept code:concept patient:reference",
}  # fmt: skip

VALUE_KEYS: Final = (*(part.partition(":")[0] for part in _VALUE.split()), "valueTime", "valueSampledData")
_VALUES: Final = frozenset(part.partition(":")[0] for part in _VALUE.split())
_EMPTY: Final = (None, "")
UNREADABLE: Final = {"system": READING_PROBLEM, "code": "text-only"}
_DROP: Final = object()
_NOTHING: Final[Mapping[str, Any]] = {}
_DEPTH: Final = 40
_CODING_TEXTS: Final = frozenset({"system", "version", "code", "display"})


class Tidying:
    """What one walk needs to know, and what it finds: `doubtful` says that something was mistyped or modified."""

    __slots__ = ("_dates", "aliases", "depth", "doubtful", "local", "zone")

    def __init__(
        self, aliases: Mapping[str, str], local: Mapping[tuple[str, str], tuple[Target, ...]], zone: tzinfo
    ) -> None:
        self.aliases = aliases
        self.local = local
        self.zone = zone
        self.doubtful = False
        self.depth = 0
        self._dates: dict[str, str | None] = {}

    def date(self, text: str) -> str | None:
        """`site_datetime`, remembered for the record."""
        try:
            return self._dates[text]
        except KeyError:
            found = self._dates[text] = site_datetime(text, self.zone)
            return found


Walker = Callable[[Any, Tidying], Any]


def tidy(resource: dict[str, Any], tidying: Tidying) -> dict[str, Any]:
    """The resource with every element that the service reads in its proper shape; itself when nothing
    changes.

    Sets `tidying.doubtful` when something was mistyped or a modifierExtension was found.
    """
    tidying.doubtful = False
    walker = _WALKERS.get(resource["resourceType"], _anything)
    found = walker(resource, tidying)
    return found if type(found) is dict else resource


# --- walkers ------------------------------------------------------------------------------------------------


def _string(value: Any, tidying: Tidying) -> Any:
    if type(value) is str:
        return value if value else _DROP
    if value is None:
        return _DROP
    tidying.doubtful = True
    if type(value) is list and len(value) == 1 and type(value[0]) is str and value[0]:
        return value[0]
    return str(value) if type(value) is int and abs(value) < 10**20 else _DROP


def _uri(value: Any, tidying: Tidying) -> Any:
    if type(value) is str:
        return tidying.aliases.get(value, value) if value else _DROP
    return _string(value, tidying)


def _boolean(value: Any, tidying: Tidying) -> Any:
    if type(value) is bool:
        return value
    if value is not None:
        tidying.doubtful = True
    return _DROP


def _number(value: Any, tidying: Tidying) -> Any:
    if type(value) in (float, int, Decimal):
        return value
    if value is not None:
        tidying.doubtful = True
    return _DROP


def _date(value: Any, tidying: Tidying) -> Any:
    if type(value) is not str:
        value = _string(value, tidying)
        if value is _DROP:
            return _DROP
    elif not value:
        return _DROP
    found = tidying.date(value)
    if found is None:
        tidying.doubtful = True
        return _DROP
    return value if found == value else found


def _birth_date(value: Any, tidying: Tidying) -> Any:
    if type(value) is str and len(value) > 10:
        tidying.doubtful = True
        return _DROP
    return _date(value, tidying)


def _coding(value: Any, tidying: Tidying) -> Any:
    if type(value) is not dict:
        if value is not None:
            tidying.doubtful = True
        return _DROP
    for key, part in value.items():
        if type(part) is not str or not part:
            if key in _CODING_TEXTS:
                return _coding(_repaired_coding(value, tidying), tidying)
            if key == "modifierExtension" and part:
                tidying.doubtful = True
    canonical = tidying.aliases.get(value.get("system", ""))
    if canonical is not None:
        value = {**value, "system": canonical}
    code = value.get("code")
    if code is not None and (code[0] == " " or code[-1] == " "):
        value = {**value, "code": code.strip() or "?"}
    return value


def _repaired_coding(value: dict[str, Any], tidying: Tidying) -> dict[str, Any]:
    """A coding of which system, code and display are texts or not there."""
    copy = dict(value)
    for key in _CODING_TEXTS & copy.keys():
        found = _string(copy[key], tidying)
        if found is _DROP:
            del copy[key]
        else:
            copy[key] = found
    return copy


def _concept(value: Any, tidying: Tidying) -> Any:
    """A CodeableConcept. Almost every one is proper and canonical: that is seen without any further call."""
    if type(value) is dict:
        aliases, local = tidying.aliases, tidying.local
        for key, part in value.items():
            if key == "coding" and type(part) is list:
                for coding in part:
                    if type(coding) is not dict:
                        return _mended_concept(value, tidying)
                    for name, text in coding.items():
                        if (type(text) is not str or not text) and name != "userSelected":
                            return _mended_concept(value, tidying)
                    system, code = coding.get("system"), coding.get("code")
                    if system in aliases or (local and (system, code) in local):
                        return _mended_concept(value, tidying)
                    if code is not None and (code[0] == " " or code[-1] == " "):
                        return _mended_concept(value, tidying)
            elif key != "text" or type(part) is not str or not part:
                return _mended_concept(value, tidying)
        return value
    return _mended_concept(value, tidying)


def _mended_concept(value: Any, tidying: Tidying) -> Any:
    if type(value) is not dict:
        value = _unwrapped(value, tidying)
        if type(value) is str:
            return {"text": value}
        if value is _DROP:
            return _DROP
    found = _concept_object(value, tidying)
    if tidying.local and type(found) is dict:
        added = [
            {"system": target.system, "code": target.code}
            for coding in found.get("coding", ())
            for target in tidying.local.get((coding.get("system", ""), coding.get("code", "")), ())
        ]
        if added:
            found = {**found, "coding": [*found["coding"], *added]}
    return found


def _anything(value: Any, tidying: Tidying) -> Any:
    """An element that the service doesn't read: it stays, but a modifierExtension inside it counts."""
    if type(value) in (dict, list) and _has_modifier(value):
        tidying.doubtful = True
    return value


def _has_modifier(value: Any) -> bool:
    pending = [value]
    while pending:
        current = pending.pop()
        if type(current) is dict:
            if current.get("modifierExtension"):
                return True
            pending += [part for part in current.values() if type(part) in (dict, list)]
        else:
            pending += [part for part in current if type(part) in (dict, list)]
    return False


def _unwrapped(value: Any, tidying: Tidying) -> Any:
    """An object found where none is written: the one object of a list. A string stays a string."""
    if value is None:
        return _DROP
    tidying.doubtful = True
    if type(value) is list and len(value) == 1:
        value = value[0]
    return value if type(value) is dict or (type(value) is str and value) else _DROP


def _object(fields: Mapping[str, Walker]) -> Walker:
    def walk(value: Any, tidying: Tidying) -> Any:
        if type(value) is not dict:
            value = _unwrapped(value, tidying)
            if type(value) is not dict:
                return _DROP
        changes: dict[str, Any] | None = None
        for key, part in value.items():
            walker = fields.get(key)
            if walker is None:
                if key == "modifierExtension":
                    if part:
                        tidying.doubtful = True
                elif (
                    type(part) in (dict, list)
                    and key != "text"
                    and key != "extension"
                    and _has_modifier(part)
                ):
                    tidying.doubtful = True
                continue
            found = walker(part, tidying)
            if found is not part:
                if changes is None:
                    changes = {}
                changes[key] = found
        if changes is None:
            return value
        copy = {**value, **changes}
        for key, found in changes.items():
            if found is _DROP:
                del copy[key]
                if key in _VALUES and value[key] not in _EMPTY:
                    # It had a result, of whatever kind: never to be passed over in favour of an older one.
                    copy.setdefault("dataAbsentReason", {"coding": [dict(UNREADABLE)]})
        return copy

    return walk


def _list(walker: Walker) -> Walker:
    def walk(value: Any, tidying: Tidying) -> Any:
        if type(value) is not list:
            if value is None:
                return _DROP
            tidying.doubtful = True
            found = walker(value, tidying)
            return _DROP if found is _DROP else [found]
        found = [walker(part, tidying) for part in value]
        for before, after in zip(value, found, strict=True):
            if before is not after:
                return [part for part in found if part is not _DROP]
        return value

    return walk


def _simple(slow: Walker, names: frozenset[str], aliased: bool) -> Walker:
    """A walker with a short way for what almost every Reference and Quantity is: known texts and one number."""

    def walk(value: Any, tidying: Tidying) -> Any:
        if type(value) is not dict:
            return slow(value, tidying)
        for key, part in value.items():
            kind = type(part)
            if kind is str:
                if not part or key not in names or (aliased and key == "system" and part in tidying.aliases):
                    return slow(value, tidying)
            elif (
                key != "value"
                or not aliased
                or (kind is not float and kind is not int and kind is not Decimal)
            ):
                return slow(value, tidying)
        return value

    return walk


def _guarded(name: str, walkers: Mapping[str, Walker]) -> Walker:
    """A walker of an element that can hold itself (questionnaire items); below a fixed depth it is dropped."""

    def walk(value: Any, tidying: Tidying) -> Any:
        if tidying.depth >= _DEPTH:
            tidying.doubtful = True
            return _DROP
        tidying.depth += 1
        try:
            return walkers[name](value, tidying)
        finally:
            tidying.depth -= 1

    return walk


def _compile() -> dict[str, Walker]:
    walkers: dict[str, Walker] = {
        "string": _string,
        "uri": _uri,
        "boolean": _boolean,
        "number": _number,
        "date": _date,
        "birthDate": _birth_date,
        "coding": _coding,
        "concept": _concept,
    }

    def fields(table: str) -> dict[str, Walker]:
        found = {}
        for part in table.replace("{value}", _VALUE).split():
            key, _, name = part.partition(":")
            single = walkers.get(name.rstrip("*")) or _guarded(name.rstrip("*"), walkers)
            found[key] = _list(single) if name.endswith("*") else single
        return found

    for name, table in _ELEMENTS.items():
        walkers[name] = _object(fields(table))
        if name == "quantity":
            walkers[name] = _simple(walkers[name], frozenset({"unit", "system", "code", "comparator"}), True)
        elif name == "reference":
            walkers[name] = _simple(walkers[name], frozenset({"reference", "type", "display"}), False)
    return {name: _object(fields(table)) for name, table in _RESOURCES.items()}


_concept_object: Final = _object({"coding": _list(_coding), "text": _string})
_WALKERS: Final = _compile()
