"""Reading ELM JSON into units, and linking them by their includes.

Two forms of ELM JSON are read: the translation service's (with empty arrays) and the Jackson writer's (with
`type` on definitions). Whatever is wrong with a library raises AuthoringError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from cds_service.elm.types import StaticType, named, specified
from cds_service.errors import AuthoringError

Node = Mapping[str, Any]

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
    if versions and version is not None and version not in versions:
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
