"""The two ports for data at hand: a retriever of a FHIR Bundle, and a terminology of FHIR ValueSet resources.

Codes match as CQL's equivalence says: same code and same system. What is no Bundle raises InputError; a ValueSet
that doesn't list its codes raises AuthoringError. Neither ever changes what it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cds_service.elm.ports import Terminology
from cds_service.elm.values import Code
from cds_service.errors import AuthoringError, InputError, PatientAmbiguousError

Resource = Mapping[str, Any]


class BundleRetriever:
    """Retrieves from a FHIR Bundle, or from a list of resources. Build one for each patient's record."""

    def __init__(self, data: Resource | Iterable[Resource], terminology: Terminology | None = None) -> None:
        """`terminology` answers retrieves by value set: mostly the one that the library was loaded with."""
        self._terminology = terminology
        self._by_type: dict[str, list[Resource]] = {}
        for resource in _resources(data):
            self._by_type.setdefault(resource["resourceType"], []).append(resource)

    @property
    def patient(self) -> Resource | None:
        """The one Patient of the data, None without; PatientAmbiguousError if there are several."""
        found = self._by_type.get("Patient", [])
        if len(found) > 1:
            raise PatientAmbiguousError(f"the data hold {len(found)} Patients: give the data of one")
        return found[0] if found else None

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Resource]:
        """The resources of a type, in the data's order: all, those with one of `codes`, or those in `value_set`."""
        resources = self._by_type.get(resource_type, [])
        if codes is None and value_set is None:
            return resources
        path = code_path or "code"
        if value_set is not None:
            terminology = self._terminology
            if terminology is None:
                raise InputError(
                    "a retrieve by value set needs a terminology: BundleRetriever(data, terminology)"
                )
            return [
                resource
                for resource in resources
                if any(
                    terminology.in_value_set(system, code, value_set)
                    for system, code in _codes(resource, path)
                )
            ]
        wanted = {(code.system, code.code) for code in codes or ()}
        plain = {code for _, code in wanted}
        return [
            resource
            for resource in resources
            if any(
                found in wanted or (found[0] is None and found[1] in plain)
                for found in _codes(resource, path)
            )
        ]


def _resources(data: Resource | Iterable[Resource]) -> Iterator[Resource]:
    resources: Iterable[Any] = data
    if isinstance(data, Mapping):
        if data.get("resourceType") != "Bundle":
            raise InputError("a FHIR Bundle or a list of resources is expected")
        entries = [entry for entry in data.get("entry") or () if isinstance(entry, Mapping)]
        resources = [entry["resource"] for entry in entries if entry.get("resource")]
    for number, resource in enumerate(resources):
        if not isinstance(resource, Mapping) or not isinstance(resource.get("resourceType"), str):
            raise InputError(f"resource {number} of the data has no resourceType")
        yield resource


def _codes(resource: Resource, path: str) -> Iterator[tuple[str | None, str]]:
    """(system, code) of every coding at an element; a plain `code` has no system of its own."""
    current: list[Any] = [resource]
    for step in path.split("."):
        following: list[Any] = []
        for part in current:
            if not isinstance(part, Mapping):
                continue
            for key in (step, f"{step}CodeableConcept", f"{step}Coding", f"{step}Code"):
                value = part.get(key)
                if value is not None:
                    following += value if isinstance(value, list) else [value]
                    break
        current = following
    for part in current:
        if isinstance(part, str):
            yield None, part
        elif isinstance(part, Mapping):
            codings = part.get("coding", [part])
            for coding in codings if isinstance(codings, list) else ():
                if isinstance(coding, Mapping) and isinstance(coding.get("code"), str):
                    # A Coding without a system is in no code system: it must not pass for a plain `code`.
                    yield coding.get("system") or "", coding["code"]


class ValueSetExpansions:
    """A terminology of FHIR ValueSet resources: their expansions, or their composes where these list every code."""

    def __init__(self, value_sets: Iterable[Resource] = ()) -> None:
        self._sets: dict[str, dict[tuple[str | None, str], Code]] = {}
        self._bare: dict[str, set[str]] = {}
        for resource in value_sets:
            if not isinstance(resource, Mapping) or resource.get("resourceType") != "ValueSet":
                raise AuthoringError("a FHIR ValueSet resource is expected")
            url = resource.get("url")
            if not isinstance(url, str) or not url:
                raise AuthoringError(f"the ValueSet {resource.get('id') or '(no id)'} has no url")
            if url in self._sets:
                raise AuthoringError(f"the ValueSet {url} is given twice")
            self._sets[url] = _listed(resource, url)
            self._bare[url] = {code for _, code in self._sets[url]}

    def has_value_set(self, url: str) -> bool:
        """Whether the set of this URL (`|version` is left out of account) was given."""
        return _bare(url) in self._sets

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        """Whether the code is in the set; `system` None matches a code of any system. Of an unknown set, it is not."""
        if system is None:
            return code in self._bare.get(_bare(url), ())
        return (system, code) in self._sets.get(_bare(url), ())

    def expand(self, url: str) -> Sequence[Code]:
        """The set's codes, in the order of the resource."""
        return tuple(self._sets.get(_bare(url), {}).values())


def _bare(url: str) -> str:
    return url.partition("|")[0]


def _listed(resource: Resource, url: str) -> dict[tuple[str | None, str], Code]:
    """Every code of a set, by system and code."""
    found: dict[tuple[str | None, str], Code] = {}
    expansion = resource.get("expansion")
    if isinstance(expansion, Mapping):
        pending = list(reversed(expansion.get("contains") or ()))
        seen = 0
        while pending:
            each = pending.pop()
            seen += 1
            if each.get("code") and not each.get("abstract"):
                _add(found, each, each.get("system"), each.get("version"))
            pending.extend(reversed(each.get("contains") or ()))
        total = expansion.get("total")
        if (isinstance(total, int) and seen < total) or expansion.get("offset"):
            raise AuthoringError(f"the expansion of the ValueSet {url} is a part only: give the whole of it")
        return found
    compose = resource.get("compose") or {}
    excluded: dict[tuple[str | None, str], Code] = {}
    for part, into in (("include", found), ("exclude", excluded)):
        for block in compose.get(part) or ():
            if block.get("filter") or block.get("valueSet") or not block.get("concept"):
                raise AuthoringError(
                    f"the ValueSet {url} is defined by a rule: give it with its expansion (ValueSet/$expand)"
                )
            for each in block["concept"]:
                _add(into, each, block.get("system"), block.get("version"))
    if not found:
        raise AuthoringError(f"the ValueSet {url} has neither an expansion nor a list of codes")
    return {key: code for key, code in found.items() if key not in excluded}


def _add(
    into: dict[tuple[str | None, str], Code], each: Mapping[str, Any], system: Any, version: Any
) -> None:
    into.setdefault((system, each["code"]), Code(each["code"], system, version, each.get("display")))
