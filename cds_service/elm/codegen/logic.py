"""Emitters of three-valued logic and of choices: what can't change the result is not computed.

A text that is written is `if`s; a case of many items nests no deeper than the writer allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cds_service.elm.codegen.operators import Emit
from cds_service.elm.codegen.writer import Writer

if TYPE_CHECKING:
    from cds_service.elm.compile import Expr


def conjunction(left: Expr, right: Expr) -> Emit:
    """`left and right`: false beats null beats true."""

    def emit(w: Writer) -> str:
        a = w.value(left)
        result = w.set("False")
        with w.block(f"if {a} is not False:"):
            b = w.value(right)
            with w.block(f"if {b} is not False:"):
                w.line(f"{result} = None if {a} is None or {b} is None else True")
        return result

    return emit


def disjunction(left: Expr, right: Expr, beaten: str = "True") -> Emit:
    """`left or right`: true beats null beats false. `beaten="False"`: `left implies right`."""

    def emit(w: Writer) -> str:
        a = w.value(left)
        result = w.set("True")
        with w.block(f"if {a} is not {beaten}:"):
            b = w.value(right)
            with w.block(f"if {b} is not True:"):
                w.line(f"{result} = None if {a} is None or {b} is None else False")
        return result

    return emit


def choice(items: Sequence[tuple[Expr, Expr]], other: Expr) -> Emit:
    """The value of the first item whose condition is true, else the other."""

    def emit(w: Writer) -> str:
        result = w.temporary()

        def rest(number: int) -> None:
            if number == len(items):
                w.line(f"{result} = {w.value(other)}")
                return
            when, then = items[number]
            with w.block(f"if {w.value(when)} is True:"):
                w.line(f"{result} = {w.value(then)}")
            with w.block("else:"):
                rest(number + 1)

        rest(0)
        return result

    return emit


def table(subject: Expr, items: Mapping[Any, Expr], other: Expr) -> Emit:
    """The value of the item whose text the subject is, else the other."""

    def emit(w: Writer) -> str:
        result = w.temporary()
        numbers = {key: number for number, key in enumerate(items)}
        found = w.set(f"{w.constant(numbers)}.get({w.value(subject)})")
        for number, then in enumerate(items.values()):
            with w.block(f"{'elif' if number else 'if'} {found} == {number}:"):
                w.line(f"{result} = {w.value(then)}")
        with w.block("else:" if items else "if True:"):
            w.line(f"{result} = {w.value(other)}")
        return result

    return emit


def first_known(operands: Sequence[Expr]) -> Emit:
    """The first value that is not null."""

    def emit(w: Writer) -> str:
        result = w.set(w.value(operands[0]))

        def rest(number: int) -> None:
            if number < len(operands):
                with w.block(f"if {result} is None:"):
                    w.line(f"{result} = {w.value(operands[number])}")
                    rest(number + 1)

        rest(1)
        return result

    return emit
