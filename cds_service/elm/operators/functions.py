"""Function calls: the overload, and calls that are remembered.

The overload is chosen at load by signature, else by the operands' types; where these leave it open (published ELM
mostly has neither), each call chooses by its arguments' values (`overloads`). Calls of pure functions of the
record's resources are remembered during an evaluation. A function that only reads `operand.value`, as
FHIRHelpers' conversions do, becomes that look-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.codegen import references as write
from cds_service.elm.compile import Builder, Definition, Expr, Node, Scope
from cds_service.elm.context import Context, Env, Fn
from cds_service.elm.operators import alike, fhirhelpers, overloads, properties
from cds_service.elm.operators.references import allowed, library_of, unfiltered
from cds_service.elm.types import (
    ChoiceOf,
    ListOf,
    StaticType,
    TupleOf,
    fhir,
    system,
)


def _function_ref(scope: Scope, node: Node) -> Expr:
    """A call of a function, its overload chosen by signature, else by the operands' types."""
    unit = library_of(scope, node)
    arguments: list[Node] = list(node.get("operand") or [])
    reached = None
    if len(arguments) == 1 and arguments[0].get("type") in ("Property", "As"):
        reached = properties.access(scope, arguments[0])
        operands = [reached.expr()]
    else:
        operands = scope.operands(node)
    fitting = overloads.choose(scope, node, scope.compiler.functions(unit, node["name"]), operands)
    for each in fitting:
        allowed(scope, node, each.node)
    if len(fitting) > 1:
        made = overloads.by_value(scope, fitting, operands)
        for each in fitting:
            _refuse_unfiltered(scope, node, each)
        return made
    (definition,) = fitting
    if reached is not None and _is_accessor(definition) and _is_primitive(reached.type):
        found = properties.step(scope, node, reached, "value")
        return found.expr()
    native = fhirhelpers.native(unit, definition, operands)
    if native is not None:
        return native
    scope.compiler.function(definition)
    _refuse_unfiltered(scope, node, definition)
    scope.owner.refs[definition] = None
    if not definition.pure:
        scope.compiler.varies()
    operands = [overloads.passed(o, wanted) for o, wanted in zip(operands, definition.operands, strict=True)]
    fns = [operand.fn for operand in operands]
    # The body and frame of the definition are final here: a function is compiled before its first caller.
    body, size = definition.fn, definition.frame_size
    path = alike.shared_function(scope, definition)
    keys = _memo_keys(definition, operands) if path is None else [False]
    scope.compiler.weigh(definition.cost if keys is None else _LOOK_UP)
    if keys is not None:
        fn = _remembered(scope, definition, fns, keys)
        emit = write.remembered(definition, operands, keys, definition.memo, path)
        return Expr(fn, definition.type, emit=emit)
    return Expr(_call(fns, body, size), definition.type, emit=write.called(definition, operands))


def _refuse_unfiltered(scope: Scope, node: Node, definition: Definition) -> None:
    if unfiltered(scope) and _of_one_patient(definition):
        what = f'the function "{definition.name}" is about one patient'
        scope.fail(node, f"{what}, not to be had in the Unfiltered context")


def _of_one_patient(definition: Definition) -> bool:
    return bool(definition.needs) or any(
        ref.node.get("context") == "Patient" if ref.index >= 0 else _of_one_patient(ref)
        for ref in definition.refs
    )


def _is_accessor(definition: Definition) -> bool:
    """Whether a function's body is `operand.value`, as FHIRHelpers' conversions of primitives are."""
    body = definition.node.get("expression") or {}
    source = body.get("source") or {}
    return (
        body.get("type") == "Property" and body.get("path") == "value" and source.get("type") == "OperandRef"
    )


def _is_primitive(kind: StaticType) -> bool:
    name = fhir(kind)
    return name is not None and fhir_model.value_type(name) is not None


_BY_VALUE = ("Boolean", "Date", "DateTime", "Integer", "String", "Time")


# From this many nodes on (those of its callees included) a function's calls are remembered: below, running it again
# costs no more than finding its result.
_WORTH_REMEMBERING = 50
_LOOK_UP = 4  # what a remembered call costs, in nodes


def _memo_keys(definition: Definition, operands: Sequence[Expr]) -> list[bool] | None:
    """Whether each operand is known by its value (True) or its identity; None where calls aren't worth remembering.

    A function of the record's resources (or of a list) that reads nothing else gives the same result again within an
    evaluation, and criteria ask the same questions of the same resources.
    """
    if not definition.pure or definition.cost < _WORTH_REMEMBERING:
        return None
    kinds = [operand.type or kind for operand, kind in zip(operands, definition.operands, strict=True)]
    if any(isinstance(kind, (TupleOf, ChoiceOf)) or kind is None for kind in kinds):
        return None
    if not any(isinstance(kind, ListOf) or fhir(kind) is not None for kind in kinds):
        return None
    return [system(kind) in _BY_VALUE for kind in kinds]


def _remembered(scope: Scope, definition: Definition, fns: Sequence[Fn], by_value: Sequence[bool]) -> Fn:
    body, size = definition.fn, definition.frame_size
    if definition.memo < 0:
        definition.memo = scope.compiler.memoised
        scope.compiler.memoised += 1
    memo = definition.memo
    padding = [None] * (size - len(fns))
    parts = list(zip(fns, by_value, strict=True))
    if len(fns) == 1:
        only = fns[0]

        def run_remembered1(ctx: Context, env: Env) -> Any:
            argument = only(ctx, env)
            calls = ctx.calls[memo]
            found = calls.get(id(argument))
            if found is None:
                # The argument is kept, so that its identity stays its own.
                found = calls[id(argument)] = (body(ctx, [argument, *padding]), argument)
            return found[0]

        return run_remembered1

    if by_value == [False, True]:
        one, two = fns

        def run_remembered2(ctx: Context, env: Env) -> Any:
            first, second = one(ctx, env), two(ctx, env)
            calls = ctx.calls[memo]
            key = (id(first), second)
            found = calls.get(key)
            if found is None:
                found = calls[key] = (body(ctx, [first, second, *padding]), first)
            return found[0]

        return run_remembered2

    def run_remembered(ctx: Context, env: Env) -> Any:
        arguments = []
        key = []
        for fn, value in parts:
            argument = fn(ctx, env)
            arguments.append(argument)
            key.append(argument if value else id(argument))
        calls = ctx.calls[memo]
        whole = tuple(key)
        found = calls.get(whole)
        if found is None:
            found = calls[whole] = (body(ctx, [*arguments, *padding]), arguments)
        return found[0]

    return run_remembered


def _call(fns: Sequence[Fn], body: Fn, size: int) -> Fn:
    if len(fns) == 1:
        first = fns[0]
        rest = [None] * (size - 1)

        def run_call1(ctx: Context, env: Env) -> Any:
            return body(ctx, [first(ctx, env), *rest])

        return run_call1
    padding = [None] * (size - len(fns))

    def run_call(ctx: Context, env: Env) -> Any:
        return body(ctx, [*[fn(ctx, env) for fn in fns], *padding])

    return run_call


BUILDERS: Mapping[str, Builder] = {"FunctionRef": _function_ref}
