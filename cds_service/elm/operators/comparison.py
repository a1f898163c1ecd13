"""Comparison operators. CQL 1.5, Appendix B, Comparison Operators.

The static types choose the function at load; where they say nothing (Any, choices) the values do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cds_service.elm import compare
from cds_service.elm.codegen import operators as write
from cds_service.elm.compile import Builder, Expr, Node, Scope, constant
from cds_service.elm.context import Context, Env
from cds_service.elm.equivalence import equivalent
from cds_service.elm.operators import fhirhelpers
from cds_service.elm.operators.building import apply2, folded
from cds_service.elm.types import StaticType, fhir, system
from cds_service.elm.values import Code, Concept, Typed

_PLAIN = ("Boolean", "String")


def _plain(left: StaticType, right: StaticType) -> bool:
    return left == right and system(left) in _PLAIN


def _equal(scope: Scope, node: Node) -> Expr:
    """=<T>(left T, right T) Boolean — CQL, Equal."""
    left, right = scope.operands(node)
    if _plain(left.type, right.type):
        return _plain_equal(left, right)
    if fhir(left.type) or fhir(right.type):
        return apply2(_equal_fhir, left, right)
    return apply2(compare.equal, left, right)


def _plain_equal(left: Expr, right: Expr) -> Expr:
    one = left.fn
    if right.constant:
        other = right.value()
        if other is None:
            return constant(None)

        def run_equal_constant(ctx: Context, env: Env) -> Any:
            value = one(ctx, env)
            return None if value is None else value == other

        return folded(run_equal_constant, [left, right], write.strict2(_same, left, right))
    return apply2(_same, left, right)


@write.inlined("{0} == {1}")
def _same(one: Any, two: Any) -> bool:
    return bool(one == two)


def _equal_fhir(one: Any, two: Any) -> Any:
    """FHIR elements are equal as JSON; a choice's wrapper is looked through."""
    left = one.value if type(one) is Typed else one
    right = two.value if type(two) is Typed else two
    return left is right or compare.equal(left, right)


def _not_equal(scope: Scope, node: Node) -> Expr:
    """!=<T>(left T, right T) Boolean — `not (left = right)`."""
    equality = _equal(scope, node)
    inner = equality.fn

    def run_not_equal(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        return None if value is None else not value

    return Expr(run_not_equal, emit=write.strict1(_not, equality))


@write.inlined("not {0}")
def _not(value: Any) -> bool:
    return not value


def _equivalent(scope: Scope, node: Node) -> Expr:
    """~<T>(left T, right T) Boolean — CQL, Equivalent: never null."""
    first, second = node["operand"]
    right = scope.expr(second)
    codings = fhirhelpers.codings_of(scope, first) if right.constant else None
    if codings is not None and isinstance(right.value(), (Code, Concept)):
        return _equivalent_codings(codings, right.value())
    left = scope.expr(first)
    one, two = left.fn, right.fn
    return folded(
        lambda ctx, env: equivalent(one(ctx, env), two(ctx, env)),
        [left, right],
        write.direct(equivalent, [left, right]),
    )


def _equivalent_codings(codings: Expr, wanted: Code | Concept) -> Expr:
    """`concept ~ "Code"` straight on FHIR codings."""
    codes = wanted.codes if isinstance(wanted, Concept) else (wanted,)
    pairs = frozenset((code.system, code.code) for code in codes)

    def known(values: Any) -> Any:
        if values is not None:
            for coding in values:
                if (coding.get("system"), coding.get("code")) in pairs:
                    return True
        return False

    inner = codings.fn
    return Expr(
        lambda ctx, env: known(inner(ctx, env)),
        "System.Boolean",
        emit=write.direct(known, [codings], sure=True),
    )


_NUMERIC = ("Integer", "Decimal", "Long")


def _ordering(
    general: Callable[[Any, Any], Any], direct: Callable[[Any, Any], bool]
) -> Callable[[Scope, Node], Expr]:
    def number(one: Any, two: Any) -> Any:
        # An Integer may be an uncertainty (a duration between partial dates).
        try:
            return direct(one, two)
        except TypeError:
            return general(one, two)

    def build(scope: Scope, node: Node) -> Expr:
        left, right = scope.operands(node)
        numeric = system(left.type) in _NUMERIC and system(right.type) in _NUMERIC
        return apply2(number if numeric else general, left, right)

    return build


BUILDERS: Mapping[str, Builder] = {
    "Equal": _equal,
    "NotEqual": _not_equal,
    "Equivalent": _equivalent,
    "Less": _ordering(compare.less, lambda a, b: a < b),
    "LessOrEqual": _ordering(compare.less_or_equal, lambda a, b: a <= b),
    "Greater": _ordering(compare.greater, lambda a, b: a > b),
    "GreaterOrEqual": _ordering(compare.greater_or_equal, lambda a, b: a >= b),
}
