"""Hand-written ELM for tests: a library of defines, in the translation service's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cds_service.elm import Code, DateTime, Library, Result, load_library

NOW = DateTime.parse("2026-06-15T12:00:00.000-03:00")
SYSTEM = "{urn:hl7-org:elm-types:r1}"
Node = Mapping[str, Any]


class Nothing:
    """A record without resources and a terminology without sets."""

    def retrieve(self, *_: Any) -> Sequence[Mapping[str, Any]]:
        return ()

    def has_value_set(self, url: str) -> bool:
        return False

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        return False

    def expand(self, url: str) -> Sequence[Code]:
        return ()


def integer(value: int) -> Node:
    return {"type": "Literal", "valueType": SYSTEM + "Integer", "value": str(value)}


def string(value: str) -> Node:
    return {"type": "Literal", "valueType": SYSTEM + "String", "value": value}


def ref(name: str, **more: Any) -> Node:
    return {"type": "ExpressionRef", "name": name, **more}


def define(name: str, expression: Node, **more: Any) -> Node:
    return {"name": name, "context": "Patient", "annotation": [], "expression": expression, **more}


def library(*defines: Node, name: str = "Test", **parts: Any) -> dict[str, Any]:
    usings = [{"localIdentifier": "System", "uri": "urn:hl7-org:elm-types:r1"}]
    usings.append({"localIdentifier": "FHIR", "uri": "http://hl7.org/fhir", "version": "4.0.1"})
    return {
        "library": {
            "annotation": [],
            "identifier": {"id": name, "version": "1"},
            "usings": {"def": usings},
            "statements": {"def": list(defines)},
            **{part: {"def": values} for part, values in parts.items()},
        }
    }


def load(*sources: Mapping[str, Any], main: str = "Test") -> Library:
    return load_library(sources, main=main, terminology=Nothing())


def results(loaded: Library, **parameters: Any) -> dict[str, Result]:
    return loaded.evaluate(None, retriever=Nothing(), patient=None, parameters=parameters, now=NOW)


def evaluated(expression: Node) -> Result:
    return results(load(library(define("It", expression))))["It"]
