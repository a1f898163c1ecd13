"""Author-written patients (`vignettes/*.json` of a trial) and how they come to live on one FHIR server.

A vignette file is `{"title", "description", "asOf", "bundle": <FHIR collection Bundle>, "expected"}`. Files
of another shape raise AuthoringError with the file's name. Odd resources inside a Bundle are a vignette's
right (they test the service); what one FHIR server could not hold beside the others is left out: a missing or
unknown `resourceType`, further Patients, and what claims to belong to another vignette's patient.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Any, Final

from cds_service.errors import AuthoringError
from cds_service.sandbox.elements import patient_ids
from cds_service.sandbox.parameters import RESOURCE_TYPES

# One of these belongs to nobody, so equal ones in several vignettes are the same resource.
_SHARED: Final = frozenset(
    {"Medication", "Organization", "Practitioner", "PractitionerRole", "Location", "ResearchStudy"}
)
_MAX_ID: Final = 64


@dataclass(frozen=True, slots=True)
class Vignette:
    """One synthetic patient with its story. `bundle`: a FHIR collection Bundle; its first Patient is the
    one.
    """

    name: str
    title: str
    description: str
    as_of: str
    bundle: Mapping[str, Any]

    @property
    def patient_id(self) -> str:
        """The id of the vignette's patient: the first Patient of its Bundle."""
        return next(str(r["id"]) for r in self.resources() if r.get("resourceType") == "Patient")

    def resources(self) -> Iterable[dict[str, Any]]:
        """The Bundle's resources, in order."""
        for entry in self.bundle.get("entry") or ():
            if isinstance(entry, Mapping) and isinstance(entry.get("resource"), dict):
                yield entry["resource"]


def load_vignettes(folder: Traversable) -> list[Vignette]:
    """The vignettes of one folder, by file name. A folder that is not there holds none."""
    if not folder.is_dir():
        return []
    names = sorted(child.name for child in folder.iterdir() if child.name.endswith(".json"))
    return [_read(folder / name) for name in names]


def _read(source: Traversable) -> Vignette:
    try:
        data = json.loads(source.read_text(encoding="utf-8"))
        vignette = Vignette(
            name=source.name.removesuffix(".json"),
            title=str(data["title"]),
            description=str(data.get("description") or ""),
            as_of=str(data["asOf"]),
            bundle=data["bundle"],
        )
        if not vignette.patient_id:
            raise ValueError("the Patient has no id")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise AuthoringError(
            f"{source.name}: not a vignette (title, asOf and a bundle with a Patient are needed): {error!r}"
        ) from error
    return vignette


def server_resources(vignettes: Sequence[Vignette]) -> list[dict[str, Any]]:
    """All vignettes' resources as one server holds them: unique ids, references that resolve to them.

    Authors number resources per patient ("alt", "cond-als"); an id that two vignettes use for different
    resources is prefixed with each one's patient id, and the references inside that vignette follow. Of
    several versions of one resource the highest `meta.versionId` stays.
    """
    everyone = frozenset(vignette.patient_id for vignette in vignettes)
    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for vignette in vignettes:
        for resource in _storable(vignette, everyone):
            owners[_key(resource)].add(_owner(resource, vignette))
    placed: dict[tuple[str, str], dict[str, Any]] = {}
    for vignette in vignettes:
        for resource in _place(vignette, owners, everyone):
            earlier = placed.get(_key(resource))
            if earlier is None or _version(resource) >= _version(earlier):
                placed[_key(resource)] = resource
    return list(placed.values())


def _place(
    vignette: Vignette, owners: Mapping[tuple[str, str], set[str]], everyone: frozenset[str]
) -> Iterable[dict[str, Any]]:
    renamed: dict[str, str] = {}
    resources = []
    counter: dict[str, int] = defaultdict(int)
    urls = _full_urls(vignette)
    for resource in _storable(vignette, everyone):
        kind, old = _key(resource)
        counter[kind] += 1
        new = old or f"{vignette.patient_id}-{kind.lower()}-{counter[kind]}"
        if kind != "Patient" and old and len(owners[kind, old]) > 1:
            new = f"{vignette.patient_id}-{old}"
        new = new if len(new) <= _MAX_ID else sha256(new.encode()).hexdigest()[:_MAX_ID]
        renamed[f"{kind}/{old}"] = f"{kind}/{new}"
        if url := urls.get(id(resource)):
            renamed[url] = f"{kind}/{new}"
        resources.append({**resource, "id": new})
    return [_with_references(resource, renamed) for resource in resources]


def _storable(vignette: Vignette, everyone: frozenset[str]) -> Iterable[dict[str, Any]]:
    others = everyone - {vignette.patient_id}
    for resource in vignette.resources():
        kind = resource.get("resourceType")
        if not isinstance(kind, str) or kind not in RESOURCE_TYPES:
            continue
        if kind == "Patient" and resource.get("id") != vignette.patient_id:
            continue
        if others.isdisjoint(patient_ids(resource)):
            yield resource


def _key(resource: Mapping[str, Any]) -> tuple[str, str]:
    return str(resource["resourceType"]), str(resource.get("id") or "")


def _owner(resource: Mapping[str, Any], vignette: Vignette) -> str:
    """What makes two same-named resources the same one: content where it is nobody's, else whose it is."""
    return json.dumps(resource, sort_keys=True) if resource["resourceType"] in _SHARED else vignette.name


def _version(resource: Mapping[str, Any]) -> int:
    meta = resource.get("meta")
    version = str(meta.get("versionId")) if isinstance(meta, Mapping) else ""
    return int(version) if version.isascii() and version.isdigit() else 0


def _full_urls(vignette: Vignette) -> dict[int, str]:
    entries = [e for e in vignette.bundle.get("entry") or () if isinstance(e, Mapping)]
    return {
        id(e["resource"]): e["fullUrl"]
        for e in entries
        if "resource" in e and isinstance(e.get("fullUrl"), str)
    }


def _with_references(value: Any, renamed: Mapping[str, str]) -> Any:
    """The same JSON with every `reference` string that was renamed replaced; nothing is mutated."""
    if isinstance(value, dict):
        return {
            key: renamed.get(item, item)
            if key == "reference" and isinstance(item, str)
            else _with_references(item, renamed)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_references(item, renamed) for item in value]
    return value
