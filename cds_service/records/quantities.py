"""Numbers and units as laboratories write them (clinical specification §2.4, §2.5). Decimal only, never
binary float.

Error policy: nothing raises; what can't be read gives None or a `Problem` with one of the reading-problem
codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from cds_service.terminology.systems import UCUM
from cds_service.terminology.text import unit_key

EXACT = Context(prec=60)
COMPARATORS = frozenset({"<", "<=", ">", ">="})
# §2.4: the whole string; the unit is whatever follows and is judged by the unit map.
_STRING = re.compile(
    r"\s*(?P<sign>[<>≤≥]?=?)\s*(?P<number>[0-9]{1,20}(?:[.,][0-9]{1,20})?)\s*(?P<unit>[^0-9\s].{0,40})?\s*"
)
_THOUSANDS = re.compile(r"(?!0+\.)[0-9]+\.[0-9]{3}")
_SIGNS = {
    "": None,
    "=": None,
    "<": "<",
    "<=": "<=",
    "≤": "<=",
    "≤=": None,
    ">": ">",
    ">=": ">=",
    "≥": ">=",
    "≥=": None,
}
_MAX_DIGITS = 40
# No result is longer; it keeps the time of every pattern bounded.
MAX_TEXT = 200
_ANNOTATION = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value can't be read: a code of the project's reading-problem code system."""

    code: str


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its unit as UCUM. `unit` is None when none was given, and "?text" when the text isn't
    known.
    """

    value: Decimal
    unit: str | None
    comparator: str | None = None


def decimal_of(number: Any) -> Decimal | None:
    """A JSON number as an exact Decimal (a float by its shortest text); None for anything else or not finite."""
    if isinstance(number, bool) or not isinstance(number, (int, float, Decimal)):
        return None
    if isinstance(number, int) and abs(number) >= 10**_MAX_DIGITS:
        return None
    found = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if (
        not found.is_finite()
        or len(found.as_tuple().digits) > _MAX_DIGITS
        or abs(found.adjusted()) > _MAX_DIGITS
    ):
        return None
    return found


def times(value: Decimal, factor: Decimal) -> Decimal:
    """An exact product, without a trailing exponent."""
    return EXACT.multiply(value, factor)


class Units:
    """Unit texts to UCUM. `texts` maps keys (`unit_key`) to UCUM codes."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._codes = frozenset(texts.values())

    def ucum(self, text: str) -> str:
        """The UCUM code of a unit text; "?" and the text's key when it isn't known (no UCUM code begins
        so).
        """
        key = unit_key(text)
        return self._texts.get(key) or f"?{key}"

    def of_quantity(self, quantity: Mapping[str, Any]) -> str | None:
        """The UCUM code of a Quantity: its `code` where the system is UCUM, else its `unit` (or `code`) as
        text.

        None when it has neither. A UCUM code that is known stands; another is read without its annotations
        (`%{predicted}`), then as a text ("IU/L" and "mg/dl" are often called UCUM).
        """
        code, unit = quantity.get("code"), quantity.get("unit")
        if isinstance(code, str) and code and quantity.get("system") == UCUM:
            if code in self._codes:
                return code
            plain = _ANNOTATION.sub("", code) or code
            return plain if plain in self._codes else self._texts.get(unit_key(plain), code)
        for text in (unit, code):
            if isinstance(text, str) and text.strip():
                return self.ucum(text)
        return None

    def amount(self, quantity: Mapping[str, Any]) -> Amount | Problem:
        """A Quantity as number, unit and comparator; text-only when it has no number or a comparator that R4 lacks."""
        value = decimal_of(quantity.get("value"))
        comparator = quantity.get("comparator")
        if value is None or (comparator is not None and comparator not in COMPARATORS):
            return Problem("text-only")
        return Amount(value, self.of_quantity(quantity), comparator)

    def amount_of_text(self, text: str) -> Amount | Problem:
        """A value written as a string ("45 UI/L", "≤ 1,20 mg/dL"); text-only when it is anything else.

        The comma is the decimal separator. A dot before exactly three digits may separate thousands:
        text-only.
        """
        parsed = number_and_rest(text)
        if parsed is None:
            return Problem("text-only")
        value, comparator, rest = parsed
        if not rest:
            return Amount(value, None, comparator)
        unit = self.ucum(rest)
        return Amount(value, unit, comparator) if unit[0] != "?" else Problem("text-only")


def number_and_rest(text: str) -> tuple[Decimal, str | None, str] | None:
    """(number, comparator, what follows) of a text that begins with a number; None for any other text."""
    match = _STRING.fullmatch(text) if len(text) <= MAX_TEXT else None
    if match is None or _THOUSANDS.fullmatch(match["number"]):
        return None
    sign = match["sign"]
    if sign not in _SIGNS or (sign.endswith("=") and sign[:1] in "≤≥" and len(sign) == 2):
        return None
    return Decimal(match["number"].replace(",", ".")), _SIGNS[sign], (match["unit"] or "").strip()


def parse_decimal(text: str) -> Decimal | None:
    """A plain number with a comma or dot as decimal separator."""
    try:
        return Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None
