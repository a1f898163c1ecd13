"""Measured quantities: the value and its reference ranges in the analyte's one unit (clinical specification §2.4,
§2.7).

Nothing raises; what can't be read gives a Problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from cds_service.records.analytes import Analyte, canonical, converter, quantity_element
from cds_service.records.quantities import Amount, Problem, Units, decimal_of
from cds_service.records.reference_ranges import converted, text_limits, written_unit

Observation = dict[str, Any]


class QuantityReader:
    """Reads values and ranges; `units` resolves unit texts."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def value(
        self, observation: Observation, analyte: Analyte, key: str
    ) -> tuple[dict[str, Any] | Problem, str | None] | None:
        """(the new value element or why there is none, the unit it was reported in) of the element `key`.

        None when it is neither a Quantity, a Range, an integer nor a number as text.
        """
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
        return {"valueQuantity": quantity_element(value, analyte.unit, amount.comparator)}, amount.unit

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
            ends[key] = quantity_element(number, analyte.unit)
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

    def ranges(
        self, ranges: Iterable[Mapping[str, Any]], analyte: Analyte, unit: str | None
    ) -> list[dict[str, Any]]:
        """The ranges with readable, plausible limits in the canonical unit; `unit` is the one of the value."""
        kept = []
        for entry in ranges:
            limits = converted(entry, self._units, converter(analyte, unit))
            if limits is None:
                continue
            low, high = limits
            plausible = self._limits(entry, analyte, unit)
            if high is not None and plausible is not None and not plausible[0] <= high <= plausible[1]:
                continue
            new = {key: part for key, part in entry.items() if key not in ("low", "high")}
            if low is not None:
                new["low"] = quantity_element(low, analyte.unit)
            if high is not None:
                new["high"] = quantity_element(high, analyte.unit)
            kept.append(new)
        return kept

    def _limits(
        self, entry: Mapping[str, Any], analyte: Analyte, reported: str | None
    ) -> tuple[Decimal, Decimal] | None:
        """The plausible upper limits of normal, by the unit that the range is written in."""
        unit = (analyte.units or {}).get(written_unit(entry, self._units) or reported or "")
        return unit.limits if unit is not None and unit.limits is not None else analyte.limits
