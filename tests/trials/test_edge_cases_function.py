"""Edge cases of the specification, row by row: IN03 (ALSFRS-R) and IN04 (forced vital capacity)."""

from __future__ import annotations

import pytest

from tests.builders import (
    alsfrs,
    alsfrs_items,
    component,
    fvc_percent,
    fvc_volume,
    height,
    minimal,
    observation,
    snomed,
    value_quantity,
    weight,
)
from tests.trials.assessing import Case, check

FRS = "IN03-AlsfrsR"
FVC = "IN04-Fvc"
SUPINE = {
    "url": "http://hl7.org/fhir/StructureDefinition/observation-bodyPosition",
    "valueCodeableConcept": {"coding": [snomed("40199007", "Supine body position")]},
}
MEASURED = (height(175), weight(70))

FUNCTION = [
    Case("T-FRS-01", FRS, minimal(alsfrs(30, on="2026-06-10")), "met", basis="explicit"),
    Case("T-FRS-02", FRS, minimal(alsfrs(29, on="2026-06-10")), "not-met", overall="excluded"),
    Case("T-FRS-03", FRS, minimal(alsfrs(41, on="2026-05-16")), "met"),
    Case("T-FRS-04", FRS, minimal(alsfrs(41, on="2026-05-15")), "unknown", ("stale-data",), likely="met"),
    Case(
        "T-FRS-05",
        FRS,
        minimal(alsfrs(35, on="2026-06-01"), alsfrs(27, on="2026-06-12", status="entered-in-error")),
        "met",
    ),
    Case("T-FRS-06", FRS, minimal(alsfrs(33, on="2026-04-01"), alsfrs(28, on="2026-06-01")), "not-met"),
    Case("T-FRS-07", FRS, minimal(alsfrs_items([3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2])), "met"),
    Case("T-FRS-08", FRS, minimal(alsfrs_items([3, 3, 3, 3, 3, 3, 3, 2, 2, 2])), "unknown"),
    Case("T-FRS-09", FRS, minimal(alsfrs(52, on="2026-06-10")), "unknown", ("implausible-value",)),
    Case("T-FRS-10", FRS, minimal(alsfrs(36, on="2026-07-01")), "unknown", ("future-dated",)),
    Case(
        "T-FRS-11",
        FRS,
        minimal(
            alsfrs(34, on="2026-06-10"),
            alsfrs_items([3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2], on="2026-06-10"),
        ),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "T-FRS-12",
        FRS,
        minimal(
            alsfrs(36, on="2026-05-20"),
            alsfrs_items([3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2], on="2026-06-10"),
        ),
        "not-met",
    ),
    Case(
        "T-FRS-13",
        FRS,
        minimal(alsfrs_items([3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 5])),
        "unknown",
        ("implausible-value",),
    ),
]

LUNGS = [
    Case("T-FVC-01", FVC, minimal(fvc_percent(65)), "met", basis="explicit"),
    Case("T-FVC-02", FVC, minimal(fvc_percent(64.6)), "not-met", overall="excluded"),
    Case("T-FVC-03", FVC, minimal(fvc_percent(0.72, "1")), "met"),
    Case("T-FVC-04", FVC, minimal(fvc_percent(0.72, "%")), "unknown", ("unit-mismatch",)),
    Case(
        "T-FVC-05",
        FVC,
        minimal(observation("19926-5", value_quantity(80, "%"), on="2026-05-20")),
        "unknown",
        ("missing-data",),
    ),
    # 61.3 / 60.2 / 67.2 % by the three equations; without GLI the first two are too near the threshold.
    Case("T-FVC-06", FVC, minimal(fvc_volume(2.90), *MEASURED), "unknown", ("needs-clinician",)),
    Case("T-FVC-07", FVC, minimal(fvc_volume(3.40), *MEASURED), "met", basis="computed"),
    Case(
        "T-FVC-08",
        FVC,
        minimal(fvc_volume(2.2, code="19868-9", components=[component("19869-7", value_quantity(4.0, "L"))])),
        "not-met",
    ),
    Case("T-FVC-09", FVC, minimal(fvc_percent(92, on="2026-03-16")), "unknown", ("stale-data",)),
    # R4 carries the posture in the standard extension observation-bodyPosition.
    Case("T-FVC-10", FVC, minimal(fvc_percent(60, extension=[SUPINE])), "unknown"),
    Case(
        "T-FVC-11",
        FVC,
        minimal(fvc_volume(3400, "mL", components=[component("19869-7", value_quantity(4.25, "L"))])),
        "met",
    ),
    Case(
        "T-FVC-12",
        FVC,
        minimal(fvc_volume(3.1, "L/s", code="19876-2"), *MEASURED),
        "unknown",
        ("unit-mismatch",),
    ),
    Case("T-FVC-13", FVC, minimal(fvc_percent(82, "1")), "unknown", ("unit-mismatch",)),
    Case(
        "T-FVC-14",
        FVC,
        minimal(
            fvc_percent(70, code="19871-3", on="2026-04-20"), fvc_percent(63, code="19873-9", on="2026-05-20")
        ),
        "not-met",
    ),
    Case(
        "T-FVC-15",
        FVC,
        minimal(fvc_percent(64, code="19871-3"), fvc_percent(67, code="19873-9")),
        "not-met",
    ),
]

CASES = [*FUNCTION, *LUNGS]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)
