"""FHIR's elements: primitives with extensions, lists of them, choice types, references, contained resources.

The CQL is `data/fhir/Elements.cql`.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from cds_service.elm import DateTime, Library, Quantity, Result, load_library
from tests.engine.operator_table import DATA
from tests.engine.test_fhir import NOW, Record, Sets

TIME = {"url": "urn:birth-time", "valueDateTime": "1970-02-03T10:00:00-03:00"}
FIVE = {"value": 5, "code": "mg", "system": "http://unitsofmeasure.org"}
PATIENT = {
    "resourceType": "Patient", "id": "1",
    "birthDate": "1970-02", "_birthDate": {"id": "b", "extension": [TIME]},
    "_gender": {"extension": [{"url": "urn:absent", "valueCode": "unknown"}]},
    "name": [
        {"given": ["A", None, "C"], "_given": [None, {"extension": [{"url": "urn:hidden", "valueBoolean": True}]}, {"id": "c"}]},
        {"given": ["D"]},
        {"_given": [{"id": "e"}]},
    ],
    "extension": [
        {"url": "a", "valueAge": {"value": 5, "code": "a"}}, {"url": "b", "valueDuration": {"value": 6}},
        {"url": "c", "valueQuantity": {"value": 7}}, {"url": "d", "valueReference": {"reference": "x"}},
        {"url": "e", "valueCode": "x"}, {"url": "f", "valueUrl": "x"},
    ],
}  # fmt: skip


def observation(name: str, **value: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "x"}, **value}


RESOURCES: list[dict[str, Any]] = [
    PATIENT,
    observation("quantity", valueQuantity=FIVE),
    observation("concept", valueCodeableConcept={"text": "x"}),
    observation("string", valueString="clear", _valueString={"extension": [{"url": "urn:lang"}]}),
    observation("absent", _valueString={"extension": [{"url": "urn:absent"}]}),
    observation("false", valueBoolean=False),
    observation("zero", valueInteger=0),
    observation("range", valueRange={"low": FIVE}),
    observation("ratio", valueRatio={"numerator": FIVE}),
    observation("samples", valueSampledData={"data": "1 2"}),
    observation("time", valueTime="10:00:00"),
    observation("dateTime", valueDateTime="2026"),
    observation("period", valuePeriod={"start": "2026"}),
    observation("none"),
    observation("parts", component=[{"valueQuantity": FIVE}, {"valueString": "x"}, {}]),
    {"resourceType": "Condition", "id": "aged", "onsetAge": {"value": 5, "code": "a"}},
    {"resourceType": "Condition", "id": "worded", "onsetString": "long ago"},
    {"resourceType": "MedicationRequest", "id": "m1", "medicationReference": {"reference": "#k"},
     "contained": [{"resourceType": "Medication", "id": "k", "code": {"text": "contained"}}, {"resourceType": "Practitioner", "id": "p"}],
     "dosageInstruction": [{"doseAndRate": [{"doseQuantity": FIVE}]}]},
    {"resourceType": "MedicationRequest", "id": "m2", "medicationReference": {"reference": "Medication/k"}},
    {"resourceType": "Bundle", "id": "b", "entry": [
        {"resource": observation("bundled")}, {"resource": {"resourceType": "Patient", "id": "p"}}, {}]},
    {"resourceType": "Questionnaire", "id": "q", "item": [
        {"linkId": "1", "item": [{"linkId": "1.1", "item": [{"linkId": "1.1.1"}]}, {"linkId": "1.2"}]}, {"linkId": "2"}]},
    {"resourceType": "QuestionnaireResponse", "id": "r", "item": [
        {"linkId": "1", "answer": [{"valueBoolean": True}, {"valueString": "x"}]}, {"linkId": "2", "answer": [{"valueBoolean": False}]}]},
]  # fmt: skip


@cache
def library() -> Library:
    helpers = (files("cds_service.trials") / "FHIRHelpers.elm.json").read_bytes()
    elm = (DATA / "fhir" / "Elements.elm.json").read_bytes()
    return load_library([elm, helpers], main="Elements", terminology=Sets())


@cache
def results() -> dict[str, Result]:
    return library().evaluate(None, retriever=Record(RESOURCES), patient=PATIENT, parameters={}, now=NOW)


VALUES: dict[str, Any] = {
    "Birth time": [DateTime.parse("1970-02-03T10:00:00-03:00")],
    "Id of a primitive": "b",
    "Of a let": [["urn:birth-time"]],
    "Of an operand": ["urn:birth-time"],
    # "null" holds the place of what one of the two arrays has no element for (FHIR, JSON, Primitive Elements).
    "Given values": ["A", None, "C", "D", None],
    "Given extensions": [None, "urn:hidden", None, None, None],
    "Given ids": [None, None, "c", None, "e"],
    "Given by index": ["A", None, "C"],
    "Given extension by index": "urn:hidden",
    "Given joined": "A C",
    "Given compared": ["A"],
    "Gender by extension": ["urn:absent"],
    "Gender is not null": True,
    "Gender value": None,
    "Kinds": ["Quantity", "CodeableConcept", "string", "string", "boolean", "integer", "Range", "Ratio", "SampledData",
              "time", "dateTime", "Period", "none"],
    "String value": [None, None, "clear", *[None] * 10],
    "String extension": ["urn:lang", "urn:absent"],
    "Extension of the choice": ["urn:lang", "urn:absent"],
    "Boolean false is a value": ["false"],
    "Zero is a value": ["zero"],
    "Wrong cast": None,
    "Converted": Quantity(Decimal(5), "mg"),
    "Onset age": [Quantity(Decimal(5), "year"), None],
    "Onset is": [{"age": True, "string": False}, {"age": False, "string": True}],
    "Extension choices": ["Age", "Duration", "Quantity", "Reference", "code", "other"],
    "Extension quantities": [5, 6, 7, None, None, None],
    "Simple quantity": [Quantity(Decimal(5), "mg"), None],
    "Component values": [5, None, None],
    "Reference ids": ["#k", "k"],
    "Contained types": [["Medication", "Practitioner"], None],
    "Contained medication": ["contained", None],
    "Bundled": [["final", "a patient", "none"]],
    "Questions": [[{"id": "1", "items": ["1.1", "1.2"]}, {"id": "2", "items": None}]],
    "Answers": [True, None, False],
}  # fmt: skip


@pytest.mark.parametrize("define", VALUES)
def test_value(define: str) -> None:
    result = results()[define]
    assert result.error is None, result.error
    assert result.value == VALUES[define]


def test_a_primitive_with_extensions_is_its_value_to_whoever_reads_the_result() -> None:
    assert results()["Given"].value == [
        "A",
        {"extension": [{"url": "urn:hidden", "valueBoolean": True}]},
        "C",
        "D",
        {"id": "e"},
    ]


def test_a_strict_cast_of_another_type_fails() -> None:
    assert "not of the type" in str(results()["Strict cast"].error)


def test_every_define_is_tested() -> None:
    others = {"O", "Given", "Strict cast"}
    assert set(library().defines) == set(VALUES) | others
