"""UCUM units and calendar durations: what is a unit, what is comparable, and exact factors."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service import units


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("mg/dL", "g/L", Fraction(1, 100)),
        ("umol/L", "mmol/L", Fraction(1, 1000)),
        ("10*9/L", "10*3/uL", Fraction(1)),
        ("cm", "m", Fraction(1, 100)),
        ("kg/m2", "g/cm2", Fraction(1, 10)),
        ("[lb_av]", "kg", Fraction(45359237, 100000000)),
        ("mm[Hg]", "kPa", Fraction(133322, 1000000)),
        ("[IU]/L", "m[IU]/mL", Fraction(1)),
        ("L", "l", Fraction(1)),
        ("U/L", "ukat/L", Fraction(1, 60)),
        ("%", "1", Fraction(1, 100)),
        ("{score}", "1", Fraction(1)),
        ("mL/min/{1.73_m2}", "L/h", Fraction(60, 1000)),
        ("days", "d", Fraction(1)),
        ("week", "days", Fraction(7)),
        ("year", "months", Fraction(12)),
        (None, "1", Fraction(1)),
        ("", None, Fraction(1)),
    ],
)
def test_factor(one: str | None, two: str | None, expected: Fraction) -> None:
    assert units.factor(one, two) == expected


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("U/L", "[iU]/L"),
        ("[arb'U]", "1"),
        ("[iU]", "[arb'U]"),
        ("cm", "cm2"),
        ("mg", "mL"),
        ("years", "a"),
        ("months", "days"),
        ("year", "d"),
        ("mg/dl ", "g/L"),
        ("foo", "foo"),
        ("mg//L", "mg/L"),
        ("(mg", "mg"),
        ("10*", "mg"),
        ("0", "1"),
        ("µg", "ug"),
    ],
)
def test_not_comparable(one: str, two: str) -> None:
    assert units.factor(one, two) is None
    assert units.convert(Decimal(1), one, two) is None


def test_a_unit_of_its_own_is_comparable_with_itself() -> None:
    assert units.comparable("[iU]/L", "[iU]/L")
    assert units.comparable("{score}", "{points}")


def test_conversions_are_exact() -> None:
    assert units.convert(Decimal("1.1"), "mg/dL", "g/L") == Decimal("0.011")
    assert units.convert(Decimal("88.4"), "umol/L", "mmol/L") == Decimal("0.0884")
    assert units.convert(Decimal(37), "Cel", "[degF]") == Decimal("98.6")
    assert units.convert(Decimal(0), "Cel", "K") == Decimal("273.15")


@pytest.mark.parametrize(
    "text", ["mg", "mmol/L", "10*12/L", "1", "%", "kg.m/s2", "day", "years", "[degF]", "[pH]", "ng/mL"]
)
def test_is_a_unit(text: str) -> None:
    assert units.is_unit(text)


@pytest.mark.parametrize(
    "text", ["UI/L", "mgs", "mg per dL", "cells", "\N{GREEK SMALL LETTER MU}g", "x" * 300, "((((", "m-"]
)
def test_is_no_unit(text: str) -> None:
    assert not units.is_unit(text)


def test_an_atom_outside_the_table_is_asked_of_ucumvert() -> None:
    ratio = units.factor("[drp]", "mL")
    assert ratio is not None
    assert abs(ratio - Fraction(1, 20)) < Fraction(1, 1000)


def test_units_multiply_and_divide() -> None:
    assert units.multiply("cm", "cm") == "cm2"
    assert units.multiply("m", None) == "m"
    assert units.divide("g", "g") == "1"
    assert units.divide("g", "cm3") == "g/cm3"
    assert units.divide("1", "s") == "/s"


UNITS = st.sampled_from(["mg/dL", "g/L", "kg/m3", "ug/mL", "ng/uL"])


@given(UNITS, UNITS, st.decimals("-1000000", "1000000", places=4))
def test_there_and_back_is_the_same(one: str, two: str, value: Decimal) -> None:
    there = units.convert(value, one, two)
    assert there is not None
    assert units.convert(there, two, one) == value


def test_common_units_do_not_load_pint() -> None:
    """Its registry takes a second, which the start-up has not."""
    code = "import sys; from cds_service import units; units.factor('mg/dL', 'g/L'); assert 'pint' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=units.__file__.rsplit("/", 2)[0])
