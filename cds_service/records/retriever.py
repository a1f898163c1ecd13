"""The engine's view of a record: resources by type, and by a code or value set of one of their elements.

The index of a (type, element) is built when it is first asked for: one pass over the resources, one cached
look-up a coding. Codes are compared by system and code alone. Errors: a value set that doesn't exist raises
AuthoringError (it is asked for at load); nothing in a resource raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cds_service.elm.values import Code
from cds_service.errors import AuthoringError
from cds_service.records.record import PatientRecord
from cds_service.terminology.systems import match_key
from cds_service.terminology.value_sets import ValueSets

Resource = dict[str, Any]


class RecordRetriever:
    """Retrieves from one (normalised) record. Not to be shared between threads."""

    def __init__(self, record: PatientRecord, value_sets: ValueSets) -> None:
        self._record = record
        self._value_sets = value_sets
        self._by_set: dict[tuple[str, str], dict[str, list[Resource]]] = {}
        self._by_code: dict[tuple[str, str], dict[tuple[str | None, str], list[Resource]]] = {}

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        """The resources of a type, in the record's order: all, those with one of `codes`, or those in `value_set`."""
        if codes is None and value_set is None:
            return self._record.of_type(resource_type)
        path = code_path or "code"
        if value_set is not None:
            name = self._value_sets.name_of(value_set)
            if name is None:
                raise AuthoringError(f"there is no value set {value_set}")
            index = self._by_set.get((resource_type, path))
            if index is None:
                index = self._index_sets(resource_type, path)
            return index.get(name, ())
        by_code = self._by_code.get((resource_type, path))
        if by_code is None:
            by_code = self._index_codes(resource_type, path)
        wanted = [(code.system, match_key(code.system or "", code.code or "")) for code in codes or ()]
        if len(wanted) == 1:
            return by_code.get(wanted[0], ())
        found: dict[int, Resource] = {id(r): r for key in wanted for r in by_code.get(key, ())}
        return [resource for resource in self._record.of_type(resource_type) if id(resource) in found]

    def _index_sets(self, resource_type: str, path: str) -> dict[str, list[Resource]]:
        index: dict[str, list[Resource]] = {}
        sets_of = self._value_sets.sets_of
        for resource in self._record.of_type(resource_type):
            names: frozenset[str] | set[str] = frozenset()
            for system, code in codes_at(resource, path):
                found = sets_of(system, code)
                if found:
                    names = found if not names else names | found
            for name in names:
                index.setdefault(name, []).append(resource)
        self._by_set[resource_type, path] = index
        return index

    def _index_codes(self, resource_type: str, path: str) -> dict[tuple[str | None, str], list[Resource]]:
        index: dict[tuple[str | None, str], list[Resource]] = {}
        for resource in self._record.of_type(resource_type):
            for system, code in dict.fromkeys(
                (system, match_key(system or "", code)) for system, code in codes_at(resource, path)
            ):
                index.setdefault((system, code), []).append(resource)
        self._by_code[resource_type, path] = index
        return index


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
            for coding in codings if type(codings) is list else (part,):
                if type(coding) is dict and type(coding.get("code")) is str and coding["code"]:
                    system = coding.get("system")
                    yield (system if type(system) is str else None), coding["code"]
