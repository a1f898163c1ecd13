"""Reference ranges: which apply to the patient, how texts are read, what is plausible (clinical specification §2.7)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cds_service.records.reference_ranges import text_limits
from cds_service.terminology import systems

from .helpers import MAN, MAPPINGS, Json, concept, observation, only, quantity

ALT, CREATININE = "1742-6", "2160-0"
D = Decimal
WOMAN = {**MAN, "gender": "female"}


def highs(
    ranges: Any, code: str = ALT, value: Json | None = None, patient: Json = MAN
) -> list[Decimal | None]:
    read = only(
        observation(code, valueQuantity=value or quantity(30, "U/L"), referenceRange=ranges), patient=patient
    )
    return [entry.get("high", {}).get("value") for entry in read.get("referenceRange", ())]


def high(number: Any, unit: str | None = "U/L", **more: Any) -> list[Json]:
    return [{"high": quantity(number, unit), **more}]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (high(40), [D(40)]),
        (high(40, None), [D(40)]),
        (high(0.6, "ukat/L"), [D(36)]),
        (high(40, "mg/dL"), []),
        (high("40"), []),
        (high(14), []),
        (high(15), [D(15)]),
        (high(90), [D(90)]),
        (high(90.1), []),
        ([{"low": quantity(10, "U/L")}], [None]),
        ([{}], []),
        ([], []),
        (high(40, type=concept("normal", systems.REFERENCE_RANGE_MEANING)), [D(40)]),
        (high(40, type={"text": "Normal"}), [D(40)]),
        (high(40, type=concept("treatment", systems.REFERENCE_RANGE_MEANING)), []),
        (high(40, type={"text": "therapeutic"}), []),
        (high(41) + high(55), [D(41), D(55)]),
        ("40", []),
        ([None, 5, "x"], []),
        ({"high": quantity(40, "U/L")}, [D(40)]),
    ],
)
def test_which_upper_limits_are_kept(ranges: Any, expected: list[Decimal | None]) -> None:
    assert highs(ranges) == expected


@pytest.mark.parametrize(
    ("applies_to", "man", "woman"),
    [
        ([concept("male", systems.ADMINISTRATIVE_GENDER)], True, False),
        ([concept("female", systems.ADMINISTRATIVE_GENDER)], False, True),
        ([concept("248153007", systems.SNOMED)], True, False),
        ([concept("248152002", systems.SNOMED)], False, True),
        ([concept("M", systems.V3_ADMINISTRATIVE_GENDER)], True, False),
        ([{"text": "Homem"}], True, False),
        ([{"text": "feminino"}], False, True),
        ([{"text": "male"}, {"text": "female"}], True, True),
        ([{"text": "children"}], False, False),
        ([{"text": "male"}, {"text": "smokers"}], False, False),
        ([concept("2135-2", "urn:race")], False, False),
        ([concept("male", systems.ADMINISTRATIVE_GENDER) | {"text": "female"}], False, False),
        ([], True, True),
    ],
)
def test_applies_to_is_read_as_sex_only(applies_to: Any, man: bool, woman: bool) -> None:
    ranges = high(40, appliesTo=applies_to)
    assert highs(ranges) == ([D(40)] if man else [])
    assert highs(ranges, patient=WOMAN) == ([D(40)] if woman else [])


@pytest.mark.parametrize("gender", ["other", "unknown", None])
def test_without_a_sex_only_ranges_for_all_are_used(gender: str | None) -> None:
    patient = {**MAN, "gender": gender}
    assert highs(high(40, appliesTo=[{"text": "male"}]) + high(50), patient=patient) == [D(50)]


@pytest.mark.parametrize(
    ("birth", "age", "fits"),
    [
        ("1971-06-15", {"low": quantity(18, "a"), "high": quantity(60, "a")}, True),
        ("1971-06-15", {"low": quantity(54, "a")}, True),
        ("1971-06-15", {"low": quantity(55, "a")}, False),  # 54 on the day of the result
        ("1971-06-01", {"low": quantity(55, "a")}, True),
        ("1971-06-15", {"high": quantity(54, "a")}, True),
        ("1971-06-15", {"high": quantity(53, "a")}, False),
        ("1971-06-15", {"high": {"value": 60, "unit": "anos"}}, True),
        ("1971-06-15", {"low": quantity(200, "mo")}, True),
        ("1971-06-15", {"high": quantity(200, "mo")}, False),
        ("1971-06-15", {"low": quantity(100, "d")}, True),
        ("1971", {"low": quantity(54, "a")}, True),
        ("1971", {"low": quantity(55, "a")}, False),
        ("1971", {"high": quantity(54, "a")}, False),
        (None, {"low": quantity(18, "a")}, False),
        ("1971-06-15", {"low": quantity(18, "fortnights")}, False),
        ("1971-06-15", {"low": quantity("18", "a")}, False),
        ("2026-06-02", {"low": quantity(0, "a")}, False),
    ],
)
def test_an_age_must_certainly_fit(birth: str | None, age: Json, fits: bool) -> None:
    assert highs(high(40, age=age), patient={**MAN, "birthDate": birth}) == ([D(40)] if fits else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10-40 U/L", (D(40), D(10), "U/L")),
        ("10–40 U/L", (D(40), D(10), "U/L")),
        ("10 - 40", (D(40), D(10), None)),
        ("10 a 40 U/L", (D(40), D(10), "U/L")),
        ("de 10 a 40 UI/L", (D(40), D(10), "[IU]/L")),
        ("10 até 40 U/L", (D(40), D(10), "U/L")),
        ("10 U/L - 40 U/L", (D(40), D(10), "U/L")),
        ("< 41", (D(41), None, None)),
        ("<= 41 U/L", (D(41), None, "U/L")),
        ("até 41 U/L", (D(41), None, "U/L")),
        ("Até 41 U/L", (D(41), None, "U/L")),
        ("≤ 1,2 mg/dL", (D("1.2"), None, "mg/dL")),
        ("0,70 a 1,20 mg/dL", (D("1.20"), D("0.70"), "mg/dL")),
        ("up to 41 U/L", (D(41), None, "U/L")),
        ("inferior a 41 U/L", (D(41), None, "U/L")),
    ],
)
def test_texts_of_one_range(text: str, expected: tuple[Decimal, Decimal | None, str | None]) -> None:
    limits = text_limits(text, MAPPINGS.units)
    assert limits is not None
    assert (limits.high, limits.low, limits.unit) == expected


@pytest.mark.parametrize(
    "text",
    [
        "41",
        "> 10 U/L",
        "≥ 10",
        "acima de 10 U/L",
        "Homens: 10-40, mulheres: 7-35 U/L",
        "10-40 U/L (adultos)",
        "40-10 U/L",
        "10-20-30 U/L",
        "normal",
        "",
        None,
        5,
        "10-40 g/L ou mais",
        "1.000.000",
        "10 mg/dL - 40 U/L",
    ],
)
def test_any_other_text_gives_no_limit(text: Any) -> None:
    assert text_limits(text, MAPPINGS.units) is None


def test_limits_of_a_text_are_used_where_there_is_no_high() -> None:
    assert highs([{"text": "até 41 U/L"}]) == [D(41)]
    assert highs([{"text": "até 41"}]) == [D(41)]
    assert highs([{"text": "10–40 U/L"}], value=quantity(2, "ukat/L")) == [D(40)]
    assert highs([{"text": "0,17 - 0,68 µkat/L"}]) == [D("40.80")]
    assert highs([{"text": "até 99 U/L", "high": quantity(40, "U/L")}]) == [D(40)]


@pytest.mark.parametrize(
    ("unit", "limit", "kept"),
    [
        ("mg/dL", 0.5, True),
        ("mg/dL", 0.49, False),
        ("mg/dL", 1.8, True),
        ("mg/dL", 1.81, False),
        ("umol/L", 44, True),
        ("umol/L", 160, True),
        ("umol/L", 161, False),
    ],
)
def test_the_plausible_limits_of_creatinine_go_by_its_unit(unit: str, limit: float, kept: bool) -> None:
    assert bool(highs(high(limit, unit), CREATININE, quantity(80, "umol/L"))) is kept


def test_value_and_range_of_one_unit_compare_exactly() -> None:
    read = only(
        observation(CREATININE, valueQuantity=quantity(2.4, "mg/dL"), referenceRange=high(1.2, "mg/dL"))
    )
    assert read["valueQuantity"]["value"] == 2 * read["referenceRange"][0]["high"]["value"]
