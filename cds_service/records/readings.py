"""Readings: each Observation of a known analyte gets one value in one canonical form, or the reason why it
has none.

Which analytes there are, their units, factors and plausible ranges is data (fhir_mappings/readings.json).
The reading replaces the value; reference ranges that don't apply to the patient are left out, the others
converted to the same unit. What can't be read loses its value and gets a `dataAbsentReason` of the project's
reading-problem code system, so that it is never skipped in favour of an older result. A value that the
source itself hides (its own `dataAbsentReason`) goes.

Errors: data of the wrong shape raises AuthoringError at load; no Observation raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cds_service.errors import AuthoringError
from cds_service.records.dates import clinical_date
from cds_service.records.qualitative import QualitativeReader, Reading
from cds_service.records.quantities import Amount, Problem, Units, decimal_of, times
from cds_service.records.reference_ranges import Person, applicable, converted, text_limits
from cds_service.records.shapes import VALUE_KEYS
from cds_service.terminology.systems import (
    EL_ESCORIAL_CATEGORY,
    QUALITATIVE_RESULT,
    READING_PROBLEM,
    UCUM,
)
from cds_service.terminology.text import normalise_text
from cds_service.terminology.value_sets import ValueSets

Observation = dict[str, Any]
_LEADING_DIGIT = re.compile(r"\s*([0-9])\s*(?:[-–—:=.)]\s*[^0-9\s].*|)", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"\s*([0-9]{1,3})\s*")
_ORDINALS = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/ordinalValue",
        "http://hl7.org/fhir/StructureDefinition/itemWeight",
        "http://hl7.org/fhir/StructureDefinition/questionnaire-ordinalValue",
    }
)
KINDS = frozenset({"quantity", "score", "qualitative", "titre", "nat", "category"})


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that an analyte accepts: exact factor to the canonical unit; numbers (in this unit) within
    `mismatch` or above `maximum` are taken for another unit; `limits`, where given, the plausible upper
    limits of normal."""

    factor: Decimal
    mismatch: tuple[Decimal, Decimal] | None = None
    maximum: Decimal | None = None
    limits: tuple[Decimal, Decimal] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Analyte:
    """How the values of some codes are read; limits in the canonical unit."""

    name: str
    kind: str
    unit: str = ""
    units: Mapping[str, Unit] | None = None
    plausible: tuple[Decimal, Decimal] | None = None
    limits: tuple[Decimal, Decimal] | None = None
    leading_digit: bool = False
    or_qualitative: bool = False

    @classmethod
    def of(cls, name: str, data: Mapping[str, Any]) -> Analyte:
        """From its entry in readings.json; KeyError, TypeError or ValueError when it has another shape."""
        if data["kind"] not in KINDS:
            raise ValueError(f"{name}: unknown kind {data['kind']!r}")
        units = {
            code: Unit(
                Decimal(unit["factor"]),
                _pair(unit.get("mismatch")),
                Decimal(unit["maximum"]) if "maximum" in unit else None,
                _pair(unit.get("upperLimit")),
            )
            for code, unit in data.get("units", {}).items()
        }
        return cls(
            name,
            data["kind"],
            data.get("unit", ""),
            units,
            _pair(data.get("plausible")),
            _pair(data.get("upperLimit")),
            data.get("leadingDigit", False),
            data.get("orQualitative", False),
        )


def _pair(limits: Any) -> tuple[Decimal, Decimal] | None:
    return None if limits is None else (Decimal(limits[0]), Decimal(limits[1]))


class Readings:
    """All analytes, by the value sets and codes that they cover; immutable.

    `categories` maps (system, code) to an El Escorial category; a text's system is "".
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        value_sets: ValueSets,
        units: Units,
        qualitative: QualitativeReader,
        categories: Mapping[tuple[str, str], str],
        *,
        file: str = "readings.json",
    ) -> None:
        self._value_sets = value_sets
        self._units = units
        self._qualitative = qualitative
        self._categories = categories
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
            return _with_value(observation, keys, self._score(observation, analyte, keys[0]))
        if analyte.kind == "category":
            return _with_value(observation, keys, self._category(observation, keys[0]))
        return self._read_quantity(observation, analyte, person, keys)

    # --- quantities -----------------------------------------------------------------------------------------

    def _read_quantity(
        self, observation: Observation, analyte: Analyte, person: Person, keys: list[str]
    ) -> Observation:
        day = clinical_date(observation)
        ranges = list(applicable(observation.get("referenceRange"), person, day, self._units))
        found = self._quantity(observation, analyte, keys[0])
        if found is None:  # neither Quantity nor Range nor a number as text
            if analyte.or_qualitative:
                return self._read_qualitative(observation, "qualitative", person, keys)
            found = Problem("text-only"), None
        value, unit = found
        if isinstance(value, Problem):
            return _unreadable(observation, keys, value.code)
        read = _with_value(observation, keys, value)
        if "referenceRange" in observation:
            read["referenceRange"] = self._ranges(ranges, analyte, unit)
            if not read["referenceRange"]:
                del read["referenceRange"]
        return read

    def _quantity(
        self, observation: Observation, analyte: Analyte, key: str
    ) -> tuple[dict[str, Any] | Problem, str | None] | None:
        """(the new value element or why there is none, the unit it was reported in)."""
        given = observation[key]
        if key == "valueRange":
            return self._range_value(given, analyte)
        if key == "valueQuantity":
            amount = self._units.amount(given)
        elif key == "valueString":
            amount = self._units.amount_of_text(given)
            if isinstance(amount, Problem):
                return None
            if amount.unit is None:
                amount = Amount(amount.value, self._range_unit(observation), amount.comparator)
        elif key == "valueInteger":
            number = decimal_of(given)
            amount = Problem("text-only") if number is None else Amount(number, None)
        else:
            return None
        if isinstance(amount, Problem):
            return amount, None
        value = canonical(amount, analyte)
        if isinstance(value, Problem):
            return value, None
        return {"valueQuantity": _quantity(value, analyte.unit, amount.comparator)}, amount.unit

    def _range_value(self, given: Any, analyte: Analyte) -> tuple[dict[str, Any] | Problem, str | None]:
        """A Range as an interval in the canonical unit; an open end stays open."""
        ends: dict[str, Any] = {}
        numbers, unit = [], None
        for key in ("low", "high"):
            quantity = given.get(key) if isinstance(given, dict) else None
            if quantity is None:
                continue
            amount = self._units.amount(quantity)
            if isinstance(amount, Problem):
                return amount, None
            number = canonical(amount, analyte)
            if isinstance(number, Problem):
                return number, None
            unit = amount.unit
            numbers.append(number)
            ends[key] = _quantity(number, analyte.unit, None)
        if not ends:
            return Problem("text-only"), None
        if len(numbers) == 2 and numbers[0] > numbers[1]:
            return Problem("implausible-value"), None
        return {"valueRange": ends}, unit

    def _range_unit(self, observation: Observation) -> str | None:
        """The unit that the reference ranges agree on, for a number written without one (§2.4)."""
        found = set()
        for entry in observation.get("referenceRange", ()):
            for key in ("low", "high"):
                if key in entry:
                    found.add(self._units.of_quantity(entry[key]))
            limits = text_limits(entry.get("text"), self._units)
            if limits is not None:
                found.add(limits.unit)
        found.discard(None)
        return found.pop() if len(found) == 1 else None

    def _ranges(
        self, ranges: list[Mapping[str, Any]], analyte: Analyte, unit: str | None
    ) -> list[dict[str, Any]]:
        kept = []
        for entry in ranges:
            limits = converted(entry, self._units, _converter(analyte, unit))
            if limits is None:
                continue
            low, high = limits
            plausible = _limits(entry, analyte, unit, self._units)
            if high is not None and plausible is not None and not plausible[0] <= high <= plausible[1]:
                continue
            new = {key: part for key, part in entry.items() if key not in ("low", "high")}
            if low is not None:
                new["low"] = _quantity(low, analyte.unit, None)
            if high is not None:
                new["high"] = _quantity(high, analyte.unit, None)
            kept.append(new)
        return kept

    # --- scores and categories ------------------------------------------------------------------------------

    def _score(self, observation: Observation, analyte: Analyte, key: str) -> dict[str, Any] | Problem:
        number = self._score_number(observation[key], analyte, key)
        if isinstance(number, Problem):
            return number
        low, high = analyte.plausible or (Decimal(0), Decimal(0))
        if number != number.to_integral_value() or not low <= number <= high:
            return Problem("implausible-value")
        return {"valueInteger": int(number)}

    def _score_number(self, given: Any, analyte: Analyte, key: str) -> Decimal | Problem:
        if key == "valueInteger":
            return decimal_of(given) or (Decimal(0) if given == 0 else Problem("text-only"))
        if key == "valueQuantity":
            amount = self._units.amount(given)
            if isinstance(amount, Problem):
                return amount
            if amount.comparator is not None:
                return Problem("text-only")
            return (
                amount.value
                if amount.unit is None or amount.unit in (analyte.units or ())
                else Problem("unit-mismatch")
            )
        if key == "valueCodeableConcept":
            return _coded_score(given, analyte)
        if key == "valueString":
            amount = self._units.amount_of_text(given)
            if isinstance(amount, Amount) and amount.comparator is None:
                accepted = amount.unit is None or amount.unit in (analyte.units or ())
                return amount.value if accepted else Problem("unit-mismatch")
            return _written_score(given, analyte)
        return Problem("text-only")

    def _category(self, observation: Observation, key: str) -> dict[str, Any] | Problem:
        given = observation[key]
        if key == "valueString":
            given = {"text": given}
        elif key != "valueCodeableConcept":
            return Problem("text-only")
        category = self.category(given)
        if isinstance(category, Problem):
            return category
        coding = {"system": EL_ESCORIAL_CATEGORY, "code": category}
        return {"valueCodeableConcept": {**given, "coding": [coding, *given.get("coding", ())]}}

    def category(self, concept: Mapping[str, Any]) -> str | Problem:
        """The El Escorial category of a concept: by its codings, else by its text; two differing ones conflict."""
        found = self.coded_categories(concept)
        if not found:
            text = self.written_category(concept)
            found = set() if text is None else {text}
        if len(found) > 1:
            return Problem("conflicting-data")
        return found.pop() if found else Problem("text-only")

    def coded_categories(self, concept: Mapping[str, Any]) -> set[str]:
        """The categories that a concept's codings mean."""
        keys = [(coding.get("system", ""), coding.get("code", "")) for coding in concept.get("coding", ())]
        return {self._categories[key] for key in keys if key[0] and key in self._categories}

    def written_category(self, concept: Mapping[str, Any]) -> str | None:
        """The category that a concept's whole text means."""
        return self._categories.get(("", normalise_text(concept.get("text", ""))))

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


def canonical(amount: Amount, analyte: Analyte) -> Decimal | Problem:
    """The number in the analyte's unit; a Problem when the unit is missing or wrong, or the number implausible."""
    if amount.unit is None:
        return Problem("unit-missing")
    unit = (analyte.units or {}).get(amount.unit)
    if unit is None:
        return Problem("unit-mismatch")
    if unit.mismatch is not None and unit.mismatch[0] <= amount.value <= unit.mismatch[1]:
        return Problem("unit-mismatch")
    if unit.maximum is not None and amount.value > unit.maximum:
        return Problem("unit-mismatch")
    number = times(amount.value, unit.factor)
    if analyte.plausible is not None:
        low, high = analyte.plausible
        # A value with a comparator is an interval: implausible only when all of it is.
        too_low = number < low if amount.comparator not in (">", ">=") else False
        too_high = number > high if amount.comparator not in ("<", "<=") else False
        if too_low or too_high:
            return Problem("implausible-value")
    return number


def _converter(analyte: Analyte, reported: str | None) -> Callable[[Decimal, str | None], Decimal | None]:
    """Numbers of a range to the canonical unit; a range without a unit is in the result's."""

    def convert(number: Decimal, unit: str | None) -> Decimal | None:
        accepted = (analyte.units or {}).get(unit or reported or "")
        return None if accepted is None else times(number, accepted.factor)

    return convert


def _limits(
    entry: Mapping[str, Any], analyte: Analyte, reported: str | None, units: Units
) -> tuple[Decimal, Decimal] | None:
    """The plausible upper limits of normal, by the unit that the range is written in."""
    high = entry.get("high")
    parsed = text_limits(entry.get("text"), units) if high is None else None
    written = units.of_quantity(high) if high is not None else parsed.unit if parsed is not None else None
    unit = (analyte.units or {}).get(written or reported or "")
    return unit.limits if unit is not None and unit.limits is not None else analyte.limits


def _quantity(number: Decimal, unit: str, comparator: str | None) -> dict[str, Any]:
    quantity: dict[str, Any] = {"value": number, "unit": unit, "system": UCUM, "code": unit}
    return quantity if comparator is None else {**quantity, "comparator": comparator}


def _coded_score(concept: Mapping[str, Any], analyte: Analyte) -> Decimal | Problem:
    """The ordinal value of an answer's coding, else the digit that its text or display begins with."""
    codings = concept.get("coding", ())
    ordinals = {number for coding in codings for number in ordinals_of(coding)}
    if len(ordinals) > 1:
        return Problem("conflicting-data")
    if ordinals:
        return ordinals.pop()
    texts = [concept.get("text"), *(coding.get("display") for coding in codings)]
    numbers = [_written_score(text, analyte) for text in texts if isinstance(text, str)]
    read = {number for number in numbers if isinstance(number, Decimal)}
    if len(read) > 1:
        return Problem("conflicting-data")
    return read.pop() if read else Problem("text-only")


def ordinals_of(coding: Mapping[str, Any]) -> list[Decimal]:
    """The ordinal values (`ordinalValue`, `itemWeight`) that a coding's extensions give."""
    extensions = coding.get("extension")
    found = []
    for extension in extensions if isinstance(extensions, list) else ():
        if isinstance(extension, dict) and extension.get("url") in _ORDINALS:
            number = decimal_of(extension.get("valueDecimal", extension.get("valueInteger")))
            if number is not None:
                found.append(number)
    return found


def _written_score(text: str, analyte: Analyte) -> Decimal | Problem:
    match = (_LEADING_DIGIT if analyte.leading_digit else _WHOLE_NUMBER).fullmatch(text)
    return Problem("text-only") if match is None else Decimal(match[1])


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
