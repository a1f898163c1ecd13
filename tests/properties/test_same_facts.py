"""The same facts in another unit, shape or code give the same verdict."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    Resource,
    component,
    minimal,
    observation,
    quantity,
    reference_range,
    value_quantity,
    value_text,
    woman,
)
from tests.properties.records import tried
from tests.trials.assessing import verdict

FEW = tried(40)
DAY = "2026-06-01"
LFT = "EX06-AstAlt"
CRE = "EX07-Creatinine"
FVC = "IN04-Fvc"


def decimals(lowest: str, highest: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(
        Decimal(lowest), Decimal(highest), places=places, allow_nan=False, allow_infinity=False
    )


def decided(record: Resource, criterion_id: str) -> tuple[Any, ...]:
    row = verdict(record, criterion_id)
    return row["status"], row["basis"], frozenset(row["reasons"]), row["likely"]


def enzyme(code: str, value: Decimal, high: Decimal | None, unit: str) -> Resource:
    ranges = [] if high is None else [reference_range(high=float(high), unit=unit)]
    return observation(code, value_quantity(float(value), unit), on=DAY, ranges=ranges)


@FEW
@given(
    decimals("0.05", "8", 3),
    st.none() | decimals("0.3", "1.4", 2),
    st.sampled_from(["male", "female", "other"]),
)
def test_microkatal_and_unit_say_the_same(value: Decimal, high: Decimal | None, gender: str) -> None:
    """1 µkat/L = 60 U/L exactly."""
    other = enzyme("1920-8", Decimal(30), Decimal(40), "U/L")
    katal = minimal(enzyme("1742-6", value, high, "ukat/L"), other, gender=gender)
    units = minimal(
        enzyme("1742-6", value * 60, None if high is None else high * 60, "U/L"), other, gender=gender
    )
    assert decided(katal, LFT) == decided(units, LFT)


@FEW
@given(
    decimals("0.1", "6", 2),
    st.none() | decimals("0.6", "1.6", 2),
    st.sampled_from(["male", "female", "other"]),
)
def test_milligrams_and_micromoles_say_the_same(value: Decimal, high: Decimal | None, gender: str) -> None:
    """1 mg/dL = 88.4 µmol/L exactly."""
    factor = Decimal("88.4")
    mass = minimal(enzyme("2160-0", value, high, "mg/dL"), gender=gender)
    moles = minimal(
        enzyme("14682-9", value * factor, None if high is None else high * factor, "umol/L"), gender=gender
    )
    assert decided(mass, CRE) == decided(moles, CRE)


@FEW
@given(decimals("10", "150", 1))
def test_percent_and_fraction_say_the_same(percent: Decimal) -> None:
    as_percent = minimal(observation("19872-1", value_quantity(float(percent), "%"), on=DAY))
    as_fraction = minimal(observation("19872-1", value_quantity(float(percent / 100), "1"), on=DAY))
    assert decided(as_percent, FVC) == decided(as_fraction, FVC)


@FEW
@given(decimals("0.5", "6", 2), decimals("2", "6", 2))
def test_litres_and_millilitres_say_the_same(measured: Decimal, predicted: Decimal) -> None:
    def volumes(factor: int, unit: str) -> Resource:
        parts = [component("19869-7", value_quantity(float(predicted * factor), unit))]
        return minimal(
            observation("19868-9", value_quantity(float(measured * factor), unit), on=DAY, components=parts)
        )

    assert decided(volumes(1, "L"), FVC) == decided(volumes(1000, "mL"), FVC)


@FEW
@given(decimals("0.1", "60", 1))
def test_hcg_units_say_the_same(value: Decimal) -> None:
    answers = {
        decided(
            woman(observation("19080-1", value_quantity(float(value), unit), on="2026-06-12")),
            "EX10a-Pregnancy",
        )
        for unit in ("[IU]/L", "m[IU]/mL", "mU/mL")
    }
    assert len(answers) == 1


@FEW
@given(decimals("0.2", "5", 2))
def test_a_quantity_and_its_words_say_the_same(value: Decimal) -> None:
    ranges = [reference_range(0.7, 1.2, "mg/dL")]
    shapes = [
        {"valueQuantity": quantity(float(value), "mg/dL")},
        value_text(f"{value} mg/dL"),
        value_text(f"{value} mg/dL".replace(".", ",")),
    ]
    answers = {decided(minimal(observation("2160-0", shape, on=DAY, ranges=ranges)), CRE) for shape in shapes}
    assert len(answers) == 1


@FEW
@given(decimals("5", "400", 1), decimals("20", "80", 0))
def test_a_component_and_a_result_of_its_own_say_the_same(value: Decimal, high: Decimal) -> None:
    ranges = [reference_range(high=float(high), unit="U/L")]
    other = enzyme("1920-8", Decimal(30), Decimal(40), "U/L")
    alone = minimal(observation("1742-6", value_quantity(float(value), "U/L"), on=DAY, ranges=ranges), other)
    part = component("1742-6", value_quantity(float(value), "U/L"), referenceRange=ranges)
    inside = minimal(observation("24325-3", on=DAY, components=[part]), other)
    assert decided(alone, LFT) == decided(inside, LFT)
