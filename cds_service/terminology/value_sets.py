"""The project's FHIR ValueSets, held in memory: which sets hold a code.

Explicit codes match exactly (ICD without dots and case); a `concept is-a` filter on ICD-10, ICD-10-CM,
ICD-9-CM or ATC matches by prefix, where the longest matching include or exclude decides and an exclude wins
at equal length. An `is-a` filter on any other system is for terminology servers and matches nothing here
beyond the codes listed beside it.

Errors: a file that isn't such a ValueSet raises AuthoringError naming it. Looking up never fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from cds_service.elm.values import Code
from cds_service.errors import AuthoringError
from cds_service.terminology.systems import (
    CANONICAL,
    EXT_CODE_STATUS,
    EXT_NOT_IN_TABLE,
    ICD_SYSTEMS,
    PREFIX_SYSTEMS,
    match_key,
)

_NONE: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Index:
    """Which sets include, and which exclude, a code: exactly and, for prefix systems, with all below it."""

    exact: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    not_exact: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    below: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    not_below: dict[tuple[str, str], set[str]] = field(default_factory=dict)


class ValueSets:
    """All value sets, by URL and by name; immutable after construction and safe to share between threads.

    `resources` are parsed ValueSet resources, each with the name of its file for error messages. `sha256`
    names their content, for the provenance of an assessment.
    """

    def __init__(self, resources: Iterable[tuple[str, Any]], *, sha256: str = "") -> None:
        self.sha256 = sha256
        self._names: dict[str, str] = {}
        self._urls: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._codes: dict[str, tuple[Code, ...]] = {}
        self._unverified: set[tuple[str, str]] = set()
        self._beside_table: set[str] = set()
        self._displays: dict[tuple[str, str], str] = {}
        self._index = _Index()
        for file, resource in resources:
            self._add(file, resource)
        self._systems = tuple(sorted({system for system, _ in (*self._index.exact, *self._index.below)}))
        listed = (*self._index.below, *self._index.not_below, *self._index.exact, *self._index.not_exact)
        self._longest = max((len(key) for _, key in listed), default=0)
        # Of the codes that the sets list, each looked up once; what else records may hold is never kept.
        self._found: dict[tuple[str | None, str], frozenset[str] | None] = dict.fromkeys(
            (code.system, code.code or "") for codes in self._codes.values() for code in codes
        )

    def has_value_set(self, url: str) -> bool:
        """Whether the value set of this canonical URL (`|version` ignored) is known."""
        return url.partition("|")[0] in self._names

    def name_of(self, url: str) -> str | None:
        """The name of the value set of this URL (`|version` ignored), None if unknown."""
        return self._names.get(url.partition("|")[0])

    def url_of(self, name: str) -> str | None:
        """The canonical URL of the value set of this name, None if unknown."""
        return self._urls.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all sets, in order."""
        return tuple(sorted(self._urls))

    @property
    def versions(self) -> Mapping[str, str]:
        """Business version by set name."""
        return self._versions

    @property
    def systems(self) -> tuple[str, ...]:
        """The code systems whose codes any set holds, in order."""
        return self._systems

    def _lookup(self, system: str | None, code: str) -> frozenset[str]:
        key = (system, code)
        found = self._found.get(key, _NONE)
        if found is None:
            found = self._found[key] = self._find(system, code)
        elif found is _NONE and (system in PREFIX_SYSTEMS or system in ICD_SYSTEMS):
            return self._find(system, code)
        return found

    def sets_of(self, system: str | None, code: str) -> frozenset[str]:
        """The names of all sets that hold this code; empty without a system."""
        return self._lookup(system, code)

    def silences(self, system: str | None, code: str) -> bool:
        """Whether a set of the clinical specification's table holds this code: then its text is not read (§2.2)."""
        return not self._lookup(system, code) <= self._beside_table

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        """Whether the set of this URL holds the code; without a system: whether it holds it in any system.

        False for an unknown URL (whether it is known is asked of `has_value_set` at load).
        """
        name = self._names.get(url) or self._names.get(url.partition("|")[0], "")
        if system is None:
            return any(name in self._lookup(known, code) for known in self._systems)
        return name in self._lookup(system, code)

    def expand(self, url: str) -> Sequence[Code]:
        """The codes listed in the set, in file order; what lies below them by prefix can't be listed."""
        return self._codes.get(self._names.get(url.partition("|")[0], ""), ())

    def display(self, system: str | None, code: str) -> str | None:
        """The words that the value sets have for a code; None when no set lists it with any."""
        return self._displays.get((system or "", code))

    def is_unverified(self, system: str | None, code: str) -> bool:
        """Whether this very code is listed with the mark that nobody has checked it on a terminology server."""
        return system is not None and (system, match_key(system, code)) in self._unverified

    def _find(self, system: str | None, code: str) -> frozenset[str]:
        if not system or not code:
            return _NONE
        index = self._index
        key = match_key(system, code)
        if system not in PREFIX_SYSTEMS:
            return frozenset(
                index.exact.get((system, key), _NONE) - index.not_exact.get((system, key), _NONE)
            )
        found: set[str] = set()
        decided: set[str] = set()  # the longest prefix that says anything about a set decides for it
        for length in range(min(len(key), self._longest), 0, -1):
            prefix = (system, key[:length])
            holds: Set[str] = index.below.get(prefix, _NONE)
            refuses: Set[str] = index.not_below.get(prefix, _NONE)
            if length == len(key):
                holds = holds | index.exact.get(prefix, _NONE)
                refuses = refuses | index.not_exact.get(prefix, _NONE)
            found |= holds - refuses - decided
            decided |= holds | refuses
        return frozenset(found)

    def _add(self, file: str, resource: Any) -> None:
        if not isinstance(resource, dict) or resource.get("resourceType") != "ValueSet":
            raise AuthoringError(f"{file}: not a FHIR ValueSet")
        url, name = resource.get("url"), resource.get("name")
        if not isinstance(url, str) or not isinstance(name, str) or not url or not name:
            raise AuthoringError(f"{file}: a ValueSet needs a url and a name")
        if url in self._names or name in self._urls:
            raise AuthoringError(f"{file}: the value set {name} is defined twice")
        self._names[url] = name
        self._urls[name] = url
        if any(note.get("url") == EXT_NOT_IN_TABLE for note in resource.get("extension", ())):
            self._beside_table.add(name)
        self._versions[name] = str(resource.get("version", ""))
        try:
            self._codes[name] = self._compose(name, resource.get("compose", {}))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise AuthoringError(
                f"{file}: compose can't be read ({type(error).__name__}: {error})"
            ) from error

    def _compose(self, name: str, compose: Mapping[str, Any]) -> tuple[Code, ...]:
        listed: dict[tuple[str, str], Code] = {}
        for include in compose.get("include", ()):
            for system, code, display, unverified in _concepts(include):
                listed[system, code] = Code(code=code, system=system, display=display)
                if unverified:
                    self._unverified.add((system, match_key(system, code)))
                if display:
                    self._displays.setdefault((system, code), display)
                self._index.exact.setdefault((system, match_key(system, code)), set()).add(name)
            for system, code in _filters(include):
                self._index.below.setdefault((system, match_key(system, code)), set()).add(name)
        for part in compose.get("exclude", ()):
            for system, code, _, _ in _concepts(part):
                self._index.not_exact.setdefault((system, match_key(system, code)), set()).add(name)
            for system, code in _filters(part):
                self._index.not_below.setdefault((system, match_key(system, code)), set()).add(name)
        return tuple(listed.values())


def _concepts(part: Mapping[str, Any]) -> Iterable[tuple[str, str, str | None, bool]]:
    """(system, code, display, unverified) of the codes listed."""
    if "valueSet" in part:
        raise ValueError("references to other value sets are not supported")
    if "concept" not in part and "filter" not in part:
        raise ValueError("a whole code system is not supported")
    for concept in part.get("concept", ()):
        notes = concept.get("extension", ())
        unverified = any(
            note["url"] == EXT_CODE_STATUS and note["valueCode"] == "unverified" for note in notes
        )
        yield part["system"], concept["code"], concept.get("display"), unverified


def _filters(part: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    filters = part.get("filter", ())
    if len(filters) > 1:
        raise ValueError("several filters in one include are not supported")
    for entry in filters:
        if entry["property"] != "concept" or entry["op"] != "is-a":
            raise ValueError("only the filter concept is-a is supported")
        if part["system"] in PREFIX_SYSTEMS:
            yield part["system"], entry["value"]


def load_value_sets(*, extra_dirs: Sequence[Path] = ()) -> ValueSets:
    """The built-in value sets, and those of further folders (`*.json`, one ValueSet each); about 10 ms.

    Raises AuthoringError naming a file that can't be read or isn't a supported ValueSet.
    """
    found = [
        (entry.name, entry.read_bytes())
        for entry in files("valuesets").iterdir()
        if entry.name.endswith(".json")
    ]
    for folder in extra_dirs:
        found += [(str(path), path.read_bytes()) for path in folder.glob("*.json")]
    found.sort()
    digest = hashlib.sha256()
    parsed = []
    for name, content in found:
        digest.update(content)
        try:
            parsed.append((name, orjson.loads(content)))
        except orjson.JSONDecodeError as error:
            raise AuthoringError(f"{name}: not JSON ({error})") from error
    return ValueSets(parsed, sha256=digest.hexdigest())


def value_set_url(name: str) -> str:
    """The canonical URL of the project's value set of this name."""
    return f"{CANONICAL}/ValueSet/{name}"
