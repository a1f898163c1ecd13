"""Readings: each Observation of a known analyte gets one value in one form, or the reason why it has none.

Which analytes there are, their units, factors and plausible ranges is data (fhir_mappings/readings.json). The reading
replaces the value; reference ranges that don't apply to the patient are left out, the others converted to the same
unit. What can't be read loses its value and gets a `dataAbsentReason` of the project's reading-problem code system, so
that it is never skipped in favour of an older result. A value that the source itself hides (its own
`dataAbsentReason`) goes.

Errors: data of the wrong shape raises AuthoringError at load; no Observation raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cds_service.errors import AuthoringError
from cds_service.records.analytes import Analyte
from cds_service.records.categories import Categories
from cds_service.records.dates import clinical_date
from cds_service.records.elements import VALUE_KEYS
from cds_service.records.measurements import QuantityReader
from cds_service.records.qualitative import QualitativeReader, Reading
from cds_service.records.quantities import Problem, Units
from cds_service.records.reference_ranges import Person, applicable
from cds_service.records.scores import read_score
from cds_service.terminology.systems import QUALITATIVE_RESULT, READING_PROBLEM
from cds_service.terminology.value_sets import ValueSets

Observation = dict[str, Any]


class Readings:
    """All analytes, by the value sets and codes that they cover; immutable.

    `qualitative` and `categories` read what is no number.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        value_sets: ValueSets,
        units: Units,
        qualitative: QualitativeReader,
        categories: Categories,
        *,
        file: str = "readings.json",
    ) -> None:
        self._value_sets = value_sets
        self._units = units
        self._qualitative = qualitative
        self._categories = categories
        self._quantities = QuantityReader(units)
        self._by_set: dict[str, Analyte] = {}
        self._by_code: dict[tuple[str, str], Analyte] = {}
        try:
            for name, entry in data["analytes"].items():
                analyte = Analyte.of(name, entry)
                for value_set in entry.get("valueSets", ()):
                    if value_sets.url_of(value_set) is None:
                        raise ValueError(f"{name}: there is no value set {value_set}")
                    self._by_set[value_set] = analyte
                for code in entry.get("codes", ()):
                    system, _, own = code.partition("|")
                    self._by_code[system, own] = analyte
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise AuthoringError(f"{file}: can't be read ({type(error).__name__}: {error})") from error

    def analytes(self, concept: Any) -> set[Analyte]:
        """The analytes of a code; none for a code that no criterion reads."""
        found: set[Analyte] = set()
        if isinstance(concept, dict):
            for coding in concept.get("coding", ()):
                system, code = coding.get("system"), coding.get("code")
                if system is None or code is None:
                    continue
                for name in self._value_sets.sets_of(system, code):
                    analyte = self._by_set.get(name)
                    if analyte is not None:
                        found.add(analyte)
                own = self._by_code.get((system, code))
                if own is not None:
                    found.add(own)
        return found

    def codes_of(self, name: str) -> Iterator[tuple[str, str]]:
        """Each (system, code) of the analyte of that name."""
        for value_set, analyte in self._by_set.items():
            if analyte.name == name:
                for code in self._value_sets.expand(self._value_sets.url_of(value_set) or ""):
                    yield code.system or "", code.code or ""
        yield from (key for key, analyte in self._by_code.items() if analyte.name == name)

    def read(self, observation: Observation, person: Person) -> Observation:
        """The Observation (tidied) with its reading; itself when no criterion reads its code."""
        analytes = self.analytes(observation.get("code"))
        if not analytes:
            return observation
        keys = [key for key in observation if key.startswith("value")]
        if "dataAbsentReason" in observation:
            return (
                {key: part for key, part in observation.items() if key not in keys} if keys else observation
            )
        if len(analytes) > 1:
            return _unreadable(observation, keys, "ambiguous-code") if keys else observation
        analyte = analytes.pop()
        if analyte.kind in ("qualitative", "titre", "nat"):
            return self._read_qualitative(observation, analyte.kind, person, keys)
        if not keys:
            return self._read_flag(observation, analyte, person)
        if len(keys) > 1 or keys[0] not in VALUE_KEYS:
            return _unreadable(observation, keys, "conflicting-data" if len(keys) > 1 else "text-only")
        if analyte.kind == "score":
            return _with_value(
                observation, keys, read_score(keys[0], observation[keys[0]], analyte, self._units)
            )
        if analyte.kind == "category":
            return _with_value(observation, keys, self._categories.read(keys[0], observation[keys[0]]))
        return self._read_quantity(observation, analyte, person, keys)

    # --- quantities -----------------------------------------------------------------------------------------

    def _read_quantity(
        self, observation: Observation, analyte: Analyte, person: Person, keys: list[str]
    ) -> Observation:
        day = clinical_date(observation)
        ranges = list(applicable(observation.get("referenceRange"), person, day, self._units))
        found = self._quantities.value(observation, analyte, keys[0])
        if found is None:  # neither Quantity nor Range nor a number as text
            if analyte.or_qualitative:
                return self._read_qualitative(observation, "qualitative", person, keys)
            found = Problem("text-only"), None
        value, unit = found
        if isinstance(value, Problem):
            return _unreadable(observation, keys, value.code)
        read = _with_value(observation, keys, value)
        if "referenceRange" in observation:
            read["referenceRange"] = self._quantities.ranges(ranges, analyte, unit)
            if not read["referenceRange"]:
                del read["referenceRange"]
        return read

    # --- qualitative results --------------------------------------------------------------------------------

    def _read_flag(self, observation: Observation, analyte: Analyte, person: Person) -> Observation:
        """No value: a test that may also be reported in words can still be read from its interpretation."""
        if analyte.or_qualitative and "interpretation" in observation:
            return self._read_qualitative(observation, "qualitative", person, [])
        return observation

    def _read_qualitative(
        self, observation: Observation, kind: str, person: Person, keys: list[str]
    ) -> Observation:
        day = clinical_date(observation)
        ranges = list(applicable(observation.get("referenceRange"), person, day, self._units))
        found = self._qualitative.read(observation, ranges, kind)
        if found is None:
            return observation
        if isinstance(found, Problem):
            return _unreadable(observation, keys, found.code)
        read = {**observation, "interpretation": [*observation.get("interpretation", ()), _result(found)]}
        if found.titre is not None:
            for key in keys:
                del read[key]
            read["valueRatio"] = {"numerator": {"value": 1}, "denominator": {"value": found.titre}}
        return read


def _result(reading: Reading) -> dict[str, Any]:
    return {"coding": [{"system": QUALITATIVE_RESULT, "code": reading.result}]}


def _with_value(observation: Observation, keys: list[str], value: dict[str, Any] | Problem) -> Observation:
    if isinstance(value, Problem):
        return _unreadable(observation, keys, value.code)
    kept = {key: part for key, part in observation.items() if key not in keys}
    return {**kept, **value}


def _unreadable(observation: Observation, keys: list[str], problem: str) -> Observation:
    """Without its value, and with the reason why."""
    kept = {key: part for key, part in observation.items() if key not in keys}
    kept["dataAbsentReason"] = {"coding": [{"system": READING_PROBLEM, "code": problem}]}
    return kept
