"""FHIR ConceptMaps, held in memory: from (source system, code) to the codes of a target system.

The built-in maps and a site's own (`concept_maps_dir`) with the same id are read as one map; the site's
entries win. Only equivalences that are safe to follow are followed: `equal`, `equivalent`, and
`wider`/`subsumes` (the target is wider than the source).

Errors: a file that isn't such a ConceptMap raises AuthoringError naming it. Translating never fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from cds_service.errors import AuthoringError

_FOLLOWED = frozenset({"equal", "equivalent", "wider", "subsumes"})
_EQUIVALENCES = _FOLLOWED | {"relatedto", "narrower", "specializes", "inexact", "unmatched", "disjoint"}


@dataclass(frozen=True, slots=True)
class Target:
    """One code that a concept maps to."""

    system: str
    code: str
    display: str | None = None


class ConceptMaps:
    """All concept maps by id; immutable after construction."""

    def __init__(self, resources: Iterable[tuple[str, Any]], *, sha256: str = "") -> None:
        self.sha256 = sha256
        self._maps: dict[str, dict[tuple[str, str], tuple[Target, ...]]] = {}
        for file, resource in resources:
            self._add(file, resource)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all maps, in order."""
        return tuple(sorted(self._maps))

    def entries(self, map_id: str) -> Mapping[tuple[str, str], tuple[Target, ...]]:
        """Every mapped (source system, code) of the map; KeyError for an id that doesn't exist."""
        return self._maps[map_id]

    def translate(self, map_id: str, system: str, code: str) -> tuple[Target, ...]:
        """The targets of one code; empty when it isn't mapped. KeyError for a map id that doesn't exist."""
        return self._maps[map_id].get((system, code), ())

    def _add(self, file: str, resource: Any) -> None:
        if not isinstance(resource, dict) or resource.get("resourceType") != "ConceptMap":
            raise AuthoringError(f"{file}: not a FHIR ConceptMap")
        map_id = resource.get("id")
        if not isinstance(map_id, str) or not map_id:
            raise AuthoringError(f"{file}: a ConceptMap needs an id")
        try:
            self._maps.setdefault(map_id, {}).update(_entries(resource))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise AuthoringError(f"{file}: group can't be read ({type(error).__name__}: {error})") from error


def _entries(resource: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], tuple[Target, ...]]]:
    for group in resource.get("group", ()):
        for element in group["element"]:
            targets = []
            for target in element.get("target", ()):
                if target["equivalence"] not in _EQUIVALENCES:
                    raise ValueError(f"unknown equivalence {target['equivalence']!r}")
                if target["equivalence"] in _FOLLOWED:
                    targets.append(Target(group["target"], target["code"], target.get("display")))
            yield (group["source"], element["code"]), tuple(targets)


def load_concept_maps(*, extra_dir: Path | None = None) -> ConceptMaps:
    """The built-in concept maps, then a site's own files (`*.json`), which extend or override them by id.

    Raises AuthoringError naming a file that can't be read, or a site map whose id is none of the built-in
    ones.
    """
    folder = files("fhir_mappings").joinpath("concept_maps")
    found = sorted(
        (entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.name.endswith(".json")
    )
    built_in = [(name, _parse(name, content)) for name, content in found]
    known = {resource.get("id") for _, resource in built_in if isinstance(resource, dict)}
    if extra_dir is not None:
        if not extra_dir.is_dir():
            raise AuthoringError(f"{extra_dir}: no such folder of concept maps")
        own = sorted((str(path), path.read_bytes()) for path in extra_dir.glob("*.json"))
        for name, content in own:
            resource = _parse(name, content)
            if not isinstance(resource, dict) or resource.get("id") not in known:
                ids = ", ".join(sorted(str(i) for i in known))
                raise AuthoringError(f"{name}: the id of a site's ConceptMap must be one of {ids}")
            built_in.append((name, resource))
        found += own
    digest = hashlib.sha256(b"".join(content for _, content in found))
    return ConceptMaps(built_in, sha256=digest.hexdigest())


def _parse(name: str, content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise AuthoringError(f"{name}: not JSON ({error})") from error
