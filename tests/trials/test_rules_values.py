"""How a result is read: shapes of values (§2.4), units (§2.5), qualitative results (§2.6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    LOINC,
    SNOMED,
    Json,
    Resource,
    alsfrs,
    alt,
    ast,
    coding,
    creatinine,
    fvc_percent,
    fvc_volume,
    lab,
    minimal,
    observation,
    quantity,
    reference_range,
    serology,
    value_coded,
    value_integer,
    value_quantity,
    value_text,
    woman,
)
from tests.trials.assessing import Case, check

CRE = "EX07-Creatinine"
LFT = "EX06-AstAlt"
FVC = "IN04-Fvc"
FRS = "IN03-AlsfrsR"
HBV = "EX08a-HepatitisB"
HCV = "EX08b-HepatitisC"
DAY = "2026-06-01"
SERO_DAY = "2026-05-25"
# The threshold of these creatinine cases is 2.4 mg/dL, twice this range's upper limit.
RANGE = reference_range(0.7, 1.2, "mg/dL")


def cre(value: Json, status: str, *reasons: str, ranges: tuple[Json, ...] = (RANGE,), name: str = "") -> Case:
    record = minimal(observation("2160-0", value, on=DAY, ranges=ranges))
    return Case(name or str(value), CRE, record, status, reasons)


COMPARATORS = [
    Case(f"creatinine {c}{v}", CRE, minimal(creatinine(v, comparator=c)), status)
    for c, v, status in (
        (">", 2.4, "met"),
        (">=", 2.4, "unknown"),
        (">=", 2.41, "met"),
        ("<", 2.4, "not-met"),
        ("<=", 2.4, "not-met"),
        ("<", 3.0, "unknown"),
        ("<=", 2.41, "unknown"),
        (">", 2.0, "unknown"),
        ("<", 0.3, "not-met"),
    )
] + [
    Case(
        f"fvc {c}{v}",
        FVC,
        minimal(fvc_percent(v, comparator=None, valueQuantity=quantity(v, "%", c))),
        status,
    )
    for c, v, status in (
        ("<", 65, "not-met"),
        ("<=", 65, "unknown"),
        (">=", 65, "met"),
        (">", 60, "unknown"),
        (">", 65, "met"),
    )
]

STRINGS = [
    cre(value_text(words), status, *reasons)
    for words, status, reasons in (
        ("0,7 mg/dL", "not-met", ()),
        ("0.7 mg/dL", "not-met", ()),
        ("0,7mg/dL", "not-met", ()),
        (" 0,7 mg/dL ", "not-met", ()),
        ("2,41 mg/dL", "met", ()),
        ("2,4 mg/dL", "not-met", ()),
        ("< 0,3 mg/dL", "not-met", ()),
        ("<0.3", "not-met", ()),
        ("≤0,3 mg/dL", "not-met", ()),
        ("<= 0,3 mg/dL", "not-met", ()),
        ("≥ 2,41 mg/dL", "met", ()),
        (">= 2,41 mg/dL", "met", ()),
        ("0.125 mg/dL", "not-met", ()),
        # The unit stands in the referenceRange.
        ("0,7", "not-met", ()),
        ("2.41", "met", ()),
        ("1.250 mg/dL", "unknown", ("text-only",)),
        ("1.250,5 mg/dL", "unknown", ("text-only",)),
        ("1,250.5 mg/dL", "unknown", ("text-only",)),
        ("creatinina normal", "unknown", ("text-only",)),
        ("0,7 mg/dL (normal)", "unknown", ("text-only",)),
        ("0,7 a 0,9 mg/dL", "unknown", ("text-only",)),
        ("88 umol/L", "not-met", ()),
    )
] + [
    cre(value_text("0,7"), "unknown", ranges=(), name="number without any unit"),
    cre(value_text("0,7"), "unknown", ranges=(reference_range(0.7, 1.2),), name="range without unit"),
]

SHAPES = [
    cre({"valueQuantity": {"value": 0.7}}, "unknown", "unit-missing"),
    cre({"valueQuantity": {"value": 0.7, "unit": "mg/dL"}}, "not-met"),
    cre({"valueQuantity": {"value": 2.41, "unit": "MG/DL"}}, "met"),
    # The UCUM code is preferred to the human string.
    cre(
        {"valueQuantity": {**quantity(2.41, "mg/dL"), "unit": "umol/L"}}, "met", name="ucum code before unit"
    ),
    cre({"valueQuantity": {**quantity(0.7, "%")}}, "unknown", "unit-mismatch"),
    cre({"valueRange": {"low": quantity(2.5, "mg/dL"), "high": quantity(3.0, "mg/dL")}}, "met"),
    cre({"valueRange": {"low": quantity(1.0, "mg/dL"), "high": quantity(2.0, "mg/dL")}}, "not-met"),
    cre({"valueRange": {"low": quantity(2.0, "mg/dL"), "high": quantity(3.0, "mg/dL")}}, "unknown"),
    cre({"valueInteger": 1}, "unknown"),
    cre({"valueBoolean": True}, "unknown"),
    Case("als total as text", FRS, minimal(observation("82953-1", value_text("38"), on=DAY)), "met"),
    Case(
        "als total with points",
        FRS,
        minimal(observation("82953-1", value_text("29 pontos"), on=DAY)),
        "not-met",
    ),
]

PLAUSIBILITY = [
    Case(f"alt {v}", LFT, minimal(alt(v), ast(30)), "unknown", ("implausible-value",))
    for v in (0.5, -3, 20001)
] + [
    Case("alt 1", LFT, minimal(alt(1), ast(30)), "not-met"),
    Case("alt 20000", LFT, minimal(alt(20000), ast(30)), "met"),
    *[
        Case(f"creatinine {v}", CRE, minimal(creatinine(v)), "unknown", ("implausible-value",))
        for v in (0.05, 30.1)
    ],
    Case("creatinine 0.1", CRE, minimal(creatinine(0.1)), "not-met"),
    Case("creatinine 30", CRE, minimal(creatinine(30)), "met"),
    *[
        Case(f"fvc {v} %", FVC, minimal(fvc_percent(v)), "unknown", ("implausible-value",))
        for v in (2.5, 161)
    ],
    Case("fvc 3 %", FVC, minimal(fvc_percent(3)), "not-met"),
    Case("fvc 160 %", FVC, minimal(fvc_percent(160)), "met"),
    *[Case(f"fvc {v} L", FVC, minimal(fvc_volume(v)), "unknown", ("implausible-value",)) for v in (0.1, 9.1)],
    *[
        Case(f"alsfrs {v}", FRS, minimal(alsfrs(v)), "unknown", ("implausible-value",))
        for v in (-1, 49, 30.5)
    ],
    Case("alsfrs 0", FRS, minimal(alsfrs(0)), "not-met"),
    Case("alsfrs 48", FRS, minimal(alsfrs(48)), "met"),
]

# In binary arithmetic 3 × 41.3 falls below 123.9; in exact decimals it doesn't.
DECIMALS = [
    Case("3 x 41.3 is 123.9", LFT, minimal(alt(123.9, high=41.3), ast(30)), "not-met"),
    Case("above 3 x 41.3", LFT, minimal(alt(123.90001, high=41.3), ast(30)), "met"),
    Case("no rounding up to 65", FVC, minimal(fvc_percent(64.99999)), "not-met"),
    Case("fraction of exactly 65 %", FVC, minimal(fvc_percent(0.65, "1")), "met"),
    Case("fraction below 65 %", FVC, minimal(fvc_percent(0.6499, "1")), "not-met"),
    Case(
        "ratio of exactly 65 %",
        FVC,
        minimal(
            fvc_volume(
                3.445,
                components=[{"code": {"coding": [coding(LOINC, "19869-7")]}, **value_quantity(5.3, "L")}],
            )
        ),
        "met",
    ),
]


def enzyme(value: float, unit: str | None, *, ucum: bool) -> Resource:
    """An ALT against an upper limit of 40 U/L, that is a threshold of 120 U/L."""
    return observation(
        "1742-6",
        value_quantity(value, unit, ucum=ucum),
        on=DAY,
        ranges=[reference_range(high=40, unit="U/L")],
    )


# Unit → a value above 120 U/L and one at 120 U/L or below.
_ENZYME_CODES = {
    "U/L": (120.5, 120),
    "[iU]/L": (120.5, 120),
    "[IU]/L": (120.5, 120),
    "mU/mL": (120.5, 120),
    "ukat/L": (2.001, 2.0),
    "nkat/L": (2001, 2000),
}
_ENZYME_TEXTS = {
    "U/L": (120.5, 120),
    "u/l": (120.5, 120),
    "IU/L": (120.5, 120),
    "UI/L": (120.5, 120),
    "U.I./L": (120.5, 120),
    "\u00b5kat/L": (2.001, 2.0),
    "\u03bckat/L": (2.001, 2.0),
    "mckat/L": (2.001, 2.0),
}
_CREATININE_CODES = {
    "mg/dL": (2.41, 2.4),
    "umol/L": (212.2, 212.16),
    "mmol/L": (0.2122, 0.21216),
    "mg/L": (24.1, 24),
}
_CREATININE_TEXTS = {
    "mg/dl": (2.41, 2.4),
    "mg%": (2.41, 2.4),
    "\u00b5mol/L": (212.2, 212.16),
    "\u03bcmol/l": (212.2, 212.16),
    "mcmol/L": (212.2, 212.16),
}


def _units() -> list[Case]:
    cases = []
    for ucum, table in ((True, _ENZYME_CODES), (False, _ENZYME_TEXTS)):
        for unit, values in table.items():
            for value, status in zip(values, ("met", "not-met"), strict=True):
                record = minimal(enzyme(value, unit, ucum=ucum), ast(30))
                cases.append(Case(f"alt {value} {unit} {'code' if ucum else 'text'}", LFT, record, status))
    for ucum, table in ((True, _CREATININE_CODES), (False, _CREATININE_TEXTS)):
        for unit, values in table.items():
            for value, status in zip(values, ("met", "not-met"), strict=True):
                record = minimal(
                    observation("2160-0", value_quantity(value, unit, ucum=ucum), on=DAY, ranges=[RANGE])
                )
                cases.append(
                    Case(f"creatinine {value} {unit} {'code' if ucum else 'text'}", CRE, record, status)
                )
    return cases


REJECTED = [
    *[
        Case(f"alt in {u}", LFT, minimal(enzyme(50, u, ucum=False), ast(30)), "unknown", ("unit-mismatch",))
        for u in ("mg/dL", "%", "x ULN", "ratio")
    ],
    *[
        Case(
            f"creatinine in {u}",
            CRE,
            minimal(observation("2160-0", value_quantity(1.0, u, ucum=False), on=DAY, ranges=[RANGE])),
            "unknown",
            ("unit-mismatch",),
        )
        for u in ("mL/min", "mL/min/1.73m²", "g/24h")
    ],
    Case("fvc in L/min", FVC, minimal(fvc_volume(3.1, "L/min")), "unknown", ("unit-mismatch",)),
    *[
        Case(f"fvc % as {v} {u}", FVC, minimal(fvc_percent(v, u)), "unknown", ("unit-mismatch",))
        for v, u in ((0.1, "%"), (2, "%"), (1.61, "1"))
    ],
]

OTHER_UNITS = [
    *[
        Case(
            f"fvc in {u!r}",
            FVC,
            minimal(observation("19872-1", value_quantity(72, u, ucum=False), on=DAY)),
            "met",
        )
        for u in ("%", "% pred", "% previsto")
    ],
    Case("fvc without unit", FVC, minimal(fvc_percent(72, None)), "unknown", ("unit-missing",)),
    *[
        Case(
            f"fvc volume in {u}",
            FVC,
            minimal(
                observation(
                    "19868-9",
                    value_quantity(v, u, ucum=u == "cL"),
                    on=DAY,
                    component=[{"code": {"coding": [coding(LOINC, "19869-7")]}, **value_quantity(4, "L")}],
                )
            ),
            "met",
        )
        for v, u in ((2.8, "litros"), (2800, "mL"), (280, "cL"))
    ],
    *[
        Case(
            f"alsfrs in {u!r}",
            FRS,
            minimal(observation("82953-1", value_quantity(30, u, ucum=ucum), on=DAY)),
            "met",
        )
        for u, ucum in (("{score}", True), ("1", True), (None, False), ("pontos", False), ("points", False))
    ],
    *[
        Case(
            f"hcg 2 {u}",
            "EX10a-Pregnancy",
            woman(observation("19080-1", value_quantity(2, u, ucum=ucum), on="2026-06-12")),
            "not-met",
        )
        for u, ucum in (
            ("m[IU]/mL", True),
            ("[IU]/L", True),
            ("mU/mL", True),
            ("mUI/mL", False),
            ("UI/L", False),
        )
    ],
]

# ------------------------------------------------------------------ qualitative results
POSITIVE = [
    *[coding(SNOMED, c) for c in ("10828004", "260373001", "11214006", "52101004")],
    *[coding(LOINC, c) for c in ("LA6576-8", "LA11882-0", "LA15255-5", "LA9633-4")],
]
NEGATIVE = [
    *[coding(SNOMED, c) for c in ("260385009", "260415000", "131194007", "2667000")],
    *[coding(LOINC, c) for c in ("LA6577-6", "LA11883-8", "LA15256-3", "LA9634-2")],
]
INDETERMINATE = [
    *[coding(SNOMED, c) for c in ("82334004", "419984006", "42425007", "125154007")],
    *[coding(LOINC, c) for c in ("LA11884-6", "LA9663-1")],
]
_WORDS = {
    "met": (
        "positive, pos, detected, reactive, repeatedly reactive, present, positivo, reagente, reativo, "
        "detectado, detectável, presente, REAGENTE, Reagente."
    ),
    "not-met": (
        "negative, neg, not detected, non reactive, nonreactive, negativo, não reagente, não reativo, "
        "não detectado, indetectável, ausente, Non-Reactive, NÃO REAGENTE, nao-reagente"
    ),
    "unknown": (
        "indeterminate, equivocal, borderline, gray zone, indeterminado, inconclusivo, zona cinza, "
        "amostra reagente, reagente fraco, ver laudo"
    ),
}


def hbsag(value: Json | None, **elements: Any) -> Resource:
    """HBsAg beside a negative anti-HBc: positive is met, negative not-met, anything else unknown."""
    return minimal(
        observation("5196-1", value, on=SERO_DAY, **elements), serology("13952-7", "neg", on=SERO_DAY)
    )


QUALITATIVE = [
    *[Case(f"coded {c['code']}", HBV, hbsag(value_coded(c)), "met") for c in POSITIVE],
    *[Case(f"coded {c['code']}", HBV, hbsag(value_coded(c)), "not-met") for c in NEGATIVE],
    *[Case(f"coded {c['code']}", HBV, hbsag(value_coded(c)), "unknown") for c in INDETERMINATE],
    *[
        Case(f"interpretation {c}", HBV, hbsag(None, interpretation_code=c), status)
        for c, status in (
            ("POS", "met"),
            ("DET", "met"),
            ("RR", "met"),
            ("NEG", "not-met"),
            ("ND", "not-met"),
            ("NR", "not-met"),
            ("IND", "unknown"),
            ("E", "unknown"),
            ("IE", "unknown"),
            ("QCF", "unknown"),
            ("A", "unknown"),
            ("AA", "unknown"),
            ("H", "unknown"),
            ("N", "unknown"),
        )
    ],
    *[
        Case(f"string {word}", HBV, hbsag(value_text(word)), status)
        for status, words in _WORDS.items()
        for word in words.split(", ")
    ],
    *[
        Case(f"coded text {word}", HBV, hbsag(value_coded(text=word)), status)
        for word, status in (("Não reagente", "not-met"), ("Reagente", "met"), ("ver laudo", "unknown"))
    ],
    # Weak counts as positive for screening purposes, and is said.
    Case("weak coded", HBV, hbsag(value_coded(coding(SNOMED, "260408008"))), "met", note=True),
    Case("weak interpretation", HBV, hbsag(None, interpretation_code="WR"), "met", note=True),
    Case("weak string", HBV, hbsag(value_text("fracamente reagente")), "met", note=True),
    Case("weakly reactive", HBV, hbsag(value_text("Weakly reactive")), "met", note=True),
    # Never on a display alone.
    Case("display alone", HBV, hbsag(value_coded(coding("urn:local:result", "7", "Negative"))), "unknown"),
    Case("display without code", HBV, hbsag(value_coded({"display": "Positive"})), "unknown"),
    # Two of code, interpretation and text that contradict each other.
    Case(
        "code against interpretation",
        HBV,
        hbsag(value_coded(coding(SNOMED, "260385009")), interpretation_code="POS"),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "text against interpretation",
        HBV,
        hbsag(value_text("Reagente"), interpretation_code="NEG"),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "code against text",
        HBV,
        hbsag(value_coded(coding(SNOMED, "260385009"), text="Reagente")),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "code with agreeing text",
        HBV,
        hbsag(value_coded(coding(SNOMED, "260385009"), text="Não reagente"), interpretation_code="NR"),
        "not-met",
    ),
]

CUT_OFF = [
    Case(f"cut-off {value}", HBV, hbsag(value_quantity(value, "{s_co_ratio}"), ranges=ranges), status)
    for value, ranges, status in (
        (0.3, [reference_range(high=1.0, unit="{s_co_ratio}")], "not-met"),
        (5.2, [reference_range(high=1.0, unit="{s_co_ratio}")], "met"),
        (1.0, [reference_range(high=1.0, unit="{s_co_ratio}")], "unknown"),
        (0.95, [reference_range(0.9, 1.1, "{s_co_ratio}")], "unknown"),
        (0.8, [reference_range(0.9, 1.1, "{s_co_ratio}")], "not-met"),
        (0.31, [], "unknown"),
    )
] + [
    Case(
        "interpretation before the cut-off",
        HBV,
        hbsag(value_quantity(0.3, "{s_co_ratio}"), interpretation_code="NR"),
        "not-met",
    ),
]


def rna(value: Json | None, **elements: Any) -> Resource:
    return minimal(observation("11011-4", value, on=SERO_DAY, **elements))


NUCLEIC_ACIDS = [
    Case("rna detected below the limit", HCV, rna(value_text("<15 IU/mL detected")), "met"),
    Case("rna target not detected", HCV, rna(value_text("Target not detected")), "not-met"),
    Case("rna not detected", HCV, rna(value_text("Not detected")), "not-met"),
    Case("rna não detectado", HCV, rna(value_text("Não detectado")), "not-met"),
    Case("rna number", HCV, rna(value_quantity(850, "[IU]/mL")), "met"),
    Case("rna below the limit", HCV, rna(value_quantity(15, "[IU]/mL", "<")), "unknown"),
    Case(
        "rna below the limit, interpreted",
        HCV,
        rna(value_quantity(15, "[IU]/mL", "<"), interpretation_code="ND"),
        "not-met",
    ),
    Case(
        "rna coded under a quantitative code", HCV, rna(value_coded(coding(SNOMED, "260415000"))), "not-met"
    ),
    Case("rna above the limit", HCV, rna(value_quantity(1e8, "[IU]/mL", ">")), "met"),
]

SECTIONS = [
    *COMPARATORS,
    *STRINGS,
    *SHAPES,
    *PLAUSIBILITY,
    *DECIMALS,
    *_units(),
    *REJECTED,
    *OTHER_UNITS,
    *QUALITATIVE,
    *CUT_OFF,
    *NUCLEIC_ACIDS,
]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: c.id)
def test_value_rule(case: Case) -> None:
    check(case)


def test_a_high_anti_hbs_is_immunity() -> None:
    """H is neither positive nor negative for a serology (§2.6, traps)."""
    immune = lab("16935-9", 900, "m[IU]/mL", high=10, on=SERO_DAY, interpretation_code="H")
    check(
        Case("immune", HBV, minimal(immune, serology("5196-1", "neg"), serology("13952-7", "neg")), "not-met")
    )


def test_integers_are_fine_for_scores() -> None:
    check(Case("score", FRS, minimal(observation("82953-1", value_integer(31), on=DAY)), "met"))
