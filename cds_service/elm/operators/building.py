"""Helpers that the operators' builders share: null-propagating operators, constant folding, reading operands.

A strict operator is null where an operand is null (CQL's default). Operators of constants are computed at
load; where that fails, the failure is left for run time, when it concerns one define only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cds_service.elm.codegen import operators as write
from cds_service.elm.codegen.writer import Emit
from cds_service.elm.compile import NO_CONTEXT, Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.context import Context, Env, Fn


def folded(fn: Fn, operands: list[Expr], emit: Emit | None = None) -> Expr:
    """The expression of a pure closure (and its emitter): its value, where all operands are constant."""
    if all(operand.constant for operand in operands):
        try:
            return constant(fn(NO_CONTEXT, []))
        except Exception:
            return Expr(fn, emit=emit)
    return Expr(fn, emit=emit)


def strict1(function: Callable[[Any], Any]) -> Builder:
    """A builder of a null-propagating operator of one operand."""

    def build(scope: Scope, node: Node) -> Expr:
        (operand,) = scope.operands(node)
        return apply1(function, operand)

    return build


def apply1(function: Callable[[Any], Any], operand: Expr) -> Expr:
    """`function(operand)`, null where the operand is."""
    inner = operand.fn

    def run1(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        return None if value is None else function(value)

    return folded(run1, [operand], write.strict1(function, operand))


def strict2(function: Callable[[Any, Any], Any]) -> Builder:
    """A builder of a null-propagating operator of two operands."""

    def build(scope: Scope, node: Node) -> Expr:
        left, right = scope.operands(node)
        return apply2(function, left, right)

    return build


def apply2(function: Callable[[Any, Any], Any], left: Expr, right: Expr) -> Expr:
    """`function(left, right)`, null where an operand is."""
    one = left.fn
    if right.constant and not left.constant:
        other = right.value()
        if other is None:
            return constant(None)

        def run_constant(ctx: Context, env: Env) -> Any:
            value = one(ctx, env)
            return None if value is None else function(value, other)

        return Expr(run_constant, emit=write.strict2(function, left, right))
    two = right.fn

    def run2(ctx: Context, env: Env) -> Any:
        a = one(ctx, env)
        if a is None:
            return None
        b = two(ctx, env)
        return None if b is None else function(a, b)

    return folded(run2, [left, right], write.strict2(function, left, right))


def raw1(function: Callable[[Any], Any]) -> Builder:
    """A builder of an operator of one operand that says itself what null gives."""

    def build(scope: Scope, node: Node) -> Expr:
        (operand,) = scope.operands(node)
        inner = operand.fn
        return folded(
            lambda ctx, env: function(inner(ctx, env)), [operand], write.direct(function, [operand])
        )

    return build


def raw2(function: Callable[[Any, Any], Any]) -> Builder:
    """A builder of an operator of two operands that says itself what null gives."""

    def build(scope: Scope, node: Node) -> Expr:
        left, right = scope.operands(node)
        one, two = left.fn, right.fn
        return folded(
            lambda ctx, env: function(one(ctx, env), two(ctx, env)),
            [left, right],
            write.direct(function, [left, right]),
        )

    return build


# From this many operands on, a chain of one operator (`a and b and c …`, which the translator writes as a tree
# that leans to the left) is compiled as one node: its depth would be that of the tree.
LONG_CHAIN = 16


def operand_chain(node: Node) -> list[Node]:
    """The operands of a chain of one binary operator, first to last."""
    kind, found = node["type"], []
    while node["type"] == kind:
        operand = node["operand"]
        if len(operand) != 2:
            break
        found.append(operand[1])
        node = operand[0]
        if not isinstance(node, Mapping) or "type" not in node:
            break
    return [node, *reversed(found)]


# A result that is longer fails its define instead of filling the memory.
MAX_TEXT, MAX_ELEMENTS = 1_000_000, 1_000_000


def check_text(length: int) -> None:
    """Refuse to make a longer text than is reasonable."""
    if length > MAX_TEXT:
        raise DataError("the text would have more than a million characters")


def check_elements(length: int) -> None:
    """Refuse to make a longer list than is reasonable."""
    if length > MAX_ELEMENTS:
        raise DataError("the list would have more than a million elements")


def children(scope: Scope, node: Node, *names: str) -> list[Expr | None]:
    """The named child expressions of a node, None where absent."""
    return [scope.expr(node[name]) if node.get(name) else None for name in names]


def call(function: Callable[..., Any], parts: list[Expr | None], *, nullable: int = 0) -> Expr:
    """`function(*parts)` of any number of operands; null where one of the first `len - nullable` is null."""
    present = [part if part is not None else constant(None) for part in parts]
    fns = [part.fn for part in present]
    needed = len(fns) - nullable

    def run(ctx: Context, env: Env) -> Any:
        values = [fn(ctx, env) for fn in fns]
        if None in values[:needed] and any(value is None for value in values[:needed]):
            return None
        return function(*values)

    return folded(run, present, write.call(function, present, needed))
