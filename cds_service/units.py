"""UCUM units and CQL calendar durations: is it a unit, are two comparable, what factor lies between them.

Common units are computed exactly here (rational numbers over UCUM's base units); a unit outside that table is
handed to ucumvert and pint, whose registry is built at the first such question only (about a second).
Arbitrary units (`[iU]`) are a dimension of their own, annotations (`{score}`) count as 1. A text that is no
unit, or two units without a common dimension, gives None: the caller decides what that means. Nothing here
raises on a unit's text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

# CQL calendar durations (singular and plural) and the UCUM unit that means the same where one does.
CALENDAR = {
    "year": "year", "years": "year", "month": "month", "months": "month", "week": "week", "weeks": "week",
    "day": "day", "days": "day", "hour": "hour", "hours": "hour", "minute": "minute", "minutes": "minute",
    "second": "second", "seconds": "second", "millisecond": "millisecond", "milliseconds": "millisecond",
}  # fmt: skip
_DEFINITE = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
# The UCUM units of a calendar duration's name (equivalent, `~`, though `1 year = 1 'a'` is null).
UCUM_DURATION = {**_DEFINITE, "year": "a", "month": "mo"}

_Dimension = tuple[tuple[str, int], ...]


class _Measure(NamedTuple):
    """A unit as a rational factor over named base dimensions."""

    factor: Fraction
    dimension: _Dimension


_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip

# atom: (metric, factor, unit it is defined by). UCUM 2.1; `mol` is UCUM's number of particles, `rad` its plane angle.
_PI = Fraction("3.1415926535897932384626433832795028841971693993751058209749445923")
_ATOMS: dict[str, tuple[bool, Fraction, str]] = {
    "10*": (False, Fraction(10), "1"),
    "10^": (False, Fraction(10), "1"),
    "[pi]": (False, _PI, "1"),
    "%": (False, Fraction(1, 100), "1"),
    "[ppth]": (False, Fraction(1, 10**3), "1"),
    "[ppm]": (False, Fraction(1, 10**6), "1"),
    "[ppb]": (False, Fraction(1, 10**9), "1"),
    "mol": (True, Fraction("6.0221367") * 10**23, "1"),
    "eq": (True, Fraction(1), "mol"),
    "osm": (True, Fraction(1), "mol"),
    "kat": (True, Fraction(1), "mol/s"),
    "U": (True, Fraction(1), "umol/min"),
    "min": (False, Fraction(60), "s"),
    "h": (False, Fraction(60), "min"),
    "d": (False, Fraction(24), "h"),
    "wk": (False, Fraction(7), "d"),
    "a_j": (False, Fraction("365.25"), "d"),
    "a": (False, Fraction(1), "a_j"),
    "mo_j": (False, Fraction(1, 12), "a_j"),
    "mo": (False, Fraction(1), "mo_j"),
    "Hz": (True, Fraction(1), "/s"),
    "[in_i]": (False, Fraction("2.54"), "cm"),
    "[ft_i]": (False, Fraction(12), "[in_i]"),
    "[yd_i]": (False, Fraction(3), "[ft_i]"),
    "[mi_i]": (False, Fraction(5280), "[ft_i]"),
    "[lb_av]": (False, Fraction(7000), "[gr]"),
    "[oz_av]": (False, Fraction(1, 16), "[lb_av]"),
    "[gr]": (False, Fraction("64.79891"), "mg"),
    "t": (True, Fraction(1000), "kg"),
    "L": (True, Fraction(1), "dm3"),
    "l": (True, Fraction(1), "dm3"),
    "N": (True, Fraction(1), "kg.m/s2"),
    "Pa": (True, Fraction(1), "N/m2"),
    "bar": (True, Fraction(100000), "Pa"),
    "m[Hg]": (True, Fraction("133.322"), "kPa"),
    "m[H2O]": (True, Fraction("9.80665"), "kPa"),
    "J": (True, Fraction(1), "N.m"),
    "W": (True, Fraction(1), "J/s"),
    "cal": (True, Fraction("4.184"), "J"),
    "A": (True, Fraction(1), "C/s"),
    "V": (True, Fraction(1), "J/C"),
    "deg": (False, _PI / 180, "rad"),
}  # fmt: skip
_BASE = ("m", "s", "g", "rad", "K", "C", "cd")
# Arbitrary units (UCUM 24) and the special unit of acidity: comparable with themselves only.
_ARBITRARY = (
    "[iU]",
    "[IU]",
    "[arb'U]",
    "[USP'U]",
    "[CFU]",
    "[PFU]",
    "[FFU]",
    "[BAU]",
    "[AU]",
    "[pH]",
    "[GPL'U]",
    "[MPL'U]",
)
_SAME = {"[IU]": "[iU]"}

_TOKEN = re.compile(r"([./()])|(\{[^{}]*\})|((?:10[*^])(?:[+-]?\d+)?)|(\d+)|([^\s./(){}]+)")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_ANNOTATION_BEHIND = re.compile(r"(?<=[^./(])\{[^{}]*\}")
_EXPONENT = re.compile(r"([^0-9+-].*?|)([+-]?\d+)?\Z")


# What laboratories and CQL write most. Their measures are kept; of other texts, which come from records, nothing is.
_COMMON = CALENDAR.keys() | {
    "1", "%", "U/L", "[IU]/L", "[iU]/L", "kU/L", "ukat/L", "nkat/L", "mU/mL", "m[IU]/mL", "m[iU]/mL", "mg/dL", "g/dL",
    "g/L", "mg/L", "ug/L", "ng/mL", "pg/mL", "umol/L", "mmol/L", "nmol/L", "mol/L", "L", "mL", "cL", "dL", "cm", "m",
    "mm", "kg", "g", "mg", "[in_i]", "[lb_av]", "mm[Hg]", "fL", "pg", "10*3/uL", "10*6/uL", "10*9/L", "10*12/L",
    "/min", "/h", "mL/min", "{score}", "deg", "a", "mo", "wk", "d", "h", "min", "s", "ms",
}  # fmt: skip

# Longer texts and larger exponents are no units: their numbers would fill the memory.
_MAX_LENGTH, _MAX_POWER = 200, 99


class _NotHereError(Exception):
    """The text is no UCUM unit, or has an atom outside the table."""


class _NoUnitError(Exception):
    """The text is no unit."""


def factor(from_unit: str | None, to_unit: str | None) -> Fraction | None:
    """What a number in `from_unit` is multiplied by to be in `to_unit`; None: not comparable, or no unit."""
    return _factor(from_unit or "1", to_unit or "1")


def _factor(from_unit: str, to_unit: str) -> Fraction | None:
    if from_unit == to_unit:
        return Fraction(1) if is_unit(from_unit) else None
    first, second = _measure(_definite(from_unit)), _measure(_definite(to_unit))
    if first is None or second is None or first.dimension != second.dimension:
        return None
    return first.factor / second.factor


def convert(value: Decimal, from_unit: str | None, to_unit: str | None) -> Decimal | None:
    """The value in another unit, exactly where the ratio is a finite decimal; None where the two are not
    comparable."""
    one, two = from_unit or "1", to_unit or "1"
    if one == two:
        return value if is_unit(one) else None
    special = _temperature(value, one, two)
    if special is not None:
        return special
    ratio = factor(one, two)
    return None if ratio is None else value * ratio.numerator / ratio.denominator


def comparable(one: str | None, two: str | None) -> bool:
    """Whether two units have the same dimension."""
    return convert(Decimal(1), one, two) is not None


def is_unit(text: str) -> bool:
    """Whether the text is a UCUM unit or a CQL calendar duration."""
    return text in CALENDAR or text in _AFFINE or _measure(text) is not None


def multiply(one: str | None, two: str | None) -> str | None:
    """The unit of a product, reduced where it is simple: `cm` times `cm` is `cm2`."""
    return _combine(one or "1", two or "1", 1)


def divide(one: str | None, two: str | None) -> str | None:
    """The unit of a quotient: `g` by `g` is `1`, `g` by `cm3` is `g/cm3`."""
    return _combine(one or "1", two or "1", -1)


def _combine(one: str, two: str, sign: int) -> str | None:
    one, two = _definite(one), _definite(two)
    powers: dict[str, int] = {}
    for text, direction in ((one, 1), (two, sign)):
        for part, power in _parts(text):
            powers[part] = powers.get(part, 0) + power * direction
    above = [atom + ("" if power == 1 else str(power)) for atom, power in powers.items() if power > 0]
    below = [atom + ("" if power == -1 else str(-power)) for atom, power in powers.items() if power < 0]
    return ".".join(above) + "".join("/" + part for part in below) or "1"


def _parts(text: str) -> list[tuple[str, int]]:
    """The atoms of a unit with their powers; a unit with parentheses stays one part."""
    if "(" in text:
        return [(f"({text})", 1)]
    parts = []
    sign = 1
    for separator, annotation, ten, number, atom in _TOKEN.findall(text):
        if separator:
            sign = -1 if separator == "/" else 1
        elif ten:
            parts.append((ten, sign))
        elif atom:
            found = _EXPONENT.match(atom)
            name, power = (
                (found.group(1), int(found.group(2) or 1)) if found and found.group(1) else (atom, 1)
            )
            parts.append((name, sign * power))
        elif annotation or number not in ("", "1"):
            parts.append((annotation or number, sign))
    return parts


def _definite(unit: str) -> str:
    """The UCUM unit of a calendar duration up to weeks; years and months stay themselves."""
    name = CALENDAR.get(unit)
    return unit if name is None else _DEFINITE.get(name, name)


def _measure(unit: str) -> _Measure | None:
    """The unit's rational measure; calendar months and years are a dimension apart from definite time. A unit's text
    may come from a record: only common ones are kept."""
    return _kept(unit) if unit in _COMMON else _measured(unit)


@cache
def _kept(unit: str) -> _Measure | None:
    return _measured(unit)


def _measured(unit: str) -> _Measure | None:
    if unit in ("year", "years"):
        return _Measure(Fraction(12), (("calendar month", 1),))
    if unit in ("month", "months"):
        return _Measure(Fraction(1), (("calendar month", 1),))
    if not unit or unit != unit.strip() or len(unit) > _MAX_LENGTH:
        return None
    try:
        return _Parser(_definite(unit)).unit()
    except _NotHereError:
        return _by_pint(unit)
    except _NoUnitError:
        return None


class _Parser:
    """A recursive-descent parser of UCUM's grammar: terms of components with `.`, `/`, parentheses and exponents."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_TOKEN.finditer(text))
        if "".join(token.group() for token in self.tokens) != text:
            raise _NotHereError
        self.at = 0

    def unit(self) -> _Measure:
        result = self.term()
        if self.at < len(self.tokens):
            raise _NotHereError
        return result

    def term(self) -> _Measure:
        if self._is("/"):
            self.at += 1
            result = _power(self.component(), -1)
        else:
            result = self.component()
        while self._is(".") or self._is("/"):
            sign = 1 if self.tokens[self.at].group() == "." else -1
            self.at += 1
            result = _times(result, _power(self.component(), sign))
        return result

    def component(self) -> _Measure:
        if self.at >= len(self.tokens):
            raise _NotHereError
        separator, annotation, ten, number, atom = self.tokens[self.at].groups()
        self.at += 1
        if separator == "(":
            result = self.term()
            if not self._is(")"):
                raise _NotHereError
            self.at += 1
        elif annotation:
            return _Measure(Fraction(1), ())
        elif ten:
            result = _Measure(Fraction(10) ** _exponent(ten[3:]), ())
        elif number:
            if int(number) == 0:
                raise _NotHereError
            result = _Measure(Fraction(int(number)), ())
        elif atom:
            result = _simple(atom)
        else:
            raise _NotHereError
        if self.at < len(self.tokens) and self.tokens[self.at].group(2):  # an annotation right behind
            self.at += 1
        return result

    def _is(self, separator: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at].group(1) == separator


def _simple(text: str) -> _Measure:
    found = _EXPONENT.match(text)
    name, power = (found.group(1), _exponent(found.group(2))) if found and found.group(1) else (text, 1)
    return _power(_atom(name), power)


def _exponent(text: str | None) -> int:
    power = int(text or 1)
    if abs(power) > _MAX_POWER:
        raise _NoUnitError
    return power


@cache
def _atom(name: str) -> _Measure:
    if name in _BASE:
        return _Measure(Fraction(1), ((name, 1),))
    if name in _ARBITRARY:
        return _Measure(Fraction(1), ((_SAME.get(name, name), 1),))
    if name in _ATOMS:
        _, size, by = _ATOMS[name]
        return _times(_Measure(size, ()), _Parser(by).unit() if by != "1" else _Measure(Fraction(1), ()))
    for length in (2, 1):
        prefix, rest = name[:length], name[length:]
        metric = rest in _BASE or rest in _ARBITRARY or (rest in _ATOMS and _ATOMS[rest][0])
        if prefix in _PREFIXES and metric:
            return _times(_Measure(Fraction(10) ** _PREFIXES[prefix], ()), _atom(rest))
    raise _NotHereError


def _times(one: _Measure, two: _Measure) -> _Measure:
    powers = dict(one.dimension)
    for name, power in two.dimension:
        powers[name] = powers.get(name, 0) + power
    return _Measure(one.factor * two.factor, tuple(sorted((n, p) for n, p in powers.items() if p)))


def _power(measure: _Measure, power: int) -> _Measure:
    return _Measure(measure.factor**power, tuple((name, p * power) for name, p in measure.dimension if power))


# Temperatures have an offset: kelvin = (value + offset) * factor.
_AFFINE = {
    "Cel": (Fraction("273.15"), Fraction(1)),
    "[degF]": (Fraction("459.67"), Fraction(5, 9)),
    "K": (Fraction(0), Fraction(1)),
}


def _temperature(value: Decimal, one: str, two: str) -> Decimal | None:
    if one not in _AFFINE or two not in _AFFINE:
        return None
    (offset, size), (to_offset, to_size) = _AFFINE[one], _AFFINE[two]
    result = (Fraction(value) + offset) * size / to_size - to_offset
    return Decimal(result.numerator) / Decimal(result.denominator)


@cache
def _registry() -> Any:
    """ucumvert's pint registry; slow to build, so only for units that the table above does not have."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ucumvert import PintUcumRegistry

        return PintUcumRegistry()


# pint's base dimensions as this module's.
_PINT_BASE = {"meter": "m", "second": "s", "gram": "g", "radian": "rad", "kelvin": "K", "candela": "cd"}


def _by_pint(unit: str) -> _Measure | None:
    """The measure of a unit with atoms outside the table, by ucumvert; None where that doesn't know it either."""
    if not unit.isascii() or len(unit) > 100:
        return None
    # pint keeps what it has read: no annotation, which is free text, must reach it.
    unit = _ANNOTATION_BEHIND.sub("", unit)
    unit = _ANNOTATION.sub("1", unit)
    try:
        registry = _registry()
        base = registry.from_ucum(unit).to_base_units()
        powers: dict[str, int] = {}
        size = Fraction(str(float(base.magnitude)))
        for name, power in base.unit_items():
            if name == "kilogram":
                size, name = size * 1000 ** int(power), "gram"
            if name == "ampere":
                powers["C"], powers["s"] = powers.get("C", 0) + int(power), powers.get("s", 0) - int(power)
                continue
            if name == "mole":
                size *= (Fraction("6.0221367") * 10**23) ** int(power)
                continue
            key = _PINT_BASE.get(name, name)
            powers[key] = powers.get(key, 0) + int(power)
    except Exception:
        return None
    return _Measure(size, tuple(sorted((name, power) for name, power in powers.items() if power)))
