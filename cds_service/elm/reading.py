"""Reading ELM JSON into units, and linking them by their includes.

Two forms of ELM JSON are read: the translation service's (with empty arrays) and the Jackson writer's (with
`type` on definitions). Whatever is wrong with a library raises AuthoringError, which names the library and,
where there is one, the definition. Expressions are not looked into here: the compiler does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.inference import inferred
from cds_service.elm.sources import canonical_bytes, parse
from cds_service.elm.types import IntervalOf, StaticType, named, result_type, specified
from cds_service.errors import AuthoringError

Node = Mapping[str, Any]

_MODELS = {"urn:hl7-org:elm-types:r1": None, "http://hl7.org/fhir": ("4.0.0", "4.0.1")}
_SCHEMA = ("urn:hl7-org:elm", "r1")
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)


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
    variant: int = 0

    @property
    def key(self) -> str:
        """The library's identity among the loaded ones; `variant` tells those of one name apart."""
        return f"{self.name}#{self.variant}" if self.variant else self.name

    def refuse(self, what: str, node: Any = None) -> AuthoringError:
        """The error of something wrong in this library, at a definition of it where there is one."""
        node = node if isinstance(node, Mapping) else {}
        return AuthoringError(
            f"library {self.name}: {what}",
            library=self.name,
            define=_text(node.get("name")),
            local_id=_text(node.get("localId")),
            locator=_text(node.get("locator")),
        )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def read_unit(source: bytes | str | Mapping[str, Any]) -> tuple[Unit, bytes]:
    """Read one ELM library; also its canonical bytes, for the hash."""
    library = parse(source)
    identifier = library.get("identifier")
    if not isinstance(identifier, Mapping) or not identifier.get("id"):
        raise AuthoringError("not an ELM library: it has no identifier with an id")
    name, version = identifier["id"], identifier.get("version")
    if not isinstance(name, str) or not isinstance(version, (str, type(None))):
        raise AuthoringError("not an ELM library: the id and the version of its identifier must be strings")
    unit = Unit(name, version)
    _check_schema(unit, library)
    _refuse_errors(unit, library)
    canonical = canonical_bytes(library, name)
    for using in _section(unit, library, "usings", "localIdentifier"):
        _check_model(unit, using)
    for include in _section(unit, library, "includes", "localIdentifier"):
        _include(unit, include)
    for section, table, needed in (
        ("parameters", unit.parameters, ()),
        ("codeSystems", unit.code_systems, ("id",)),
        ("valueSets", unit.value_sets, ("id",)),
        ("codes", unit.codes, ("id",)),
        ("concepts", unit.concepts, ()),
    ):
        for node in _section(unit, library, section):
            _put(unit, table, section, node, needed)
    for node in _section(unit, library, "statements"):
        # A FunctionDef has operands in either form; the service's form may leave out `type` on a plain define.
        if node.get("type") == "FunctionDef":
            unit.functions.setdefault(node["name"], []).append(node)
        else:
            _put(unit, unit.expressions, "statements", node)
    return unit, canonical


def _section(unit: Unit, library: Node, name: str, identified: str = "name") -> Iterator[Node]:
    """The definitions of a part of the library: objects with a name."""
    section = library.get(name)
    if section is None:
        return
    if not isinstance(section, Mapping):
        raise unit.refuse(f'"{name}" must be an object with "def", not a {_kind(section)}')
    definitions = section.get("def")
    if not isinstance(definitions, (list, type(None))):
        raise unit.refuse(f'"{name}.def" must be a list, not a {_kind(definitions)}')
    for number, node in enumerate(definitions or ()):
        where = f"{name}.def[{number}]"
        if not isinstance(node, Mapping):
            raise unit.refuse(f"{where} must be an object, not a {_kind(node)}")
        if not isinstance(node.get(identified), str) or not node[identified]:
            raise unit.refuse(f'{where} has no "{identified}"')
        yield node


def _put(unit: Unit, table: dict[str, Node], section: str, node: Node, needed: tuple[str, ...] = ()) -> None:
    name = node["name"]
    if name in table:
        raise unit.refuse(f'"{name}" is defined twice in {section}', node)
    for key in needed:
        if not isinstance(node.get(key), str) or not node[key]:
            raise unit.refuse(f'"{name}" in {section} has no "{key}"', node)
    table[name] = node


def _kind(value: Any) -> str:
    """What JSON calls it."""
    if value is None:
        return "null"
    kinds = {bool: "boolean", str: "string", list: "list", dict: "object"}
    return kinds.get(type(value), "number")


def _include(unit: Unit, include: Node) -> None:
    alias, path, version = include["localIdentifier"], include.get("path"), include.get("version")
    if not isinstance(path, str) or not path or not isinstance(version, (str, type(None))):
        raise unit.refuse(f'the include "{alias}" does not say which library (path, version)', include)
    if alias in unit.includes:
        raise unit.refuse(f'two includes are called "{alias}"', include)
    unit.includes[alias] = (path.rsplit("/", 1)[-1], version)


def _check_schema(unit: Unit, library: Node) -> None:
    schema = library.get("schemaIdentifier")
    if not isinstance(schema, Mapping):
        return
    found = (schema.get("id", _SCHEMA[0]), schema.get("version", _SCHEMA[1]))
    if found != _SCHEMA:
        raise unit.refuse(f"it is written in {found[0]} {found[1]}: only {_SCHEMA[0]} {_SCHEMA[1]} is read")


def _refuse_errors(unit: Unit, library: Node) -> None:
    notes = library.get("annotation")
    for note in notes if isinstance(notes, list) else ():
        if (
            isinstance(note, Mapping)
            and note.get("type") == "CqlToElmError"
            and note.get("errorSeverity") == "error"
        ):
            where = f"{note.get('startLine')}:{note.get('startChar')}"
            raise AuthoringError(
                f"library {unit.name} was translated with an error at {where}: {note.get('message')}",
                library=unit.name,
                locator=where,
            )


def _check_model(unit: Unit, using: Node) -> None:
    uri, version = using.get("uri"), using.get("version")
    if not isinstance(uri, str) or uri not in _MODELS:
        raise unit.refuse(
            f"it uses the model {using['localIdentifier']} ({uri}): only FHIR 4.0.1 is known. Write the CQL"
            " for FHIR, or translate it with the model's mapping to FHIR",
            using,
        )
    versions = _MODELS[uri]
    if versions and version is not None and version not in versions:
        raise unit.refuse(f"it uses FHIR {version}: only FHIR 4.0.1 is known", using)


def link(units: Mapping[str, Unit], main: str) -> None:
    """Resolve the includes reachable from `main`; a missing, mismatched or circular one raises AuthoringError."""
    done: set[str] = set()
    path: list[tuple[Unit, Iterator[tuple[str, tuple[str, str | None]]]]] = []

    def enter(unit: Unit) -> None:
        path.append((unit, iter(unit.includes.items())))

    enter(units[main])
    while path:
        unit, rest = path[-1]
        following = next(rest, None)
        if following is None:
            done.add(unit.key)
            path.pop()
            continue
        alias, wanted = following
        found = unit.linked[alias] = _included(units, unit, *wanted)
        names = [each.name for each, _ in path]
        if found.name in names:
            circle = " → ".join([*names[names.index(found.name) :], found.name])
            raise unit.refuse(f"libraries include each other: {circle}")
        if found.key not in done:
            enter(found)


def _included(units: Mapping[str, Unit], unit: Unit, name: str, version: str | None) -> Unit:
    found = units.get(name)
    if found is None:
        raise unit.refuse(f"it includes {name} {version or ''}".rstrip() + ", which is not among the sources")
    if version and found.version and version != found.version:
        raise unit.refuse(f"it includes {name} {version}, but {found.version} is given")
    return found


def parameter_types(main: Unit) -> dict[str, StaticType]:
    """The types by bare name, of `main`'s parameters and of those of all it includes. A name has one type throughout;
    where none is declared it is that of the default, None where that can't be told."""
    types: dict[str, StaticType] = {}
    pending, seen = [main], {main.key}
    while pending:
        unit = pending.pop(0)
        for name, node in unit.parameters.items():
            named_type = node.get("parameterType")
            try:
                kind = named(named_type) if named_type else specified(node.get("parameterTypeSpecifier"))
                kind = kind or _default_type(node.get("default"))
            except (*_MALFORMED, RecursionError):
                raise unit.refuse(f'the type of the parameter "{name}" can\'t be read', node) from None
            if missing := fhir_model.unknown(kind):
                raise unit.refuse(
                    f'the parameter "{name}" has the type {missing}, which does not exist', node
                )
            known = types.setdefault(name, kind)
            types[name] = known or kind
            if known is not None and kind is not None and known != kind:
                raise unit.refuse(f'the parameter "{name}" has another type elsewhere', node)
        for other in unit.linked.values():
            if other.key not in seen:
                seen.add(other.key)
                pending.append(other)
    return types


def _default_type(node: Node | None) -> StaticType:
    """The type of a parameter's default, None where its node does not say it."""
    if not node:
        return None
    stated = result_type(node)
    if stated is not None:
        return stated
    if node.get("type") == "Literal":
        return named(node["valueType"])
    if node.get("type") == "Interval":
        point = _default_type(node.get("low")) or _default_type(node.get("high"))
        return None if point is None else IntervalOf(point)
    return "System.Quantity" if node.get("type") == "Quantity" else inferred(node, {})
