"""Analytes: how the values of some codes are read. Data (fhir_mappings/readings.json), and the one conversion.

Errors: `Analyte.of` raises KeyError, TypeError, ValueError or ArithmeticError on data of another shape (its caller
names the file); converting gives None or a Problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cds_service.records.quantities import Amount, Problem, times
from cds_service.terminology.systems import UCUM

KINDS = frozenset({"quantity", "score", "qualitative", "titre", "nat", "category"})


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that an analyte accepts.

    `factor` leads exactly to the canonical unit; numbers (in this unit) within `mismatch` or above `maximum` are taken
    for another unit; `limits`, where given, are the plausible upper limits of normal.
    """

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


def converter(analyte: Analyte, reported: str | None) -> Callable[[Decimal, str | None], Decimal | None]:
    """Numbers of a range to the canonical unit; a range without a unit is in the result's."""

    def convert(number: Decimal, unit: str | None) -> Decimal | None:
        accepted = (analyte.units or {}).get(unit or reported or "")
        return None if accepted is None else times(number, accepted.factor)

    return convert


def quantity_element(number: Decimal, unit: str, comparator: str | None = None) -> dict[str, Any]:
    """A FHIR Quantity in a UCUM unit."""
    quantity: dict[str, Any] = {"value": number, "unit": unit, "system": UCUM, "code": unit}
    return quantity if comparator is None else {**quantity, "comparator": comparator}
