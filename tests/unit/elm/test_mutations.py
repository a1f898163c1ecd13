"""Damaged ELM either loads and evaluates to Results, or is refused by an AuthoringError that names the place.

The seeds are fixed. To try others on all of the trial's libraries: `python -m tests.unit.elm.try_mutations FIRST COUNT`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import orjson
import pytest

from cds_service.elm import load_library
from cds_service.errors import AuthoringError, EvaluationError
from tests.unit.elm.mutations import mutated
from tests.unit.elm.nodes import NOW, SYSTEM, Nothing, define, integer, library, ref, string

FHIR = "{http://hl7.org/fhir}"
PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "1", "gender": "female", "birthDate": "1970-02"}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "2",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1"}]},
    "effectiveDateTime": "2026-01-01",
    "valueQuantity": {"value": 4.2, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
}


class Chart(Nothing):
    """A patient and one observation."""

    def retrieve(self, *wanted: Any) -> list[Any]:
        return [each for each in (PATIENT, OBSERVATION) if each["resourceType"] == wanted[0]]


def _property(path: str, source: Any) -> dict[str, Any]:
    return {"type": "Property", "path": path, "source": source, "localId": "9"}


OBSERVED = {"type": "Retrieve", "dataType": FHIR + "Observation", "templateId": "x"}
ALIAS = {"type": "AliasRef", "name": "O"}
QUERY = {
    "type": "Query",
    "localId": "20",
    "source": [{"alias": "O", "expression": OBSERVED}],
    "let": [{"identifier": "L", "expression": _property("effective", ALIAS)}],
    "relationship": [{"type": "With", "alias": "P", "expression": OBSERVED, "suchThat": {"type": "Equal", "operand": [_property("id", ALIAS), string("2")]}}],
    "where": {"type": "Not", "operand": {"type": "IsNull", "operand": {"type": "QueryLetRef", "name": "L"}}},
    "return": {"distinct": True, "expression": {"type": "Tuple", "element": [{"name": "v", "value": {"type": "As", "asType": FHIR + "Quantity", "operand": _property("value", ALIAS)}}]}},
    "sort": {"by": [{"type": "ByColumn", "path": "v", "direction": "asc"}]},
}  # fmt: skip
CALL = {"type": "FunctionRef", "name": "F", "operand": [integer(3)], "localId": "30"}
FUNCTION = {
    "type": "FunctionDef",
    "name": "F",
    "operand": [{"name": "n", "operandTypeSpecifier": {"type": "NamedTypeSpecifier", "name": SYSTEM + "Integer"}}],
    "expression": {"type": "Case", "comparand": {"type": "OperandRef", "name": "n"}, "caseItem": [{"when": integer(3), "then": integer(4)}], "else": {"type": "Null"}},
}  # fmt: skip
SMALL = library(
    define("Patient", {"type": "SingletonFrom", "operand": {"type": "Retrieve", "dataType": FHIR + "Patient"}}),
    define("Born", _property("birthDate.value", ref("Patient"))),
    define("Query", QUERY),
    define("Call", {"type": "Add", "operand": [CALL, {"type": "ParameterRef", "name": "P"}]}),
    define("Interval", {"type": "In", "operand": [integer(4), {"type": "Interval", "low": integer(1), "high": CALL}]}),
    define("Ratio", {"type": "Divide", "operand": [{"type": "ToDecimal", "operand": CALL}, {"type": "ToDecimal", "operand": integer(0)}]}),
    define("If", {"type": "If", "condition": {"type": "Exists", "operand": ref("Query")}, "then": string("a"), "else": {"type": "Concatenate", "operand": [string("a"), string("b")]}}),
    FUNCTION,
    parameters=[{"name": "P", "parameterType": SYSTEM + "Integer", "default": integer(5)}],
    codes=[{"name": "C", "id": "1", "codeSystem": {"name": "S"}}],
    codeSystems=[{"name": "S", "id": "http://loinc.org"}],
)  # fmt: skip
HELPERS: Any = orjson.loads((files("cds_service.trials") / "FHIRHelpers.elm.json").read_bytes())


def some_helpers() -> dict[str, Any]:
    """A part of FHIRHelpers, with a define that calls it."""
    wanted = (
        "ToInterval",
        "ToQuantity",
        "ToQuantityIgnoringComparator",
        "ToCalendarUnit",
        "ToCode",
        "ToConcept",
        "ToDateTime",
        "ToRatio",
        "ToDate",
    )
    functions = [each for each in HELPERS["library"]["statements"]["def"] if each["name"] in wanted]
    quantity = {"type": "As", "asType": FHIR + "Quantity", "operand": _property("value", {"type": "First", "source": OBSERVED})}  # fmt: skip
    call = {"type": "FunctionRef", "name": "ToQuantity", "operand": [quantity], "signature": [{"type": "NamedTypeSpecifier", "name": FHIR + "Quantity"}]}  # fmt: skip
    return library(*functions, define("It", call), name="Test")


def try_one(source: Any) -> str:
    """What becomes of a library; an AssertionError where that isn't what it should be."""
    try:
        loaded = load_library([source], main="Test", terminology=Nothing())
    except AuthoringError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        unnamed = str(refusal).startswith(("not an ELM library", "library Test is not among"))
        assert refusal.library or unnamed, str(refusal)
        assert refusal.define or refusal.node_type is None, str(refusal)
        return "refused"
    found = loaded.evaluate(None, retriever=Chart(), patient=PATIENT, parameters={}, now=NOW)
    assert set(found) == set(loaded.defines)
    errors = [result.error for result in found.values() if result.error is not None]
    for error in errors:
        assert isinstance(error, EvaluationError)
        assert error.library
        assert error.define
    return "failed" if errors else "evaluated"


@pytest.mark.parametrize("source", [SMALL, some_helpers()], ids=["small", "helpers"])
def test_the_undamaged_library_evaluates(source: Any) -> None:
    assert try_one(source) == "evaluated"


@pytest.mark.parametrize("block", range(3))
@pytest.mark.parametrize("source", [SMALL, some_helpers()], ids=["small", "helpers"])
def test_damaged_elm_is_refused_or_evaluates_and_nothing_else(source: Any, block: int) -> None:
    outcomes = {"refused": 0, "failed": 0, "evaluated": 0}
    for seed in range(block * 100, block * 100 + 100):
        damaged = mutated(source, seed, 1 + seed % 3)
        try:
            outcomes[try_one(damaged)] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {json.dumps(damaged)}") from error
    assert outcomes["refused"] > 20
    assert outcomes["evaluated"] > 5
