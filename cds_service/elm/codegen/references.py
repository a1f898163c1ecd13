"""Emitters of references: locals, defines, parameters, calls of functions, kept values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cds_service.elm.codegen.writer import Emit, Writer
from cds_service.elm.temporal import Date

if TYPE_CHECKING:
    from cds_service.elm.compile import Definition, Expr


def local(index: int) -> Emit:
    """A slot's value."""
    return lambda w: w.slot(index)


def kept(cell: int, inner: Expr) -> Emit:
    """A value that is computed once while a query runs."""

    def emit(w: Writer) -> str:
        slot = w.slot(cell)
        with w.block(f"if {slot} is UNSET:"):
            w.line(f"{slot} = {w.value(inner)}")
        return slot

    return emit


def define(definition: Definition) -> Emit:
    """A define's value, noted in the trace of the define that refers to it."""

    def emit(w: Writer) -> str:
        index = definition.index
        before = w.recall(f"define {index}")
        if before is not None:
            return before
        entry = w.set(f"ctx.memo[{index}]")
        with w.block(f"if {entry} is None:"):
            w.line(f"{entry} = ctx.define({w.constant(definition)})")
        w.line(f"ctx.trace[{index}] = {entry}")
        with w.block(f"if {entry}.error is not None:"):
            w.line(f"raise {entry}.error")
        return w.note(f"define {index}", w.set(f"{entry}.value"))

    return emit


def parameter(index: int, default: Expr | None) -> Emit:
    """A parameter's value: as passed, else its default, else null."""

    def emit(w: Writer) -> str:
        before = w.recall(f"parameter {index}")
        if before is not None:
            return before
        value = w.note(f"parameter {index}", w.set(f"ctx.parameters[{index}]"))
        with w.block(f"if {value} is UNSET:"):
            made = "None" if default is None else w.value(default)
            w.line(f"{value} = ctx.parameters[{index}] = {made}")
        return value

    return emit


def called(definition: Definition, operands: Sequence[Expr]) -> Emit:
    """A call of a function."""

    def emit(w: Writer) -> str:
        atoms = [w.value(operand) for operand in operands]
        text = _application(w, definition, atoms)
        return w.known(text) if definition.pure else w.set(text)

    return emit


def alike(w: Writer, atom: str, path: str) -> str:
    """The identity of a concept that is like the one at this element of a JSON object ('': of the object itself)."""
    concept = atom
    if path:
        concept = w.known(f"{atom}.get({w.constant(path)}) if type({atom}) is {w.constant(dict)} else {atom}")
    number = w.set(f"id({concept})")
    return w.set(f"ctx.alike.get({number}, {number})")


def shared(condition: Expr, slot: int, path: str, memo: int) -> Emit:
    """A condition whose result is remembered during the evaluation, by the concept that it reads of its row."""

    def emit(w: Writer) -> str:
        row = w.slot(slot)
        key = alike(w, row, path)
        calls = w.set(f"ctx.calls[{memo}]")
        found = w.set(f"{calls}.get({key})")
        with w.block(f"if {found} is None:"):
            assert condition.emit is not None  # noqa: S101 - else there is no such condition
            w.line(f"{found} = {calls}[{key}] = ({condition.emit(w)}, {row})")
        return w.set(f"{found}[0]")

    return emit


def remembered(
    definition: Definition, operands: Sequence[Expr], by_value: Sequence[bool], memo: int, path: str | None
) -> Emit:
    """A call whose result is remembered during the evaluation, by its operands' values or identities.

    `path`: by the concept at this element of its one operand (`alike`); None: it isn't.
    """

    def emit(w: Writer) -> str:
        atoms = [w.value(operand) for operand in operands]
        parts = [atom if value else f"id({atom})" for atom, value in zip(atoms, by_value, strict=True)]
        for number, operand in enumerate(definition.operands):
            if operand == "System.Date":  # hashing its parts costs less than asking it for its hash
                atom = atoms[number]
                parts[number] = f"{atom}.parts if type({atom}) is {w.constant(Date)} else {atom}"
        what = f"call {memo} of {' '.join(atoms)}"
        before = w.recall(what)
        if before is not None:
            return before
        if path is not None:
            key = alike(w, atoms[0], path)
        else:
            key = w.set(parts[0] if len(parts) == 1 else f"({', '.join(parts)})")
        calls = w.set(f"ctx.calls[{memo}]")
        found = w.set(f"{calls}.get({key})")
        with w.block(f"if {found} is None:"):
            # The operands are kept, so that their identities stay their own.
            result = _application(w, definition, atoms)
            w.line(f"{found} = {calls}[{key}] = ({result}, {', '.join(atoms)})")
        return w.note(what, w.set(f"{found}[0]"))

    return emit


def _application(w: Writer, definition: Definition, atoms: Sequence[str]) -> str:
    if definition.direct is not None:
        return f"{w.constant(definition.direct)}({', '.join(['ctx', *atoms])})"
    frame = [*atoms, *["None"] * (definition.frame_size - len(atoms))]
    return f"{w.constant(definition.fn)}(ctx, [{', '.join(frame)}])"
