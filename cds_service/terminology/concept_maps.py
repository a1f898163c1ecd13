"""FHIR ConceptMaps, held in memory: from (source system, code) to the codes of a target system.

The built-in maps and a site's own (`concept_maps_dir`) with the same id are read as one map; the site's
entries win. Only equivalences that are safe to follow are followed: `equal`, `equivalent`, and
`wider`/`subsumes` (the target is wider than the source). A group without `source` is of codes that come without system.

Errors: a file that isn't such a ConceptMap, or has any mistake, raises AuthoringError with file, place and what to do.
Translating never fails.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from cds_service.errors import AuthoringError
from cds_service.terminology.map_files import Entry, MapFile, Target, read_map
from cds_service.terminology.map_rules import READ, RULES, source_key
from cds_service.terminology.system_uris import uri_key

__all__ = ["ConceptMaps", "SiteMaps", "Target", "load_concept_maps", "read_site_maps"]

_ALIASES: Final = "system-aliases"


class ConceptMaps:
    """All concept maps by id; immutable after construction. `site_sha256`: of a site's own files, None without any."""

    def __init__(
        self, resources: Iterable[tuple[str, Any]], *, sha256: str = "", site_sha256: str | None = None
    ) -> None:
        self.sha256 = sha256
        self.site_sha256 = site_sha256
        self._maps: dict[str, dict[tuple[str, str], tuple[Target, ...]]] = {}
        for file, resource in resources:
            found = read_map(file, resource)
            _refuse(found.mistakes)
            entries = self._maps.setdefault(found.id, {})
            entries.update(((entry.system, entry.code), entry.targets) for entry in found.entries)

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


@dataclass(frozen=True, slots=True)
class SiteMaps:
    """A site's own files: as parsed, by name; what they say; every mistake in them, in words."""

    resources: Sequence[tuple[str, Any]]
    files: Sequence[MapFile]
    mistakes: Sequence[str]
    sha256: str


def read_site_maps(folder: Path) -> SiteMaps:
    """A site's ConceptMaps: the `*.json` of the folder. Raises AuthoringError for a folder that can't be read."""
    if not folder.is_dir():
        raise AuthoringError(f"{folder}: no such folder of concept maps")
    resources: list[tuple[str, Any]] = []
    found: list[MapFile] = []
    mistakes: list[str] = []
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json"):
        try:
            content = path.read_bytes()
            resource = orjson.loads(content)
            json.loads(content, object_pairs_hook=_each_once)
        except OSError as error:
            mistakes.append(f"{path}: can't be read ({error.strerror})")
            continue
        except ValueError as error:
            mistakes.append(f"{path}: not JSON ({error})")
            continue
        digest.update(content)
        read = read_map(str(path), resource)
        if read.id and (why := RULES[read.id].refused):
            read.mistake("", f"of the map {read.id}: {why}")
        if read.id and not read.entries and not read.mistakes:
            read.mistake("group", "is missing: the map holds no code")
        mistakes += read.mistakes
        found.append(read)
        resources.append((str(path), resource))
    mistakes += _said_twice(found)
    mistakes += _misled(found)
    return SiteMaps(resources, found, mistakes, digest.hexdigest())


def _said_twice(read: Sequence[MapFile]) -> Iterable[str]:
    """Codes that two files of a site map: which of both would count could not be seen."""
    seen: dict[tuple[str, tuple[str, str]], tuple[str, Entry]] = {}
    for file in read:
        for entry in file.entries:
            name, first = seen.setdefault((file.id, source_key(entry.system, entry.code)), (file.name, entry))
            if name != file.name:
                yield f"{file.name}: {entry.place}: {name} maps it at {first.place}, too: keep one of both"


def _each_once(members: Sequence[tuple[str, Any]]) -> None:
    """Refuses an object of which only the last of two members would be read."""
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise ValueError(f"an object names `{name}` twice: keep one of both")
        seen.add(name)


def _misled(read: Sequence[MapFile]) -> Iterable[str]:
    """Aliases that would take a system's codes away, or give them to a system that nothing here reads."""
    aliases = [(file.name, entry) for file in read if file.id == _ALIASES for entry in file.entries]
    known = {uri_key(system) for system in READ}
    every = [*read, *_built_in()] if aliases else []
    named = {
        uri_key(entry.code if file.id == _ALIASES else entry.system)
        for file in every
        for entry in file.entries
    }
    for name, entry in aliases:
        for target in entry.targets:
            key = uri_key(target.code)
            if uri_key(entry.code) in known and key != uri_key(entry.code):
                yield f"{name}: {entry.place}: is itself a system that records are read by: it can't stand for another"
            elif key not in known | named:
                yield (
                    f"{name}: {entry.place}: {target.code} is no system that this service or another map reads: "
                    f"name one of {', '.join(sorted(READ))}, or one that a map leads from"
                )


def load_concept_maps(*, extra_dir: Path | None = None) -> ConceptMaps:
    """The built-in concept maps, then a site's own files (`*.json`), which extend or override them by id.

    Raises AuthoringError naming the file and the place of the first mistake in a site's files.
    """
    found = _built_in_files()
    resources = [(name, orjson.loads(content)) for name, content in found]
    digest = hashlib.sha256(b"".join(content for _, content in found))
    own = None if extra_dir is None else read_site_maps(extra_dir)
    if own is None or (not own.resources and not own.mistakes):
        return ConceptMaps(resources, sha256=digest.hexdigest())
    _refuse(own.mistakes)
    digest.update(own.sha256.encode())
    return ConceptMaps([*resources, *own.resources], sha256=digest.hexdigest(), site_sha256=own.sha256)


def _built_in_files() -> list[tuple[str, bytes]]:
    folder = files("fhir_mappings").joinpath("concept_maps")
    return sorted(
        (entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.name.endswith(".json")
    )


def _built_in() -> list[MapFile]:
    return [read_map(name, orjson.loads(content)) for name, content in _built_in_files()]


def _refuse(mistakes: Sequence[str]) -> None:
    if mistakes:
        more = (
            f" (and {len(mistakes) - 1} more: `cds-service doctor` lists them)" if len(mistakes) > 1 else ""
        )
        raise AuthoringError(f"{mistakes[0]}{more}")
