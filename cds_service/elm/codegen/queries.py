"""Emitters of queries: loops over rows, with lets, relationships and conditions, and what is made of the rows.

Values that are kept while a query runs are forgotten when its rows begin, as in the closures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cds_service.elm.codegen.writer import Emit, Writer

if TYPE_CHECKING:
    from cds_service.elm.compile import Expr


@dataclass(frozen=True, slots=True)
class Source:
    """A source of a query: its slot, and the function that gives the rows of its value."""

    expr: Expr
    slot: int
    rows: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a query: sources, lets (slot, value), what a row must pass, and the kept values' cells."""

    sources: Sequence[Source]
    lets: Sequence[tuple[int, Expr]]
    tests: Sequence[Expr]
    cells: Sequence[int]


def collected(rows: Rows, project: Expr, room: Callable[[list[Any]], None]) -> Emit:
    """The projection of each row that passes, in order; null where all sources are.

    `room` raises where one more would be too many; several sources multiply.
    """

    def emit(w: Writer) -> str:
        made = w.set("[]")

        def add() -> None:
            if len(rows.sources) > 1:
                w.line(f"{w.constant(room)}({made})")
            w.line(f"{made}.append({w.value(project)})")

        first = _each(w, rows, add)
        _without_sources(w, rows, first, made)
        return made

    return emit


def finished(made: Emit, unique: Any, order: Any, single: bool) -> Emit:
    """What a query makes of its rows: distinct, sorted, or the one. `unique`, `order`: functions, None for none."""

    def emit(w: Writer) -> str:
        result = made(w)
        if unique is not None:
            result = w.set(f"None if {result} is None else {w.constant(unique)}({result})")
        if order is not None:
            ordered = f"{w.constant(order)}(ctx, {w.frame()}, {result})"
            result = w.set(f"None if {result} is None else {ordered}")
        return w.set(f"{result}[0] if {result} else None") if single else result

    return emit


def any_row(rows: Rows, project: Expr) -> Emit:
    """Whether a row passes whose projection is not null; the rest are not looked at. Of one source."""

    def emit(w: Writer) -> str:
        result = w.set("False")

        def found() -> None:
            with w.block(f"if {w.value(project)} is not None:"):
                w.line(f"{result} = True")
                w.line("break")

        _each(w, rows, found)
        return w.ensure(result)

    return emit


def related(source: Source, such_that: Expr, cells: Sequence[int], wanted: bool) -> Emit:
    """with … such that, without … such that: whether there is such a row, or none."""

    def emit(w: Writer) -> str:
        _forget(w, cells)
        items = w.value(source.expr)
        result = w.set(str(not wanted))
        with (
            w.loop(source.slot, _rows(w, source, items)),
            w.block(f"if {w.holds(such_that)}:"),
        ):
            w.line(f"{result} = {wanted}")
            w.line("break")
        return w.ensure(result)

    return emit


def _without_sources(w: Writer, rows: Rows, first: str, result: str) -> None:
    """Where every source is null, so is the result."""

    def rest(number: int, items: str) -> None:
        with w.block(f"if {items} is None:"):
            if number == 1:
                w.line(f"{w.slot(rows.sources[0].slot)} = None")
            if number == len(rows.sources):
                w.line(f"{result} = None")
            else:
                rest(number + 1, w.value(rows.sources[number].expr))

    rest(1, first)


def _each(w: Writer, rows: Rows, body: Callable[[], None]) -> str:
    """Write the loops, with `body` for each row that passes; what holds the first source's value."""

    def passes(number: int) -> None:
        if number == len(rows.tests):
            body()
            return
        with w.block(f"if {w.holds(rows.tests[number])}:"):
            passes(number + 1)

    def level(number: int, items: str) -> None:
        source = rows.sources[number]
        with w.loop(source.slot, _rows(w, source, items)):
            if number + 1 < len(rows.sources):
                level(number + 1, w.value(rows.sources[number + 1].expr))
                return
            for slot, expr in rows.lets:
                w.line(f"{w.slot(slot)} = {w.value(expr)}")
            passes(0)

    _forget(w, rows.cells)
    first = w.value(rows.sources[0].expr)
    level(0, first)
    return first


def _forget(w: Writer, cells: Sequence[int]) -> None:
    if cells:
        w.line(f"{' = '.join(w.slot(cell) for cell in cells)} = UNSET")


def _rows(w: Writer, source: Source, items: str) -> str:
    return f"{items} if type({items}) is list else {w.constant(source.rows)}({items})"


def retrieve(key: int, *asked: Any) -> Emit:
    """The resources of a retrieve. `asked`: resource type, code path, codes, value set."""
    return lambda w: w.known(f"ctx.retrieve({key}, {', '.join([w.constant(part) for part in asked])})")
