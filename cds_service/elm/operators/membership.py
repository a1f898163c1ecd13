"""Operators that lists and intervals share: in, contains, includes, included in, union, intersect, except.

CQL 1.5, Appendix B, Interval and List Operators. The static types choose at load; where they say nothing the
values do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cds_service.elm.codegen import operators as write
from cds_service.elm.compile import Builder, Expr, Node, Scope
from cds_service.elm.context import Context, Env
from cds_service.elm.operators import interval
from cds_service.elm.operators.building import folded
from cds_service.elm.operators.list import (
    includes_all,
    list_except,
    list_intersect,
    list_union,
    member,
    proper_all,
    proper_member,
)
from cds_service.elm.types import ChoiceOf, IntervalOf, ListOf, StaticType, system


def _precision(node: Node) -> str | None:
    precision = node.get("precision")
    return precision.lower() if precision else None


def _membership(scope: Scope, node: Node, element: Expr, items: Expr, proper: bool) -> Expr:
    """An element in a list or a point in an interval: null element, null container as the specification says."""
    relation = interval.relation("ProperIn" if proper else "In", _precision(node))
    of_list = proper_member if proper else member
    one, two = element.fn, items.fn
    if items.constant and isinstance(items.type, ListOf) and not proper and items.value() is not None:
        fixed = _constant_membership(element, items)
        if fixed is not None:
            return fixed
    listed = isinstance(items.type, ListOf)

    def decide(container: Any, value: Any) -> Any:
        if container is None:
            return None if value is None and not listed else False
        if isinstance(container, list):
            return of_list(value, container)
        return None if value is None else relation(value, container)

    def run_member(ctx: Context, env: Env) -> Any:
        container = two(ctx, env)
        return decide(container, one(ctx, env))

    return folded(run_member, [element, items], write.direct(decide, [items, element]))


def _constant_membership(element: Expr, items: Expr) -> Expr | None:
    """`status in {'final', 'amended'}`: a set look-up."""
    if system(element.type) != "String" or not all(type(item) is str for item in items.value()):
        return None
    one, members = element.fn, frozenset(items.value())

    def run_constant(ctx: Context, env: Env) -> Any:
        return one(ctx, env) in members

    return folded(run_constant, [element, items], write.member_of(element, members))


def _in(proper: bool) -> Builder:
    def build(scope: Scope, node: Node) -> Expr:
        element, items = scope.operands(node)
        return _membership(scope, node, element, items, proper)

    return build


def _contains(proper: bool) -> Builder:
    def build(scope: Scope, node: Node) -> Expr:
        items, element = scope.operands(node)
        return _membership(scope, node, element, items, proper)

    return build


def _is_part(kind: StaticType) -> bool:
    """Whether a type is that of points or elements for certain, not of intervals or lists."""
    options = kind.types if isinstance(kind, ChoiceOf) else (kind,)
    return not any(
        option in (None, "System.Any") or isinstance(option, (ListOf, IntervalOf)) for option in options
    )


def _inclusion(kind: str) -> Builder:
    """includes, included in, and proper: of lists or intervals; a point or element on one side is membership."""
    proper = kind.startswith("Proper")
    swapped = kind.endswith("IncludedIn")
    of_lists = proper_all if proper else includes_all

    def build(scope: Scope, node: Node) -> Expr:
        left, right = scope.operands(node)
        outer, inner = (right, left) if swapped else (left, right)
        if isinstance(outer.type, (ListOf, IntervalOf)) and _is_part(inner.type):
            return _membership(scope, node, inner, outer, proper)
        relation = interval.relation("ProperIncludes" if proper else "Includes", _precision(node))
        one, two = outer.fn, inner.fn

        def decide(container: Any, content: Any) -> Any:
            if container is None or content is None:
                return None
            if isinstance(container, list):
                return of_lists(container, content)
            return relation(container, content)

        def run_inclusion(ctx: Context, env: Env) -> Any:
            return decide(one(ctx, env), two(ctx, env))

        return folded(run_inclusion, [outer, inner], write.direct(decide, [outer, inner]))

    return build


def _set(of_lists: Callable[[Any, Any], Any], of_intervals: Callable[[Any, Any], Any]) -> Builder:
    """union, intersect, except: of lists or intervals; ELM gives them two operands or more."""

    def build(scope: Scope, node: Node) -> Expr:
        operands = scope.operands(node)
        fns = [operand.fn for operand in operands]
        lists = any(isinstance(operand.type, ListOf) for operand in operands)

        def pair(one: Any, two: Any) -> Any:
            if lists or isinstance(one, list) or isinstance(two, list):
                return of_lists(one, two)
            return None if one is None or two is None else of_intervals(one, two)

        def all_of(*values: Any) -> Any:
            result = values[0]
            for value in values[1:]:
                result = pair(result, value)
            return result

        def run_set(ctx: Context, env: Env) -> Any:
            return all_of(*[fn(ctx, env) for fn in fns])

        result = folded(run_set, operands, write.direct(all_of, operands))
        result.type = operands[0].type
        return result

    return build


BUILDERS: Mapping[str, Builder] = {
    "In": _in(False),
    "ProperIn": _in(True),
    "Contains": _contains(False),
    "ProperContains": _contains(True),
    "Includes": _inclusion("Includes"),
    "IncludedIn": _inclusion("IncludedIn"),
    "ProperIncludes": _inclusion("ProperIncludes"),
    "ProperIncludedIn": _inclusion("ProperIncludedIn"),
    "Union": _set(list_union, interval.union),
    "Intersect": _set(list_intersect, interval.intersect),
    "Except": _set(list_except, interval.except_),
}
