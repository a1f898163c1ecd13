"""Queries: sources, let, with and without, where, return, aggregate, sort. CQL Author's Guide, Queries.

A source that is no list makes one row, and a query over such sources only gives a single result. A null source has no
rows; "if all the sources of a query evaluate to null, the result is null" (Developer's Guide, Multi-Source Queries).
`return` is distinct unless it says `all`. Rows live in slots of the define's frame. A with/without source that doesn't
depend on the row is evaluated once per query. Where a condition compares a key of a source's row with something else,
its rows are found by that key (`joins`).

Without a return clause, several sources give distinct rows (there: "if no return clause is specified, duplicates will
be eliminated from the result"); one source keeps its rows, as HL7's own tests of sorting have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.elm import compare
from cds_service.elm.codegen import operators as write_operators
from cds_service.elm.codegen import queries as write
from cds_service.elm.compile import Builder, DataError, Expr, Loop, Node, Scope, Slot, local, local_expr
from cds_service.elm.context import UNSET, Context, Env, Fn
from cds_service.elm.operators import alike, joins, properties
from cds_service.elm.operators.building import check_elements
from cds_service.elm.operators.list import distinct
from cds_service.elm.operators.sorting import compile_sort
from cds_service.elm.types import ChoiceOf, ListOf, element_of
from cds_service.elm.values import Tuple


def _query(scope: Scope, node: Node) -> Expr:
    """Source(s) → let → relationships → where → return or aggregate → sort."""
    scope, sources, plan, slots = _planned(scope, node)
    if node.get("aggregate"):
        result = _aggregate(scope, node["aggregate"], plan, slots)
    else:
        result = _returned(scope, node, sources, plan)
    # What was bound here is of no concern to what stands around the query.
    scope.compiler.unbind(slots)
    return result


def _planned(scope: Scope, node: Node) -> tuple[Scope, list[tuple[Expr, Slot]], _Plan, list[Slot]]:
    """The rows of a query, and the scope that sees them."""
    loop = Loop()
    around = scope
    sources, scope, slots = _sources(scope, node, loop)
    lets = []
    for let in node.get("let") or ():
        expr = scope.expr(let["expression"])
        slot = _bind(scope.slot(expr.type), loop, slots)
        lets.append((slot.at, expr))
        scope = scope.with_names({let["identifier"]: slot})
    tests: list[Expr] = []
    for relationship in node.get("relationship") or ():
        tests.append(_relationship(scope, relationship, loop, slots))
    drawn = [expr for expr, _ in sources]
    if node.get("where"):
        condition = scope.expr(node["where"])
        if len(sources) == 1:
            alias = node["source"][0]["alias"]
            condition = alike.shared_condition(scope, node["where"], condition, sources[0][1], alias)
        tests.append(condition)
        drawn = _joined(around, scope, node, sources)
    rows = [
        write.Source(expr, slot.at, _rows_of(expr)) for expr, (_, slot) in zip(drawn, sources, strict=True)
    ]
    return scope, sources, _plan(rows, lets, tests, loop), slots


def _plan(
    sources: Sequence[write.Source], lets: Sequence[tuple[int, Expr]], tests: Sequence[Expr], loop: Loop
) -> _Plan:
    return _Plan(
        [(source.expr.fn, source.slot, source.rows) for source in sources],
        [(slot, expr.fn) for slot, expr in lets],
        [test.fn for test in tests],
        loop,
        write.Rows(sources, lets, tests, loop.cells),
    )


def _joined(around: Scope, scope: Scope, node: Node, sources: Sequence[tuple[Expr, Slot]]) -> list[Expr]:
    """The sources, each giving only the rows that the `where` may let pass."""
    drawn = [expr for expr, _ in sources]
    if not joins.quiet(scope, [node.get("let"), node.get("relationship")]):
        return drawn  # they are read for every row
    for number, (expr, slot) in enumerate(sources):
        first = number == 0
        if first and not around.loops and around.owner.index >= 0:
            continue  # it is run once
        changing = scope.loops[-1].slots
        unbound = changing - {other.at for _, other in sources[:number]}
        outside = around if first else scope
        drawn[number] = joins.joined(scope, outside, node["where"], expr, slot, unbound, changing)
    return drawn


@dataclass(slots=True)
class _Plan:
    """A query's closures: sources with their slots, lets, and the tests that a row must pass; `written` says the
    same for the emitters."""

    sources: list[tuple[Fn, int, Callable[[Any], Any]]]
    lets: list[tuple[int, Fn]]
    tests: list[Fn]
    loop: Loop
    written: write.Rows


def _bind(slot: Slot, loop: Loop, slots: list[Slot]) -> Slot:
    loop.slots.add(slot.at)
    slots.append(slot)
    return slot


def _is_list(expr: Expr) -> bool | None:
    """Whether a source is a list: by its type; None where only its value tells."""
    if isinstance(expr.type, ListOf):
        return True
    if isinstance(expr.type, ChoiceOf) and any(isinstance(kind, ListOf) for kind in expr.type.types):
        return None
    return None if expr.type is None or expr.type == "System.Any" else False


def _sources(scope: Scope, node: Node, loop: Loop) -> tuple[list[tuple[Expr, Slot]], Scope, list[Slot]]:
    sources: list[tuple[Expr, Slot]] = []
    slots: list[Slot] = []
    for number, source in enumerate(node["source"]):
        expr = scope.expr(source["expression"])  # may refer to the aliases before it
        kind = expr.type.element if isinstance(expr.type, ListOf) else expr.type
        slot = _bind(scope.slot(kind), loop, slots)
        sources.append((expr, slot))
        scope = (scope if number else scope.in_loop(loop)).with_names({source["alias"]: slot})
    return sources, scope, slots


def _items(value: Any) -> Any:
    """The rows of a source of unknown type."""
    if value is None:
        return ()
    return value if isinstance(value, (list, tuple)) else (value,)


def _listed(value: Any) -> Any:
    """The rows of a source that is a list."""
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return value
    raise DataError("a list is expected, the data has something else")


def _one(value: Any) -> Any:
    """The row of a source that is no list."""
    return () if value is None else (value,)


def _rows_of(expr: Expr) -> Callable[[Any], Any]:
    known = _is_list(expr)
    return _items if known is None else (_listed if known else _one)


def _collector(plan: _Plan, project: Fn) -> Callable[[Context, Env], list[Any] | None]:
    """A closure that gives the projection of each row that passes, in order; null where all sources are."""
    if len(plan.sources) == 1 and not plan.lets and len(plan.tests) <= 1:
        return _simple(plan, project)

    def collect(ctx: Context, env: Env) -> list[Any] | None:
        made: list[Any] = []

        def add() -> None:
            _room(made)
            made.append(project(ctx, env))

        return made if _each_row(plan, ctx, env, add) else None

    return collect


def _room(made: list[Any]) -> None:
    check_elements(len(made) + 1)


def _simple(plan: _Plan, project: Fn) -> Callable[[Context, Env], list[Any] | None]:
    """One source and at most one test: the loop that most queries are."""
    source, index, rows = plan.sources[0]
    cells = plan.loop.cells
    test = plan.tests[0] if plan.tests else None

    def collect_all(ctx: Context, env: Env) -> list[Any] | None:
        for cell in cells:
            env[cell] = UNSET
        items = source(ctx, env)  # a join's keys may already be kept values
        if items is None:
            return None
        made = []
        for item in rows(items):
            env[index] = item
            made.append(project(ctx, env))
        return made

    if test is None:
        return collect_all
    passes = test

    def collect_passing(ctx: Context, env: Env) -> list[Any] | None:
        for cell in cells:
            env[cell] = UNSET
        items = source(ctx, env)  # a join's keys may already be kept values
        if items is None:
            return None
        made = []
        for item in rows(items):
            env[index] = item
            if passes(ctx, env) is True:
                made.append(project(ctx, env))
        return made

    return collect_passing


def _each_row(plan: _Plan, ctx: Context, env: Env, row: Callable[[], Any]) -> bool:
    """Call `row` with each row that passes in the frame's slots; False where all sources are null."""
    sources, lets, tests = plan.sources, plan.lets, plan.tests
    last = len(sources) - 1

    def level(number: int, items: Any) -> None:
        _, index, rows = sources[number]
        for item in rows(items):
            env[index] = item
            if number < last:
                level(number + 1, sources[number + 1][0](ctx, env))
                continue
            for slot, fn in lets:
                env[slot] = fn(ctx, env)
            for test in tests:
                if test(ctx, env) is not True:
                    break
            else:
                row()

    for cell in plan.loop.cells:
        env[cell] = UNSET
    first = sources[0][0](ctx, env)
    if first is None:
        env[sources[0][1]] = None
        return any(source(ctx, env) is not None for source, _, _ in sources[1:])
    level(0, first)
    return True


def _relationship(scope: Scope, node: Node, loop: Loop, slots: list[Slot]) -> Expr:
    """with source such that condition; without: no such row."""
    source = scope.expr(node["expression"])
    inner = Loop()
    slot = _bind(scope.slot(element_of(source.type) or source.type), inner, slots)
    loop.slots.add(slot.at)
    within = scope.in_loop(inner).with_names({node["alias"]: slot})
    condition = within.expr(node["suchThat"])
    such_that = condition.fn
    source = joins.joined(within, scope, node["suchThat"], source, slot, {slot.at}, loop.slots)
    index, fn, cells, rows = slot.at, source.fn, inner.cells, _rows_of(source)
    wanted = node["type"] == "With"

    def run_relationship(ctx: Context, env: Env) -> Any:
        for cell in cells:
            env[cell] = UNSET
        items = fn(ctx, env)
        for item in rows(items):
            env[index] = item
            if such_that(ctx, env) is True:
                return wanted
        return not wanted

    drawn = write.Source(source, index, rows)
    return Expr(run_relationship, emit=write.related(drawn, condition, cells, wanted))


def _returned(scope: Scope, node: Node, sources: Sequence[tuple[Expr, Slot]], plan: _Plan) -> Expr:
    single = all(_is_list(expr) is False for expr, _ in sources)
    lists = any(_is_list(expr) is True for expr, _ in sources)
    clause = node.get("return")
    each = scope.expr(clause["expression"]) if clause else _whole_row(node, sources)
    unique = clause.get("distinct", True) if clause else len(sources) > 1
    kind = each.type
    order = compile_sort(scope, node["sort"], kind, plan.loop) if node.get("sort") else None
    is_listed = None if single or lists else _told_by_values(scope, plan)
    collect = _collector(plan, each.fn)
    emit = write.collected(plan.written, each, _room)
    if lists and not unique and order is None:
        return Expr(collect, ListOf(kind), emit=emit)

    def run_query(ctx: Context, env: Env) -> Any:
        result = collect(ctx, env)
        if result is None:
            return None
        if unique:
            result = distinct(result)
        if order is not None:
            result = order(ctx, env, result)
        if single or (is_listed is not None and not is_listed(ctx, env)):
            return result[0] if result else None
        return result

    written = write.finished(emit, distinct if unique else None, order, single) if is_listed is None else None
    return Expr(run_query, kind if single else ListOf(kind), emit=written)


def _told_by_values(scope: Scope, plan: _Plan) -> Fn:
    """Whether one of the sources was a list, where only the values tell; none is evaluated a second time for it."""
    cells: list[tuple[int, Fn]] = []

    def noting(fn: Fn, cell: int) -> Fn:
        def run_noting(ctx: Context, env: Env) -> Any:
            value = fn(ctx, env)
            env[cell] = isinstance(value, list)
            return value

        return run_noting

    for number, (fn, at, rows) in enumerate(plan.sources):
        cell = scope.slot(None).at
        cells.append((cell, fn))
        plan.sources[number] = (noting(fn, cell), at, rows)

    def run_told(ctx: Context, env: Env) -> Any:
        found = False
        for cell, fn in cells:
            # A source behind one without rows has not been evaluated.
            found = found or (isinstance(fn(ctx, env), list) if env[cell] is None else env[cell])
            env[cell] = None
        return found

    return run_told


def _exists(scope: Scope, node: Node) -> Expr:
    """exists(argument List<T>) Boolean: a non-null element; false for null. A query stops at its first row."""
    operand = node["operand"]
    if operand.get("type") == "Query" and len(operand["source"]) == 1 and not operand.get("aggregate"):
        inner, sources, plan, slots = _planned(scope, operand)
        if _is_list(sources[0][0]) is True:
            clause = operand.get("return")
            project = inner.expr(clause["expression"]) if clause else local_expr(slots[0].at)
            scope.compiler.unbind(slots)
            emit = write.any_row(plan.written, project)
            return Expr(_any_row(plan, project.fn), "System.Boolean", emit=emit)
        # Not compiled a second time: nested, that would double at each level.
        listed = _returned(inner, operand, sources, plan)
        scope.compiler.unbind(slots)
    else:
        listed = scope.expr(operand)
    inner_fn = listed.fn

    def run_exists(ctx: Context, env: Env) -> Any:
        return _has_any(inner_fn(ctx, env))

    return Expr(run_exists, "System.Boolean", emit=write_operators.direct(_has_any, [listed], sure=True))


def _has_any(items: Any) -> bool:
    if not items:
        return False
    return items[0] is not None or any(item is not None for item in items)


def _any_row(plan: _Plan, project: Fn) -> Fn:
    source, index, rows = plan.sources[0]
    lets, tests, cells = plan.lets, plan.tests, plan.loop.cells

    def run_any(ctx: Context, env: Env) -> Any:
        for cell in cells:
            env[cell] = UNSET
        items = source(ctx, env)
        for item in rows(items):
            env[index] = item
            for slot, fn in lets:
                env[slot] = fn(ctx, env)
            for test in tests:
                if test(ctx, env) is not True:
                    break
            else:
                if project(ctx, env) is not None:
                    return True
        return False

    return run_any


def _whole_row(node: Node, sources: Sequence[tuple[Expr, Slot]]) -> Expr:
    """Without a return clause: the row itself, of several sources a tuple of the aliases."""
    if len(sources) == 1:
        return local_expr(sources[0][1].at, sources[0][1].type)
    names = [(source["alias"], slot.at) for source, (_, slot) in zip(node["source"], sources, strict=True)]
    elements = [(name, local_expr(index)) for name, index in names]
    return Expr(
        lambda ctx, env: Tuple([(name, env[index]) for name, index in names]),
        emit=write_operators.tuple_of(Tuple, elements),
    )


def _aggregate(scope: Scope, clause: Node, plan: _Plan, slots: list[Slot]) -> Expr:
    """aggregate [all|distinct] R starting s: e — CQL Author's Guide, Aggregate Queries."""
    start = scope.expr(clause["starting"]) if clause.get("starting") else None
    kind = start.type if start else None
    rows_of = [slot.at for slot in slots]
    total = _bind(scope.slot(kind), plan.loop, slots)
    names = dict.fromkeys((clause["identifier"], "$total", f"$total {clause['identifier']}"), total)
    each = scope.with_names(names).expr(clause["expression"])
    index, fn = total.at, each.fn
    starting = start.fn if start else None
    unique = clause.get("distinct", False)

    def run_aggregate(ctx: Context, env: Env) -> Any:
        seen: list[Any] = []
        for cell in plan.loop.cells:
            env[cell] = UNSET
        env[index] = starting(ctx, env) if starting is not None else None

        def row() -> None:
            if unique:
                values = [env[slot] for slot in rows_of]
                if any(compare.equal(values, other) for other in seen):
                    return
                seen.append(values)
            env[index] = fn(ctx, env)

        return env[index] if _each_row(plan, ctx, env, row) else None

    return Expr(run_aggregate, each.type or kind)


# --- Sort ---


def _identifier_ref(scope: Scope, node: Node) -> Expr:
    """A bare name in a sort expression: an element of the row; elsewhere an alias or let."""
    name = node["name"]
    slot = scope.names.get(name)
    if slot is not None and (scope.row is None or name == "$this"):
        scope.compiler.read(slot)
        return local_expr(slot.at, slot.type)
    row = scope.row
    if row is None:
        scope.fail(node, f'there is nothing called "{name}" here')
    scope.compiler.read(row)
    at = row.at
    cell = properties.Access(local(at), row.type, emit=local_expr(at).emit)
    return properties.step(scope, node, cell, name).expr()


BUILDERS: Mapping[str, Builder] = {
    "Query": _query,
    "Exists": _exists,
    "IdentifierRef": _identifier_ref,
}
