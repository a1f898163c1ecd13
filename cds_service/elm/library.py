"""Reading ELM JSON into libraries, linking them, and evaluating them.

Two forms of ELM JSON are read: the translation service's (with empty arrays) and the Jackson writer's (with
`type` on definitions). Whatever is wrong with a library raises AuthoringError at load; after that, `evaluate`
raises only for wrong parameters: a define that fails carries its error in its Result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

import orjson

from cds_service.elm.ports import Retriever, Terminology
from cds_service.elm.temporal import DateTime
from cds_service.elm.trace import Result, gather
from cds_service.elm.types import StaticType, named, specified
from cds_service.elm.values import plain
from cds_service.errors import AuthoringError

if TYPE_CHECKING:
    from cds_service.elm.compile import Compiler, Definition, RetrieveNeed

Node = Mapping[str, Any]

# CQL's Decimal has 20 digits before and 8 after the point; products need twice that before they are rounded.
DECIMAL_CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP)
_MODELS = {"urn:hl7-org:elm-types:r1": None, "http://hl7.org/fhir": ("4.0.0", "4.0.1")}


@dataclass(eq=False)
class Unit:
    """One ELM library as read: its definitions by name."""

    name: str
    version: str | None
    includes: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    parameters: dict[str, Node] = field(default_factory=dict)
    code_systems: dict[str, Node] = field(default_factory=dict)
    value_sets: dict[str, Node] = field(default_factory=dict)
    codes: dict[str, Node] = field(default_factory=dict)
    concepts: dict[str, Node] = field(default_factory=dict)
    expressions: dict[str, Node] = field(default_factory=dict)
    functions: dict[str, list[Node]] = field(default_factory=dict)
    linked: dict[str, Unit] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The library's identity among the loaded ones."""
        return self.name


def read_unit(source: bytes | Mapping[str, Any]) -> tuple[Unit, bytes]:
    """Read one ELM library; also its canonical bytes, for the hash."""
    try:
        parsed = orjson.loads(source) if isinstance(source, (bytes, bytearray, str)) else source
        library = parsed.get("library", parsed)
        identifier = library["identifier"]
        unit = Unit(str(identifier["id"]), identifier.get("version"))
        canonical = orjson.dumps(library, option=orjson.OPT_SORT_KEYS)
        _refuse_errors(unit, library)
        for using in _definitions(library, "usings"):
            _check_model(unit, using)
        for include in _definitions(library, "includes"):
            path = include["path"].rsplit("/", 1)[-1]
            unit.includes[include["localIdentifier"]] = (path, include.get("version"))
        for name, table in (
            ("parameters", unit.parameters),
            ("codeSystems", unit.code_systems),
            ("valueSets", unit.value_sets),
            ("codes", unit.codes),
            ("concepts", unit.concepts),
        ):
            table.update({node["name"]: node for node in _definitions(library, name)})
        for node in _definitions(library, "statements"):
            # A FunctionDef has operands in either form; the service's form may leave out `type` on a plain define.
            if node.get("type") == "FunctionDef":
                unit.functions.setdefault(node["name"], []).append(node)
            else:
                unit.expressions[node["name"]] = node
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise AuthoringError(f"not an ELM library: {type(error).__name__} {error}") from error
    return unit, canonical


def _definitions(library: Node, name: str) -> Iterator[Node]:
    yield from (library.get(name) or {}).get("def") or ()


def _refuse_errors(unit: Unit, library: Node) -> None:
    for note in library.get("annotation") or ():
        if note.get("type") == "CqlToElmError" and note.get("errorSeverity") == "error":
            where = f"{note.get('startLine')}:{note.get('startChar')}"
            raise AuthoringError(
                f"library {unit.name} was translated with an error at {where}: {note.get('message')}"
            )


def _check_model(unit: Unit, using: Node) -> None:
    uri, version = using.get("uri"), using.get("version")
    if uri not in _MODELS:
        raise AuthoringError(
            f"library {unit.name} uses the model {using.get('localIdentifier')} ({uri}): only FHIR R4 is known"
        )
    versions = _MODELS[uri]
    if versions and version not in versions:
        raise AuthoringError(f"library {unit.name} uses FHIR {version}: only 4.0.1 is known")


def link(units: Mapping[str, Unit], main: str) -> None:
    """Resolve the includes reachable from `main`; a missing, mismatched or circular one raises AuthoringError."""
    done: set[str] = set()
    path: list[str] = []

    def visit(unit: Unit) -> None:
        if unit.key in path:
            raise AuthoringError(f"libraries include each other: {' → '.join([*path, unit.name])}")
        if unit.key in done:
            return
        path.append(unit.key)
        for alias, (name, version) in unit.includes.items():
            found = units.get(name)
            if found is None:
                raise AuthoringError(f"library {unit.name} includes {name}, which is not among the sources")
            if version and found.version and version != found.version:
                raise AuthoringError(
                    f"library {unit.name} includes {name} {version}, but {found.version} is given"
                )
            unit.linked[alias] = found
            visit(found)
        path.pop()
        done.add(unit.key)

    visit(units[main])


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
            raise AuthoringError(f"library {unit.name} is given twice")
        units[unit.key] = unit
        texts.append((unit.key, canonical))
    if main not in units:
        raise AuthoringError(f"library {main} is not among the sources")
    digest = hashlib.sha256()
    for _, canonical in sorted(texts):
        digest.update(canonical)
    link(units, main)
    unit = units[main]
    for name, node in unit.value_sets.items():
        url, version = node["id"], node.get("version")
        if not (version and terminology.has_value_set(f"{url}|{version}")) and not terminology.has_value_set(
            url
        ):
            raise AuthoringError(f'library {main}: value set "{name}" ({node["id"]}) is not available')
    compiler = Compiler(units, terminology)
    try:
        with localcontext(DECIMAL_CONTEXT):
            compile_parameters(compiler, unit)
            compile_in_order(compiler, unit)
            return Library(unit, compiler, terminology, digest.hexdigest())
    except RecursionError:
        raise AuthoringError(f"library {main} is nested too deeply to be compiled") from None


def parameter_types(main: Unit) -> dict[str, StaticType]:
    """The declared types by bare name, `main`'s and those of all it includes. A name has one type throughout."""
    types: dict[str, StaticType] = {}
    pending, seen = [main], {main.key}
    while pending:
        unit = pending.pop(0)
        for name, node in unit.parameters.items():
            named_type = node.get("parameterType")
            kind = named(named_type) if named_type else specified(node.get("parameterTypeSpecifier"))
            if types.setdefault(name, kind) != kind:
                raise AuthoringError(f"library {unit.name}: the parameter {name} has another type elsewhere")
        for other in unit.linked.values():
            if other.key not in seen:
                seen.add(other.key)
                pending.append(other)
    return types


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
                other = unit.linked.get(library) if library else unit
                if other is not None:
                    yield other, node["name"]
            pending.extend(value for value in node.values() if isinstance(value, (list, Mapping)))
