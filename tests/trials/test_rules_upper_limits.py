"""The upper limit of normal (§2.7) for AST, ALT and creatinine, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    LOINC,
    SNOMED,
    Json,
    alt,
    ast,
    coding,
    concept,
    creatinine,
    minimal,
    observation,
    quantity,
    reference_range,
    value_quantity,
)
from tests.trials.assessing import Case, check

LFT = "EX06-AstAlt"
CRE = "EX07-Creatinine"
OK = ast(30)
GENDER = "http://hl7.org/fhir/administrative-gender"
V3_GENDER = "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender"


def ranged(name: str, value: float, ranges: list[Json], status: str, *reasons: str, **about: Any) -> Case:
    """An ALT of that value with those ranges beside a normal AST."""
    return Case(name, LFT, minimal(alt(value, high=None, ranges=ranges), OK, **about), status, reasons)


def applying(high: float, who: Json) -> Json:
    return reference_range(high=high, unit="U/L", applies_to=who)


# Rule 1. Where a range must not be used the fallback decides: an ALT of 70 is below 3 × 33 (male), though
# above 3 × the range's 20.
RULE_1 = [
    ranged("1-type-normal", 70, [reference_range(high=20, unit="U/L", kind="normal")], "met"),
    ranged("1-type-recommended", 70, [reference_range(high=20, unit="U/L", kind="recommended")], "not-met"),
    *[
        ranged(f"1-male-{name}", 70, [applying(20, who)], "met")
        for name, who in (
            ("administrative-gender", concept(coding(GENDER, "male"))),
            ("snomed", concept(coding(SNOMED, "248153007"))),
            ("v3", concept(coding(V3_GENDER, "M"))),
            ("text-male", concept(text="Male")),
            ("text-masculino", concept(text="masculino")),
            ("text-homem", concept(text="Homem")),
        )
    ],
    *[
        ranged(f"1-female-range-for-a-man-{name}", 70, [applying(20, who)], "not-met")
        for name, who in (
            ("administrative-gender", concept(coding(GENDER, "female"))),
            ("snomed", concept(coding(SNOMED, "248152002"))),
            ("v3", concept(coding(V3_GENDER, "F"))),
            ("text-feminino", concept(text="Feminino")),
            ("text-mulher", concept(text="mulher")),
        )
    ],
    ranged("1-applies-to-something-else", 70, [applying(20, concept(text="gestante"))], "not-met"),
    ranged("1-applies-to-another-code", 70, [applying(20, concept(coding(SNOMED, "77386006")))], "not-met"),
    ranged(
        "1-of-two-ranges-the-one-of-her-sex",
        100,
        [applying(40, concept(coding(GENDER, "male"))), applying(30, concept(coding(GENDER, "female")))],
        "met",
        gender="female",
    ),
    ranged(
        "1-of-two-ranges-the-one-of-his-sex",
        100,
        [applying(40, concept(coding(GENDER, "male"))), applying(30, concept(coding(GENDER, "female")))],
        "not-met",
    ),
    ranged(
        "1-age-fits",
        70,
        [reference_range(high=20, unit="U/L", age={"low": quantity(18, "a"), "high": quantity(99, "a")})],
        "met",
    ),
    ranged(
        "1-age-does-not-fit",
        70,
        [reference_range(high=20, unit="U/L", age={"high": quantity(17, "a")})],
        "not-met",
    ),
    # The range's own unit differs from the value's: converted.
    ranged("1-range-in-another-unit", 125, [reference_range(high=0.7, unit="ukat/L")], "not-met"),
    ranged("1-range-in-another-unit-above", 127, [reference_range(high=0.7, unit="ukat/L")], "met"),
]

RULE_2 = [
    ranged(f"2-{words}-{value}", value, [reference_range(text=words)], status)
    for words in ("10-40 U/L", "10 – 40 U/L", "< 40", "até 40 U/L", "≤ 40 U/L", "10 a 40 U/L")
    for value, status in ((120, "not-met"), (121, "met"))
] + [
    Case(
        f"2-creatinine-comma-{value}",
        CRE,
        minimal(creatinine(value, high=None, ranges=[reference_range(text="≤ 1,2 mg/dL")])),
        status,
    )
    for value, status in ((2.4, "not-met"), (2.41, "met"))
]

TWO = [reference_range(high=40, unit="U/L"), reference_range(high=30, unit="U/L")]
RULE_3 = [
    ranged("3-different-verdicts", 100, TWO, "unknown", "conflicting-data"),
    ranged("3-same-verdict-met", 200, TWO, "met"),
    ranged("3-same-verdict-not-met", 80, TWO, "not-met"),
]

# Rule 4. An upper limit that can't be right is ignored; the fallback (male ALT 33–62) decides.
RULE_4 = [
    ranged("4-alt-limit-too-low", 70, [reference_range(high=14, unit="U/L")], "not-met"),
    ranged("4-alt-limit-lowest", 70, [reference_range(high=15, unit="U/L")], "met"),
    ranged("4-alt-limit-highest", 270, [reference_range(high=90, unit="U/L")], "not-met"),
    ranged("4-alt-limit-too-high", 270, [reference_range(high=91, unit="U/L")], "met"),
    Case("4-ast-limit-too-high", LFT, minimal(alt(20), ast(150, high=81)), "met"),
    Case("4-ast-limit-highest", LFT, minimal(alt(20), ast(150, high=80)), "not-met"),
    Case("4-creatinine-limit-too-high", CRE, minimal(creatinine(3.0, high=1.9)), "met"),
    Case("4-creatinine-limit-highest", CRE, minimal(creatinine(3.0, high=1.8)), "not-met"),
    Case("4-creatinine-limit-too-low", CRE, minimal(creatinine(1.0, high=0.4)), "not-met"),
    Case(
        "4-one-of-two-ranges-unusable",
        LFT,
        minimal(
            alt(
                100,
                high=None,
                ranges=[reference_range(high=40, unit="U/L"), reference_range(high=5, unit="U/L")],
            ),
            OK,
        ),
        "not-met",
    ),
]

RULE_5 = [
    *[
        Case(
            f"5-flag-{flag}",
            LFT,
            minimal(alt(110, high=None, interpretation_code=flag), OK, gender="female"),
            status,
            reasons,
        )
        for flag, status, reasons in (
            ("N", "not-met", ()),
            ("L", "not-met", ()),
            ("LL", "not-met", ()),
            ("H", "unknown", ("no-reference-range",)),
            ("HH", "unknown", ("no-reference-range",)),
        )
    ],
    # The laboratory's own range comes before its flag.
    Case("5-range-before-flag", LFT, minimal(alt(150, high=40, interpretation_code="N"), OK), "met"),
]

# Rules 6 and 7: sex → analyte → values at 3 or 2 × the interval's ends, and just above them.
_FALLBACK: dict[tuple[str, str], tuple[float, float]] = {
    ("male", "alt"): (99, 186),
    ("female", "alt"): (75, 150),
    ("other", "alt"): (75, 186),
    ("unknown", "alt"): (75, 186),
    ("male", "ast"): (99, 144),
    ("female", "ast"): (99, 144),
    ("other", "ast"): (99, 144),
    ("male", "creatinine"): (2.32, 2.70),
    ("female", "creatinine"): (1.86, 2.20),
    ("other", "creatinine"): (1.86, 2.70),
}


def _fallback_cases() -> list[Case]:
    cases = []
    for (sex, analyte), (low, high) in _FALLBACK.items():
        step = 0.01 if analyte == "creatinine" else 0.1
        for value, status in (
            (low, "not-met"),
            (round(low + step, 2), "unknown"),
            (high, "unknown"),
            (round(high + step, 2), "met"),
        ):
            reasons = ("no-reference-range",) if status == "unknown" else ()
            name = f"6-{sex}-{analyte}-{value}"
            if analyte == "creatinine":
                record = minimal(creatinine(value, high=None), gender=sex)
                cases.append(Case(name, CRE, record, status, reasons))
            else:
                tested, other = (
                    (alt(value, high=None), OK) if analyte == "alt" else (ast(value, high=None), alt(20))
                )
                cases.append(Case(name, LFT, minimal(tested, other, gender=sex), status, reasons))
    return cases


KLEENE = [
    Case(
        "one-normal-one-unreadable",
        LFT,
        minimal(alt(20), ast(20, unit=None, high=None)),
        "unknown",
        ("unit-missing",),
    ),
    Case("one-high-one-unreadable", LFT, minimal(alt(20, unit=None, high=None), ast(500)), "met"),
    Case("one-high-one-stale", LFT, minimal(alt(500), ast(20, on="2026-01-01")), "met"),
    Case("one-normal-one-stale", LFT, minimal(alt(20), ast(20, on="2026-01-01")), "unknown", ("stale-data",)),
    Case("both-missing", LFT, minimal(), "unknown", ("missing-data",)),
    *[
        Case(
            f"decoy-{code}",
            LFT,
            minimal(observation(code, value_quantity(20, "U/L"), on="2026-06-01"), OK),
            "unknown",
            ("missing-data",),
        )
        for code in ("100738-4", "44785-4")
    ],
    *[
        Case(
            f"decoy-creatinine-{code}",
            CRE,
            minimal(observation(code, value_quantity(9, "mg/dL"), on="2026-06-01")),
            "unknown",
            ("missing-data",),
        )
        for code in ("11041-1", "11042-9", "2161-8", "2162-6", "2164-2", "62238-1", "98979-8")
    ],
    *[
        Case(
            f"creatinine-{code}",
            CRE,
            minimal(observation(coding(LOINC, code), value_quantity(v, u), on="2026-06-01")),
            "not-met",
        )
        for code, v, u in (
            ("38483-4", 0.8, "mg/dL"),
            ("59826-8", 80, "umol/L"),
            ("35203-9", 0.8, "mg/dL"),
            ("77140-2", 80, "umol/L"),
            ("21232-4", 0.8, "mg/dL"),
        )
    ],
    Case(
        "configured-multiple",
        LFT,
        minimal(alt(150, high=40), OK),
        "not-met",
        config={"transaminaseMultiple": 5},
    ),
]

SECTIONS = [*RULE_1, *RULE_2, *RULE_3, *RULE_4, *RULE_5, *_fallback_cases(), *KLEENE]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: c.id)
def test_upper_limit_rule(case: Case) -> None:
    check(case)


def test_the_clinical_note_on_muscle_is_shown() -> None:
    """EX06: raised transaminases may come from denervated muscle, so the row says so."""
    check(Case("muscle", LFT, minimal(alt(200, high=40), OK), "met", note="muscle"))
