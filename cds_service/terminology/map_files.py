"""One file of a FHIR R4 ConceptMap, read to the letter: what it leads to, and every mistake in it.

A mistake is told with its place (group, element) and what to do, never passed over: a code that is not translated makes
results unreadable, one that is translated wrongly makes them false. Error policy: nothing raises; mistakes are a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cds_service.terminology.map_rules import RULES, source_key

# From source to target: the target means the same, or is wider. R4 says it of the target.
FOLLOWED: Final = frozenset({"equal", "equivalent", "wider", "subsumes"})
_OTHERS: Final = frozenset({"relatedto", "narrower", "specializes", "inexact", "unmatched", "disjoint"})
_OF_R5: Final = {
    "equivalent": "equivalent",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "related-to": "relatedto",
    "not-related-to": "disjoint",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One code that a concept maps to."""

    system: str
    code: str
    display: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One mapped code: its system ("": given without one), and its targets, none where no equivalence is followed."""

    system: str
    code: str
    targets: tuple[Target, ...]
    place: str


@dataclass(slots=True)
class MapFile:
    """A file's map: its id, its entries, and its mistakes in words."""

    name: str
    id: str = ""
    entries: list[Entry] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def mistake(self, place: str, what: str) -> None:
        self.mistakes.append(": ".join(part for part in (self.name, place, what) if part))


def read_map(name: str, resource: Any) -> MapFile:
    """The ConceptMap of a file, parsed as JSON. `name`: of the file, for the mistakes."""
    found = MapFile(name)
    if not isinstance(resource, dict) or resource.get("resourceType") != "ConceptMap":
        found.mistake("", "not a FHIR ConceptMap: `resourceType` must say so")
        return found
    map_id = resource.get("id")
    if not isinstance(map_id, str) or map_id not in RULES:
        given = repr(map_id) if isinstance(map_id, str) else "missing"
        found.mistake("", f"the id is {given}: it must be one of {', '.join(RULES)}")
        return found
    found.id = map_id
    if resource.get("status") == "retired":
        found.mistake("status", "is retired: such a map is not to be used")
    groups = resource.get("group", [])
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        found.mistake("group", "must be a list of objects")
        return found
    for number, group in enumerate(groups):
        _read_group(found, group, f"group[{number}]")
    _find_doubles(found)
    return found


def _read_group(found: MapFile, group: Mapping[str, Any], place: str) -> None:
    rule = RULES[found.id]
    source, target = group.get("source", ""), group.get("target")
    if not isinstance(source, str) or not isinstance(target, str) or not target:
        found.mistake(place, "`source` and `target` must be the URIs of code systems")
        return
    if why := rule.source_problem(source):
        found.mistake(f"{place}.source", why)
    if target not in rule.targets:
        known = ", ".join(rule.targets)
        found.mistake(
            f"{place}.target", f"{target} is no system that this map leads to: it must be one of {known}"
        )
        return
    unmapped = group.get("unmapped")
    if isinstance(unmapped, dict) and unmapped.get("mode") != "provided":
        found.mistake(f"{place}.unmapped", "is not followed: list each code as an element")
    elements = group.get("element")
    if not isinstance(elements, list) or not elements:
        found.mistake(f"{place}.element", "must be a list of mapped codes")
        return
    for number, element in enumerate(elements):
        _read_element(found, element, source, target, f"{place}.element[{number}]")


def _read_element(found: MapFile, element: Any, source: str, target: str, place: str) -> None:
    code = element.get("code") if isinstance(element, dict) else None
    if not isinstance(code, str) or not code.strip():
        found.mistake(place, "`code` must be the code that is mapped")
        return
    place = f"{place} ({code})"
    if code != code.strip():
        found.mistake(place, "`code` begins or ends with a blank: no resource's code does once it is read")
    listed = element.get("target")
    if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
        found.mistake(f"{place}.target", "must be a list of objects, one at least: it may have `unmatched`")
        return
    targets = []
    for number, each in enumerate(listed):
        at = f"{place}.target[{number}]"
        followed = _is_followed(found, each, at)
        leads = each.get("code")
        if followed and not (isinstance(leads, str) and leads):
            found.mistake(at, "`code` is missing")
        elif followed and (why := RULES[found.id].targets[target](leads)):
            found.mistake(at, f"{leads} {why}")
        elif followed:
            display = each.get("display")
            targets.append(Target(target, leads, display if isinstance(display, str) else None))
    if len(targets) > 1 and not RULES[found.id].several:
        found.mistake(f"{place}.target", "leads to several codes: keep the one that is meant")
    found.entries.append(Entry(source, code, tuple(targets), place))


def _is_followed(found: MapFile, target: Mapping[str, Any], place: str) -> bool:
    equivalence = target.get("equivalence")
    if equivalence is None and "relationship" in target:
        means = _OF_R5.get(str(target["relationship"]))
        instead = f": here `equivalence` {means!r}" if means else ""
        found.mistake(place, f"`relationship` is FHIR R5's, and this is read as R4{instead}")
        return False
    if not isinstance(equivalence, str) or equivalence not in FOLLOWED | _OTHERS:
        known = ", ".join(sorted(FOLLOWED | _OTHERS))
        found.mistake(place, f"`equivalence` is {equivalence!r}: it must be one of {known}")
        return False
    if target.get("dependsOn"):
        found.mistake(place, "`dependsOn` is not followed: map what holds without it")
        return False
    return equivalence in FOLLOWED


def _find_doubles(found: MapFile) -> None:
    """The same code twice, or two texts that are compared as the same."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in found.entries:
        first = seen.setdefault(source_key(entry.system, entry.code), entry)
        if first is not entry:
            found.mistake(entry.place, f"stands at {first.place}, too: keep one of both")
