"""Reference ranges: which of them apply to this patient, and their limits in the canonical unit (§2.4, §2.7).

A range that doesn't apply, has no readable upper limit in a known unit, or an upper limit of an implausible
size, is left out: the criterion then falls back to the flag or to the fallback interval. Nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from cds_service.records.dates import completed_years
from cds_service.records.quantities import Units, decimal_of, parse_decimal
from cds_service.terminology.systems import (
    ADMINISTRATIVE_GENDER,
    REFERENCE_RANGE_MEANING,
    SNOMED,
    V3_ADMINISTRATIVE_GENDER,
)
from cds_service.terminology.text import fold, normalise_text

_SEX_CODES = {
    (ADMINISTRATIVE_GENDER, "male"): "male",
    (ADMINISTRATIVE_GENDER, "female"): "female",
    (SNOMED, "248153007"): "male",
    (SNOMED, "248152002"): "female",
    (V3_ADMINISTRATIVE_GENDER, "M"): "male",
    (V3_ADMINISTRATIVE_GENDER, "F"): "female",
}
_SEX_TEXTS = {
    **dict.fromkeys(("male", "males", "masculino", "homem", "homens"), "male"),
    **dict.fromkeys(("female", "females", "feminino", "mulher", "mulheres"), "female"),
}
_NUMBER = r"[0-9]{1,10}(?:[.,][0-9]{1,10})?"
# "10-40 U/L", "< 41", "até 41 U/L", "≤ 1,2 mg/dL", "0,70 a 1,20 mg/dL", "de 10 a 40 U/L": the last number is
# the limit.
_TEXT = re.compile(
    rf"\s*(?:(?:de\s+|from\s+)?(?P<low>{_NUMBER})\s*(?P<low_unit>[^0-9\s<>≤≥-][^0-9<>≤≥]{{0,15}}?)??\s*(?:-|–|—|a|ate|to|e)\s*"
    rf"|(?:<=|≤|<|ate|up to|menor que|inferior a|less than)\s*)(?P<high>{_NUMBER})\s*(?P<unit>[^0-9\s].{{0,20}})?\s*"
)


@dataclass(frozen=True, slots=True)
class Person:
    """What ranges ask of a patient: `sex` male, female or None; the first and last day that the birth date can mean."""

    sex: str | None = None
    born_from: date | None = None
    born_to: date | None = None

    @classmethod
    def of(cls, patient: Mapping[str, Any]) -> Person:
        """From a normalised Patient."""
        gender = patient.get("gender")
        sex = gender if gender in ("male", "female") else None
        birth = patient.get("birthDate")
        if not isinstance(birth, str):
            return cls(sex)
        year, month, day = (int(part) for part in f"{birth}-0-0".split("-")[:3])
        if day:
            return cls(sex, date(year, month, day), date(year, month, day))
        first = date(year, month or 1, 1)
        last = date(year, 12, 31) if not month else _end_of_month(year, month)
        return cls(sex, first, last)


def _end_of_month(year: int, month: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1) if (year, month) != (9999, 12) else date.max
    return date.fromordinal(following.toordinal() - 1) if following != date.max else following


def applicable(ranges: Any, person: Person, day: date | None, units: Units) -> Iterator[Mapping[str, Any]]:
    """The normal ranges that fit the patient (§2.7(1)); `day` is the day of the result, for the age."""
    for entry in ranges if isinstance(ranges, list) else ():
        if (
            isinstance(entry, dict)
            and _is_normal(entry.get("type"))
            and _fits_sex(entry.get("appliesTo"), person.sex)
            and _fits_age(entry.get("age"), person, day, units)
        ):
            yield entry


def _is_normal(meaning: Any) -> bool:
    if meaning is None:
        return True
    if not isinstance(meaning, dict):
        return False
    codings = meaning.get("coding")
    if codings:
        return any(
            c.get("code") == "normal" and c.get("system") in (REFERENCE_RANGE_MEANING, None) for c in codings
        )
    text = meaning.get("text")
    return text is None or normalise_text(text) == "normal"


def _fits_sex(applies_to: Any, sex: str | None) -> bool:
    """Whether every `appliesTo` names a sex, and the patient's is among them."""
    if not applies_to:
        return True
    named = [_sex_of(concept) for concept in applies_to]
    return sex is not None and None not in named and sex in named


def _sex_of(concept: Mapping[str, Any]) -> str | None:
    found = {
        sex
        for coding in concept.get("coding", ())
        if (sex := _SEX_CODES.get((coding.get("system", ""), coding.get("code", "")))) is not None
    }
    text = _SEX_TEXTS.get(normalise_text(concept.get("text", "")))
    if text is not None:
        found.add(text)
    return found.pop() if len(found) == 1 else None


def _fits_age(age: Any, person: Person, day: date | None, units: Units) -> bool:
    if not age:
        return True
    if day is None or person.born_from is None or person.born_to is None or day < person.born_to:
        return False
    for key, born in (("low", person.born_to), ("high", person.born_from)):
        limit = age.get(key)
        if limit is None:
            continue
        bound, own = decimal_of(limit.get("value")), _age(born, day, units.of_quantity(limit))
        if bound is None or own is None or (own < bound if key == "low" else own > bound):
            return False
    return True


def _age(born: date, day: date, unit: str | None) -> int | None:
    """Age in completed units."""
    days = (day - born).days
    if unit == "a":
        return completed_years(born, day)
    if unit == "mo":
        return (day.year - born.year) * 12 + day.month - born.month - (day.day < born.day)
    return {"wk": days // 7, "d": days}.get(unit or "")


@dataclass(frozen=True, slots=True)
class TextLimits:
    """A range written as text: `high`, and `low` where it is an interval; `unit` as UCUM, None if not written."""

    high: Decimal
    low: Decimal | None
    unit: str | None


def text_limits(text: Any, units: Units) -> TextLimits | None:
    """A range text of one interval or one upper limit; None for any other text (several groups, a lower limit)."""
    match = _TEXT.fullmatch(fold(text)) if isinstance(text, str) and len(text) < 80 else None
    if match is None:
        return None
    unit = units.ucum(match["unit"]) if match["unit"] else None
    if match["low_unit"] and units.ucum(match["low_unit"]) != unit:
        return None
    high, low = parse_decimal(match["high"]), parse_decimal(match["low"]) if match["low"] else None
    if high is None or (unit or "").startswith("?") or (low is not None and low > high):
        return None
    return TextLimits(high, low, unit)


def written_unit(entry: Mapping[str, Any], units: Units) -> str | None:
    """The unit that a range's upper limit is written in; None where it states none."""
    high = entry.get("high")
    if high is not None:
        return units.of_quantity(high)
    limits = text_limits(entry.get("text"), units)
    return None if limits is None else limits.unit


Convert = Callable[[Decimal, str | None], Decimal | None]


def converted(
    entry: Mapping[str, Any], units: Units, convert: Convert
) -> tuple[Decimal | None, Decimal | None] | None:
    """(low, high) of a range in the canonical unit; None when it has no limit that can be read.

    `convert` takes a number and its UCUM unit, None where the range states none: then it is the result's.
    """
    limits: list[Decimal | None] = []
    for key in ("low", "high"):
        quantity = entry.get(key)
        if quantity is None:
            limits.append(None)
            continue
        value = decimal_of(quantity.get("value"))
        number = None if value is None else convert(value, units.of_quantity(quantity))
        if number is None:
            return None
        limits.append(number)
    if limits[1] is None:
        parsed = text_limits(entry.get("text"), units)
        if parsed is not None:
            limits = [
                None if parsed.low is None else convert(parsed.low, parsed.unit),
                convert(parsed.high, parsed.unit),
            ]
    return None if limits == [None, None] else (limits[0], limits[1])
