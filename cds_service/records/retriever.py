"""The engine's view of a record: resources by type, and by a code or value set of one of their elements.

The index of a (type, element) is built when it is first asked for: one pass over the resources, one look-up for each
different concept. Codes are compared by system and code alone. Errors: a value set that doesn't exist raises
AuthoringError (it is asked for at load); nothing in a resource raises.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from cds_service.elm.values import Code
from cds_service.errors import AuthoringError
from cds_service.records.record import PatientRecord
from cds_service.terminology.systems import match_key
from cds_service.terminology.value_sets import ValueSets

Resource = dict[str, Any]
# The places in the record's list of a type, by value set name and by (system, code as it is matched): those of each
# concept apart, since most are of one.
_Index = dict[Hashable, list[list[int]]]


class RecordRetriever:
    """Retrieves from one (normalised) record, with an index (`elm.Indexed`). Not to be shared between threads."""

    def __init__(self, record: PatientRecord, value_sets: ValueSets) -> None:
        self._record = record
        self._value_sets = value_sets
        self._indices: dict[tuple[str, str], _Index] = {}
        self.alike: dict[int, int] = {}  # concepts of the same JSON, by identity (`elm.Alike`)

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        """The resources of a type, in the record's order: all, those with one of `codes`, or those in `value_set`."""
        resources = self._record.of_type(resource_type)
        if codes is None and value_set is None:
            return resources
        keys = self.keys_of(codes, value_set)
        if not resources:
            return ()
        index = self._index(resource_type, code_path or "code")
        found = [places for key in keys for places in index.get(key, ())]
        if not found:
            return ()
        places = found[0] if len(found) == 1 else sorted(set().union(*found))
        return [resources[place] for place in places]

    def keys_of(self, codes: Sequence[Code] | None, value_set: str | None) -> Collection[Hashable]:
        """The keys of the index that a retrieve by codes or by a value set looks at."""
        if value_set is not None:
            name = self._value_sets.name_of(value_set)
            if name is None:
                raise AuthoringError(f"there is no value set {value_set}")
            return (name,)
        return [(code.system, match_key(code.system or "", code.code or "")) for code in codes or ()]

    def keys_in(self, resource_type: str, code_path: str) -> Collection[Hashable]:
        """The keys of the index of a type by an element."""
        return self._index(resource_type, code_path) if self._record.of_type(resource_type) else ()

    def _index(self, resource_type: str, path: str) -> _Index:
        index = self._indices.get((resource_type, path))
        if index is None:
            index = self._indices[resource_type, path] = self._indexed(resource_type, path)
        return index

    def _indexed(self, resource_type: str, path: str) -> _Index:
        index: _Index = {}
        groups: dict[bytes, tuple[Resource, list[int]]] = {}
        alike = self.alike
        for place, resource in enumerate(self._record.of_type(resource_type)):
            concept = resource.get(path)
            content = _content(concept) if type(concept) is dict else None
            if concept is None or content is None:
                self._enter(index, codes_at(resource, path), [place])
                continue
            group = groups.get(content)
            if group is None:
                groups[content] = (concept, [place])
            else:
                group[1].append(place)
                alike[id(concept)] = id(group[0])
        for concept, places in groups.values():
            codings = concept.get("coding")
            self._enter(index, _coded(codings if type(codings) is list else (concept,)), places)
        return index

    def _enter(self, index: _Index, codings: Iterable[tuple[str | None, str]], places: list[int]) -> None:
        """Enter the places of resources that have these codings."""
        for system, code in dict.fromkeys(codings):
            index.setdefault((system, match_key(system or "", code)), []).append(places)
            for name in self._value_sets.sets_of(system, code):
                index.setdefault(name, []).append(places)


def _content(concept: Resource) -> bytes | None:
    """The JSON of a concept; None of what can't be written."""
    try:
        return orjson.dumps(concept)
    except orjson.JSONEncodeError:
        return None


def codes_at(resource: Mapping[str, Any], path: str) -> Iterator[tuple[str | None, str]]:
    """(system, code) of every coding at an element: CodeableConcepts, Codings or plain codes, single or
    lists.

    The element may be a choice (`medication` for `medicationCodeableConcept`) and a path (`device.code`).
    """
    current: list[Any] = [resource]
    for step in path.split("."):
        following: list[Any] = []
        for part in current:
            if type(part) is not dict:
                continue
            value = part.get(step)
            if value is None:
                value = part.get(f"{step}CodeableConcept")
            if type(value) is list:
                following += value
            elif value is not None:
                following.append(value)
        current = following
    for part in current:
        if type(part) is str:
            yield None, part
        elif type(part) is dict:
            codings = part.get("coding")
            yield from _coded(codings if type(codings) is list else (part,))


def _coded(codings: Iterable[Any]) -> list[tuple[str | None, str]]:
    """(system, code) of those of the codings that have a code."""
    found: list[tuple[str | None, str]] = []
    for coding in codings:
        if type(coding) is dict:
            code = coding.get("code")
            if type(code) is str and code:
                system = coding.get("system")
                found.append((system if type(system) is str else None, code))
    return found
