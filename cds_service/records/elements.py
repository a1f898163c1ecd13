"""The elements of FHIR resources that the service reads, by resource type and data type. Data; no errors.

A table lists `element:type` pairs, `type*` for a list. Primitive types are string, uri (a code system), boolean,
number, integer, date (any date, dateTime or instant) and birthDate; coding and concept (CodeableConcept) have
walkers of their own in `shapes`; all others are tables here. Elements that nothing reads are not listed: they pass
as they are.
"""

from __future__ import annotations

from typing import Final

ELEMENTS: Final[dict[str, str]] = {
    "quantity": "value:number comparator:string unit:string system:uri code:string",
    "range": "low:quantity high:quantity",
    "ratio": "numerator:quantity denominator:quantity",
    "period": "start:date end:date",
    "timing": "event:date* repeat:repeat code:concept",
    "repeat": "boundsPeriod:period boundsDuration:quantity boundsRange:range frequency:integer period:number "
    "periodUnit:string",
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
    "dosage": "text:string timing:timing route:concept asNeededBoolean:boolean "
    "asNeededCodeableConcept:concept doseAndRate:doseAndRate*",
    "doseAndRate": "doseQuantity:quantity doseRange:range",
    "medicationDosage": "text:string route:concept dose:quantity",
    "ingredient": "itemCodeableConcept:concept itemReference:reference",
    "deviceName": "name:string",
    "dispenseRequest": "validityPeriod:period numberOfRepeatsAllowed:integer expectedSupplyDuration:quantity",
    "suppliedItem": "itemCodeableConcept:concept itemReference:reference",
    "enteralFormula": "baseFormulaType:concept baseFormulaProductName:string",
    "provision": "type:string period:period data:consentData*",
    "consentData": "meaning:string reference:reference",
    "policy": "authority:string uri:string",
    "extension": "url:string valueCodeableConcept:concept valueString:string valueCode:string",
    "item": "linkId:string definition:string text:string code:coding* answer:answer* item:item*",
    "answer": "valueBoolean:boolean valueDecimal:number valueInteger:number valueDate:date valueDateTime:date "
    "valueString:string valueCoding:coding valueQuantity:quantity item:item*",
    "phase": "text:string",
}  # fmt: skip
VALUE: Final = (
    "valueQuantity:quantity valueCodeableConcept:concept valueString:string valueBoolean:boolean valueInteger:number "
    "valueRange:range valueRatio:ratio valueDateTime:date valuePeriod:period"
)
_MEDICATION: Final = "medicationCodeableConcept:concept medicationReference:reference"
_COMMON: Final = "meta:meta status:string subject:reference encounter:reference"
RESOURCES: Final[dict[str, str]] = {
    "Patient": "meta:meta birthDate:birthDate gender:string deceasedBoolean:boolean deceasedDateTime:date "
    "address:address*",
    "Condition": f"{_COMMON} clinicalStatus:concept verificationStatus:concept category:concept* severity:concept "
    "code:concept bodySite:concept* onsetDateTime:date onsetPeriod:period onsetAge:quantity onsetString:string "
    "abatementDateTime:date abatementPeriod:period abatementAge:quantity abatementString:string "
    "abatementBoolean:boolean recordedDate:date asserter:reference stage:stage* evidence:evidence* "
    "note:annotation*",
    "Observation": "meta:meta status:string subject:reference code:concept effectiveDateTime:date "
    f"effectiveInstant:date effectivePeriod:period effectiveTiming:timing issued:date {VALUE} "
    "dataAbsentReason:concept interpretation:concept* note:annotation* bodySite:concept method:concept "
    "specimen:reference extension:extension* "
    "referenceRange:referenceRange* hasMember:reference* derivedFrom:reference* component:component*",
    "DiagnosticReport": f"{_COMMON} category:concept* code:concept effectiveDateTime:date effectivePeriod:period "
    "issued:date result:reference* conclusion:string conclusionCode:concept*",
    "Procedure": f"{_COMMON} statusReason:concept category:concept code:concept performedDateTime:date "
    "performedPeriod:period performedString:string performedAge:quantity bodySite:concept* outcome:concept "
    "reasonCode:concept* reasonReference:reference* usedReference:reference* usedCode:concept* note:annotation*",
    "MedicationRequest": f"{_COMMON} intent:string doNotPerform:boolean {_MEDICATION} authoredOn:date "
    "dosageInstruction:dosage* dispenseRequest:dispenseRequest category:concept* reasonCode:concept*",
    "MedicationStatement": f"{_COMMON} {_MEDICATION} effectiveDateTime:date effectivePeriod:period dateAsserted:date "
    "dosage:dosage* category:concept",
    "MedicationAdministration": f"{_COMMON} {_MEDICATION} effectiveDateTime:date effectivePeriod:period "
    "dosage:medicationDosage",
    "MedicationDispense": f"{_COMMON} {_MEDICATION} daysSupply:quantity whenPrepared:date whenHandedOver:date "
    "dosageInstruction:dosage*",
    "Medication": "meta:meta status:string code:concept form:concept ingredient:ingredient*",
    "Substance": "meta:meta status:string code:concept",
    "Device": "meta:meta status:string type:concept deviceName:deviceName* patient:reference",
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
    "provision:provision policy:policy*",
    "QuestionnaireResponse": f"{_COMMON} questionnaire:string authored:date author:reference item:item*",
    "Encounter": "meta:meta status:string class:coding type:concept* subject:reference period:period "
    "reasonCode:concept*",
    "Immunization": "meta:meta status:string vaccineCode:concept patient:reference occurrenceDateTime:date "
    "occurrenceString:string recorded:date",
    "CareTeam": f"{_COMMON} category:concept* period:period",
    "AllergyIntolerance": "meta:meta clinicalStatus:concept verificationStatus:concept code:concept patient:reference",
}  # fmt: skip

VALUE_KEYS: Final = (*(part.partition(":")[0] for part in VALUE.split()), "valueTime", "valueSampledData")
