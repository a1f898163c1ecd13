"""Logical, conditional and nullological operators. CQL 1.5, Appendix B, Logical and Nullological Operators.

`And`, `Or`, `Implies`, `If`, `Case` and `Coalesce` are lazy: an operand that can't change the result is not
evaluated, so its retrieves are not executed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cds_service.elm.codegen import logic
from cds_service.elm.codegen import operators as write
from cds_service.elm.compare import equal
from cds_service.elm.compile import Builder, Expr, Node, Scope
from cds_service.elm.context import Context, Env
from cds_service.elm.operators.building import LONG_CHAIN, folded, operand_chain, raw1, raw2, strict1
from cds_service.elm.types import ListOf, system


def _and(scope: Scope, node: Node) -> Expr:
    """and(left Boolean, right Boolean) Boolean — CQL, And.

            true   false  null
    true    true   false  null
    false   false  false  false
    null    null   false  null
    """
    if len(chain := operand_chain(node)) > LONG_CHAIN:
        return _chain(scope, chain, False)
    left, right = scope.operands(node)
    one, two = left.fn, right.fn

    def run_and(ctx: Context, env: Env) -> Any:
        a = one(ctx, env)
        if a is False:
            return False
        b = two(ctx, env)
        if b is False:
            return False
        return None if a is None or b is None else True

    return folded(run_and, [left, right], logic.conjunction(left, right))


def _or(scope: Scope, node: Node) -> Expr:
    """or(left Boolean, right Boolean) Boolean — CQL, Or: true beats null beats false."""
    if len(chain := operand_chain(node)) > LONG_CHAIN:
        return _chain(scope, chain, True)
    left, right = scope.operands(node)
    one, two = left.fn, right.fn

    def run_or(ctx: Context, env: Env) -> Any:
        a = one(ctx, env)
        if a is True:
            return True
        b = two(ctx, env)
        if b is True:
            return True
        return None if a is None or b is None else False

    return folded(run_or, [left, right], logic.disjunction(left, right))


def _chain(scope: Scope, nodes: Sequence[Node], decisive: bool) -> Expr:
    """Many operands of `and` (false decides) or `or` (true decides), first to last as the nested operators do it."""
    operands = [scope.expr(node) for node in nodes]
    fns = [operand.fn for operand in operands]

    def run_chain(ctx: Context, env: Env) -> Any:
        result: bool | None = not decisive
        for fn in fns:
            value = fn(ctx, env)
            if value is decisive:
                return decisive
            if value is None:
                result = None
        return result

    return folded(run_chain, operands)


def _implies(scope: Scope, node: Node) -> Expr:
    """implies(left Boolean, right Boolean) Boolean — CQL, Implies: `not left or right`."""
    left, right = scope.operands(node)
    one, two = left.fn, right.fn

    def run_implies(ctx: Context, env: Env) -> Any:
        a = one(ctx, env)
        if a is False:
            return True
        b = two(ctx, env)
        if b is True:
            return True
        return None if a is None or b is None else False

    return folded(run_implies, [left, right], logic.disjunction(left, right, beaten="False"))


def _xor(one: Any, two: Any) -> Any:
    """xor(left Boolean, right Boolean) Boolean — CQL, Xor: null where either is null."""
    return None if one is None or two is None else one is not two


def _if(scope: Scope, node: Node) -> Expr:
    """if condition then a else b — CQL Author's Guide, Conditional Expressions: null counts as false."""
    condition, then, other = scope.expr(node["condition"]), scope.expr(node["then"]), scope.expr(node["else"])
    test, yes, no = condition.fn, then.fn, other.fn

    def run_if(ctx: Context, env: Env) -> Any:
        return yes(ctx, env) if test(ctx, env) is True else no(ctx, env)

    kind = then.type if then.type == other.type else None
    return Expr(run_if, kind, emit=logic.choice([(condition, then)], other))


def _case(scope: Scope, node: Node) -> Expr:
    """case [comparand] when … then … else … end: the first item that is true, or equal to the comparand."""
    comparand = scope.expr(node["comparand"]) if node.get("comparand") else None
    compiled = [(scope.expr(item["when"]), scope.expr(item["then"])) for item in node["caseItem"]]
    items = [(when.fn, then.fn) for when, then in compiled]
    otherwise = scope.expr(node["else"])
    other = otherwise.fn
    kinds = {str(then.type) for _, then in compiled}
    kind = compiled[0][1].type if len(kinds) == 1 else None
    if comparand is None:

        def run_case(ctx: Context, env: Env) -> Any:
            for when, then in items:
                if when(ctx, env) is True:
                    return then(ctx, env)
            return other(ctx, env)

        return Expr(run_case, kind, emit=logic.choice(compiled, otherwise))
    subject = comparand.fn
    if system(comparand.type) == "String" and all(when.constant for when, _ in compiled):
        known: dict[Any, Expr] = {}
        for when, then in compiled:
            known.setdefault(when.value(), then)
        known.pop(None, None)
        table = {text: then.fn for text, then in known.items()}

        def run_table(ctx: Context, env: Env) -> Any:
            return table.get(subject(ctx, env), other)(ctx, env)

        return Expr(run_table, kind, emit=logic.table(comparand, known, otherwise))

    def run_selected(ctx: Context, env: Env) -> Any:
        value = subject(ctx, env)
        if value is not None:
            for when, then in items:
                candidate = when(ctx, env)
                if candidate is not None and equal(value, candidate) is True:
                    return then(ctx, env)
        return other(ctx, env)

    return Expr(run_selected, kind)


def _coalesce(scope: Scope, node: Node) -> Expr:
    """Coalesce<T>(argument1 T, argument2 T, …) T, Coalesce<T>(arguments List<T>) T — the first that is not null."""
    operands = scope.operands(node)
    fns = [operand.fn for operand in operands]
    if len(fns) == 1 and isinstance(operands[0].type, ListOf):
        items = fns[0]

        def run_list(ctx: Context, env: Env) -> Any:
            return next((item for item in items(ctx, env) or () if item is not None), None)

        return Expr(run_list, operands[0].type.element)

    def run_coalesce(ctx: Context, env: Env) -> Any:
        for fn in fns:
            value = fn(ctx, env)
            if value is not None:
                return value
        return None

    emit = logic.first_known(operands) if operands else None
    return Expr(run_coalesce, operands[0].type if operands else None, emit=emit)


def _is_null(scope: Scope, node: Node) -> Expr:
    """is null(argument Any) Boolean — CQL, IsNull."""
    (operand,) = scope.operands(node)
    inner = operand.fn
    return folded(lambda ctx, env: inner(ctx, env) is None, [operand], write.is_null(operand))


@write.inlined("not {0}")
def _not(value: Any) -> Any:
    """not(argument Boolean) Boolean — CQL, Not."""
    return not value


@write.inlined("{0} is True")
def _is_true(value: Any) -> Any:
    """is true(argument Boolean) Boolean — CQL, IsTrue."""
    return value is True


@write.inlined("{0} is False")
def _is_false(value: Any) -> Any:
    """is false(argument Boolean) Boolean — CQL, IsFalse."""
    return value is False


BUILDERS: Mapping[str, Builder] = {
    "And": _and,
    "Or": _or,
    "Implies": _implies,
    "Xor": raw2(_xor),
    "Not": strict1(_not),
    "If": _if,
    "Case": _case,
    "Coalesce": _coalesce,
    "IsNull": _is_null,
    "IsTrue": raw1(_is_true),
    "IsFalse": raw1(_is_false),
}
