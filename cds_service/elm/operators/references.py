"""References: to defines, functions, parameters, operands, aliases, lets, code systems, codes, concepts and
value sets.

Everything is resolved at load. A name that leads nowhere, an overload that can't be chosen and a value set
that the terminology does not have raise AuthoringError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.elm.codegen import references as write
from cds_service.elm.compile import Builder, Expr, Node, Scope, constant, local_expr
from cds_service.elm.context import UNSET, Context, Env, Fn
from cds_service.elm.reading import Unit
from cds_service.elm.types import (
    ListOf,
    named,
    specified,
)
from cds_service.elm.values import Code, CodeSystem, Concept, ValueSet


def library_of(scope: Scope, node: Node) -> Unit:
    alias = node.get("libraryName")
    if not alias:
        return scope.unit
    found = scope.unit.linked.get(alias)
    if found is None:
        scope.fail(node, f"library alias {alias} is not included")
    return found


def allowed(scope: Scope, node: Node, found: Node) -> Node:
    """A definition that a reference may use: another library's must be public.

    "Private components can only be accessed within the library itself" (CQL 1.5, Developer's Guide, Access Modifiers).
    """
    if node.get("libraryName") and found.get("accessLevel") == "Private":
        scope.fail(node, f'"{found["name"]}" is private to its library')
    return found


def _expression_ref(scope: Scope, node: Node) -> Expr:
    """A define's value: evaluated once, and what it rests on is noted for the define that refers to it."""
    definition = scope.compiler.define(library_of(scope, node), node["name"])
    if definition is None:
        scope.fail(node, f'there is no define "{node["name"]}"')
    allowed(scope, node, definition.node)
    if unfiltered(scope) and definition.node.get("context") == "Patient":
        scope.fail(
            node,
            f'"{definition.name}" is defined for one patient, and not to be had in the Unfiltered context',
        )
    scope.owner.refs[definition] = None
    scope.compiler.varies()
    index = definition.index

    def run_ref(ctx: Context, env: Env) -> Any:
        entry = ctx.memo[index] or ctx.define(definition)
        ctx.trace[index] = entry
        if entry.error is not None:
            raise entry.error
        return entry.value

    return Expr(run_ref, definition.type, emit=write.define(definition))


def unfiltered(scope: Scope) -> bool:
    """Whether a define stands in the Unfiltered context; a function is in that of the define that calls it."""
    return scope.owner.index >= 0 and scope.owner.node.get("context") == "Unfiltered"


def _parameter_ref(scope: Scope, node: Node) -> Expr:
    """A parameter's value: as passed, else its default, else null."""
    unit = library_of(scope, node)
    found = unit.parameters.get(node["name"])
    if found is None:
        scope.fail(node, f'there is no parameter "{node["name"]}"')
    allowed(scope, node, found)
    index = scope.compiler.parameter_index[unit.key, node["name"]]
    scope.owner.parameters[index] = None
    kind = specified(found.get("parameterTypeSpecifier"))
    if kind is None and found.get("parameterType"):
        kind = named(found["parameterType"])
    default: Fn | None = None
    given: Expr | None = None
    if found.get("default"):
        # Parameters' defaults may use literals and other parameters only, so they need no frame of their own.
        inner = Scope(scope.compiler, unit, scope.owner).expr(found["default"])
        default, kind, given = inner.fn, kind or inner.type, inner
        if inner.constant:
            scope.compiler.defaults[index] = inner.value()

    def run_parameter(ctx: Context, env: Env) -> Any:
        value = ctx.parameters[index]
        if value is UNSET:
            value = ctx.parameters[index] = None if default is None else default(ctx, env)
        return value

    return Expr(run_parameter, kind, emit=write.parameter(index, given))


def _local_ref(scope: Scope, node: Node) -> Expr:
    """An alias, let, operand or iteration variable: a slot of the frame."""
    slot = scope.names.get(node["name"])
    if slot is None:
        scope.fail(node, f'there is no alias, let or operand "{node["name"]}" here')
    scope.compiler.read(slot)
    return local_expr(slot.at, slot.type)


def code_system(scope: Scope, node: Node) -> CodeSystem:
    """The code system that a CodeSystemRef names."""
    unit = library_of(scope, node)
    found = unit.code_systems.get(node["name"])
    if found is None:
        scope.fail(node, f'there is no code system "{node["name"]}"')
    allowed(scope, node, found)
    return CodeSystem(found["id"], found.get("version"), found["name"])


def code(scope: Scope, node: Node) -> Code:
    """The code that a CodeRef names."""
    unit = library_of(scope, node)
    found = unit.codes.get(node["name"])
    if found is None:
        scope.fail(node, f'there is no code "{node["name"]}"')
    allowed(scope, node, found)
    reference = found.get("codeSystem")
    system = code_system(_in_unit(scope, unit), reference) if reference else None
    return Code(
        found["id"], system.id if system else None, system.version if system else None, found.get("display")
    )


def concept(scope: Scope, node: Node) -> Concept:
    """The concept that a ConceptRef names."""
    unit = library_of(scope, node)
    found = unit.concepts.get(node["name"])
    if found is None:
        scope.fail(node, f'there is no concept "{node["name"]}"')
    allowed(scope, node, found)
    inner = _in_unit(scope, unit)
    return Concept(tuple(code(inner, reference) for reference in found["code"]), found.get("display"))


def value_set(scope: Scope, node: Node) -> ValueSet:
    """The value set that a ValueSetRef names; it must be available.

    One with a version is asked for as `url|version`, and as `url` where the terminology knows no versions.
    """
    unit = library_of(scope, node)
    found = unit.value_sets.get(node["name"])
    if found is None:
        scope.fail(node, f'there is no value set "{node["name"]}"')
    allowed(scope, node, found)
    url, version = found["id"], found.get("version")
    has_value_set = scope.compiler.terminology.has_value_set
    if version and has_value_set(f"{url}|{version}"):
        url = f"{url}|{version}"
    elif not has_value_set(url):
        scope.fail(node, f'value set "{node["name"]}" ({url}) is not available')
    return ValueSet(url, found.get("version"), found["name"])


def _in_unit(scope: Scope, unit: Unit) -> Scope:
    return Scope(scope.compiler, unit, scope.owner, scope.names, scope.row)


def _value_set_ref(scope: Scope, node: Node) -> Expr:
    """A ValueSet with `preserve` (CQL 1.5), the list of its codes without (CQL 1.4)."""
    found = value_set(scope, node)
    if node.get("preserve"):
        return constant(found, "System.ValueSet")
    url = found.id
    return Expr(lambda ctx, env: list(ctx.terminology.expand(url)), ListOf("System.Code"))


BUILDERS: Mapping[str, Builder] = {
    "ExpressionRef": _expression_ref,
    "ParameterRef": _parameter_ref,
    "OperandRef": _local_ref,
    "AliasRef": _local_ref,
    "QueryLetRef": _local_ref,
    "CodeSystemRef": lambda scope, node: constant(code_system(scope, node), "System.CodeSystem"),
    "CodeRef": lambda scope, node: constant(code(scope, node), "System.Code"),
    "ConceptRef": lambda scope, node: constant(concept(scope, node), "System.Concept"),
    "ValueSetRef": _value_set_ref,
}
