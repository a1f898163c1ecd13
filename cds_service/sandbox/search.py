"""FHIR R4 search over plain JSON: which resources of a type fit the query
(http://hl7.org/fhir/R4/search.html).

Error policy: a parameter, modifier or value that the sandbox does not know raises InputError. Ignoring it, as
FHIR would allow, could answer with more patients than were asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cds_service.errors import InputError
from cds_service.sandbox.elements import relative, values
from cds_service.sandbox.matching import MATCHERS, sort_text
from cds_service.sandbox.parameters import Parameter, parameter

Resource = Mapping[str, Any]
Test = Callable[[Resource], bool]

MAX_COUNT: Final = 200
DEFAULT_COUNT: Final = 50
SUMMARIES: Final = frozenset({"true", "false", "text", "data", "count"})
# These steer the answer's form, or allow the server to send more than was asked.
# `_totalMethod` is what fhirpy sends to count.
_NO_FILTER: Final = frozenset(
    {"_format", "_pretty", "_total", "_totalMethod", "_elements", "_contained", "_containedType"}
)
_MODIFIERS: Final = {
    "token": frozenset({"not", "text", "missing"}),
    "string": frozenset({"exact", "contains", "missing"}),
    "reference": frozenset({"missing"}),
    "date": frozenset({"missing"}),
    "uri": frozenset({"missing", "below"}),
}


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search. `tests`: all must hold. `sort`: (parameter, descending). `includes`: (parameter,
    target).
    """

    resource_type: str
    tests: tuple[Test, ...] = ()
    count: int = DEFAULT_COUNT
    summary: str = "false"
    sort: tuple[tuple[Parameter, bool], ...] = ()
    includes: tuple[tuple[Parameter, str], ...] = ()
    rev_includes: tuple[tuple[str, Parameter], ...] = ()
    patients: frozenset[str] | None = None
    pairs: tuple[tuple[str, str], ...] = field(default=())

    def select(self, resources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The resources that fit, sorted as asked, otherwise in the order given."""
        found = [resource for resource in resources if all(test(resource) for test in self.tests)]
        for definition, descending in reversed(self.sort):
            _sort(found, definition, descending)
        return found


def parse_query(resource_type: str, pairs: Sequence[tuple[str, str]]) -> Query:
    """The search that these name and value pairs ask for, of one resource type. Raises InputError."""
    tests: list[Test] = []
    settings: dict[str, Any] = {}
    includes: list[tuple[Parameter, str]] = []
    rev_includes: list[tuple[str, Parameter]] = []
    patients: frozenset[str] | None = None
    for name, value in pairs:
        if name in _NO_FILTER:
            continue
        if name == "_count":
            settings["count"] = _count(value)
        elif name == "_summary":
            settings["summary"] = _summary(value)
        elif name == "_sort":
            settings["sort"] = tuple(_sort_key(resource_type, part) for part in value.split(","))
        elif name.partition(":")[0] == "_include":
            includes.append(_include(resource_type, value))
        elif name.partition(":")[0] == "_revinclude":
            rev_includes.append(_rev_include(value))
        else:
            tests.append(_test(resource_type, name, value))
            named = _patients_named(resource_type, name, value)
            if named is not None:
                patients = named if patients is None else patients & named
    return Query(
        resource_type,
        tuple(tests),
        includes=tuple(includes),
        rev_includes=tuple(rev_includes),
        patients=patients,
        pairs=tuple(pairs),
        **settings,
    )


def _patients_named(resource_type: str, name: str, value: str) -> frozenset[str] | None:
    """The patients a search is limited to, so that nothing of another one is included."""
    if resource_type == "Patient":
        return frozenset(value.split(",")) if name == "_id" else None
    base, _, modifier = name.partition(":")
    definition = parameter(resource_type, base)
    if definition is None or definition.targets != ("Patient",) or modifier not in ("", "Patient"):
        return None
    return frozenset(relative(part).removeprefix("Patient/") for part in value.split(","))


def _count(value: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value):
        raise InputError("_count must be a whole number.", expression="_count")
    return min(int(value), MAX_COUNT)


def _summary(value: str) -> str:
    if value not in SUMMARIES:
        raise InputError("_summary must be true, text, data, count or false.", expression="_summary")
    return value


def _known(resource_type: str, name: str) -> Parameter:
    definition = parameter(resource_type, name)
    if definition is None:
        raise InputError(
            f"{resource_type} has no search parameter of that name here; /metadata lists those it has.",
            expression=f"{resource_type}?{name}"[:80],
        )
    return definition


def _sort_key(resource_type: str, part: str) -> tuple[Parameter, bool]:
    return _known(resource_type, part.removeprefix("-")), part.startswith("-")


def _include(resource_type: str, value: str) -> tuple[Parameter, str]:
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    definition = parameter(resource_type, name) if source == resource_type else None
    if definition is None or definition.kind != "reference":
        raise InputError(f"_include must be {resource_type}:<reference parameter>.", expression="_include")
    return definition, target


def _rev_include(value: str) -> tuple[str, Parameter]:
    source, _, rest = value.partition(":")
    try:
        definition = parameter(source, rest.partition(":")[0])
    except KeyError:
        definition = None
    if definition is None or definition.kind != "reference":
        raise InputError("_revinclude must be <type>:<reference parameter>.", expression="_revinclude")
    return source, definition


def _test(resource_type: str, name: str, value: str) -> Test:
    base, _, modifier = name.partition(":")
    definition = _known(resource_type, base)
    if not value:
        raise InputError("A search parameter has no value.", expression=f"{resource_type}?{base}")
    if definition.kind == "reference" and modifier in definition.targets:
        value = ",".join(part if "/" in part else f"{modifier}/{part}" for part in value.split(","))
        modifier = ""
    if modifier and modifier not in _MODIFIERS[definition.kind]:
        raise InputError("This search modifier is not supported here.", expression=f"{resource_type}?{base}")
    if modifier == "missing":
        return _missing(definition, value, f"{resource_type}?{base}")
    parts = [part.replace("\\,", ",").replace("\\|", "|") for part in re.split(r"(?<!\\),", value)]
    matchers = [MATCHERS[definition.kind](part, modifier, definition) for part in parts]

    def test(resource: Resource) -> bool:
        found = [item for path in definition.paths for item in values(resource, path)]
        hit = any(matcher(item) for matcher in matchers for item in found)
        return hit != (modifier == "not")

    return test


def _missing(definition: Parameter, value: str, place: str) -> Test:
    if value not in ("true", "false"):
        raise InputError(":missing must be true or false.", expression=place)

    def test(resource: Resource) -> bool:
        empty = not any(True for path in definition.paths for _ in values(resource, path))
        return empty == (value == "true")

    return test


def _sort(found: list[dict[str, Any]], definition: Parameter, descending: bool) -> None:
    """Sort in place by one parameter; what lacks it comes last either way."""

    def key(resource: Resource) -> Any:
        texts = [sort_text(item) for path in definition.paths for item in values(resource, path)]
        return max(texts) if descending else min(texts)

    having: list[dict[str, Any]] = []
    lacking: list[dict[str, Any]] = []
    for resource in found:
        present = any(True for path in definition.paths for _ in values(resource, path))
        (having if present else lacking).append(resource)
    having.sort(key=key, reverse=descending)
    found[:] = having + lacking
