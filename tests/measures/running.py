"""One measure, one patient, both engines: the values of every define, in one form that can be compared.

Both get the same ELM, codes, resources, parameters and time. A value set that the content lacks is empty for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cds_service.elm import Code, Date, DateTime, Interval, Library, Result, load_library
from cds_service.elm.types import IntervalOf
from tests.measures.content import TestPatient
from tests.reference.engine import Reference

ELM = Mapping[str, Any]
Codes = Mapping[str, Sequence[Mapping[str, Any]]]
OFFSET = "-03:00"  # an odd one; the reference reads dates without offset in its process's zone, TZ
TZ = "Etc/GMT+3"
PERIOD = "Measurement Period"


def value_sets_of(
    libraries: Sequence[ELM], known: Codes
) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """The codes of every value set that the libraries name, by its id there; and which of them are not known."""
    by_oid = {url.rsplit("/", 1)[-1].removeprefix("urn:oid:"): codes for url, codes in known.items()}
    made: dict[str, list[dict[str, Any]]] = {}
    missing = []
    for library in libraries:
        for node in (library["library"].get("valueSets") or {}).get("def") or ():
            url = node["id"]
            bare = url.split("|")[0]
            codes = known.get(url) or known.get(bare)
            if codes is None:
                codes = by_oid.get(bare.rsplit("/", 1)[-1].removeprefix("urn:oid:"))
            if codes is None:
                missing.append(url)
            made[url] = [dict(code) for code in codes or ()]
    return made, sorted(set(missing))


class Sets:
    """The engine's terminology port over codes by URL."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._members = {url: {(c["system"], c["code"]) for c in found} for url, found in codes.items()}
        self._bare = {url: {c["code"] for c in found} for url, found in codes.items()}

    def has_value_set(self, url: str) -> bool:
        return url in self._codes

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        return code in self._bare[url] if system is None else (system, code) in self._members[url]

    def expand(self, url: str) -> Sequence[Code]:
        return [Code(c["code"], c["system"]) for c in self._codes[url]]


class Record:
    """The engine's retriever port over a list of resources."""

    def __init__(self, resources: Sequence[Mapping[str, Any]], sets: Sets) -> None:
        self._resources = resources
        self._sets = sets

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        found = [r for r in self._resources if r["resourceType"] == resource_type]
        if codes is None and value_set is None:
            return found
        wanted = {(code.system, code.code) for code in codes or ()}

        def fits(resource: Mapping[str, Any]) -> bool:
            for system, code in codes_at(resource, code_path or "code"):
                if code is None:
                    continue
                if (system, code) in wanted:
                    return True
                if (
                    value_set is not None
                    and system is not None
                    and self._sets.in_value_set(system, code, value_set)
                ):
                    return True
            return False

        return [resource for resource in found if fits(resource)]

    def retrieve_of(
        self,
        patient: str | None,
        resource_type: str,
        code_path: str | None,
        codes: Sequence[Code] | None,
        value_set: str | None,
    ) -> Sequence[Mapping[str, Any]]:
        """All patients' resources are this one's: a test case holds nobody else (CQL without `context`)."""
        return self.retrieve(resource_type, code_path, codes, value_set) if patient is None else []


def codes_at(resource: Mapping[str, Any], path: str) -> list[tuple[str | None, str | None]]:
    """The codings of an element: of CodeableConcepts, Codings and code strings, of a choice element too."""
    values = [resource.get(path), resource.get(f"{path}CodeableConcept"), resource.get(f"{path}Coding")]
    made: list[tuple[str | None, str | None]] = []
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                made.append((None, item))
            elif isinstance(item, dict):
                for coding in item.get("coding") or ([item] if "code" in item else []):
                    made.append((coding.get("system"), coding.get("code")))
    return made


class Runner:
    """One measure, loaded in both engines."""

    def __init__(
        self, reference: Reference | None, libraries: Sequence[ELM], main: str, known: Codes
    ) -> None:
        self.codes, self.missing = value_sets_of(libraries, known)
        self.sets = Sets(self.codes)
        self.library: Library = load_library(libraries, main=main, terminology=self.sets)
        self._by_dates = self.library.parameter_types.get(PERIOD) == IntervalOf("System.Date")
        self._reference = reference
        if reference is not None:
            reference.load("measure", libraries, main, self.codes)

    def ours(self, patient: TestPatient) -> dict[str, Result]:
        """What this engine makes of every define."""
        parameters: dict[str, Any] = {}
        if PERIOD in self.library.parameters:
            if self._by_dates:
                first, last = (Date.parse(text) for text in patient.period)
                parameters[PERIOD] = Interval(first, last)
            else:
                low, high = (DateTime.parse(text) for text in period_of(patient))
                parameters[PERIOD] = Interval(low, high)
        return self.library.evaluate(
            None,
            retriever=Record(patient.resources, self.sets),
            patient=next((r for r in patient.resources if r["resourceType"] == "Patient"), None),
            parameters=parameters,
            now=DateTime.parse(now_of(patient)),
        )

    def theirs(
        self, patient: TestPatient, defines: Sequence[str] | None = None, amended: Sequence[str] = ()
    ) -> dict[str, dict[str, Any]]:
        """What the reference makes of every define, or of these; `amended`: with those deviations taken away."""
        assert self._reference is not None
        kind, bounds = ("Date", patient.period) if self._by_dates else ("DateTime", period_of(patient))
        low, high = ({"$": kind, "text": text} for text in bounds)
        period = {"$": "Interval", "low": low, "high": high, "lowClosed": True, "highClosed": True}
        parameters = {PERIOD: period} if PERIOD in self.library.parameters else {}
        return self._reference.run(
            "measure", patient.bundle, parameters, now_of(patient), defines, amended=amended
        )


def period_of(patient: TestPatient) -> tuple[str, str]:
    """The measurement period: from the first to the last moment of its days."""
    return f"{patient.period[0]}T00:00:00.000{OFFSET}", f"{patient.period[1]}T23:59:59.999{OFFSET}"


def now_of(patient: TestPatient) -> str:
    """The evaluation's time: noon of the period's last day."""
    return f"{patient.period[1]}T12:00:00.000{OFFSET}"
