"""FHIRHelpers' most used conversions, run natively on the FHIR JSON; equal to the library's own definitions (tested).

Only for the library `FHIRHelpers` version 4.0.1: `ToConcept` and `ToCode`, and the question whether one of their
codes is in a value set or equivalent to a known code, which then needs no Concept to be made. Every other function
runs from its ELM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cds_service.elm.codegen import operators as write
from cds_service.elm.compile import DataError, Definition, Expr, Node, Scope
from cds_service.elm.reading import Unit
from cds_service.elm.types import StaticType
from cds_service.elm.values import Code, Concept

_NAME, _VERSION = "FHIRHelpers", "4.0.1"
_CODEABLE: StaticType = "FHIR.CodeableConcept"
_CODING: StaticType = "FHIR.Coding"


def native(unit: Unit, definition: Definition, operands: Sequence[Expr]) -> Expr | None:
    """The native closure of a FHIRHelpers call, None where there is none."""
    if unit.name != _NAME or unit.version != _VERSION or len(operands) != 1:
        return None
    inner = operands[0].fn
    if definition.name == "ToConcept" and definition.operands == (_CODEABLE,):
        emit = write.direct(to_concept, operands)
        return Expr(lambda ctx, env: to_concept(inner(ctx, env)), "System.Concept", emit=emit)
    if definition.name == "ToCode" and definition.operands == (_CODING,):
        emit = write.direct(to_code, operands)
        return Expr(lambda ctx, env: to_code(inner(ctx, env)), "System.Code", emit=emit)
    return None


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    raise DataError("a part of a FHIR Coding is no string in the data")


def to_code(coding: Any) -> Code | None:
    """The System Code of a FHIR Coding."""
    if coding is None:
        return None
    get = coding.get
    return Code(_text(get("code")), _text(get("system")), _text(get("version")), _text(get("display")))


def to_concept(concept: Any) -> Concept | None:
    """The System Concept of a FHIR CodeableConcept; equal codes once."""
    if concept is None:
        return None
    codes = dict.fromkeys(code for code in map(to_code, _list(concept.get("coding"))) if code is not None)
    return Concept(tuple(codes), _text(concept.get("text")))


def _list(codings: Any) -> Any:
    if codings is None:
        return ()
    if type(codings) is not list:
        raise DataError("CodeableConcept.coding is no list in the data")
    return codings


def codings_of(scope: Scope, node: Node) -> Expr | None:
    """For a call of ToConcept or ToCode: an expression of the codings themselves, null for null; else None."""
    if node.get("type") != "FunctionRef" or node.get("name") not in ("ToConcept", "ToCode"):
        return None
    unit = scope.unit.linked.get(node.get("libraryName") or "")
    if unit is None or unit.name != _NAME or unit.version != _VERSION or len(node["operand"]) != 1:
        return None
    operand = scope.expr(node["operand"][0])
    inner = operand.fn
    if node["name"] == "ToCode" and operand.type == _CODING:
        return Expr(lambda ctx, env: _alone(inner(ctx, env)), emit=write.direct(_alone, [operand]))
    if node["name"] == "ToConcept" and operand.type == _CODEABLE:
        return Expr(lambda ctx, env: _codings(inner(ctx, env)), emit=write.direct(_codings, [operand]))
    return None


def _alone(coding: Any) -> Any:
    return None if coding is None else (coding,)


def _codings(concept: Any) -> Any:
    return None if concept is None else _list(concept.get("coding"))
