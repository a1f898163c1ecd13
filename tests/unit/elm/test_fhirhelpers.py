"""The native conversions give what FHIRHelpers' own definitions give."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.elm import Library, load_library
from cds_service.elm.operators.fhirhelpers import to_code, to_concept
from tests.unit.elm.nodes import NOW, Nothing, define, library

FHIR = "{http://hl7.org/fhir}"
HELPERS = orjson.loads((files("cds_service.trials") / "FHIRHelpers.elm.json").read_bytes())["library"]


class One:
    """A record of one resource."""

    def __init__(self, resource: dict[str, Any]) -> None:
        self.resource = resource

    def retrieve(self, *_: Any) -> list[dict[str, Any]]:
        return [self.resource]


def _load(version: str) -> Library:
    """A library that converts a Condition's code; under another version nothing is native."""
    helpers = {"library": {**HELPERS, "identifier": {"id": "FHIRHelpers", "version": version}}}
    conditions = {"type": "Retrieve", "dataType": FHIR + "Condition"}
    code = {"type": "Property", "path": "code", "source": {"type": "First", "source": conditions}}
    call = {
        "type": "FunctionRef",
        "libraryName": "H",
        "name": "ToConcept",
        "signature": [{"type": "NamedTypeSpecifier", "name": FHIR + "CodeableConcept"}],
        "operand": [code],
    }
    main = library(define("It", call), includes=[{"localIdentifier": "H", "path": "FHIRHelpers"}])
    return load_library([main, helpers], main="Test", terminology=Nothing())


NATIVE, DEFINED = _load("4.0.1"), _load("4.0.1-as-defined")
TEXTS = st.none() | st.sampled_from(["a", "b", ""])
CODINGS = st.fixed_dictionaries({}, optional=dict.fromkeys(("code", "system", "version", "display"), TEXTS))
CONCEPTS = st.fixed_dictionaries({}, optional={"coding": st.lists(CODINGS, max_size=4), "text": TEXTS})


def _value(loaded: Library, concept: Any) -> Any:
    record = One({"resourceType": "Condition", "id": "1", "code": concept})
    result = loaded.evaluate(["It"], retriever=record, patient=None, parameters={}, now=NOW)["It"]
    return ("failed",) if result.error else result.value


@given(CONCEPTS | st.none())
def test_to_concept_is_the_librarys(concept: Any) -> None:
    assert _value(NATIVE, concept) == _value(DEFINED, concept)


@pytest.mark.parametrize(
    "concept", [{"coding": [{"code": 5}]}, {"coding": {"code": "a"}}, {"text": ["x"]}, "x"]
)
def test_data_of_another_shape_fails_in_both(concept: Any) -> None:
    assert _value(NATIVE, concept) == _value(DEFINED, concept) == ("failed",)


def test_null_stays_null() -> None:
    assert to_code(None) is None
    assert to_concept(None) is None
