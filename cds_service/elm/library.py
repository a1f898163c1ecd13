"""Loading libraries and evaluating them.

Whatever is wrong with a library raises AuthoringError at load; after that, `evaluate` raises only for wrong
parameters: a define that fails carries its error in its Result.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import ROUND_HALF_UP, Context, localcontext
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, overload

from cds_service.elm.arguments import checked
from cds_service.elm.ports import Retriever, Terminology
from cds_service.elm.reach import settle
from cds_service.elm.reading import Node, Unit, link, parameter_types, read_unit
from cds_service.elm.temporal import DateTime
from cds_service.elm.trace import Result, gather
from cds_service.elm.types import StaticType
from cds_service.elm.values import plain
from cds_service.errors import AuthoringError

if TYPE_CHECKING:
    from cds_service.elm.compile import Compiler, Definition, RetrieveNeed
    from cds_service.elm.context import Context as Evaluation
    from cds_service.elm.session import Session

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
        self._slots = [
            (other.name, name, compiler.parameter_index[other.key, name])
            for other in _included(unit)
            for name in other.parameters
        ]
        reached = settle(compiler, self._defines.values())
        self._keyed = [d for d in reached if d.memo >= 0 and d.reach is not None and d.reach.slots]

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

    @overload
    def evaluate(
        self,
        defines: Sequence[str] | None,
        *,
        retriever: Retriever,
        patient: Mapping[str, Any] | None,
        parameters: Mapping[str, Any],
        now: DateTime,
    ) -> dict[str, Result]: ...

    @overload
    def evaluate(
        self, defines: Sequence[str] | None, *, session: Session, parameters: Mapping[str, Any]
    ) -> dict[str, Result]: ...

    def evaluate(
        self,
        defines: Sequence[str] | None,
        *,
        parameters: Mapping[str, Any],
        retriever: Retriever | None = None,
        patient: Mapping[str, Any] | None = None,
        now: DateTime | None = None,
        session: Session | None = None,
    ) -> dict[str, Result]:
        """Evaluate the named defines (None: all) for one patient at `now`; each define once.

        `parameters` are Python values of CQL's types (Date, Decimal, int, str, list …) by name; an included
        library's are named `Library.name`, or by their bare name where the main library has none of that
        name. A `session` holds the retriever, the patient and the moment: what its earlier evaluations came to,
        also those of other libraries of this LibrarySet, is not evaluated again.
        """
        from cds_service.elm.context import Context as Evaluation

        if isinstance(defines, str):
            raise AuthoringError("defines is a list of names, or None for all", library=self.name)
        chosen = [self._definition(name) for name in (self.defines if defines is None else defines)]
        if session is not None:
            bound = self._parameters(parameters, session.now)
            return self._results(chosen, session.context(self._compiler, bound, self._keyed))
        if retriever is None or now is None:
            raise TypeError("evaluate needs a session, or a retriever and the moment")
        if not isinstance(now, DateTime) or len(now.parts) < 4:
            raise AuthoringError("now is a DateTime with the time of day", library=self.name)
        context = Evaluation(
            retriever=retriever,
            terminology=self._terminology,
            patient=patient,
            parameters=self._parameters(parameters, now),
            now=now,
            size=len(self._compiler.definitions),
            calls=[{} for _ in range(self._compiler.memoised)],
            locate=self._compiler.locate,
        )
        return self._results(chosen, context)

    def _results(self, chosen: Sequence[Definition], context: Evaluation) -> dict[str, Result]:
        from cds_service.elm.explanation import explain

        results = {}
        with localcontext(DECIMAL_CONTEXT):
            for definition in chosen:
                entry = context.define(definition)
                resources, types = gather(entry)
                why = partial(explain, self._compiler, context, definition, entry)
                results[definition.name] = Result(plain(entry.value), resources, types, entry.error, why)
        return results

    def _parameters(self, given: Mapping[str, Any], now: DateTime) -> list[Any]:
        from cds_service.elm.context import UNSET

        values = [UNSET] * len(self._compiler.parameter_index)
        used = set()
        for library, name, slot in self._slots:
            for key in (f"{library}.{name}", name):
                if key in given:
                    used.add(key)
                    kind = self.parameter_types.get(name)
                    values[slot] = checked(library, name, given[key], kind, now.offset or 0)
                    break
            else:
                values[slot] = self._compiler.defaults.get(slot, UNSET)
        unknown = [name for name in given if name not in used and name not in self._unit.parameters]
        if unknown:
            raise AuthoringError(f"library {self.name} has no parameter {', '.join(sorted(unknown))}")
        return values


@contextmanager
def _collection_paused() -> Iterator[None]:
    """What a load makes stays: looking through it for garbage, again and again, would take half of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class LibrarySet:
    """Libraries that share what they have in common: a library that several include is read, compiled and kept once.

    Libraries are the same where their content is, and that of all that they include; those of one name and
    different content stand side by side. Loads of one set follow each other; evaluations may go on meanwhile.
    """

    def __init__(self, terminology: Terminology) -> None:
        from cds_service.elm.compile import Compiler

        self._terminology = terminology
        self._units: dict[str, Unit] = {}  # by key
        self._compiler = Compiler(self._units, terminology)
        self._read: dict[bytes, tuple[Unit, bytes]] = {}  # by the hash of a source's bytes
        self._linked: dict[bytes, Unit] = {}  # by the hash of a library and of all that it includes
        self._lock = Lock()

    def load(self, sources: Iterable[bytes | Mapping[str, Any]], *, main: str) -> Library:
        """Compile the library named `main` with its includes, as `load_library` does."""
        with self._lock, _collection_paused():
            return self._load(sources, main)

    def _load(self, sources: Iterable[bytes | Mapping[str, Any]], main: str) -> Library:
        units: dict[str, Unit] = {}
        texts: dict[str, bytes] = {}
        if isinstance(sources, (str, bytes, Mapping)):
            raise AuthoringError("sources is a list of ELM libraries: put the one into a list")
        for source in sources:
            unit, canonical = self._as_read(source)
            if unit.key in units:
                one, two = units[unit.key].version or "no version", unit.version or "no version"
                raise AuthoringError(
                    f"library {unit.name} is given twice ({one}, {two}): give one version", library=unit.name
                )
            units[unit.key] = unit
            texts[unit.key] = canonical
        if main not in units:
            known = ", ".join(units) or "none"
            raise AuthoringError(f"library {main} is not among the sources; there are: {known}", library=main)
        digest = hashlib.sha256()
        for _, canonical in sorted(texts.items()):
            digest.update(canonical)
        link(units, main)
        same: dict[str, tuple[Unit, bytes]] = {}
        for each in reversed(_included(units[main])):
            self._same(each, texts, same)
        unit = same[main][0]
        for name, node in unit.value_sets.items():
            url, version = node["id"], node.get("version")
            urls = [f"{url}|{version}", url] if version else [url]
            if not any(map(self._terminology.has_value_set, urls)):
                raise unit.refuse(f'value set "{name}" ({node["id"]}) is not available', node)
        compiler = self._compiler
        try:
            with localcontext(DECIMAL_CONTEXT):
                compile_parameters(compiler, unit)
                compile_in_order(compiler, unit)
                return Library(unit, compiler, self._terminology, digest.hexdigest())
        except RecursionError:
            raise AuthoringError(f"library {main} is nested too deeply to be compiled") from None
        finally:
            compiler.forget_unfinished()

    def _as_read(self, source: bytes | Mapping[str, Any]) -> tuple[Unit, bytes]:
        """The library of a source, not linked, and its canonical bytes; the same bytes are read once."""
        if not isinstance(source, bytes):
            return read_unit(source)
        key = hashlib.sha256(source).digest()
        found = self._read.get(key)
        if found is None:
            found = self._read[key] = read_unit(source)
        return replace(found[0], linked={}), found[1]

    def _same(
        self, unit: Unit, texts: Mapping[str, bytes], done: dict[str, tuple[Unit, bytes]]
    ) -> tuple[Unit, bytes]:
        """The set's own library of this content, and the hash of it and of all that it includes."""
        found = done.get(unit.name)
        if found is not None:
            return found
        digest = hashlib.sha256(texts[unit.name])
        for alias, other in unit.linked.items():
            unit.linked[alias], inner = self._same(other, texts, done)
            digest.update(alias.encode() + b"\0" + inner)
        content = digest.digest()
        kept = self._linked.get(content)
        if kept is None:
            kept = self._linked[content] = unit
            while kept.key in self._units:
                kept.variant += 1
            self._units[kept.key] = kept
        done[unit.name] = kept, content
        return kept, content


def load_library(
    sources: Iterable[bytes | Mapping[str, Any]], *, main: str, terminology: Terminology
) -> Library:
    """Compile the library named `main` with its includes.

    `sources` are ELM JSON documents (bytes, or parsed), in any order. AuthoringError for anything that can't
    be executed: an unsupported node, a missing include, an unresolvable reference, a value set that
    `terminology` does not have. Several libraries that have something in common are better loaded with a LibrarySet.
    """
    return LibrarySet(terminology).load(sources, main=main)


def _included(main: Unit) -> list[Unit]:
    """The library and all that it includes, each once."""
    units, seen = [main], {main.key}
    for unit in units:
        for other in unit.linked.values():
            if other.key not in seen:
                seen.add(other.key)
                units.append(other)
    return units


def compile_parameters(compiler: Compiler, main: Unit) -> None:
    """Number the parameters of the library and of all it includes."""
    index = compiler.parameter_index
    for unit in _included(main):
        for name in unit.parameters:
            index.setdefault((unit.key, name), len(index))


def compile_in_order(compiler: Compiler, main: Unit) -> None:
    """Compile what `main` needs, dependencies first, so that long chains of defines don't nest."""
    before = compiler.ordered
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
        if key in done or (key in before and (unit is not main or name in unit.expressions)):
            continue
        done.add(key)
        stack.append((unit, name, True))
        nodes = [unit.expressions[name]] if name in unit.expressions else unit.functions[name]
        for other, ref in _references(unit, nodes):
            if (other.key, ref) not in done and (ref in other.expressions or ref in other.functions):
                stack.append((other, ref, False))
    compiler.ordered |= done


def _references(unit: Unit, nodes: Sequence[Node]) -> Iterator[tuple[Unit, str]]:
    pending: list[Any] = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, (dict, Mapping)):
            if node.get("type") in ("ExpressionRef", "FunctionRef"):
                library = node.get("libraryName")
                other = unit.linked.get(library) if isinstance(library, str) and library else unit
                if other is not None and isinstance(node.get("name"), str):
                    yield other, node["name"]
            pending.extend(v for v in node.values() if type(v) is not str and isinstance(v, (list, Mapping)))
