"""Sorting, of queries and lists. CQL Author's Guide, Sorting; ELM, SortClause.

Nulls come first when ascending; what can't be told apart keeps its order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any

from cds_service.elm import compare
from cds_service.elm.compile import Builder, Expr, Loop, Node, Scope
from cds_service.elm.context import UNSET, Context, Env
from cds_service.elm.operators import properties
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.types import StaticType, element_of


def compile_sort(
    scope: Scope, clause: Node, kind: StaticType, loop: Loop
) -> Callable[[Context, Env, list[Any]], list[Any]]:
    """sort [by …] asc|desc: nulls first when ascending; what can't be told apart keeps its order."""
    keys = [_sort_key(scope, item, kind, loop) for item in clause["by"]]

    def run_sort(ctx: Context, env: Env, items: list[Any]) -> list[Any]:
        result = list(items)
        for key, descending in reversed(keys):
            result = _sorted([(key(ctx, env, item), item) for item in result], descending)
        return result

    return run_sort


def _sorted(pairs: list[tuple[Any, Any]], descending: bool) -> list[Any]:
    def by_key(one: tuple[Any, Any], two: tuple[Any, Any]) -> int:
        return compare_keys(one[0], two[0])

    pairs.sort(key=cmp_to_key(by_key), reverse=descending)
    return [item for _, item in pairs]


def compare_keys(one: Any, two: Any) -> int:
    """-1, 0 or 1 for sorting: null is below everything."""
    if one is None or two is None:
        return (one is not None) - (two is not None)
    found = compare.order(one, two)
    if found is None and isinstance(one, (Date, DateTime, Time)) and type(one) is type(two):
        return -1 if one.key() < two.key() else 1  # what is less precise comes first
    return found or 0


def _sort_key(
    scope: Scope, item: Node, kind: StaticType, loop: Loop
) -> tuple[Callable[[Context, Env, Any], Any], bool]:
    descending = item.get("direction") in ("desc", "descending")
    by = item["type"]
    if by == "ByDirection":
        return (lambda ctx, env, value: value), descending
    if by == "ByColumn":
        cell = properties.Access(lambda ctx, env: env, kind)
        for name in item["path"].split("."):
            cell = properties.step(scope, item, cell, name)
        column = cell.fn
        return (lambda ctx, env, value: None if value is None else column(ctx, value)), descending
    slot = scope.slot(kind)
    loop.slots.add(slot.at)
    inner = scope.with_names({"$this": slot}, row=slot).fn(item["expression"])
    scope.compiler.unbind([slot])
    index = slot.at

    def by_expression(ctx: Context, env: Env, value: Any) -> Any:
        env[index] = value
        return inner(ctx, env)

    return by_expression, descending


def _sort_operator(scope: Scope, node: Node) -> Expr:
    """ELM Sort: a list sorted by a sort clause."""
    return sorted_by(scope, scope.expr(node["source"]), node["by"])


def sorted_by(scope: Scope, source: Expr, by: list[Any]) -> Expr:
    """A list sorted by the items of a sort clause; null for null."""
    loop = Loop()
    order = compile_sort(scope.in_loop(loop), {"by": by}, element_of(source.type), loop)
    inner = source.fn

    def run_sort(ctx: Context, env: Env) -> Any:
        items = inner(ctx, env)
        for cell in loop.cells:
            env[cell] = UNSET
        return None if items is None else order(ctx, env, items)

    return Expr(run_sort, source.type)


BUILDERS: Mapping[str, Builder] = {"Sort": _sort_operator}
