"""Queries: sources, let, with and without, where, return, aggregate, sort. CQL Author's Guide, Queries.

A source that is no list makes one row, and a query over such sources only gives a single result. A null
source has no rows. `return` is distinct unless it says `all`. Rows live in slots of the define's frame. A
with/without source that doesn't depend on the row is evaluated once per query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cmp_to_key
from typing import Any

from cds_service.elm import compare
from cds_service.elm.compile import Builder, Expr, Node, Scope, Slot
from cds_service.elm.context import Context, Env, Fn
from cds_service.elm.operators import structured
from cds_service.elm.operators.list import distinct
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.types import ListOf, StaticType, element_of
from cds_service.elm.values import Tuple

Row = Callable[[Context, Env], Any]


def _query(scope: Scope, node: Node) -> Expr:
    """Source(s) → let → relationships → where → return or aggregate → sort."""
    sources, scope, slots = _sources(scope, node)
    lets = []
    for let in node.get("let") or ():
        expr = scope.expr(let["expression"])
        slot = scope.slot(expr.type)
        slots.append(slot)
        lets.append((slot.at, expr.fn))
        scope = scope.with_names({let["identifier"]: slot})
    tests: list[Fn] = []
    for relationship in node.get("relationship") or ():
        tests.append(_relationship(scope, relationship, {slot.at for slot in slots}, slots))
    if node.get("where"):
        tests.append(scope.fn(node["where"]))
    single = all(_is_list(expr) is False for expr, _ in sources)
    lists = any(_is_list(expr) is True for expr, _ in sources)
    rows = _rows(sources, lets, tests)
    if node.get("aggregate"):
        result = _aggregate(scope, node["aggregate"], rows, slots)
    else:
        result = _returned(scope, node, sources, slots, rows, single, lists)
    # What was bound here is of no concern to what stands around the query.
    with scope.compiler.binding(slots):
        pass
    return result


def _is_list(expr: Expr) -> bool | None:
    """Whether a source is a list: by its type; None where only its value tells."""
    if isinstance(expr.type, ListOf):
        return True
    return None if expr.type is None or expr.type == "System.Any" else False


def _sources(scope: Scope, node: Node) -> tuple[list[tuple[Expr, int]], Scope, list[Slot]]:
    sources: list[tuple[Expr, int]] = []
    slots: list[Slot] = []
    for source in node["source"]:
        # A source may refer to the aliases before it.
        expr = scope.expr(source["expression"])
        slot = scope.slot(expr.type.element if isinstance(expr.type, ListOf) else expr.type)
        slots.append(slot)
        sources.append((expr, slot.at))
        scope = scope.with_names({source["alias"]: slot})
    return sources, scope, slots


def _rows(
    sources: Sequence[tuple[Expr, int]], lets: Sequence[tuple[int, Fn]], tests: Sequence[Fn]
) -> Callable[[Context, Env], Iterator[None]]:
    """An iterator that leaves each row that passes in the frame's slots."""
    if len(sources) == 1 and not lets and len(tests) == 1:
        (expr, index), (test,) = sources[0], tests
        only = expr.fn

        def filtered(ctx: Context, env: Env) -> Iterator[None]:
            for item in _items(only(ctx, env)):
                env[index] = item
                if test(ctx, env) is True:
                    yield

        return filtered
    plan = [(expr.fn, index) for expr, index in sources]
    depth = len(plan)

    def passes(ctx: Context, env: Env) -> bool:
        for slot, fn in lets:
            env[slot] = fn(ctx, env)
        return all(test(ctx, env) is True for test in tests)

    def level(number: int, ctx: Context, env: Env) -> Iterator[None]:
        fn, index = plan[number]
        for item in _items(fn(ctx, env)):
            env[index] = item
            if number + 1 < depth:
                yield from level(number + 1, ctx, env)
            elif passes(ctx, env):
                yield

    return lambda ctx, env: level(0, ctx, env)


def _items(value: Any) -> Any:
    if value is None:
        return ()
    return value if isinstance(value, (list, tuple)) else (value,)


def _relationship(scope: Scope, node: Node, row_slots: set[int], slots: list[Slot]) -> Fn:
    """with source such that condition; without: no such row."""
    source = scope.expr(node["expression"])
    slot = scope.slot(element_of(source.type) or source.type)
    slots.append(slot)
    such_that = scope.with_names({node["alias"]: slot}).fn(node["suchThat"])
    index, fn = slot.at, source.fn
    wanted = node["type"] == "With"

    def run_relationship(ctx: Context, env: Env) -> Any:
        for item in _items(fn(ctx, env)):
            env[index] = item
            if such_that(ctx, env) is True:
                return wanted
        return not wanted

    return run_relationship


def _returned(
    scope: Scope,
    node: Node,
    sources: Sequence[tuple[Expr, int]],
    slots: Sequence[Slot],
    rows: Callable[[Context, Env], Iterator[None]],
    single: bool,
    lists: bool,
) -> Expr:
    clause = node.get("return")
    if clause:
        each = scope.expr(clause["expression"])
        unique = clause.get("distinct", True)
    else:
        each = _whole_row(node, sources, slots)
        unique = False
    project, kind = each.fn, each.type
    order = _sort(scope, node["sort"], kind) if node.get("sort") else None
    check = None if single or lists else [expr.fn for expr, _ in sources]

    def run_query(ctx: Context, env: Env) -> Any:
        result = [project(ctx, env) for _ in rows(ctx, env)]
        if unique:
            result = distinct(result)
        if order is not None:
            result = order(ctx, env, result)
        if single or (check is not None and not any(isinstance(fn(ctx, env), list) for fn in check)):
            return result[0] if result else None
        return result

    return Expr(run_query, kind if single else ListOf(kind))


def _whole_row(node: Node, sources: Sequence[tuple[Expr, int]], slots: Sequence[Slot]) -> Expr:
    """Without a return clause: the row itself, of several sources a tuple of the aliases."""
    if len(sources) == 1:
        index = sources[0][1]
        return Expr(lambda ctx, env: env[index], slots[0].type)
    names = [(source["alias"], index) for source, (_, index) in zip(node["source"], sources, strict=True)]
    return Expr(lambda ctx, env: Tuple([(name, env[index]) for name, index in names]))


def _aggregate(
    scope: Scope, clause: Node, rows: Callable[[Context, Env], Iterator[None]], slots: list[Slot]
) -> Expr:
    """aggregate [all|distinct] R starting s: e — CQL Author's Guide, Aggregate Queries."""
    start = scope.expr(clause["starting"]) if clause.get("starting") else None
    kind = start.type if start else None
    total = scope.slot(kind)
    slots.append(total)
    each = scope.with_names({clause["identifier"]: total}).expr(clause["expression"])
    index, fn = total.at, each.fn
    starting = start.fn if start else None
    unique = clause.get("distinct", False)
    rows_of = [slot.at for slot in slots if slot is not total]

    def run_aggregate(ctx: Context, env: Env) -> Any:
        env[index] = starting(ctx, env) if starting is not None else None
        seen: list[Any] = []
        for _ in rows(ctx, env):
            if unique:
                row = [env[slot] for slot in rows_of]
                if any(compare.equal(row, other) for other in seen):
                    continue
                seen.append(row)
            env[index] = fn(ctx, env)
        return env[index]

    return Expr(run_aggregate, each.type or kind)


# --- Sort ---


def _sort(scope: Scope, clause: Node, kind: StaticType) -> Callable[[Context, Env, list[Any]], list[Any]]:
    """sort [by …] asc|desc: nulls first when ascending; what can't be told apart keeps its order."""
    keys = [_sort_key(scope, item, kind) for item in clause["by"]]

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


def _sort_key(scope: Scope, item: Node, kind: StaticType) -> tuple[Callable[[Context, Env, Any], Any], bool]:
    descending = item.get("direction") in ("desc", "descending")
    by = item["type"]
    if by == "ByDirection":
        return (lambda ctx, env, value: value), descending
    if by == "ByColumn":
        cell = structured.Access(lambda ctx, env: env, kind)
        for name in item["path"].split("."):
            cell = structured.step(scope, item, cell, name)
        column = cell.fn
        return (lambda ctx, env, value: None if value is None else column(ctx, value)), descending
    slot = scope.slot(kind)
    inner = scope.with_names({"$this": slot}, row=slot).fn(item["expression"])
    index = slot.at

    def by_expression(ctx: Context, env: Env, value: Any) -> Any:
        env[index] = value
        return inner(ctx, env)

    return by_expression, descending


def _identifier_ref(scope: Scope, node: Node) -> Expr:
    """A bare name in a sort expression: an element of the row; elsewhere an alias or let."""
    name = node["name"]
    slot = scope.names.get(name)
    if slot is not None and (scope.row is None or name == "$this"):
        scope.compiler.read(slot)
        index = slot.at
        return Expr(lambda ctx, env: env[index], slot.type)
    row = scope.row
    if row is None:
        scope.fail(node, f'there is nothing called "{name}" here')
    scope.compiler.read(row)
    at = row.at
    found = structured.step(scope, node, structured.Access(lambda ctx, env: env[at], row.type), name)
    return Expr(found.fn, found.type)


def _sort_operator(scope: Scope, node: Node) -> Expr:
    """ELM Sort: a list sorted by a sort clause."""
    source = scope.expr(node["source"])
    order = _sort(scope, {"by": node["by"]}, element_of(source.type))
    inner = source.fn

    def run_sort(ctx: Context, env: Env) -> Any:
        items = inner(ctx, env)
        return None if items is None else order(ctx, env, items)

    return Expr(run_sort, source.type)


# --- ELM's iteration operators ---


def _bound(scope: Scope, node: Node, part: str) -> tuple[Expr, Slot, Expr]:
    source = scope.expr(node["source"])
    slot = scope.slot(element_of(source.type))
    name = node.get("scope") or "$this"
    body = scope.with_names({name: slot, "$this": slot}).expr(node[part])
    with scope.compiler.binding([slot]):
        pass
    return source, slot, body


def _filter(scope: Scope, node: Node) -> Expr:
    """ELM Filter: the elements for which the condition is true."""
    source, slot, condition = _bound(scope, node, "condition")
    inner, test, index = source.fn, condition.fn, slot.at

    def run_filter(ctx: Context, env: Env) -> Any:
        items = inner(ctx, env)
        if items is None:
            return None
        kept = []
        for item in items:
            env[index] = item
            if test(ctx, env) is True:
                kept.append(item)
        return kept

    return Expr(run_filter, source.type)


def _for_each(scope: Scope, node: Node) -> Expr:
    """ELM ForEach: the element expression of each element."""
    source, slot, element = _bound(scope, node, "element")
    inner, fn, index = source.fn, element.fn, slot.at

    def run_for_each(ctx: Context, env: Env) -> Any:
        items = inner(ctx, env)
        if items is None:
            return None
        made = []
        for item in items:
            env[index] = item
            made.append(fn(ctx, env))
        return made

    return Expr(run_for_each, ListOf(element.type))


def _current(scope: Scope, node: Node) -> Expr:
    """ELM Current: the element that is being iterated over ($this)."""
    slot = scope.names.get(node.get("scope") or "$this")
    if slot is None:
        scope.fail(node, "there is no iteration here")
    scope.compiler.read(slot)
    index = slot.at
    return Expr(lambda ctx, env: env[index], slot.type)


BUILDERS: Mapping[str, Builder] = {
    "Query": _query,
    "IdentifierRef": _identifier_ref,
    "Sort": _sort_operator,
    "Filter": _filter,
    "ForEach": _for_each,
    "Current": _current,
}
