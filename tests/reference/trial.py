"""The trial's ELM on both engines: every define of its library, and of each that it includes, for one random patient.

Both engines get the same resources (of every second patient as normalised for production, of the others as drawn), the same
parameters and the same expansions, in which a code matches by its exact code and system: what our ValueSets and
RecordRetriever do beyond that (ICD without dots, prefixes) is tested on its own. Errors: whatever stops the reference
process raises ReferenceFailed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from random import Random
from typing import Any, Final

from cds_service.elm import Code, Date, DateTime, Library, load_library
from cds_service.records.bundle import read_bundle
from cds_service.records.normalise import normalise
from cds_service.screening import Screener
from tests.reference import compare, patients
from tests.reference.engine import Reference

Json = Any
TRIAL: Final = "nct02917681"
MAIN: Final = "NCT02917681"
DAY: Final = date(2026, 6, 15)
NOW: Final = "2026-06-15T12:00:00.000-03:00"
_CHOICES: Final[Mapping[str, Sequence[Any]]] = {
    "maxAgePolicy": ("completed-years", "exact-birthday"),
    "fvcCompute": (True, False),
    "steroidsAre": ("review", "exclude", "ignore"),
    "cpapIs": ("review", "exclude", "ignore"),
    "researchSubjectFeedComplete": (False, True),
    "alsfrsMin": (30, 31),
    "labWindowDays": (30, 90),
    "trialHintDays": (365, 30),
}


class Expansions:
    """A terminology of listed codes only: exact system, exact code."""

    def __init__(self, sets: Mapping[str, Sequence[Code]]) -> None:
        self.sets = sets
        self._held = {url: {(code.system, code.code) for code in codes} for url, codes in sets.items()}

    def has_value_set(self, url: str) -> bool:
        return url in self.sets

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        return (system, code) in self._held[url]

    def expand(self, url: str) -> Sequence[Code]:
        return self.sets[url]

    def listed(self) -> dict[str, list[dict[str, str | None]]]:
        """The codes by URL, as the reference takes them."""
        return {
            url: [{"code": code.code, "system": code.system} for code in codes]
            for url, codes in self.sets.items()
        }


class PlainRetriever:
    """Retrieves by exact system and code, resource by resource."""

    def __init__(self, resources: Sequence[Mapping[str, Any]], expansions: Expansions) -> None:
        self.resources = resources
        self.expansions = expansions

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        mine = [resource for resource in self.resources if resource["resourceType"] == resource_type]
        if codes is None and value_set is None:
            return mine
        wanted = {(code.system, code.code) for code in (codes or self.expansions.sets[value_set or ""])}
        return [resource for resource in mine if wanted & set(_codes(resource, code_path or "code"))]


def _codes(resource: Mapping[str, Any], path: str) -> Iterator[tuple[str | None, str | None]]:
    current: list[Any] = [resource]
    for step in path.split("."):
        found = [part.get(step, part.get(f"{step}CodeableConcept")) for part in current]
        current = [
            item
            for value in found
            if value is not None
            for item in (value if isinstance(value, list) else [value])
        ]
    for concept in current:
        for coding in concept.get("coding", ()):
            yield coding.get("system"), coding.get("code")


@dataclass(frozen=True, slots=True)
class Compared:
    """One define of one library: what each engine came to, as written values, and where they differ."""

    library: str
    define: str
    ours: Mapping[str, Json]
    theirs: Mapping[str, Json]
    differences: Sequence[compare.Difference]


class TrialOnBoth:
    """The trial's libraries, loaded into both engines."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.screener = Screener.load()
        value_sets = self.screener.value_sets
        urls = [url for url in map(value_sets.url_of, value_sets.names) if url is not None]
        self.expansions = Expansions({url: value_sets.expand(url) for url in urls})
        self.elm = _elm()
        names = [elm["library"]["identifier"]["id"] for elm in self.elm]
        self.libraries: dict[str, Library] = {
            name: load_library(self.elm, main=name, terminology=self.expansions) for name in names
        }
        self.pools = self._pools()
        reference.load(TRIAL, [in_javascript(elm) for elm in self.elm], MAIN, self.expansions.listed())

    def _pools(self) -> patients.Pools:
        """The code lists that the ELM asks for, by resource type and element."""
        pools: dict[tuple[str, str], dict[tuple[Code, ...], None]] = {}
        for library in self.libraries.values():
            for define in library.defines:
                for need in library.retrieves(define):
                    if need.code_path is not None:
                        codes = need.codes or tuple(self.expansions.sets[need.value_set or ""])
                        if codes:
                            pools.setdefault((need.resource_type, need.code_path), {})[codes] = None
        return {
            key: sorted(found, key=lambda codes: [(c.system or "", c.code or "") for c in codes])
            for key, found in pools.items()
        }

    def resources(self, seed: int, size: int = 40) -> list[dict[str, Any]]:
        """The resources of a random patient: every second one as production would hand them to the engine."""
        drawn = patients.patient(seed, self.pools, size)
        return self.normalised(drawn) if seed % 2 == 0 else drawn

    def normalised(self, drawn: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        record = read_bundle(patients.bundle(drawn))
        record = normalise(record, self.screener.mappings, timezone=self.screener.timezone, as_of=DAY)
        return [resource for kind in record.resources.values() for resource in kind]

    @staticmethod
    def parameters(seed: int) -> dict[str, Any]:
        """The parameters that this seed sets; the others keep the CQL's defaults."""
        random = Random(f"parameters {seed}")
        return {name: random.choice(options) for name, options in _CHOICES.items() if random.random() < 0.3}

    def compared(
        self, resources: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]
    ) -> list[Compared]:
        """Every define of every library, on these resources."""
        theirs = self.theirs(resources, parameters)
        return [
            Compared(library, define, outcome, other, differences(outcome, other))
            for library, results in self.ours(resources, parameters).items()
            for define, outcome in results.items()
            for other in (theirs[library][define],)
        ]

    def again(
        self,
        differing: Sequence[Compared],
        resources: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        amended: Sequence[str],
    ) -> list[Compared]:
        """The same defines against the reference with deviations taken away (see Reference.run)."""
        only: dict[str, list[str]] = {}
        for one in differing:
            only.setdefault(one.library, []).append(one.define)
        theirs = self.theirs(resources, parameters, amended, only)
        return [
            replace(one, theirs=other, differences=differences(one.ours, other))
            for one in differing
            for other in (theirs[one.library][one.define],)
        ]

    def theirs(
        self,
        resources: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        amended: Sequence[str] = (),
        only: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, dict[str, dict[str, Json]]]:
        """The reference's outcomes by library and define."""
        given = {**parameters, "ScreeningDate": {"$": "Date", "text": DAY.isoformat()}}
        bundle = patients.bundle(resources)
        return self.reference.run_all(TRIAL, bundle, given, NOW, only=only, amended=amended)

    def ours(
        self, resources: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]
    ) -> dict[str, dict[str, dict[str, Json]]]:
        """Our outcomes by library and define."""
        patient = next(resource for resource in resources if resource["resourceType"] == "Patient")
        retriever = PlainRetriever(resources, self.expansions)
        given = {**parameters, "ScreeningDate": Date.from_date(DAY)}
        found = {}
        for name, library in self.libraries.items():
            results = library.evaluate(
                None,
                retriever=retriever,
                patient=patient,
                parameters={key: value for key, value in given.items() if key in library.parameter_types},
                now=DateTime.parse(NOW),
            )
            found[name] = {define: compare.outcome(result) for define, result in results.items()}
        return found


def differences(ours: Mapping[str, Json], theirs: Mapping[str, Json]) -> list[compare.Difference]:
    """As `compare.compared`, for an ELM whose patterns were rewritten for the reference."""
    return compare.compared(_pattern_in_javascript(ours), theirs)


def in_javascript(node: Any) -> Any:
    """ELM as the reference can read it: the same, but

    - `(?s)` is taken away from patterns, and each dot that it speaks of written out. CQL matches in single line mode and
      recommends PCRE, whose `(?s)` says so in the pattern itself; JavaScript knows neither;
    - a function or call without operands says so (`operand: []`), which ELM's schema lets go without saying.

    Otherwise the reference fails in every define that rests on them.
    """
    if isinstance(node, list):
        return [in_javascript(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "Literal":
        return _pattern_in_javascript(node)
    made = {key: in_javascript(item) for key, item in node.items()}
    if node.get("type") in ("FunctionDef", "FunctionRef"):
        made.setdefault("operand", [])
    return made


def _pattern_in_javascript(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    """A literal or an outcome, its `value` rewritten where that is a pattern."""
    value = holder.get("value")
    if not isinstance(value, str) or not value.startswith("(?s)"):
        return holder
    return {**holder, "value": _DOT.sub(lambda found: "[\\s\\S]" if found[0] == "." else found[0], value[4:])}


# What is no dot (an escape, a class), or a dot.
_DOT: Final = re.compile(r"\\.|\[[^\]]*\]|\.", re.DOTALL)


def _elm() -> list[dict[str, Any]]:
    """The ELM of the trial and of all that it includes."""
    root = files("cds_service") / "trials"
    entries = [entry for folder in (root, root / "common", root / TRIAL) for entry in folder.iterdir()]
    named = sorted((entry for entry in entries if entry.name.endswith(".elm.json")), key=lambda e: e.name)
    return [json.loads(entry.read_bytes()) for entry in named]
