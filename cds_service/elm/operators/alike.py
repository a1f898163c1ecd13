"""What a record says again and again is worked out once: conditions and functions that read one concept only.

A condition on a resource's row, or a function of a resource, may read nothing of it but the CodeableConcept by which
it is retrieved (`O.code`).
Resources whose concepts have the same content then give the same answer. Which concepts these are the retriever may
say (`ports.Alike`); without it, a concept is only like itself. Only answers of System's simple types are shared, and no
failures: what fails does so again, for each row.

Whether a node reads no more than that is decided on the ELM, and in doubt it does. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from cds_service.elm import fhir_model
from cds_service.elm.codegen import references as write
from cds_service.elm.compile import Definition, Expr, Node, Scope, Slot
from cds_service.elm.operators.references import library_of
from cds_service.elm.types import StaticType, fhir, system

_CONCEPT: Final = "FHIR.CodeableConcept"
_SIMPLE: Final = ("Boolean", "Integer", "String")
_WORTH_SHARING: Final = 8  # nodes: below, working it out costs no more than finding it
# What reads more than its operands, or has an effect.
_ANYTHING: Final = ("ExpressionRef", "IdentifierRef", "Message", "Retrieve")
_LOCALS: Final = ("AliasRef", "OperandRef", "QueryLetRef")


def shared_function(scope: Scope, definition: Definition) -> str | None:
    """The element by which the function's answers can be shared, '' for the operand itself; None: they can't be."""
    if len(definition.operands) != 1 or not definition.pure or definition.cost < _WORTH_SHARING:
        return None
    if system(definition.type) not in _SIMPLE:
        return None
    (kind,) = definition.operands
    return "" if kind == _CONCEPT else _read_by(scope, definition, kind)


def shared_condition(scope: Scope, node: Node, condition: Expr, row: Slot, alias: str) -> Expr:
    """The condition of a query's rows, with its answers shared where they can be."""
    if condition.emit is None or condition.reads != {row.at} or condition.cost < _WORTH_SHARING:
        return condition
    path = _only_path(scope, node, row.type, alias, parameters=False)
    if not path:
        return condition
    number = scope.compiler.memoised
    scope.compiler.memoised += 1
    return replace(condition, emit=write.shared(condition, row.at, path, number))


def _read_by(scope: Scope, definition: Definition, kind: StaticType) -> str | None:
    """The one element that a function reads of its operand."""
    operand, body = definition.node["operand"][0]["name"], definition.node["expression"]
    inside = Scope(scope.compiler, definition.unit, definition)
    return _only_path(inside, body, kind, operand, parameters=True)


def _only_path(scope: Scope, node: Node, kind: StaticType, name: str, *, parameters: bool) -> str | None:
    """The one CodeableConcept that is all that a node reads of the local `name`; None where it isn't."""
    name_of_type = fhir(kind)
    paths = set(_paths(scope, node, name, parameters))
    if name_of_type is None or len(paths) != 1 or None in paths:
        return None
    (path,) = paths
    if path != fhir_model.code_path(name_of_type):
        return None  # a retriever knows the concepts by which resources are retrieved
    element = fhir_model.element(name_of_type, path)
    return path if element is not None and element.type == _CONCEPT else None


def _paths(scope: Scope, node: Any, name: str, parameters: bool) -> list[str | None]:
    """What a node reads of a local, None for anything else than an element of it."""
    if isinstance(node, list):
        return [path for item in node for path in _paths(scope, item, name, parameters)]
    if not isinstance(node, Mapping):
        return []
    kind = node.get("type")
    if kind in _ANYTHING or (kind == "ParameterRef" and not parameters) or node.get("alias") == name:
        return [None]
    if kind in _LOCALS:
        return [None] if node.get("name") == name else []
    if kind == "Property":
        source = node.get("source")
        reads = isinstance(source, Mapping) and source.get("type") in _LOCALS and source.get("name") == name
        if node.get("scope") == name or reads:
            return [node.get("path")]
    found: list[str | None] = []
    if kind == "FunctionRef":
        called = _called(scope, node, name, parameters)
        if called is not None:
            return called
        overloads = scope.compiler.functions(library_of(scope, node), node["name"])
        if not parameters and not all(map(_without_parameters, overloads)):
            found.append(None)
    for value in node.values():
        if isinstance(value, (list, Mapping)):
            found += _paths(scope, value, name, parameters)
    return found


def _called(scope: Scope, node: Node, name: str, parameters: bool) -> list[str | None] | None:
    """What a function reads that is given the local itself, and nothing else; None where it is given something else."""
    operands: Sequence[Any] = node.get("operand") or ()
    if len(operands) != 1 or operands[0].get("type") not in _LOCALS or operands[0].get("name") != name:
        return None
    overloads = scope.compiler.functions(library_of(scope, node), node["name"])
    if len(overloads) != 1 or len(overloads[0].operands) != 1 or not overloads[0].node.get("expression"):
        return [None]
    (definition,) = overloads
    inside = Scope(scope.compiler, definition.unit, definition)
    operand = definition.node["operand"][0]["name"]
    return _paths(inside, definition.node["expression"], operand, parameters)


def _without_parameters(definition: Definition) -> bool:
    return not definition.parameters and all(map(_without_parameters, definition.refs))
