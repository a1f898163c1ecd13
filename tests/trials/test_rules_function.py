"""Rules of IN01 (age), IN02 (El Escorial), IN03 (ALSFRS-R) and IN04 (forced vital capacity)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.builders import (
    ALSFRS_ITEMS,
    CUTTING_WITH_GASTROSTOMY,
    EL_ESCORIAL,
    SNOMED,
    TRIAL_OBSERVATIONS,
    Json,
    Resource,
    als,
    alsfrs,
    alsfrs_item,
    alsfrs_items,
    bundle,
    coding,
    component,
    concept,
    condition,
    el_escorial,
    fvc_percent,
    fvc_volume,
    height,
    icd10cm,
    minimal,
    observation,
    patient,
    procedure,
    snomed,
    value_integer,
    value_quantity,
    value_text,
    weight,
)
from tests.trials.assessing import Case, check, verdict

AGE = "IN01-Age"
EE = "IN02-ElEscorial"
FRS = "IN03-AlsfrsR"
FVC = "IN04-Fvc"
EE_CODE = coding(TRIAL_OBSERVATIONS, "el-escorial-category")

AGES = [
    Case("born-tomorrow", AGE, minimal(birth_date="2026-06-16"), "unknown", ("implausible-value",)),
    Case("age-111", AGE, minimal(birth_date="1915-06-15"), "unknown", ("implausible-value",)),
    Case("age-110", AGE, minimal(birth_date="1916-06-15"), "not-met"),
    Case("month-of-birth-straddling", AGE, minimal(birth_date="2008-06"), "unknown", ("partial-date",)),
    Case("month-of-birth-inside", AGE, minimal(birth_date="1990-06"), "met"),
    Case("month-of-birth-too-young", AGE, minimal(birth_date="2008-07"), "not-met"),
    Case("year-too-young", AGE, minimal(birth_date="2009"), "not-met"),
    Case("year-of-the-youngest", AGE, minimal(birth_date="2008"), "unknown", ("partial-date",)),
    Case("boundary-first-day", AGE, minimal(birth_date="1956-06-14"), "met", ("boundary",)),
    Case(
        "strict-policy-excludes-70y1d",
        AGE,
        minimal(birth_date="1956-06-14"),
        "not-met",
        config={"maxAgePolicy": "exact-birthday"},
    ),
    Case(
        "strict-policy-keeps-70y0d",
        AGE,
        minimal(birth_date="1956-06-15"),
        "met",
        config={"maxAgePolicy": "exact-birthday"},
    ),
    Case("turns-71-soon", AGE, minimal(birth_date="1955-08-01"), "met", note="2026-08-01"),
    Case("leap-day-in-a-leap-year", AGE, minimal(birth_date="1956-02-29"), "met", as_of="2027-02-28"),
    Case("leap-day-turning-71", AGE, minimal(birth_date="1956-02-29"), "not-met", as_of="2027-03-01"),
    Case("configured-minimum", AGE, minimal(birth_date="2006-01-01"), "not-met", config={"minAge": 21}),
]


def staged(*codings: Json, text: str | None = None, **elements: Any) -> Resource:
    """A patient whose ALS Condition carries a stage and who has no El Escorial Observation."""
    return bundle(patient(), als(stage=[{"summary": concept(*codings, text=text)}], **elements))


CATEGORIES = [
    *[
        Case(f"category-{c}", EE, minimal(el_escorial(c)), status)
        for c, status in (
            ("definite", "met"),
            ("probable", "met"),
            ("probable-laboratory-supported", "met"),
            ("possible", "met"),
            ("suspected", "not-met"),
            ("not-als", "not-met"),
            ("unheard-of", "unknown"),
        )
    ],
    Case("no-recency-limit", EE, minimal(el_escorial("definite", on="2012-01-01")), "met"),
    Case("future-dated", EE, minimal(el_escorial("definite", on="2026-07-01")), "unknown", ("future-dated",)),
    Case(
        "preliminary",
        EE,
        minimal(el_escorial("definite", status="preliminary")),
        "unknown",
        ("preliminary-only",),
    ),
    Case(
        "latest-counts",
        EE,
        minimal(el_escorial("probable", on="2025-01-01"), el_escorial("not-als", on="2026-05-01")),
        "not-met",
    ),
    Case(
        "same-day-contradiction",
        EE,
        minimal(el_escorial("probable"), el_escorial("suspected")),
        "unknown",
        ("conflicting-data",),
    ),
    Case("stage-of-the-als-condition", EE, staged(coding(EL_ESCORIAL, "definite")), "met"),
    Case("stage-suspected", EE, staged(coding(EL_ESCORIAL, "suspected")), "not-met"),
    Case("stage-in-words", EE, staged(text="Provável"), "unknown", ("text-only",), likely="met"),
    Case(
        "stage-in-words-suspected", EE, staged(text="suspeita"), "unknown", ("text-only",), likely="not-met"
    ),
    Case(
        "stage-of-a-refuted-condition",
        EE,
        staged(coding(EL_ESCORIAL, "definite"), verification="refuted"),
        "unknown",
        ("missing-data",),
    ),
    Case(
        "stage-of-another-disease",
        EE,
        minimal(condition(icd10cm("C50.9"), stage=[{"summary": concept(coding(EL_ESCORIAL, "definite"))}])),
        "unknown",
        ("missing-data",),
    ),
    Case(
        "observation-before-stage",
        EE,
        bundle(
            patient(),
            als(stage=[{"summary": concept(coding(EL_ESCORIAL, "suspected"))}]),
            el_escorial("possible"),
        ),
        "met",
    ),
    *[
        Case(f"words-{words}", EE, minimal(observation(EE_CODE, value_text(words))), status)
        for words, status in (
            ("Definida", "met"),
            ("definite", "met"),
            ("PROVÁVEL", "met"),
            ("probable", "met"),
            ("provável com suporte laboratorial", "met"),
            ("probable - laboratory-supported", "met"),
            ("Possível", "met"),
            ("possible", "met"),
            ("suspected", "not-met"),
            ("Suspeita", "not-met"),
            ("provável ou possível", "unknown"),
            ("King's stage 3", "unknown"),
            ("MiToS 2", "unknown"),
            ("Awaji: probable", "unknown"),
        )
    ],
]

# ---------------------------------------------------------------- ALSFRS-R
# Eleven items that sum 28 without the cutting item (number five of the form).
_OTHERS = [3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2]
PEG = procedure(snomed("235159007", "Percutaneous endoscopic gastrostomy"), on="2026-03-11")


def eleven_and_cutting(
    without_gastrostomy: int, with_gastrostomy: int, scores: Sequence[int] = _OTHERS
) -> list[Resource]:
    codes = [code for code in ALSFRS_ITEMS if code != "82944-0"]
    return [
        *[alsfrs_item(code, score) for code, score in zip(codes, scores, strict=True)],
        alsfrs_item("82944-0", without_gastrostomy),
        alsfrs_item(CUTTING_WITH_GASTROSTOMY, with_gastrostomy),
    ]


def panel(scores: Sequence[int], *extra: Json, on: str = "2026-06-10") -> Resource:
    parts = [component(code, value_integer(score)) for code, score in zip(ALSFRS_ITEMS, scores, strict=False)]
    return observation("82954-9", on=on, category="survey", components=[*parts, *extra])


def forms(value: Any, scores: Sequence[int] = (3,) * 12) -> list[Resource]:
    return [
        observation(code, value(score), on="2026-06-10", category="survey")
        for code, score in zip(ALSFRS_ITEMS, scores, strict=True)
    ]


def answer_with_ordinal(score: int) -> Json:
    answer = {
        **coding("http://loinc.org", f"LA-local-{score}", "some wording"),
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": score}],
    }
    return {"valueCodeableConcept": {"coding": [answer]}}


ITEMS = [
    Case("twelve-items-of-30", FRS, minimal(alsfrs_items([3] * 6 + [2] * 6)), "met", basis="computed"),
    Case("twelve-items-of-29", FRS, minimal(alsfrs_items([3] * 6 + [2] * 5 + [1])), "not-met"),
    Case("eleven-items-of-30", FRS, minimal(alsfrs_items([3] * 8 + [2] * 3)), "met"),
    Case("eleven-items-of-29", FRS, minimal(alsfrs_items([3] * 7 + [3, 2, 2, 1])), "unknown"),
    Case("eleven-items-of-26", FRS, minimal(alsfrs_items([3] * 4 + [2] * 7)), "unknown"),
    Case("eleven-items-of-25", FRS, minimal(alsfrs_items([3] * 3 + [2] * 8)), "not-met"),
    Case(
        "six-newer-items-replace-a-total",
        FRS,
        minimal(alsfrs(38, on="2026-05-20"), alsfrs_items([4] * 6)),
        "unknown",
    ),
    Case(
        "five-newer-items-do-not",
        FRS,
        minimal(alsfrs(38, on="2026-05-20"), alsfrs_items([0] * 5)),
        "met",
        basis="explicit",
    ),
    Case("five-loose-items-alone", FRS, minimal(alsfrs_items([4] * 5)), "unknown"),
    Case(
        "items-of-several-days-are-no-administration",
        FRS,
        minimal(
            alsfrs(38, on="2026-05-20"),
            alsfrs_items([0] * 3, on="2026-06-10"),
            [alsfrs_item(c, 0, on="2026-06-11") for c in ALSFRS_ITEMS[3:6]],
        ),
        "met",
    ),
    Case("items-too-old", FRS, minimal(alsfrs_items([3] * 12, on="2026-05-01")), "unknown", ("stale-data",)),
    Case("panel-components", FRS, minimal(panel([3] * 12)), "met"),
    Case("panel-components-low", FRS, minimal(panel([2] * 12)), "not-met"),
    Case(
        "panel-with-total",
        FRS,
        minimal(panel([3] * 12, component("82953-1", value_integer(36)))),
        "met",
        basis="explicit",
    ),
    Case(
        "panel-with-another-total",
        FRS,
        minimal(panel([3] * 12, component("82953-1", value_integer(29)))),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "a-newer-panel-of-three-items-is-an-administration",
        FRS,
        minimal(alsfrs(38, on="2026-05-20"), panel([4] * 3)),
        "unknown",
    ),
    Case(
        "panel-by-members",
        FRS,
        minimal(
            observation(
                "82954-9",
                on="2026-06-10",
                hasMember=[{"reference": f"Observation/m{i}"} for i in range(12)],
            ),
            [alsfrs_item(code, 2, id=f"m{i}") for i, code in enumerate(ALSFRS_ITEMS)],
        ),
        "not-met",
    ),
    Case("total-agrees-with-items", FRS, minimal(alsfrs(36, on="2026-06-10"), alsfrs_items([3] * 12)), "met"),
    Case(
        "total-within-the-bounds-of-eleven-items",
        FRS,
        minimal(alsfrs(37, on="2026-06-10"), alsfrs_items([3] * 10 + [4])),
        "met",
    ),
    Case(
        "total-below-eleven-items",
        FRS,
        minimal(alsfrs(31, on="2026-06-10"), alsfrs_items([3] * 10 + [4])),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "total-above-what-eleven-items-allow",
        FRS,
        minimal(alsfrs(40, on="2026-06-10"), alsfrs_items([3] * 11)),
        "unknown",
        ("conflicting-data",),
    ),
    Case("two-totals-of-one-instant", FRS, minimal(alsfrs(38), alsfrs(20)), "unknown", ("conflicting-data",)),
    Case("cutting-without-gastrostomy-counts", FRS, minimal(eleven_and_cutting(2, 0)), "met"),
    Case("cutting-without-gastrostomy-counts-low", FRS, minimal(eleven_and_cutting(1, 4)), "not-met"),
    Case("cutting-with-gastrostomy-counts", FRS, minimal(eleven_and_cutting(2, 0), PEG), "not-met"),
    Case("cutting-with-gastrostomy-counts-high", FRS, minimal(eleven_and_cutting(1, 4), PEG), "met"),
    Case(
        "gastrostomy-status-is-evidence-too",
        FRS,
        minimal(eleven_and_cutting(2, 0), condition(icd10cm("Z93.1", "Gastrostomy status"))),
        "not-met",
    ),
    Case(
        "gastrostomy-entered-in-error-is-none",
        FRS,
        minimal(eleven_and_cutting(2, 0), {**PEG, "status": "entered-in-error"}),
        "met",
    ),
    # EX15's item evidence: swallowing 1 or less. (Eleven items summing 28 with swallowing = 1.)
    Case(
        "swallowing-of-one-is-evidence-too",
        FRS,
        minimal(eleven_and_cutting(2, 0, [3, 3, 1, 3, 3, 3, 3, 3, 3, 2, 1])),
        "not-met",
    ),
    Case(
        "only-the-item-with-gastrostomy",
        FRS,
        minimal([i for i in eleven_and_cutting(4, 2) if i["code"]["coding"][0]["code"] != "82944-0"]),
        "met",
    ),
    Case("form-quantity", FRS, minimal(forms(lambda s: value_quantity(s, "{score}"))), "met"),
    Case("form-quantity-without-unit", FRS, minimal(forms(lambda s: value_quantity(s, None))), "met"),
    Case("form-text", FRS, minimal(forms(lambda s: value_text(f"{s} - some wording"))), "met"),
    Case("form-ordinal", FRS, minimal(forms(answer_with_ordinal)), "met"),
    Case("form-ordinal-low", FRS, minimal(forms(answer_with_ordinal, (2,) * 12)), "not-met"),
    Case(
        "item-that-is-no-integer",
        FRS,
        minimal(
            alsfrs_items([3] * 11), observation("82952-3", value_quantity(2.5, "{score}"), on="2026-06-10")
        ),
        "unknown",
        ("implausible-value",),
    ),
    Case("item-below-zero", FRS, minimal(alsfrs_items([3] * 11 + [-1])), "unknown", ("implausible-value",)),
]

STALE = [
    Case(
        f"stale-{total}-{day}",
        FRS,
        minimal(alsfrs(total, on=day)),
        "unknown",
        ("stale-data",),
        likely=likely,
    )
    for total, day, likely in (
        (29, "2026-05-01", "not-met"),
        # Three months elapsed: at least 33 leaves 30 at a point a month.
        (33, "2026-03-10", "met"),
        (32, "2026-03-10", ""),
        (29, "2025-06-15", "not-met"),
        # More than 365 days: no hint.
        (48, "2025-06-14", ""),
        (10, "2024-01-01", ""),
    )
]

CONFIGURED = [
    Case("configured-minimum-total", FRS, minimal(alsfrs(33)), "not-met", config={"alsfrsMin": 35}),
    Case(
        "configured-window", FRS, minimal(alsfrs(41, on="2026-05-01")), "met", config={"alsfrsWindowDays": 60}
    ),
]

# ---------------------------------------------------------------- forced vital capacity
PREDICTED = observation("19869-7", value_quantity(4.0, "L"), on="2026-05-20", id="predicted")
SUPINE = {
    "url": "http://hl7.org/fhir/StructureDefinition/observation-bodyPosition",
    "valueCodeableConcept": {"text": "supine"},
}


def with_predicted(litres: float, predicted: float, **elements: Any) -> Resource:
    return fvc_volume(litres, components=[component("19869-7", value_quantity(predicted, "L"))], **elements)


def report(*members: str) -> Resource:
    return {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "Espirometria"},
        "result": [{"reference": f"Observation/{m}"} for m in members],
    }


def of_age(*facts: Any, **about: Any) -> Resource:
    return minimal(*facts, height(175), weight(70), **about)


LUNGS = [
    Case("exactly-65", FVC, minimal(fvc_percent(65.0)), "met"),
    Case("snomed-percent", FVC, minimal(fvc_percent(80, code=coding(SNOMED, "445210000"))), "met"),
    *[
        Case(
            f"decoy-{code}",
            FVC,
            minimal(observation(code, value_quantity(80, "%"), on="2026-05-20")),
            "unknown",
            ("missing-data",),
        )
        for code in ("20150-9", "20152-5", "69982-7")
    ],
    Case(
        "reported-before-reported-volumes",
        FVC,
        minimal(fvc_percent(70), with_predicted(2.2, 4.0)),
        "met",
    ),
    Case(
        "the-latest-date-before-the-kind",
        FVC,
        minimal(fvc_percent(80, on="2026-04-20"), with_predicted(2.2, 4.0)),
        "not-met",
    ),
    Case("reported-volumes-before-equations", FVC, of_age(with_predicted(3.4, 6.0)), "not-met"),
    Case("highest-of-several", FVC, minimal(fvc_percent(63), fvc_percent(66)), "met"),
    Case(
        "highest-volume-of-several", FVC, minimal(with_predicted(2.2, 4.0), with_predicted(2.8, 4.0)), "met"
    ),
    Case("unspecified-before-post", FVC, minimal(fvc_percent(66), fvc_percent(60, code="19873-9")), "met"),
    Case("pre-before-unspecified", FVC, minimal(fvc_percent(60, code="19871-3"), fvc_percent(70)), "not-met"),
    Case("post-alone", FVC, minimal(fvc_percent(70, code="19873-9")), "met"),
    Case(
        "predicted-derived-from-measured",
        FVC,
        minimal(
            fvc_volume(2.2, id="measured"),
            {**PREDICTED, "derivedFrom": [{"reference": "Observation/measured"}]},
        ),
        "not-met",
    ),
    Case(
        "measured-derived-from-predicted",
        FVC,
        minimal(fvc_volume(2.2, derivedFrom=[{"reference": "Observation/predicted"}]), PREDICTED),
        "not-met",
    ),
    Case(
        "measured-and-predicted-of-one-report",
        FVC,
        minimal(fvc_volume(2.2, id="measured"), PREDICTED, report("measured", "predicted")),
        "not-met",
    ),
    # Not of the same report: the predicted volume may be another equation's, or another day's height.
    Case("predicted-elsewhere", FVC, minimal(fvc_volume(2.2), PREDICTED), "unknown"),
    Case(
        "reference-range-is-no-prediction",
        FVC,
        minimal(
            fvc_volume(
                2.2,
                referenceRange=[{"low": {"value": 3.2, "unit": "L"}, "high": {"value": 4.0, "unit": "L"}}],
            )
        ),
        "unknown",
    ),
    Case("all-equations-below", FVC, of_age(fvc_volume(2.5)), "not-met", basis="computed"),
    Case("no-computing-configured", FVC, of_age(fvc_volume(3.4)), "unknown", config={"fvcCompute": False}),
    *[
        Case(f"sex-{g}", FVC, of_age(fvc_volume(3.4), gender=g), "unknown")
        for g in ("other", "unknown", None)
    ],
    Case("partial-birth-date", FVC, of_age(fvc_volume(3.4), birth_date="1971"), "unknown"),
    Case("no-height", FVC, minimal(fvc_volume(3.4), weight(70)), "unknown"),
    Case(
        "height-of-730-days", FVC, minimal(fvc_volume(3.4), height(175, on="2024-05-20"), weight(70)), "met"
    ),
    Case(
        "height-of-731-days",
        FVC,
        minimal(fvc_volume(3.4), height(175, on="2024-05-19"), weight(70)),
        "unknown",
    ),
    Case(
        "height-after-the-test",
        FVC,
        minimal(fvc_volume(3.4), height(175, on="2026-06-10"), weight(70)),
        "met",
    ),
    *[
        Case(
            f"height-in-{unit}",
            FVC,
            minimal(
                fvc_volume(3.4),
                observation("8302-2", value_quantity(value, unit), on="2026-05-20", category="vital-signs"),
            ),
            "met",
        )
        for value, unit in ((1.75, "m"), (175, "cm"), (68.9, "[in_i]"))
    ],
    Case(
        "height-without-unit",
        FVC,
        minimal(fvc_volume(3.4), observation("8302-2", value_quantity(175, None), on="2026-05-20")),
        "unknown",
    ),
    Case(
        "percent-in-a-spirometry-panel",
        FVC,
        minimal(
            observation(
                "81458-2", on="2026-05-20", components=[component("19872-1", value_quantity(70, "%"))]
            )
        ),
        "met",
    ),
    Case(
        "measured-and-predicted-in-one-panel",
        FVC,
        minimal(
            observation(
                "81458-2",
                on="2026-05-20",
                components=[
                    component("19868-9", value_quantity(2.2, "L")),
                    component("19869-7", value_quantity(4.0, "L")),
                ],
            )
        ),
        "not-met",
    ),
    # Without a weight (or with one too far away) Pereira's weight equation is dropped, the others remain.
    Case("no-weight", FVC, minimal(fvc_volume(3.4), height(175)), "met"),
    Case("weight-too-far", FVC, minimal(fvc_volume(3.4), height(175), weight(70, on="2025-12-01")), "met"),
    Case(
        "a-woman",
        FVC,
        minimal(fvc_volume(3.0), height(165), weight(60), gender="female", birth_date="1991-11-02"),
        "met",
    ),
    # 61.3 % by Pereira alone: the site has chosen one equation, so nothing disagrees.
    Case(
        "one-configured-equation",
        FVC,
        of_age(fvc_volume(2.9)),
        "not-met",
        config={"fvcEquations": ["PEREIRA_2007"]},
    ),
    Case("configured-threshold", FVC, of_age(fvc_volume(2.9)), "met", config={"fvcMinPercent": 60}),
    Case(
        "configured-window",
        FVC,
        minimal(fvc_percent(70, on="2026-01-10")),
        "met",
        config={"fvcWindowDays": 180},
    ),
    Case("supine-above", FVC, minimal(fvc_percent(70, extension=[SUPINE])), "met"),
    *[
        Case(f"supine-by-{name}", FVC, minimal(fvc_percent(60, **elements)), "unknown")
        for name, elements in (
            ("position", {"extension": [SUPINE]}),
            ("method", {"method": {"text": "Espirometria em decúbito dorsal"}}),
            ("note", {"note": [{"text": "measured supine"}]}),
        )
    ],
    Case(
        "supine-by-code-text",
        FVC,
        minimal(
            {
                **fvc_percent(60),
                "code": {"coding": [coding("http://loinc.org", "19872-1")], "text": "CVF em decúbito"},
            }
        ),
        "unknown",
    ),
    Case("upright-beside-supine", FVC, minimal(fvc_percent(70), fvc_percent(55, extension=[SUPINE])), "met"),
    Case(
        "preliminary", FVC, minimal(fvc_percent(70, status="preliminary")), "unknown", ("preliminary-only",)
    ),
    Case("future", FVC, minimal(fvc_percent(70, on="2026-07-01")), "unknown", ("future-dated",)),
]

SECTIONS = [*AGES, *CATEGORIES, *ITEMS, *STALE, *CONFIGURED, *LUNGS]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: c.id)
def test_function_rule(case: Case) -> None:
    check(case)


def test_a_provisional_diagnosis_is_no_possible_als() -> None:
    row = verdict(bundle(patient(), als(verification="provisional")), EE)
    assert (row["status"], row["likely"]) == ("unknown", None)


def test_the_equations_used_are_shown() -> None:
    check(Case("equations", FVC, of_age(fvc_volume(3.4)), "met", note="PEREIRA_2007"))
