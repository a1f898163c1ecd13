"""Emitters of operators that are functions of their operands' values, and of lists and tuples.

Operands are computed in order; a null-propagating operator stops at its first null, as its closure does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cds_service.elm.codegen.writer import Emit, Writer

if TYPE_CHECKING:
    from cds_service.elm.compile import Expr


def inlined(template: str) -> Callable[[Any], Any]:
    """A function's calls are written as this expression of `{0}` and `{1}`."""

    def note(function: Any) -> Any:
        function.inline = template
        return function

    return note


def _application(w: Writer, function: Any, atoms: Sequence[str]) -> str:
    template: str | None = getattr(function, "inline", None)
    if template is not None:
        return template.format(*atoms)
    return f"{w.constant(function)}({', '.join(atoms)})"


def strict1(function: Callable[[Any], Any], operand: Expr) -> Emit:
    """`function(operand)`, null where the operand is."""

    def emit(w: Writer) -> str:
        a = w.value(operand)
        if w.is_sure(a):
            return w.known(_application(w, function, [a]), sure=hasattr(function, "inline"))
        return w.known(f"None if {a} is None else {_application(w, function, [a])}")

    return emit


def strict2(function: Callable[[Any, Any], Any], left: Expr, right: Expr) -> Emit:
    """`function(left, right)`, null where an operand is; the right one is not computed after a null."""

    def emit(w: Writer) -> str:
        a = w.value(left)
        if right.constant:
            return w.known(f"None if {a} is None else {_application(w, function, [a, w.value(right)])}")
        result = w.set("None")
        with w.block(f"if {a} is not None:"):
            b = w.value(right)
            with w.block(f"if {b} is not None:"):
                w.line(f"{result} = {_application(w, function, [a, b])}")
        return result

    return emit


def direct(function: Callable[..., Any], operands: Sequence[Expr], *context: str, sure: bool = False) -> Emit:
    """`function(*operands)`, nulls passed on to it. `context`: further arguments (`ctx`); `sure`: it is never null."""

    def emit(w: Writer) -> str:
        atoms = [w.value(operand) for operand in operands]
        return w.known(_application(w, function, [*atoms, *context]), sure=sure)

    return emit


def call(function: Callable[..., Any], operands: Sequence[Expr], needed: int) -> Emit:
    """`function(*operands)` once all are computed, null where one of the first `needed` is."""

    def emit(w: Writer) -> str:
        atoms = [w.value(operand) for operand in operands]
        application = f"{w.constant(function)}({', '.join(atoms)})"
        tests = " or ".join(f"{atom} is None" for atom in atoms[:needed])
        return w.known(f"None if {tests} else {application}" if tests else application)

    return emit


def is_null(operand: Expr) -> Emit:
    """Whether the operand is null."""
    return lambda w: w.known(f"{w.value(operand)} is None", sure=True)


def same(operand: Expr) -> Emit:
    """The operand's own value."""
    return lambda w: w.value(operand)


def member_of(element: Expr, members: frozenset[Any]) -> Emit:
    """Whether the element is one of some texts."""
    return lambda w: w.known(f"{w.value(element)} in {w.constant(members)}", sure=True)


def list_of(elements: Sequence[Expr]) -> Emit:
    """A list of the values."""
    return lambda w: w.set(f"[{', '.join([w.value(element) for element in elements])}]")


def to_list(operand: Expr) -> Emit:
    """A list of the one value, empty for null."""

    def emit(w: Writer) -> str:
        a = w.value(operand)
        return w.set(f"[] if {a} is None else [{a}]")

    return emit


def tuple_of(make: Any, elements: Sequence[tuple[str, Expr]]) -> Emit:
    """`make` of a mapping of names to values."""

    def emit(w: Writer) -> str:
        pairs = [f"{w.constant(name)}: {w.value(expr)}" for name, expr in elements]
        return w.set(f"{w.constant(make)}({{{', '.join(pairs)}}})")

    return emit


def concatenated(operands: Sequence[Expr], joined: Callable[[Sequence[str]], str]) -> Emit:
    """The texts joined, null where one is."""

    def emit(w: Writer) -> str:
        atoms = [w.value(operand) for operand in operands]
        tests = " or ".join(f"{atom} is None" for atom in atoms) or "False"
        return w.known(f"None if {tests} else {w.constant(joined)}(({', '.join(atoms)},))")

    return emit


def unless_null(otherwise: str, function: Callable[..., Any], first: Expr, second: Expr) -> Emit:
    """`function(first, second, ctx)`, another value (a Python literal) where the first is null."""

    def emit(w: Writer) -> str:
        a = w.value(first)
        result = w.set(otherwise)
        with w.block(f"if {a} is not None:"):
            w.line(f"{result} = {w.constant(function)}({a}, {w.value(second)}, ctx)")
        return result

    return emit
