"""Readings: values and units in one form, or the reason why there is none (clinical specification §2.4, §2.5)."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from cds_service.errors import AuthoringError
from cds_service.records.categories import Categories
from cds_service.records.qualitative import QualitativeReader
from cds_service.records.quantities import Units
from cds_service.records.readings import Readings
from cds_service.terminology import systems

from .helpers import MAPPINGS, VALUE_SETS, Json, concept, observation, only, problem, quantity, result

ALT, AST, CREATININE, FVC_PERCENT, FVC, HCG = "1742-6", "1920-8", "2160-0", "19872-1", "19870-5", "19080-1"
TOTAL, ITEM = "82953-1", "82940-8"
D = Decimal


def value(resource: Json) -> tuple[Decimal, str, str | None] | None:
    found = resource.get("valueQuantity")
    if found is None:
        return None
    assert found["system"] == systems.UCUM
    assert found["unit"] == found["code"]
    return found["value"], found["code"], found.get("comparator")


def text_quantity(number: Any, unit: str) -> Json:
    return {"value": number, "unit": unit}


@pytest.mark.parametrize(
    ("code", "given", "expected"),
    [
        (ALT, quantity(120.1, "U/L"), (D("120.1"), "U/L", None)),
        (ALT, quantity(120, "[iU]/L"), (D("120"), "U/L", None)),
        (ALT, quantity(120, "[IU]/L"), (D("120"), "U/L", None)),
        (ALT, quantity(2.5, "ukat/L"), (D("150"), "U/L", None)),
        (ALT, quantity(500, "nkat/L"), (D("30"), "U/L", None)),
        (ALT, quantity(45, "mU/mL"), (D("45"), "U/L", None)),
        (ALT, quantity(45, "IU/L"), (D("45"), "U/L", None)),
        (AST, text_quantity(45, "UI/L"), (D("45"), "U/L", None)),
        (AST, text_quantity(45, "U.I./L"), (D("45"), "U/L", None)),
        (AST, text_quantity(45, "u/l"), (D("45"), "U/L", None)),
        (AST, text_quantity(0.5, "µkat/L"), (D("30"), "U/L", None)),
        (AST, text_quantity(0.5, "μkat/L"), (D("30"), "U/L", None)),
        (AST, text_quantity(0.5, "mckat/L"), (D("30"), "U/L", None)),
        (ALT, {"value": 45, "unit": "UI/L", "system": "urn:lab", "code": "17"}, (D("45"), "U/L", None)),
        (ALT, {"value": 45, "code": "U/L"}, (D("45"), "U/L", None)),
        (ALT, quantity(1000, "U/L", comparator=">"), (D("1000"), "U/L", ">")),
        (ALT, quantity(5, "U/L", comparator="<"), (D("5"), "U/L", "<")),
        (CREATININE, quantity(2.4, "mg/dL"), (D("212.16"), "umol/L", None)),
        (CREATININE, quantity(2.41, "mg/dL"), (D("213.044"), "umol/L", None)),
        (CREATININE, quantity(212.2, "umol/L"), (D("212.2"), "umol/L", None)),
        (CREATININE, text_quantity(80, "µmol/L"), (D("80"), "umol/L", None)),
        (CREATININE, text_quantity(80, "mcmol/L"), (D("80"), "umol/L", None)),
        (CREATININE, text_quantity(1, "mg%"), (D("88.4"), "umol/L", None)),
        (CREATININE, quantity(1, "mg/dl"), (D("88.4"), "umol/L", None)),
        (CREATININE, quantity(0.08, "mmol/L"), (D("80"), "umol/L", None)),
        (CREATININE, quantity(10, "mg/L"), (D("88.4"), "umol/L", None)),
        (CREATININE, quantity(0.3, "mg/dL", comparator="<"), (D("26.52"), "umol/L", "<")),
        (FVC_PERCENT, quantity(64.6, "%"), (D("64.6"), "%", None)),
        (FVC_PERCENT, quantity(65, "%{predicted}"), (D("65"), "%", None)),
        (FVC_PERCENT, quantity(0.72, "1"), (D("72"), "%", None)),
        (FVC_PERCENT, quantity(0.03, "1"), (D("3"), "%", None)),
        (FVC_PERCENT, quantity(1.6, "1"), (D("160"), "%", None)),
        (FVC_PERCENT, text_quantity(72, "% pred"), (D("72"), "%", None)),
        (FVC_PERCENT, text_quantity(72, "% previsto"), (D("72"), "%", None)),
        (FVC, quantity(3400, "mL"), (D("3.4"), "L", None)),
        (FVC, quantity(340, "cL"), (D("3.4"), "L", None)),
        (FVC, text_quantity(3.4, "litros"), (D("3.4"), "L", None)),
        (HCG, quantity(12, "m[IU]/mL"), (D("12"), "[IU]/L", None)),
        (HCG, text_quantity(12, "mUI/mL"), (D("12"), "[IU]/L", None)),
        (HCG, text_quantity(12, "UI/L"), (D("12"), "[IU]/L", None)),
        ("8302-2", quantity(1.75, "m"), (D("175"), "cm", None)),
        ("29463-7", quantity(70, "kg"), (D("70"), "kg", None)),
    ],
)
def test_a_quantity_in_the_canonical_unit(
    code: str, given: Json, expected: tuple[Decimal, str, str | None]
) -> None:
    read = only(observation(code, valueQuantity=given))
    assert value(read) == expected
    assert problem(read) is None


@pytest.mark.parametrize(
    ("code", "given", "why"),
    [
        (ALT, quantity(45), "unit-missing"),
        (ALT, {"value": 45, "system": systems.UCUM}, "unit-missing"),
        (ALT, {"value": 45, "unit": " "}, "unit-missing"),
        (ALT, quantity(1.4, "mg/dL"), "unit-mismatch"),
        (ALT, quantity(45, "%"), "unit-mismatch"),
        (ALT, text_quantity(3, "x ULN"), "unit-mismatch"),
        (ALT, quantity(45, "mg/dL") | {"unit": "U/L"}, "unit-mismatch"),
        (ALT, quantity(0.9, "U/L"), "implausible-value"),
        (ALT, quantity(20001, "U/L"), "implausible-value"),
        (ALT, quantity(-5, "U/L"), "implausible-value"),
        (ALT, quantity(25000, "U/L", comparator=">"), "implausible-value"),
        (ALT, quantity(0.5, "U/L", comparator="<"), "implausible-value"),
        (ALT, quantity(45, "U/L", comparator="~"), "text-only"),
        (ALT, quantity("45", "U/L"), "text-only"),
        (ALT, quantity(None, "U/L"), "text-only"),
        (ALT, quantity(True, "U/L"), "text-only"),
        (ALT, quantity([45], "U/L"), "text-only"),
        (ALT, quantity(math.nan, "U/L"), "text-only"),
        (ALT, quantity(math.inf, "U/L"), "text-only"),
        (ALT, quantity(1e300, "U/L"), "text-only"),
        (ALT, "45 U/L", "text-only"),
        (ALT, 45, "text-only"),
        (ALT, [], "text-only"),
        (CREATININE, quantity(88, "mg/dL"), "implausible-value"),
        (CREATININE, quantity(90, "mL/min"), "unit-mismatch"),
        (CREATININE, text_quantity(90, "mL/min/1.73m²"), "unit-mismatch"),
        (CREATININE, quantity(1, "g/(24.h)"), "unit-mismatch"),
        (FVC_PERCENT, quantity(0.72, "%"), "unit-mismatch"),
        (FVC_PERCENT, quantity(2, "%"), "unit-mismatch"),
        (FVC_PERCENT, quantity(0.1, "%"), "unit-mismatch"),
        (FVC_PERCENT, quantity(2.5, "%"), "implausible-value"),
        (FVC_PERCENT, quantity(82, "1"), "unit-mismatch"),
        (FVC_PERCENT, quantity(0.02, "1"), "implausible-value"),
        (FVC_PERCENT, quantity(161, "%"), "implausible-value"),
        (FVC, quantity(3.1, "L/s"), "unit-mismatch"),
        (FVC, text_quantity(3.1, "L/min"), "unit-mismatch"),
        (FVC, quantity(9.1, "L"), "implausible-value"),
        (FVC, quantity(0.19, "L"), "implausible-value"),
        (HCG, quantity(12, "U/L"), "unit-mismatch"),
    ],
)
def test_a_quantity_that_cannot_be_read(code: str, given: Any, why: str) -> None:
    read = only(observation(code, valueQuantity=given))
    assert problem(read) == why
    assert not any(key.startswith("value") for key in read)


@pytest.mark.parametrize(
    ("text", "ranges", "expected"),
    [
        ("45 UI/L", [], D("45")),
        ("45UI/L", [], D("45")),
        (" 45,5 U/L ", [], D("45.5")),
        ("45.5 U/L", [], D("45.5")),
        ("= 45 U/L", [], D("45")),
        ("45", [{"high": text_quantity(40, "U/L")}], D("45")),
        ("45", [{"text": "10-40 U/L"}], D("45")),
        ("1.250 U/L", [], "text-only"),
        ("12.345 U/L", [], "text-only"),
        ("1.250,00 U/L", [], "text-only"),
        ("1,250.00 U/L", [], "text-only"),
        ("1 250 U/L", [], "text-only"),
        ("45 U/L hemolisado", [], "text-only"),
        ("cerca de 45 U/L", [], "text-only"),
        ("45-50 U/L", [], "text-only"),
        ("==45 U/L", [], "text-only"),
        ("≥=45 U/L", [], "text-only"),
        ("٤٥ U/L", [], "text-only"),
        ("normal", [], "text-only"),
        ("45", [], "unit-missing"),
        ("45", [{"high": text_quantity(40, "U/L")}, {"high": text_quantity(1, "µkat/L")}], "unit-missing"),
        ("45 mg/dL", [], "unit-mismatch"),
    ],
)
def test_a_number_as_text(text: str, ranges: list[Json], expected: Decimal | str) -> None:
    read = only(observation(ALT, valueString=text, referenceRange=ranges))
    if isinstance(expected, str):
        assert problem(read) == expected
        assert "valueString" not in read
    else:
        assert value(read) == (expected, "U/L", None)


@pytest.mark.parametrize(
    ("text", "comparator"),
    [
        ("<5 U/L", "<"),
        ("< 5 U/L", "<"),
        ("<=5 U/L", "<="),
        ("≤ 5 U/L", "<="),
        (">5 U/L", ">"),
        (">= 5 U/L", ">="),
        ("≥5 U/L", ">="),
    ],
)
def test_comparators_as_text(text: str, comparator: str) -> None:
    assert value(only(observation(ALT, valueString=text))) == (D("5"), "U/L", comparator)


def test_a_thousands_dot_after_zero_is_a_decimal_dot() -> None:
    assert value(only(observation(CREATININE, valueString="0.912 mg/dL"))) == (D("80.6208"), "umol/L", None)


def test_a_range_stays_a_range_in_the_canonical_unit() -> None:
    read = only(observation(ALT, valueRange={"low": quantity(1, "ukat/L"), "high": quantity(2, "ukat/L")}))
    assert [read["valueRange"][end]["value"] for end in ("low", "high")] == [D("60"), D("120")]
    upside_down = {"low": quantity(50, "U/L"), "high": quantity(40, "U/L")}
    assert problem(only(observation(ALT, valueRange=upside_down))) == "implausible-value"
    assert problem(only(observation(ALT, valueRange={}))) == "text-only"


@pytest.mark.parametrize(
    ("code", "given", "expected"),
    [
        (TOTAL, {"valueInteger": 38}, 38),
        (TOTAL, {"valueQuantity": quantity(38, "{score}")}, 38),
        (TOTAL, {"valueQuantity": quantity(38.0)}, 38),
        (TOTAL, {"valueQuantity": text_quantity(38, "pontos")}, 38),
        (TOTAL, {"valueQuantity": quantity(0, "1")}, 0),
        (TOTAL, {"valueInteger": 0}, 0),
        (TOTAL, {"valueInteger": 48}, 48),
        (TOTAL, {"valueString": "38"}, 38),
        (TOTAL, {"valueString": "38 pontos"}, 38),
        (TOTAL, {"valueInteger": 49}, "implausible-value"),
        (TOTAL, {"valueInteger": -1}, "implausible-value"),
        (TOTAL, {"valueQuantity": quantity(30.5, "{score}")}, "implausible-value"),
        (TOTAL, {"valueQuantity": quantity(38, "%")}, "unit-mismatch"),
        (TOTAL, {"valueQuantity": quantity(38, "{score}", comparator=">")}, "text-only"),
        (TOTAL, {"valueString": "38/48"}, "text-only"),
        (TOTAL, {"valueString": "3 - grave"}, "text-only"),
        (TOTAL, {"valueInteger": "38"}, "text-only"),
        (TOTAL, {"valueBoolean": True}, "text-only"),
        (TOTAL, {"valueDecimal": 38}, "text-only"),
        (TOTAL, {"valueInteger": 38, "valueString": "38"}, "conflicting-data"),
        (ITEM, {"valueInteger": 3}, 3),
        (ITEM, {"valueString": "3 - Fala detectável"}, 3),
        (ITEM, {"valueString": "3"}, 3),
        (ITEM, {"valueString": "3. detectable"}, 3),
        (ITEM, {"valueString": "3.5 - between"}, "text-only"),
        (ITEM, {"valueString": "normal"}, "text-only"),
        (ITEM, {"valueString": "5 - ?"}, "implausible-value"),
        (ITEM, {"valueInteger": 5}, "implausible-value"),
        (ITEM, {"valueCodeableConcept": {"text": "4 - Normal"}}, 4),
        (ITEM, {"valueCodeableConcept": concept("LA1", display="2 = Intelligible")}, 2),
        (
            ITEM,
            {"valueCodeableConcept": {"coding": [{"code": "a", "display": "2 - x"}], "text": "3 - x"}},
            "conflicting-data",
        ),
        (ITEM, {"valueCodeableConcept": concept("LA1")}, "text-only"),
        (
            ITEM,
            {
                "valueCodeableConcept": concept(
                    "LA1",
                    extension=[
                        {"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 3},
                    ],
                )
            },
            3,
        ),
    ],
)
def test_scores(code: str, given: Json, expected: int | str) -> None:
    read = only(observation(code, **given))
    if isinstance(expected, str):
        assert problem(read) == expected
    else:
        assert read["valueInteger"] == expected
        assert type(read["valueInteger"]) is int


def test_the_code_decides_the_analyte_and_two_make_none() -> None:
    both = observation(
        ALT,
        code={"coding": [*concept(ALT)["coding"], *concept(AST)["coding"]]},
        valueQuantity=quantity(45, "U/L"),
    )
    assert problem(only(both)) == "ambiguous-code"
    other = observation("718-7", valueQuantity=quantity("junk", "g/dL"))
    assert problem(only(observation("718-7", valueQuantity=quantity(13, "g/dL")))) is None
    assert "valueQuantity" in only(other)


def test_the_source_s_own_data_absent_reason_hides_the_value() -> None:
    read = only(observation(ALT, valueQuantity=quantity(45, "U/L"), dataAbsentReason={"text": "lost"}))
    assert "valueQuantity" not in read
    assert read["dataAbsentReason"] == {"text": "lost"}
    assert problem(read) is None


def test_no_value_is_no_problem() -> None:
    assert problem(only(observation(ALT))) is None


def test_an_hcg_in_words_is_read_as_a_qualitative_result() -> None:
    assert result(only(observation(HCG, valueString="negativo"))) == "negative"
    assert (
        result(only(observation(HCG, interpretation=[concept("NEG", systems.OBSERVATION_INTERPRETATION)])))
        == "negative"
    )
    assert problem(only(observation(HCG, valueString="talvez"))) == "text-only"


EE = concept("el-escorial-category", systems.TRIAL_OBSERVATIONS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"valueCodeableConcept": concept("probable", systems.EL_ESCORIAL_CATEGORY)}, "probable"),
        (
            {"valueCodeableConcept": {"text": "Provável com suporte laboratorial"}},
            "probable-laboratory-supported",
        ),
        ({"valueString": "Provável"}, "probable"),
        ({"valueString": "definida"}, "definite"),
        ({"valueString": "Possible"}, "possible"),
        ({"valueString": "suspeita"}, "suspected"),
    ],
)
def test_el_escorial_categories(given: Json, expected: str) -> None:
    read = only(observation("x", code=EE, **given))
    assert read["valueCodeableConcept"]["coding"][0] == {
        "system": systems.EL_ESCORIAL_CATEGORY,
        "code": expected,
    }


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"valueString": "provável ou possível"}, "text-only"),
        ({"valueString": "Gold Coast"}, "text-only"),
        ({"valueCodeableConcept": concept("proable", systems.EL_ESCORIAL_CATEGORY)}, "text-only"),
        ({"valueInteger": 3}, "text-only"),
        (
            {
                "valueCodeableConcept": {
                    "coding": [
                        *concept("probable", systems.EL_ESCORIAL_CATEGORY)["coding"],
                        *concept("definite", systems.EL_ESCORIAL_CATEGORY)["coding"],
                    ]
                }
            },
            "conflicting-data",
        ),
    ],
)
def test_el_escorial_categories_that_cannot_be_read(given: Json, why: str) -> None:
    assert problem(only(observation("x", code=EE, **given))) == why


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"analytes": {"x": {"valueSets": ["AltActivity"]}}},
        {"analytes": {"x": {"kind": "odd", "valueSets": ["AltActivity"]}}},
        {"analytes": {"x": {"kind": "quantity", "valueSets": ["NoSuchSet"]}}},
        {"analytes": {"x": {"kind": "quantity", "valueSets": [], "units": {"U/L": {"factor": "one"}}}}},
    ],
)
def test_data_of_another_shape_is_named(data: Any) -> None:
    with pytest.raises(AuthoringError, match=r"readings\.json"):
        Readings(data, VALUE_SETS, Units({}), QualitativeReader({}, {}, Units({})), Categories({}))


def test_the_equations_that_can_be_computed_are_said() -> None:
    assert MAPPINGS.available_equations >= {"PEREIRA_2007", "PEREIRA_2007_WT"}
