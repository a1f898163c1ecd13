"""Edge cases of the specification, row by row: EX13a (NIV), EX13c (diaphragm pacing) and EX15 (alternative feeding)."""

from __future__ import annotations

import pytest

from tests.builders import (
    RESPIRATORY_INSUFFICIENCY,
    SWALLOWING,
    alsfrs_item,
    condition,
    device,
    device_request,
    device_use_statement,
    icd10pcs,
    minimal,
    nutrition_order,
    procedure,
    service_request,
    snomed,
    woman,
)
from tests.trials.assessing import Case, check, verdict

NIV, DPS, PEG = "EX13a-Niv", "EX13c-DiaphragmPacing", "EX15-AlternativeFeeding"
BILEVEL = snomed("702173003", "Home bilevel positive airway pressure unit")
VENTILATION = snomed("428311008", "Non-invasive ventilation")
GASTROSTOMY = snomed("235159007", "Percutaneous endoscopic insertion of gastrostomy tube")

VENTILATIONS = [
    Case(
        "T-NIV-01",
        NIV,
        minimal(device(BILEVEL, id="unit"), device_use_statement("Device/unit", id="use")),
        "met",
        basis="explicit",
        overall="excluded",
        evidence=("use", "unit"),
    ),
    Case("T-NIV-02", NIV, minimal(service_request(VENTILATION, status="revoked")), "not-met"),
    Case(
        "T-NIV-03",
        NIV,
        minimal(
            condition(snomed("78275009", "Obstructive sleep apnea syndrome")),
            procedure(snomed("47545007", "CPAP ventilation treatment"), on="2026-05-01"),
        ),
        "unknown",
        ("boundary",),
    ),
    Case(
        "T-NIV-04",
        NIV,
        minimal(procedure(VENTILATION, status="entered-in-error", on="2026-06-01")),
        "not-met",
        basis="no-evidence",
    ),
    Case(
        "T-NIV-05",
        NIV,
        minimal(
            procedure(snomed("371907003", "Oxygen administration by nasal cannula"), status="in-progress")
        ),
        "not-met",
    ),
    Case("T-NIV-06", NIV, minimal(alsfrs_item(RESPIRATORY_INSUFFICIENCY, 2)), "met"),
    Case(
        "T-NIV-07",
        NIV,
        minimal(procedure(VENTILATION, start="2024-02-10", end="2024-02-13")),
        "unknown",
    ),
    Case(
        "T-NIV-08",
        NIV,
        minimal(
            device(BILEVEL, id="unit"),
            device_use_statement(
                "Device/unit", status="completed", timingPeriod={"start": "2024-06", "end": "2025-01"}
            ),
        ),
        "unknown",
        ("stale-data",),
    ),
    Case("T-NIV-09", NIV, minimal(device_request(BILEVEL)), "unknown", note="ordered"),
    Case(
        "T-NIV-10",
        NIV,
        minimal(procedure(snomed("447243000", "BiPAP titration"), on="2026-05")),
        "unknown",
    ),
    Case(
        "T-NIV-11",
        NIV,
        minimal(alsfrs_item(RESPIRATORY_INSUFFICIENCY, 3, on="2026-03-16")),
        "unknown",
        ("stale-data",),
    ),
    Case(
        "T-NIV-12",
        NIV,
        minimal(device(BILEVEL, id="unit"), device_use_statement("Device/unit", status="intended")),
        "not-met",
    ),
]

PACERS = [
    Case(
        "T-DPS-01", DPS, minimal(procedure(icd10pcs("0BHT4MZ"), on="2025-09-01")), "met", overall="excluded"
    ),
    Case(
        "T-DPS-02",
        DPS,
        minimal(
            procedure(icd10pcs("0BHT4MZ"), on="2025-09-01", id="in"),
            procedure(icd10pcs("0BPT4MZ"), on="2026-02-01", id="out"),
        ),
        "unknown",
        evidence=("in", "out"),
    ),
    Case(
        "T-DPS-03",
        DPS,
        minimal(
            device(snomed("14106009", "Cardiac pacemaker"), text="Marca-passo cardíaco", id="pacemaker"),
            device_use_statement("Device/pacemaker"),
            procedure(snomed("307280005", "Implantation of cardiac pacemaker"), on="2020-01-01"),
        ),
        "not-met",
        basis="no-evidence",
    ),
]

FEEDINGS = [
    Case("T-PEG-01", PEG, minimal(procedure(GASTROSTOMY, on="2026-03")), "met", overall="excluded"),
    Case(
        "T-PEG-02",
        PEG,
        minimal(procedure(GASTROSTOMY, status="entered-in-error", on="2026-03")),
        "not-met",
        basis="no-evidence",
    ),
    Case(
        "T-PEG-03",
        PEG,
        minimal(
            procedure(GASTROSTOMY, on="2025-01", id="in"),
            procedure(snomed("90838004", "Removal of gastrostomy tube"), on="2025-09", id="out"),
        ),
        "unknown",
        evidence=("in", "out"),
    ),
    Case("T-PEG-04", PEG, minimal(nutrition_order()), "not-met", basis="no-evidence"),
    Case("T-PEG-05", PEG, minimal(nutrition_order(enteral=True, status="completed", on="2025")), "unknown"),
    Case(
        "T-PEG-06",
        PEG,
        minimal(procedure(snomed("70676003", "Esophagogastrostomy"), on="2019-05-01")),
        "not-met",
    ),
    Case("T-PEG-07", PEG, minimal(service_request(GASTROSTOMY, status="draft")), "not-met"),
    Case("T-PEG-08", PEG, minimal(alsfrs_item(SWALLOWING, 1)), "met"),
    Case(
        "T-PEG-09",
        PEG,
        minimal(alsfrs_item(SWALLOWING, 1, on="2026-03-16")),
        "unknown",
        ("stale-data",),
    ),
]

CASES = [*VENTILATIONS, *PACERS, *FEEDINGS]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)


def test_the_contraceptive_diaphragm_is_no_pacer() -> None:
    """T-PRG-10, as EX13c sees it."""
    record = woman(condition(snomed("169501005", "Pregnant, diaphragm failure"), recorded="2026-05"))
    assert verdict(record, DPS)["status"] == "not-met"
    assert verdict(record, DPS)["basis"] == "no-evidence"
