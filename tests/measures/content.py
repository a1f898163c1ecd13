"""What a content repository holds: CQL and ELM libraries, value set expansions and test patients.

Folders are read as they stand, whatever their layout: a library is a `.cql` file or a FHIR Library with ELM, a test
patient is the nearest folder or Bundle around one Patient. What can't be read is left out and counted.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Resource = dict[str, Any]
_LIBRARY = re.compile(
    r"^\s*library\s+(?:[\w-]+\.)*(\"[^\"]+\"|[\w-]+)(?:\s+version\s+'([^']*)')?", re.MULTILINE
)
_INCLUDE = re.compile(
    r"^\s*include\s+(?:[\w-]+\.)*(\"[^\"]+\"|[\w-]+)(?:\s+version\s+'([^']*)')?", re.MULTILINE
)
_USING = re.compile(r"^\s*using\s+(\"[^\"]+\"|\w+)(?:\s+version\s+'([^']*)')?", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)
_YEAR = re.compile(r"\b(19|20)\d\d(?=-\d\d)")


@dataclass(frozen=True, eq=False)
class Source:
    """One library as found. `home`: the folder or Bundle that it was found in; `elm` or `cql` is given."""

    name: str
    version: str | None
    includes: tuple[tuple[str, str | None], ...]
    models: tuple[tuple[str, str | None], ...]
    home: Path
    cql: str | None = None
    elm: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class TestPatient:
    """One test patient: the resources of its folder or Bundle, and the year that they speak of."""

    __test__ = False
    name: str
    home: Path
    resources: tuple[Resource, ...]
    period: tuple[str, str]

    @property
    def bundle(self) -> Resource:
        """The patient as a collection Bundle."""
        entries = [{"resource": resource} for resource in self.resources]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}


@dataclass
class Content:
    """What was found in a folder."""

    sources: list[Source] = field(default_factory=list)
    value_sets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    patients: list[TestPatient] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)


def read(folder: Path) -> Content:
    """Everything in the folder that this harness can use."""
    content = Content()
    loose: dict[Path, list[Resource]] = defaultdict(list)
    sets: dict[str, Resource] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".cql":
            source = _cql_source(path)
            if source is not None:
                content.sources.append(source)
        elif path.suffix == ".json" and path.name != "package-lock.json":
            try:
                document = json.loads(path.read_bytes())
            except ValueError:
                content.unread.append(path)
                continue
            if isinstance(document, dict):
                _take(content, sets, loose, document, path)
    for url, value_set in sets.items():
        content.value_sets[url] = codes_of(value_set, sets)
    content.patients.extend(_patients_of_folders(loose))
    content.patients = _once(content.patients)
    return content


def _once(patients: Iterable[TestPatient]) -> list[TestPatient]:
    """Each patient's data once: repositories repeat their tests in bundles."""
    seen: dict[str, TestPatient] = {}
    for patient in patients:
        key = json.dumps(sorted(json.dumps(r, sort_keys=True) for r in patient.resources))
        seen.setdefault(key, patient)
    return list(seen.values())


def _cql_source(path: Path) -> Source | None:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    head = _COMMENT.sub("", text)
    found = _LIBRARY.search(head)
    if found is None:
        return None
    return Source(
        found[1].strip('"'),
        found[2],
        tuple((name.strip('"'), version or None) for name, version in _INCLUDE.findall(head)),
        tuple((name.strip('"'), version or None) for name, version in _USING.findall(head)),
        path.parent,
        cql=text,
    )


def elm_source(library: Mapping[str, Any], home: Path) -> Source:
    """A Source of an ELM library (the inside of `{"library": …}`)."""
    includes = [
        (item["path"].rsplit("/", 1)[-1], item.get("version"))
        for item in (library.get("includes") or {}).get("def") or ()
    ]
    models = [
        (item["localIdentifier"], item.get("version"))
        for item in (library.get("usings") or {}).get("def") or ()
        if item["localIdentifier"] != "System"
    ]
    identifier = library["identifier"]
    return Source(
        identifier["id"],
        identifier.get("version"),
        tuple(includes),
        tuple(models),
        home,
        elm={"library": library},
    )


def _take(
    content: Content,
    sets: dict[str, Resource],
    loose: dict[Path, list[Resource]],
    document: Resource,
    path: Path,
) -> None:
    if (
        "library" in document
        and isinstance(document["library"], dict)
        and "identifier" in document["library"]
    ):
        content.sources.append(elm_source(document["library"], path.parent))
        return
    if document.get("resourceType") != "Bundle":
        for resource in _resources(document):
            _definition(content, sets, resource, path.parent)
            loose[path.parent].append(resource)
        return
    found = list(_resources(document))
    for resource in found:
        _definition(content, sets, resource, path)
    patients = [resource for resource in found if resource["resourceType"] == "Patient"]
    if len(patients) == 1:
        content.patients.append(_patient(path.stem, path, found))
    elif not patients:
        loose[path.parent].extend(found)


def _resources(document: Any) -> Iterator[Resource]:
    """A resource, or all the resources of a Bundle, and of Bundles in it."""
    if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
        return
    if document["resourceType"] == "Bundle":
        for entry in document.get("entry") or ():
            yield from _resources(entry.get("resource"))
    else:
        yield document


def _definition(content: Content, sets: dict[str, Resource], resource: Resource, home: Path) -> None:
    kind = resource["resourceType"]
    if kind == "ValueSet" and resource.get("url"):
        known = sets.get(resource["url"])
        if known is None or ("expansion" in resource and "expansion" not in known):
            sets[resource["url"]] = resource
    elif kind == "Library":
        for attachment in resource.get("content") or ():
            if attachment.get("contentType") == "application/elm+json" and attachment.get("data"):
                try:
                    library = json.loads(base64.b64decode(attachment["data"]))["library"]
                    content.sources.append(elm_source(library, home))
                except (ValueError, KeyError, TypeError):
                    content.unread.append(home)


def codes_of(
    value_set: Resource, sets: Mapping[str, Resource], seen: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """The codes of an expansion, else those that the definition lists."""
    made: dict[tuple[Any, Any], dict[str, Any]] = {}

    def add(system: Any, item: Mapping[str, Any]) -> None:
        if item.get("code") is not None:
            made.setdefault((system, item["code"]), {"code": item["code"], "system": system})

    def walk(items: Iterable[Mapping[str, Any]]) -> None:
        for item in items:
            add(item.get("system"), item)
            walk(item.get("contains") or ())

    if "expansion" in value_set:
        walk(value_set["expansion"].get("contains") or ())
        return list(made.values())
    for include in (value_set.get("compose") or {}).get("include") or ():
        for item in include.get("concept") or ():
            add(include.get("system"), item)
        for url in include.get("valueSet") or ():
            other = sets.get(url.split("|")[0])
            if other is not None and url not in seen:
                for code in codes_of(other, sets, seen | {url}):
                    add(code["system"], code)
    return list(made.values())


# --- Test patients ---

_DEFINITIONS = ("ValueSet", "Library", "Measure", "CodeSystem", "StructureDefinition", "PlanDefinition", "ActivityDefinition", "ImplementationGuide", "Questionnaire", "ConceptMap", "Device", "SearchParameter", "OperationDefinition", "CapabilityStatement", "Parameters", "MeasureReport")  # fmt: skip


def _patients_of_folders(loose: Mapping[Path, Sequence[Resource]]) -> Iterator[TestPatient]:
    """One patient for each Patient that has a folder of its own, with all that lies in and below that folder."""
    holders = {
        folder: [r for r in resources if r["resourceType"] == "Patient"]
        for folder, resources in loose.items()
    }
    count: Counter[Path] = Counter()
    for folder, patients in holders.items():
        for parent in [folder, *folder.parents]:
            count[parent] += len(patients)
    for folder, patients in sorted(holders.items()):
        if len(patients) != 1:
            if patients:
                yield from _by_reference(folder, loose[folder])
            continue
        home = (
            folder.parent if folder.name in ("Patient", "patient") and count[folder.parent] == 1 else folder
        )
        resources = [
            resource
            for other, found in sorted(loose.items())
            if other == home or home in other.parents
            for resource in found
        ]
        yield _patient(home.name, home, resources)


def _by_reference(folder: Path, resources: Sequence[Resource]) -> Iterator[TestPatient]:
    """Several patients in one folder: to each what refers to it."""
    for patient in resources:
        if patient["resourceType"] == "Patient":
            reference = f'"Patient/{patient.get("id")}"'
            own = [r for r in resources if r is patient or reference in json.dumps(r)]
            yield _patient(str(patient.get("id")), folder, own)


def _patient(name: str, home: Path, resources: Sequence[Resource]) -> TestPatient:
    kept = [r for r in resources if r["resourceType"] not in _DEFINITIONS]
    period = None
    for resource in resources:
        if resource["resourceType"] == "MeasureReport" and {"start", "end"} <= set(
            resource.get("period") or ()
        ):
            period = (resource["period"]["start"][:10], resource["period"]["end"][:10])
    if period is None:
        dated = [r for r in kept if r["resourceType"] != "Patient"]
        years = Counter(found.group() for found in _YEAR.finditer(json.dumps(dated)))
        year = max(years, key=lambda y: (years[y], y)) if years else "2019"
        period = (f"{year}-01-01", f"{year}-12-31")
    return TestPatient(name, home, tuple(kept), period)


# --- Which libraries belong together ---


@dataclass(frozen=True)
class Measure:
    """A library that no other one includes, with all that it includes."""

    main: Source
    sources: tuple[Source, ...]
    missing: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its name, version and the form it was found in."""
        kind = "CQL" if self.main.cql is not None else "ELM"
        return f"{self.main.name} {self.main.version or ''} ({kind})".replace("  ", " ")


def measures(content: Content, *, every: bool = False) -> list[Measure]:
    """The content's measures (`every`: each library for itself), the same text once."""
    included = {(source.cql is None, name) for source in content.sources for name, _ in source.includes}
    found: dict[str, Measure] = {}
    for source in content.sources:
        if source.name == "FHIRHelpers" or (not every and (source.cql is None, source.name) in included):
            continue
        measure = _closed(source, content.sources)
        key = json.dumps([source.name, source.cql is None, sorted(_text(s) for s in measure.sources)])
        known = found.get(key)
        if known is None or len(known.missing) > len(measure.missing):
            found[key] = measure
    return list(found.values())


def _text(source: Source) -> str:
    return source.cql if source.cql is not None else json.dumps(source.elm, sort_keys=True)


def _closed(main: Source, sources: Sequence[Source]) -> Measure:
    kept = {(main.name, main.version): main}
    missing = []
    pending = [main]
    while pending:
        source = pending.pop()
        for name, version in source.includes:
            if (name, version) in kept:
                continue
            other = _find(source, name, version, sources)
            if other is None:
                if (name, version) not in (("FHIRHelpers", None), ("FHIRHelpers", "4.0.1")):
                    missing.append(f"{name} {version or ''}".strip())
                continue
            kept[name, version] = other
            pending.append(other)
    unique = list(dict.fromkeys(kept.values()))
    return Measure(main, tuple(unique), tuple(missing))


def _find(by: Source, name: str, version: str | None, sources: Sequence[Source]) -> Source | None:
    """The nearest library of that name and version, of the same form."""
    same = [s for s in sources if s.name == name and (s.cql is None) == (by.cql is None)]
    exact = [s for s in same if version is None or s.version == version]

    def distance(source: Source) -> int:
        common = 0
        for one, two in zip(source.home.parts, by.home.parts, strict=False):
            if one != two:
                break
            common += 1
        return len(source.home.parts) + len(by.home.parts) - 2 * common

    return min(exact, key=distance) if exact else None
