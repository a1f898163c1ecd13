"""Loading libraries and evaluating them.

Whatever is wrong with a library raises AuthoringError at load; after that, `evaluate` raises only for wrong
parameters: a define that fails carries its error in its Result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from cds_service.elm.ports import Retriever, Terminology
from cds_service.elm.reading import Node, Unit, link, parameter_types, read_unit
from cds_service.elm.temporal import DateTime
from cds_service.elm.trace import Result, gather
from cds_service.elm.types import StaticType
from cds_service.elm.values import plain
from cds_service.errors import AuthoringError

if TYPE_CHECKING:
    from cds_service.elm.compile import Compiler, Definition, RetrieveNeed

# CQL's Decimal has 20 digits before and 8 after the point; products need twice that before they are rounded.
DECIMAL_CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP)


class Library:
    """A linked, compiled library: immutable and safe to share between threads.

    `defines` are the main library's expression names in file order (functions and the context define left out).
    `parameter_types` are the declared types of its parameters and of those of the libraries that it includes.
    """

    def __init__(self, unit: Unit, compiler: Compiler, terminology: Terminology, elm_sha256: str) -> None:
        self.name = unit.name
        self.version = unit.version
        self.elm_sha256 = elm_sha256
        self._unit = unit
        self._compiler = compiler
        self._terminology = terminology
        self._defines: dict[str, Definition] = {}
        for name in unit.expressions:
            definition = compiler.define(unit, name)
            assert definition is not None  # noqa: S101 - it is among the expressions
            self._defines[name] = definition
        self.defines: tuple[str, ...] = tuple(name for name in self._defines if name != "Patient")
        self.parameters: tuple[str, ...] = tuple(unit.parameters)
        self.parameter_types: Mapping[str, StaticType] = parameter_types(unit)

    def retrieves(self, define: str) -> frozenset[RetrieveNeed]:
        """Every retrieve that the define may execute, through the defines and functions that it refers to."""
        pending = [self._definition(define)]
        seen = set(pending)
        needs: set[RetrieveNeed] = set()
        while pending:
            definition = pending.pop()
            needs |= set(definition.needs)
            for ref in definition.refs:
                if ref not in seen:
                    seen.add(ref)
                    pending.append(ref)
        return frozenset(needs)

    def _definition(self, name: str) -> Definition:
        try:
            return self._defines[name]
        except KeyError:
            raise AuthoringError(f'library {self.name} has no define "{name}"') from None

    def evaluate(
        self,
        defines: Sequence[str] | None,
        *,
        retriever: Retriever,
        patient: Mapping[str, Any] | None,
        parameters: Mapping[str, Any],
        now: DateTime,
    ) -> dict[str, Result]:
        """Evaluate the named defines (None: all) for one patient at `now`; each define once.

        `parameters` are Python values of CQL's types (Date, Decimal, int, str, list …) by name; an included
        library's are named `Library.name`, or by their bare name where the main library has none of that
        name.
        """
        from cds_service.elm.context import Context as Evaluation

        chosen = [self._definition(name) for name in (self.defines if defines is None else defines)]
        context = Evaluation(
            retriever=retriever,
            terminology=self._terminology,
            patient=patient,
            parameters=self._parameters(parameters),
            now=now,
            size=len(self._compiler.definitions),
            memoised=self._compiler.memoised,
            locate=self._compiler.locate,
        )
        results = {}
        with localcontext(DECIMAL_CONTEXT):
            for definition in chosen:
                entry = context.define(definition)
                resources, types = gather(entry)
                results[definition.name] = Result(plain(entry.value), resources, types, entry.error)
        return results

    def _parameters(self, given: Mapping[str, Any]) -> list[Any]:
        from cds_service.elm.context import UNSET

        index = self._compiler.parameter_index
        values = [UNSET] * len(index)
        used = set()
        for (library, name), slot in index.items():
            for key in (f"{library}.{name}", name):
                if key in given:
                    used.add(key)
                    values[slot] = _parameter(given[key])
                    break
        unknown = [name for name in given if name not in used and name not in self._unit.parameters]
        if unknown:
            raise AuthoringError(f"library {self.name} has no parameter {', '.join(sorted(unknown))}")
        return values


def _parameter(value: Any) -> Any:
    return Decimal(repr(value)) if isinstance(value, float) else value


def load_library(
    sources: Iterable[bytes | Mapping[str, Any]], *, main: str, terminology: Terminology
) -> Library:
    """Compile the library named `main` with its includes.

    `sources` are ELM JSON documents (bytes, or parsed), in any order. AuthoringError for anything that can't
    be executed: an unsupported node, a missing include, an unresolvable reference, a value set that
    `terminology` does not have.
    """
    from cds_service.elm.compile import Compiler

    units: dict[str, Unit] = {}
    texts = []
    for source in sources:
        unit, canonical = read_unit(source)
        if unit.key in units:
            one, two = units[unit.key].version or "no version", unit.version or "no version"
            raise AuthoringError(
                f"library {unit.name} is given twice ({one}, {two}): give one version", library=unit.name
            )
        units[unit.key] = unit
        texts.append((unit.key, canonical))
    if main not in units:
        known = ", ".join(units) or "none"
        raise AuthoringError(f"library {main} is not among the sources; there are: {known}", library=main)
    digest = hashlib.sha256()
    for _, canonical in sorted(texts):
        digest.update(canonical)
    link(units, main)
    unit = units[main]
    for name, node in unit.value_sets.items():
        if not terminology.has_value_set(node["id"]):
            raise unit.refuse(f'value set "{name}" ({node["id"]}) is not available', node)
    compiler = Compiler(units, terminology)
    try:
        with localcontext(DECIMAL_CONTEXT):
            compile_parameters(compiler, unit)
            compile_in_order(compiler, unit)
            return Library(unit, compiler, terminology, digest.hexdigest())
    except RecursionError:
        raise AuthoringError(f"library {main} is nested too deeply to be compiled") from None


def compile_parameters(compiler: Compiler, main: Unit) -> None:
    """Number the parameters of the library and of all it includes."""
    pending, seen = [main], {main.key}
    while pending:
        unit = pending.pop()
        for name in unit.parameters:
            compiler.parameter_index[unit.key, name] = len(compiler.parameter_index)
        for other in unit.linked.values():
            if other.key not in seen:
                seen.add(other.key)
                pending.append(other)


def compile_in_order(compiler: Compiler, main: Unit) -> None:
    """Compile what `main` needs, dependencies first, so that long chains of defines don't nest."""
    done: set[tuple[str, str]] = set()
    stack: list[tuple[Unit, str, bool]] = [
        (main, name, False) for name in reversed([*main.expressions, *main.functions])
    ]
    while stack:
        unit, name, ready = stack.pop()
        key = (unit.key, name)
        if ready:
            if name in unit.expressions:
                compiler.define(unit, name)
            elif unit is main:
                for function in compiler.functions(unit, name):
                    if not function.node.get("external"):
                        compiler.function(function)
            continue
        if key in done:
            continue
        done.add(key)
        stack.append((unit, name, True))
        nodes = [unit.expressions[name]] if name in unit.expressions else unit.functions[name]
        for other, ref in _references(unit, nodes):
            if (other.key, ref) not in done and (ref in other.expressions or ref in other.functions):
                stack.append((other, ref, False))


def _references(unit: Unit, nodes: Sequence[Node]) -> Iterator[tuple[Unit, str]]:
    pending: list[Any] = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, Mapping):
            if node.get("type") in ("ExpressionRef", "FunctionRef"):
                library = node.get("libraryName")
                other = unit.linked.get(library) if isinstance(library, str) and library else unit
                if other is not None and isinstance(node.get("name"), str):
                    yield other, node["name"]
            pending.extend(value for value in node.values() if isinstance(value, (list, Mapping)))
