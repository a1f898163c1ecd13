"""ELM's iteration operators: Filter, ForEach, Repeat, Aggregate, and what they iterate over: Current, Iteration, Total.

ELM, List Operators and Aggregate Operators. No CQL construct comes out as these; they are ELM's own, for
FHIRPath-like logic. `Iteration` and `Total` outside such an operator stop the load. A Repeat of more than a
million elements fails rather than run for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.elm.compile import Builder, DataError, Expr, Loop, Node, Scope, Slot, local
from cds_service.elm.context import UNSET, Context, Env
from cds_service.elm.operators import properties
from cds_service.elm.operators.building import check_elements
from cds_service.elm.operators.list import Lookup
from cds_service.elm.types import ListOf, StaticType, element_of

_THIS, _INDEX, _TOTAL = "$this", "$index", "$total"


def _names(scope: str | None, **slots: Slot) -> dict[str, Slot]:
    """The names of an iteration's slots: `$this` …, and with the operator's scope name as well."""
    names = {"$" + name: slot for name, slot in slots.items()}
    if scope:
        names |= {scope if name == "this" else f"${name} {scope}": slot for name, slot in slots.items()}
    return names


def _bound(scope: Scope, kind: StaticType, loop: Loop) -> Slot:
    slot = scope.slot(kind)
    loop.slots.add(slot.at)
    return slot


def _items(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise DataError("a list is expected, the data has something else")
    return list(value)


def _each(keep: bool, part: str) -> Builder:
    """Filter: the elements for which the condition is true. ForEach: an expression of each element.

    Null for a null source; ForEach keeps nulls.
    """

    def build(scope: Scope, node: Node) -> Expr:
        source = scope.expr(node["source"])
        loop = Loop()
        this, index = _bound(scope, element_of(source.type), loop), _bound(scope, "System.Integer", loop)
        names = _names(node.get("scope"), this=this, index=index)
        body = scope.in_loop(loop).with_names(names).expr(node[part])
        scope.compiler.unbind([this, index])
        inner, fn, at, number_at, cells = source.fn, body.fn, this.at, index.at, loop.cells

        def run_each(ctx: Context, env: Env) -> Any:
            items = inner(ctx, env)
            if items is None:
                return None
            for cell in cells:
                env[cell] = UNSET
            made = []
            for number, item in enumerate(_items(items)):
                env[at], env[number_at] = item, number
                value = fn(ctx, env)
                if not keep:
                    made.append(value)
                elif value is True:
                    made.append(item)
            return made

        return Expr(run_each, source.type if keep else ListOf(body.type))

    return build


def _repeat(scope: Scope, node: Node) -> Expr:
    """Repeat: ForEach of the source, then of what that gave, until nothing new comes; `all` keeps duplicates.

    What the expression gives as a list counts element by element, as in FHIRPath's repeat().
    """
    source = scope.expr(node["source"])
    loop = Loop()
    this, index = _bound(scope, element_of(source.type), loop), _bound(scope, "System.Integer", loop)
    names = _names(node.get("scope"), this=this, index=index)
    body = scope.in_loop(loop).with_names(names).expr(node["element"])
    scope.compiler.unbind([this, index])
    inner, fn, at, number_at, cells = source.fn, body.fn, this.at, index.at, loop.cells
    every = bool(node.get("all"))

    def run_repeat(ctx: Context, env: Env) -> Any:
        pending = inner(ctx, env)
        if pending is None:
            return None
        for cell in cells:
            env[cell] = UNSET
        made: list[Any] = []
        seen = Lookup(())
        while pending:
            found: list[Any] = []
            for number, item in enumerate(_items(pending)):
                env[at], env[number_at] = item, number
                value = fn(ctx, env)
                for new in value if isinstance(value, list) else [value]:
                    wanted = new is not None if every else not seen.has(new)
                    if wanted:
                        seen.add(new)
                        found.append(new)
            made.extend(found)
            check_elements(len(made))
            pending = found
        return made

    return Expr(run_repeat, body.type if isinstance(body.type, ListOf) else ListOf(body.type))


def _aggregate(scope: Scope, node: Node) -> Expr:
    """Aggregate: `$total` becomes the iteration's value for each element (or its `path`), beginning at initialValue.

    As with every aggregate, missing elements are left out; null for a null source.
    """
    source = scope.expr(node["source"])
    start = scope.expr(node["initialValue"]) if node.get("initialValue") else None
    kind = element_of(source.type)
    cell = properties.Access(lambda ctx, env: env, kind)
    for name in node["path"].split(".") if node.get("path") else ():
        cell = properties.step(scope, node, cell, name)
    loop = Loop()
    this, index = _bound(scope, cell.type, loop), _bound(scope, "System.Integer", loop)
    total = _bound(scope, start.type if start else None, loop)
    names = _names(node.get("scope"), this=this, index=index, total=total)
    body = scope.in_loop(loop).with_names(names).expr(node["iteration"])
    scope.compiler.unbind([this, index, total])
    inner, fn, cells = source.fn, body.fn, loop.cells
    starting = start.fn if start else None
    column = cell.fn if node.get("path") else None

    def run_aggregate(ctx: Context, env: Env) -> Any:
        items = inner(ctx, env)
        if items is None:
            return None
        for at in cells:
            env[at] = UNSET
        values = [item for item in _items(items) if item is not None]
        if column is not None:
            values = [value for value in (column(ctx, item) for item in values) if value is not None]
        env[total.at] = starting(ctx, env) if starting is not None else None
        for number, value in enumerate(values):
            env[this.at], env[index.at] = value, number
            env[total.at] = fn(ctx, env)
        return env[total.at]

    return Expr(run_aggregate, body.type or (start.type if start else None))


def _reference(part: str) -> Builder:
    """Current, Iteration, Total: `$this`, `$index`, `$total` of the iteration around, or of the named one."""

    def build(scope: Scope, node: Node) -> Expr:
        name = node.get("scope")
        slot = scope.names.get(part if not name else (name if part == _THIS else f"{part} {name}"))
        # In a query or a sort inside the iteration, `$index` and `$total` would be those of its rows.
        inside = name or part == _THIS or (slot is not None and slot.at in scope.loops[-1].slots)
        if slot is None or not inside:
            scope.fail(node, f"there is no {part} here")
        scope.compiler.read(slot)
        return Expr(local(slot.at), slot.type)

    return build


BUILDERS: Mapping[str, Builder] = {
    "Filter": _each(True, "condition"),
    "ForEach": _each(False, "element"),
    "Repeat": _repeat,
    "Aggregate": _aggregate,
    "Current": _reference(_THIS),
    "Iteration": _reference(_INDEX),
    "Total": _reference(_TOTAL),
}
