"""One record, however its parts were got: by prefetch, by searches, by any mix, in pages of any size."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.records.addresses import LOOPBACK
from cds_service.records.fhir_server import Acquisition
from cds_service.records.fhir_transport import Bounds, Deadline, Transport
from cds_service.records.prefetch import UNSEARCHED, prefetch_key, read_prefetch
from cds_service.records.record import PatientRecord
from cds_service.records.resource_types import USED_TYPES
from cds_service.records.source import Source
from cds_service.records.wanted import Wanted
from tests.support.chart_server import ChartServer, serving_chart

VIGNETTES = Path(__file__).resolve().parents[3] / "cds_service" / "trials" / "nct02917681" / "vignettes"
TYPES = frozenset({"Patient", *USED_TYPES})
SEARCHED = sorted(TYPES - UNSEARCHED)
OWN = {"subject": {"reference": "Patient/p"}}


def chart() -> dict[str, Any]:
    """A patient with several resources of several types, and what they refer to."""
    resources: list[dict[str, Any]] = [{"resourceType": "Patient", "id": "p"}]
    for n in range(5):
        resources += [
            {"resourceType": "Condition", "id": f"c{n}", **OWN},
            {"resourceType": "Observation", "id": f"o{n}", "status": "final", **OWN},
            {
                "resourceType": "MedicationRequest",
                "id": f"r{n}",
                "medicationReference": {"reference": f"Medication/m{n % 3}"},
                **OWN,
            },
        ]
    resources += [{"resourceType": "Medication", "id": f"m{n}"} for n in range(4)]
    resources += [
        {"resourceType": "ResearchStudy", "id": "s1"},
        {
            "resourceType": "ResearchSubject",
            "id": "rs1",
            "individual": {"reference": "Patient/p"},
            "study": {"reference": "ResearchStudy/s1"},
        },
        {"resourceType": "Device", "id": "d1"},
        {
            "resourceType": "DeviceUseStatement",
            "id": "u1",
            "device": {"reference": "Device/d1"},
            **OWN,
        },
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}


@pytest.fixture(scope="module")
def server() -> Iterator[ChartServer]:
    with serving_chart(chart()) as served:
        yield served


def gathered(
    server: ChartServer,
    given: Collection[str],
    patient_id: str,
    page_size: int,
    first_pages: Collection[str] = (),
) -> PatientRecord:
    """By prefetch what is `given`, of `first_pages` a beginning only; the rest from the server."""
    query = {"patient": patient_id}
    prefetch: dict[str, Any] = {}
    for kind in given:
        if kind == "Patient":
            prefetch["patient"] = server.page(kind, {"_id": patient_id})["entry"][0]["resource"]
        else:
            size = "2" if kind in first_pages else "1000"
            prefetch[prefetch_key(kind)] = server.page(kind, {**query, "_count": size})
    transport = Transport(bounds=Bounds(page_size=page_size))
    try:
        gathering = Acquisition(
            patient_id,
            deadline=Deadline(60),
            prefetched=read_prefetch(json.loads(json.dumps(prefetch)), patient_id, TYPES),
            source=Source(server.base, transport, reach=LOOPBACK),
        )
        gathering.gather(Wanted(frozenset({"Patient", "Condition"})))
        gathering.gather(Wanted(TYPES))
        return gathering.record()
    finally:
        transport.close()


def picture(record: PatientRecord) -> dict[str, Any]:
    """All that a record says, in one order."""
    return {
        "patient": record.patient,
        "resources": {
            kind: sorted(json.dumps(r, sort_keys=True) for r in found)
            for kind, found in record.resources.items()
        },
        "account": {
            kind: (a.state, a.count, a.reason) for kind, a in record.account.items() if kind in TYPES
        },
        "warnings": record.warnings,
    }


@given(
    given=st.sets(st.sampled_from(SEARCHED)),
    first_pages=st.sets(st.sampled_from(SEARCHED)),
    page_size=st.sampled_from([1, 2, 3, 500]),
)
@settings(max_examples=25, deadline=None)
def test_any_mix_is_the_same_record(
    server: ChartServer, given: set[str], first_pages: set[str], page_size: int
) -> None:
    whole = picture(gathered(server, (), "p", 500))
    assert picture(gathered(server, given, "p", page_size, first_pages)) == whole
    assert whole["account"]["Condition"] == ("complete", 5, None)
    assert whole["account"]["Medication"] == ("complete", 3, None)
    assert whole["account"]["ResearchStudy"] == ("complete", 1, None)
    assert whole["account"]["Device"] == ("complete", 1, None)


@pytest.mark.parametrize("path", sorted(VIGNETTES.glob("*.json"))[:6], ids=lambda path: path.stem)
def test_a_vignette_by_prefetch_is_the_one_by_searches(path: Path) -> None:
    bundle = json.loads(path.read_text(encoding="utf-8"))["bundle"]
    patient_id = next(
        e["resource"]["id"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient"
    )
    with serving_chart(bundle) as server:
        by_prefetch = picture(gathered(server, SEARCHED, patient_id, 500))
        by_search = picture(gathered(server, (), patient_id, 2))
        by_both = picture(gathered(server, SEARCHED[::2], patient_id, 2, SEARCHED))
    assert by_prefetch == by_search == by_both
    assert {state for state, _, _ in by_search["account"].values()} == {"complete"}
