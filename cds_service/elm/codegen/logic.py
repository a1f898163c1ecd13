"""Emitters of three-valued logic and of choices: what can't change the result is not computed.

A text that is written is `if`s; a case of many items nests no deeper than the writer allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cds_service.elm.codegen.writer import Emit, Writer

if TYPE_CHECKING:
    from cds_service.elm.compile import Expr


def conjunction(left: Expr, right: Expr) -> Emit:
    """`left and right`: false beats null beats true."""

    def emit(w: Writer) -> str:
        a = w.value(left)
        result = w.set("False")
        if w.is_sure(a):
            with w.block(f"if {a}:"):
                b = w.value(right)
                sure = w.is_sure(b)
                w.line(f"{result} = {b if sure else f'None if {b} is None else {b} is not False'}")
            return w.ensure(result) if sure else result
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
        if w.is_sure(a):
            with w.block(f"if {a if beaten == 'False' else f'not {a}'}:"):
                b = w.value(right)
                sure = w.is_sure(b)
                w.line(f"{result} = {b if sure else f'None if {b} is None else {b} is True'}")
            return w.ensure(result) if sure else result
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
        atoms: list[str] = []

        def set_to(atom: str) -> None:
            atoms.append(atom)
            w.line(f"{result} = {atom}")

        def rest(number: int) -> None:
            if number == len(items):
                set_to(w.value(other))
                return
            when, then = items[number]
            with w.block(f"if {w.holds(when)}:"):
                set_to(w.value(then))
            with w.block("else:"):
                rest(number + 1)

        rest(0)
        return w.ensure(result) if all(w.is_sure(atom) for atom in atoms) else result

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
        first = w.value(operands[0])
        if len(operands) == 1 or w.is_sure(first):
            return first
        result = w.set(first)

        def rest(number: int) -> bool:
            if number == len(operands):
                return False
            with w.block(f"if {result} is None:"):
                value = w.value(operands[number])
                w.line(f"{result} = {value}")
                return w.is_sure(value) or rest(number + 1)

        if rest(1) and all(operand.type == "System.Boolean" for operand in operands):
            w.ensure(result)
        return result

    return emit
