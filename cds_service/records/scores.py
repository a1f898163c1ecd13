"""Scores: whole numbers without a unit, as integers, quantities, coded answers or texts (clinical specification IN03).

Nothing raises; what can't be read gives a Problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cds_service.records.analytes import Analyte
from cds_service.records.quantities import Amount, Problem, Units, decimal_of

_LEADING_DIGIT = re.compile(r"\s*([0-9])\s*(?:[-–—:=.)]\s*[^0-9\s].*|)", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"\s*([0-9]{1,3})\s*")
_ORDINALS = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/ordinalValue",
        "http://hl7.org/fhir/StructureDefinition/itemWeight",
        "http://hl7.org/fhir/StructureDefinition/questionnaire-ordinalValue",
    }
)


def read_score(key: str, given: Any, analyte: Analyte, units: Units) -> dict[str, Any] | Problem:
    """The value element `key` as a `valueInteger` within the plausible range."""
    number = _number(key, given, analyte, units)
    if isinstance(number, Problem):
        return number
    low, high = analyte.plausible or (Decimal(0), Decimal(0))
    if number != number.to_integral_value() or not low <= number <= high:
        return Problem("implausible-value")
    return {"valueInteger": int(number)}


def _number(key: str, given: Any, analyte: Analyte, units: Units) -> Decimal | Problem:
    if key == "valueInteger":
        number = decimal_of(given)
        return Problem("text-only") if number is None else number
    if key == "valueQuantity":
        return _plain(units.amount(given), analyte)
    if key == "valueCodeableConcept":
        return _coded(given, analyte)
    if key == "valueString":
        amount = units.amount_of_text(given)
        return _written(given, analyte) if isinstance(amount, Problem) else _plain(amount, analyte)
    return Problem("text-only")


def _plain(amount: Amount | Problem, analyte: Analyte) -> Decimal | Problem:
    """A number without a unit, or with one that means none; a score has no comparator."""
    if isinstance(amount, Problem):
        return amount
    if amount.comparator is not None:
        return Problem("text-only")
    if amount.unit is not None and amount.unit not in (analyte.units or ()):
        return Problem("unit-mismatch")
    return amount.value


def _coded(concept: Mapping[str, Any], analyte: Analyte) -> Decimal | Problem:
    """The ordinal value of an answer's coding, else the digit that its text or display begins with."""
    codings = concept.get("coding", ())
    ordinals = {number for coding in codings for number in ordinals_of(coding)}
    if len(ordinals) > 1:
        return Problem("conflicting-data")
    if ordinals:
        return ordinals.pop()
    texts = [concept.get("text"), *(coding.get("display") for coding in codings)]
    numbers = [_written(text, analyte) for text in texts if isinstance(text, str)]
    read = {number for number in numbers if isinstance(number, Decimal)}
    if len(read) > 1:
        return Problem("conflicting-data")
    return read.pop() if read else Problem("text-only")


def ordinals_of(coding: Mapping[str, Any]) -> list[Decimal]:
    """The ordinal values (`ordinalValue`, `itemWeight`) that a coding's extensions give."""
    extensions = coding.get("extension")
    found = []
    for extension in extensions if isinstance(extensions, list) else ():
        url = extension.get("url") if isinstance(extension, dict) else None
        if isinstance(url, str) and url in _ORDINALS:
            number = decimal_of(extension.get("valueDecimal", extension.get("valueInteger")))
            if number is not None:
                found.append(number)
    return found


def _written(text: str, analyte: Analyte) -> Decimal | Problem:
    match = (_LEADING_DIGIT if analyte.leading_digit else _WHOLE_NUMBER).fullmatch(text)
    return Problem("text-only") if match is None else Decimal(match[1])
