"""FVC % predicted from litres: same report, published equations, and pyspiro as the oracle (clinical specification IN04)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cds_service.errors import AuthoringError
from cds_service.records.equations import Body, Equation, read_equation
from cds_service.terminology import systems

from .helpers import MAN, MAPPINGS, Json, concept, normalised, observation, quantity, tags

EQUATIONS = {equation.name: equation for equation in MAPPINGS.equations}
needs_gli = pytest.mark.skipif(
    "GLI_2022" not in EQUATIONS, reason="pyspiro, which holds the GLI table, is not installed"
)


def predicted(
    name: str, sex: str, born: date, day: date, height: float, weight: float | None = None
) -> Decimal | None:
    kilos = None if weight is None else Decimal(str(weight))
    return EQUATIONS[name].predicted(Body(sex, born, day, Decimal(str(height)), kilos))


@pytest.mark.parametrize(
    ("name", "litres"),
    [
        ("PEREIRA_2007", "4.729"),
        ("PEREIRA_2007_WT", "4.821"),
        pytest.param("GLI_2022", "4.316", marks=needs_gli),
    ],
)
def test_the_specification_s_man_of_55_years_175_cm_and_70_kg(name: str, litres: str) -> None:
    found = predicted(name, "male", date(1971, 6, 15), date(2026, 6, 15), 175, 70)
    assert found is not None
    assert round(found, 3) == Decimal(litres)


@pytest.mark.parametrize(
    ("name", "sex", "age", "weight", "there"),
    [
        ("PEREIRA_2007", "male", 25, 70, False),
        ("PEREIRA_2007", "male", 26, None, True),
        ("PEREIRA_2007", "male", 86, 70, True),
        ("PEREIRA_2007", "male", 87, 70, False),
        ("PEREIRA_2007", "female", 19, 70, False),
        ("PEREIRA_2007", "female", 20, 70, True),
        ("PEREIRA_2007", "female", 86, 70, False),
        ("PEREIRA_2007", "other", 50, 70, False),
        ("PEREIRA_2007_WT", "male", 50, None, False),
        ("PEREIRA_2007_WT", "female", 50, 70, False),
    ],
)
def test_outside_its_ages_or_without_an_input_an_equation_says_nothing(
    name: str, sex: str, age: int, weight: float | None, there: bool
) -> None:
    found = predicted(name, sex, date(2026 - age, 6, 15), date(2026, 6, 15), 170, weight)
    assert (found is not None) is there


@needs_gli
@pytest.mark.parametrize("sex", ["male", "female"])
@pytest.mark.parametrize("age", [3, 10, 25, 40, 55, 70, 94])
@pytest.mark.parametrize("height", [95.5, 150, 175, 200])
def test_gli_agrees_with_pyspiro(sex: str, age: int, height: float) -> None:
    bowerman = pytest.importorskip("pyspiro.src.spirometry.BOWERMAN_2022").BOWERMAN_2022()
    median = bowerman.lms(int(sex == "male"), float(age), height, bowerman.Parameters.FVC.value, None)[1]
    found = predicted("GLI_2022", sex, date(2026 - age, 6, 15), date(2026, 6, 15), height)
    assert found is not None
    assert float(found) == pytest.approx(float(median), rel=1e-12)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": "x", "citation": "x", "form": "cubic", "sexes": {}},
        {
            "name": "x",
            "citation": "x",
            "form": "log-spline",
            "sexes": {"male": {}},
            "table": {"package": "cds_service", "file": "__init__.py"},
        },
    ],
)
def test_an_equation_of_another_shape_is_named(data: Any) -> None:
    with pytest.raises(AuthoringError, match=r"x\.json"):
        read_equation(data, file="x.json")


def test_without_its_table_an_equation_is_left_out() -> None:
    data = {
        "name": "x",
        "citation": "",
        "form": "log-spline",
        "sexes": {},
        "table": {"package": "no_such_package", "file": "x"},
    }
    assert read_equation(data, file="x.json") is None


# --- on records -------------------------------------------------------------------------------------------------------

VOLUME, PREDICTED = "19868-9", "19869-7"


def volume(litres: float = 2.2, unit: str = "L", **more: Any) -> Json:
    return observation(VOLUME, id="v", valueQuantity=quantity(litres, unit), **more)


def reference_volume(litres: float = 4.0, **more: Any) -> Json:
    return observation(PREDICTED, id="p", valueQuantity=quantity(litres, "L"), **more)


def body(day: str = "2026-06-01", height: float = 175, weight: float | None = 70) -> list[Json]:
    found = [observation("8302-2", id="h", valueQuantity=quantity(height, "cm"), effectiveDateTime=day)]
    if weight is not None:
        found.append(
            observation("29463-7", id="w", valueQuantity=quantity(weight, "kg"), effectiveDateTime=day)
        )
    return found


def derived(kind: str, *resources: Any, patient: Json = MAN) -> list[Json]:
    found = normalised(*resources, patient=patient).of_type("Observation")
    return [o for o in found if o["code"].get("coding", [{}])[0].get("code") == kind]


def ratios(*resources: Any) -> list[Decimal]:
    return [found["valueQuantity"]["value"] for found in derived("fvc-percent-reported-volumes", *resources)]


def component(code: str, litres: float) -> Json:
    return {"code": concept(code), "valueQuantity": quantity(litres, "L")}


REPORT = {
    "resourceType": "DiagnosticReport",
    "id": "r",
    "subject": {"reference": "Patient/p"},
    "result": [{"reference": "Observation/v"}, {"reference": "Observation/p"}],
}
PANEL = observation("81458-2", id="panel", hasMember=REPORT["result"])


@pytest.mark.parametrize(
    "resources",
    [
        (volume(component=[component(PREDICTED, 4.0)]),),
        (observation("x", component=[component(VOLUME, 2.2), component(PREDICTED, 4.0)]),),
        (volume(), reference_volume(derivedFrom=[{"reference": "Observation/v"}])),
        (volume(derivedFrom=[{"reference": "Observation/p"}]), reference_volume()),
        (volume(), reference_volume(), REPORT),
        (volume(), reference_volume(), PANEL),
        (volume(2200, "mL"), reference_volume(), REPORT),
    ],
)
def test_a_predicted_volume_of_the_same_report_gives_the_percentage(resources: tuple[Json, ...]) -> None:
    assert ratios(*resources) == [Decimal(55)]


@pytest.mark.parametrize(
    "resources",
    [
        (volume(), reference_volume()),
        (volume(referenceRange=[{"low": quantity(3, "L"), "high": quantity(4, "L")}]),),
        (volume(), reference_volume(status="entered-in-error"), REPORT),
        (volume(3.1, "L/s"), reference_volume(), REPORT),
        (volume(), reference_volume() | {"valueQuantity": quantity(4, "L", comparator="<")}, REPORT),
        (
            observation("x", id="a", component=[component(VOLUME, 2.2)]),
            observation("x", id="b", component=[component(PREDICTED, 4)]),
        ),
    ],
)
def test_without_a_usable_predicted_volume_of_the_same_report_there_is_none(
    resources: tuple[Json, ...],
) -> None:
    assert ratios(*resources) == []


def test_a_percentage_just_below_the_threshold_stays_below() -> None:
    found = ratios(volume(3.249), reference_volume(4.999), REPORT)
    assert found == [Decimal("64.99299859")]


def test_what_the_percentage_carries_over() -> None:
    given = volume(
        method={"text": "supine"},
        status="amended",
        bodySite={"text": "x"},
        note=[{"text": "n"}],
        modifierExtension=[{"url": "urn:x"}],
        component=[component(PREDICTED, 4.0)],
    )
    record = normalised(given)
    found = record.of_type("Observation")[-1]
    assert (found["status"], found["method"], found["effectiveDateTime"]) == (
        "amended",
        {"text": "supine"},
        "2026-06-01",
    )
    assert found["derivedFrom"] == [{"reference": "Observation/v"}, {"reference": "Observation/v-c1"}]
    assert found["valueQuantity"] == {"value": Decimal(55), "unit": "%", "system": systems.UCUM, "code": "%"}
    assert tags(found) == {"derived-ratio", "unknown-modifier"}
    assert record.original(found) is given


def computed(*resources: Any, patient: Json = MAN) -> dict[str, Decimal]:
    found = derived("fvc-percent-predicted", *resources, patient=patient)
    return {entry["method"]["text"]: entry["valueQuantity"]["value"] for entry in found}


def test_the_specification_s_volume_of_2_90_litres() -> None:
    found = computed(volume(2.9, effectiveDateTime="2026-06-15"), *body())
    expected = {
        "PEREIRA_2007": Decimal("61.3"),
        "PEREIRA_2007_WT": Decimal("60.2"),
        "GLI_2022": Decimal("67.2"),
    }
    assert {name: round(value, 1) for name, value in found.items()} == {
        name: expected[name] for name in EQUATIONS
    }


@pytest.mark.parametrize(
    ("resources", "patient", "names"),
    [
        ([volume(), *body()], MAN, set(EQUATIONS)),
        ([volume(), *body(weight=None)], MAN, set(EQUATIONS) - {"PEREIRA_2007_WT"}),
        ([volume(), *body()], {**MAN, "gender": "female"}, set(EQUATIONS) - {"PEREIRA_2007_WT"}),
        ([volume(), *body()], {**MAN, "gender": "other"}, set()),
        ([volume(), *body()], {**MAN, "gender": None}, set()),
        ([volume(), *body()], {**MAN, "birthDate": "1971"}, set()),
        ([volume(), *body()], {**MAN, "birthDate": None}, set()),
        ([volume()], MAN, set()),
        ([volume(), *body("2024-06-01")], MAN, set(EQUATIONS) - {"PEREIRA_2007_WT"}),
        ([volume(), *body("2024-05-31")], MAN, set()),
        ([volume(), *body("2026-03-03")], MAN, set(EQUATIONS)),
        ([volume(), *body("2026-03-02")], MAN, set(EQUATIONS) - {"PEREIRA_2007_WT"}),
        ([volume(effectiveDateTime="2026-04-01"), *body("2026-06-01")], MAN, set(EQUATIONS)),
        ([volume(effectiveDateTime="2026-06-16"), *body()], MAN, set()),
        ([volume(effectiveDateTime="2024-06-01"), *body("2024-06-01")], MAN, set()),
        ([volume(effectiveDateTime="2026-06"), *body()], MAN, set()),
        ([volume(), *body(height=17.5)], MAN, set()),
        ([volume(), *[{**part, "status": "preliminary"} for part in body()]], MAN, set()),
    ],
)
def test_which_equations_have_their_inputs(resources: list[Json], patient: Json, names: set[str]) -> None:
    assert set(computed(*resources, patient=patient)) == names


def test_the_nearest_height_counts() -> None:
    near = observation("8302-2", id="near", valueQuantity=quantity(175, "cm"), effectiveDateTime="2026-05-01")
    far = observation("8302-2", id="far", valueQuantity=quantity(150, "cm"), effectiveDateTime="2025-01-01")
    alone = computed(volume(), near)
    assert computed(volume(), near, far) == computed(volume(), far, near) == alone
    assert isinstance(EQUATIONS["PEREIRA_2007"], Equation)
