"""Edge cases of the specification, row by row: EX05 (neurology), EX11 (immunodeficiency), EX14a (substance use)."""

from __future__ import annotations

import pytest

from tests.builders import (
    als,
    bundle,
    cid10,
    condition,
    icd10cm,
    minimal,
    observation,
    patient,
    reference_range,
    snomed,
    value_integer,
    value_quantity,
)
from tests.trials.assessing import Case, check

H1 = "H1-Condition"
NEU, IMD, SUD = "EX05-OtherNeuro", "EX11-Immunodeficiency", "EX14a-SubstanceUse"
IGG, AUDIT = "2465-3", "75624-7"

NEUROLOGY = [
    Case(
        "T-NEU-01",
        NEU,
        minimal(condition(snomed("37796009", "Migraine"))),
        "unknown",
        ("needs-clinician",),
    ),
    Case(
        "T-NEU-02",
        NEU,
        minimal(condition(snomed("84757009", "Epilepsy"))),
        "met",
        basis="explicit",
        overall="excluded",
    ),
    Case(
        "T-NEU-03",
        NEU,
        minimal(condition(snomed("24700007", "Multiple sclerosis"), verification="refuted")),
        "not-met",
        basis="no-evidence",
    ),
    Case("T-NEU-04", NEU, minimal(condition(cid10("I69.3"), onset="2015")), "met"),
    Case(
        "T-NEU-05",
        NEU,
        minimal(condition(snomed("230690007"), clinical="resolved", onset="2010", abatement="2010")),
        "unknown",
        ("needs-clinician",),
    ),
    Case(
        "T-NEU-06",
        NEU,
        minimal(condition(snomed("432776007", "Pseudobulbar affect"))),
        "not-met",
        others=((H1, "met"),),
    ),
    Case(
        "T-NEU-07",
        NEU,
        bundle(
            patient(),
            condition(snomed("1259124000", "Amyotrophic lateral sclerosis with frontotemporal dementia")),
        ),
        "unknown",
        others=((H1, "met"),),
    ),
    Case(
        "T-NEU-08",
        NEU,
        bundle(patient(), condition(icd10cm("G12.21")), condition(icd10cm("G12.22"))),
        "not-met",
        others=((H1, "met"),),
    ),
    Case(
        "T-NEU-09",
        NEU,
        minimal(condition(cid10("R56.0"), clinical="resolved", onset="1975", abatement="1975")),
        "unknown",
        ("needs-clinician",),
    ),
    Case(
        "T-NEU-10",
        NEU,
        minimal(condition(text="Síndrome de Wolff-Parkinson-White")),
        "not-met",
        basis="no-evidence",
    ),
]

IMMUNODEFICIENCY = [
    Case("T-IMD-01", IMD, minimal(condition(icd10cm("D83.9"))), "met", basis="explicit", overall="excluded"),
    Case("T-IMD-02", IMD, minimal(condition(cid10("D80.2"))), "met"),
    Case("T-IMD-03", IMD, minimal(condition(icd10cm("D84.821"), clinical="resolved")), "not-met"),
    Case("T-IMD-04", IMD, minimal(condition(cid10("Z21"))), "not-met", others=(("EX08c-Hiv", "met"),)),
    Case("T-IMD-05", IMD, minimal(condition(snomed("370391006", "Patient immunosuppressed"))), "unknown"),
    Case(
        "T-IMD-06",
        IMD,
        minimal(
            observation(
                IGG,
                value_quantity(320, "mg/dL"),
                on="2026-05-20",
                ranges=[reference_range(700, 1600, "mg/dL")],
            )
        ),
        "unknown",
        note="hint",
    ),
    Case("T-IMD-07", IMD, minimal(condition(icd10cm("D81.810"))), "not-met"),
    Case("T-IMD-08", IMD, minimal(condition(icd10cm("D80.2"), clinical="resolved")), "unknown"),
    Case("T-IMD-09", IMD, minimal(condition(cid10("D82.1"), clinical="resolved")), "met"),
]

SUBSTANCE_USE = [
    Case("T-SUD-01", SUD, minimal(condition(icd10cm("F10.20"))), "met", basis="explicit", overall="excluded"),
    # "since 2023": recorded then. An onset alone would be the disorder's, not the remission's.
    Case(
        "T-SUD-02",
        SUD,
        minimal(condition(icd10cm("F10.21"), clinical="remission", recorded="2023")),
        "not-met",
    ),
    Case(
        "T-SUD-03",
        SUD,
        minimal(condition(cid10("F10.2"), clinical="resolved", onset="2019", abatement="2025-06-15")),
        "met",
    ),
    Case(
        "T-SUD-04",
        SUD,
        minimal(condition(cid10("F10.2"), clinical="resolved", onset="2019", abatement="2025-06-14")),
        "not-met",
    ),
    Case("T-SUD-05", SUD, minimal(condition(icd10cm("F17.210"))), "not-met", basis="no-evidence"),
    Case(
        "T-SUD-06",
        SUD,
        minimal(observation(AUDIT, value_integer(10), on="2026-05-20", category="survey")),
        "unknown",
    ),
    Case("T-SUD-07", SUD, minimal(condition(icd10cm("Z79.891"))), "not-met", basis="no-evidence"),
    Case("T-SUD-08", SUD, minimal(condition(icd10cm("F11.21"), clinical=None)), "unknown"),
    Case("T-SUD-09", SUD, minimal(condition(icd10cm("F10.21"), recorded="2026-02")), "unknown"),
    Case("T-SUD-10", SUD, minimal(condition(cid10("F15.2"), recorded="2026-02")), "met"),
]

CASES = [*NEUROLOGY, *IMMUNODEFICIENCY, *SUBSTANCE_USE]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("second", ["G12.22", "G12.20", "G12.2", "G12.29"])
def test_several_codings_of_motor_neuron_disease_are_one_disease(second: str) -> None:
    """T-NEU-08, in one Condition as well."""
    one = bundle(patient(), als(), condition(icd10cm("G12.21"), icd10cm(second)))
    check(Case("T-NEU-08b", NEU, one, "not-met", basis="no-evidence", others=((H1, "met"),)))


@pytest.mark.parametrize(
    "elements",
    [
        {"clinical": "remission", "abatement": "2023"},
        {"clinical": "remission", "onset": "2015", "recorded": "2023-04-02"},
        {"clinical": "active", "recorded": "2023-04-02"},
        {"clinical": "resolved", "onset": "2010", "abatement": "2023-04"},
    ],
)
def test_remission_since_2023_in_other_forms(elements: dict[str, str]) -> None:
    """T-SUD-02."""
    check(Case("T-SUD-02b", SUD, minimal(condition(icd10cm("F10.21"), **elements)), "not-met"))
