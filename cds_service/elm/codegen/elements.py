"""Emitters of property access on FHIR JSON: dict look-ups, choice elements, primitives and their values.

JSON of another shape raises at the line of its node, as the closures do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cds_service.elm.codegen.writer import Emit, Writer
from cds_service.elm.values import Shell, Typed

# What a value of these types looks like when it needs no conversion.
_AS_IT_IS = {"String": str, "Boolean": bool, "Integer": int}


def key(parent: Emit, name: str) -> Emit:
    """One key of a JSON object."""

    def emit(w: Writer) -> str:
        source = parent(w)
        return w.known(f"None if {source} is None else {source}.get({w.constant(name)})")

    return emit


def primitive(parent: Emit, name: str) -> Emit:
    """One key of a JSON object, with the extensions beside it where it has some."""

    def emit(w: Writer) -> str:
        source = parent(w)
        extra = w.constant("_" + name)
        what = f"primitive {source} {extra}"
        before = w.recall(what)
        if before is not None:
            return before
        value = w.note(what, w.set("None"))
        with w.block(f"if {source} is not None:"):
            w.line(f"{value} = {source}.get({w.constant(name)})")
            with w.block(f"if {extra} in {source}:"):
                w.line(f"{value} = {w.constant(Shell.of)}({value}, {source}[{extra}] or {{}})")
        return value

    return emit


def primitives(parent: Emit, name: str) -> Emit:
    """A list of primitives, with what their second JSON array says of them."""

    def emit(w: Writer) -> str:
        source = parent(w)
        extra = w.constant("_" + name)
        paired = f"{w.constant(Shell.paired)}({source}.get({w.constant(name)}), {source}[{extra}])"
        plain = f"{source}.get({w.constant(name)})"
        return w.known(f"None if {source} is None else {paired} if {extra} in {source} else {plain}")

    return emit


def converted(element: Emit, convert: Callable[..., Any], kind: str) -> Emit:
    """A primitive's value as a System value."""
    plain = _AS_IT_IS.get(kind)

    def emit(w: Writer) -> str:
        value = element(w)
        change = f"{w.constant(convert)}({value}, ctx)"
        if plain is None:
            return w.known(f"None if {value} is None else {change}")
        easy = f"{value} is None or type({value}) is {w.constant(plain)}"
        return w.known(f"{value} if {easy} else {change}")

    return emit


def choice(parent: Emit, choices: Sequence[tuple[str, str]]) -> Emit:
    """A choice element: the first of its keys, with its type."""
    keyed = [(name, "_" + name, kind) for name, kind in choices]
    return lambda w: w.known(f"{w.constant(chosen)}({parent(w)}, {w.constant(keyed)})")


def chosen(source: Any, choices: Sequence[tuple[str, str, str]]) -> Any:
    """The choice element of a JSON object. `choices`: its keys, those of their extensions, and their types."""
    if source is not None:
        for name, extra, kind in choices:
            if name in source or extra in source:
                value, more = source.get(name), source.get(extra)
                if value is not None or more is not None:
                    return Typed(value if more is None else Shell.of(value, more), kind)
    return None


def any_key(parent: Emit, names: Sequence[str]) -> Emit:
    """The value of the first of some keys."""

    def emit(w: Writer) -> str:
        source = parent(w)
        value = w.set("None")
        with w.block(f"if {source} is not None:"):
            for name in names:
                with w.block(f"if {value} is None:"):
                    w.line(f"{value} = {source}.get({w.constant(name)})")
        return value

    return emit


def has_key(parent: Emit, names: Sequence[str]) -> Emit:
    """Whether one of some keys is there."""

    def emit(w: Writer) -> str:
        source = parent(w)
        tests = " or ".join(f"{source}.get({w.constant(name)}) is not None" for name in names) or "False"
        return w.known(f"{source} is not None and ({tests})", sure=True)

    return emit


class Held:
    """The element of a choice or list, under whatever name it is held while a way on from it is written."""

    def __init__(self) -> None:
        self.name = ""

    def __call__(self, w: Writer) -> str:
        return self.name


def ways(parent: Emit, alternatives: Sequence[tuple[str, Held, Emit]]) -> Emit:
    """The way on from the first of some keys that is there."""

    def emit(w: Writer) -> str:
        source = parent(w)
        result = w.set("None")

        def rest(number: int) -> None:
            name, held, way = alternatives[number]
            extra = w.constant("_" + name)
            value = w.set(f"{source}.get({w.constant(name)})")
            with w.block(f"if {source}.get({extra}) is not None:"):
                w.line(f"{value} = {w.constant(Shell.of)}({value}, {source}[{extra}])")
            with w.block(f"if {value} is not None:"):
                held.name = value
                w.line(f"{result} = {way(w)}")
            if number + 1 < len(alternatives):
                with w.block("else:"):
                    rest(number + 1)

        with w.block(f"if {source} is not None:"):
            rest(0)
        return result

    return emit


def applied(value: Emit, function: Callable[..., Any], *context: str) -> Emit:
    """`function(value)`, or `function(value, ctx)`."""
    return lambda w: w.known(f"{w.constant(function)}({', '.join([value(w), *context])})")
