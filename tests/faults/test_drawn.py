"""Faults at random: whatever goes wrong, no verdict is other than the full data's or unknown.

A patient is drawn (a vignette, or facts at random), the way of providing (prefetch, fetch, or some of each; page
sizes), and some faults. The same examples on every machine; HYPOTHESIS_EXAMPLES=10 tries ten times as many, others
each time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.records.resource_types import USED_TYPES
from tests.faults.conftest import Hospital, patient_of
from tests.faults.expected import check_honest, check_same, status_of
from tests.faults.test_table import FIT, WELL, check_quiet
from tests.properties.records import records, tried
from tests.support.chart_server import Asked, Json
from tests.support.faults import LOST, PAGES, WRONGS
from tests.trials.assessing import assess
from tests.trials.make_vignettes import FOLDER

VIGNETTES: Final = [json.loads(path.read_text("utf-8"))["bundle"] for path in sorted(FOLDER.glob("*.json"))]
# As often as all others together: those that lack nothing, which a fault must not keep so.
FITTING: Final = [
    record for record in [FIT, *VIGNETTES] if assess(record)["status"] == "eligible-pending-review"
]
# Kinds by how much of a verdict hangs on them.
KINDS: Final = (
    "Observation",
    "Condition",
    "MedicationRequest",
    "Medication",
    "Procedure",
    "ResearchSubject",
    "DeviceUseStatement",
    "QuestionnaireResponse",
    "Consent",
    "Patient",
    "metadata",
)
# Waits of its own, or a second's work each.
_COSTLY: Final = frozenset(
    name for name in WRONGS if "bomb" in name or "without end" in name or name == "HTTP 429 without a word"
)
_QUICK: Final = sorted(WRONGS.keys() - _COSTLY)
_IN_PREFETCH: Final = sorted(PAGES.keys() - _COSTLY)

_WHO: Final = st.one_of(st.sampled_from(FITTING), st.sampled_from([WELL, *VIGNETTES]), records())
# Types that a search by patient finds; each may come by prefetch.
_SEARCHED: Final = tuple(sorted(set(USED_TYPES) - {"Medication", "ResearchStudy"}))


@dataclass(frozen=True)
class Drawn:
    """A call. `way`: resource type → how prefetch provides it (None: whole); what is not in it is fetched. `server`:
    whether there is one; `faults`: types and names of what it does wrong.
    """

    record: Json
    way: dict[str, str | None]
    faults: list[tuple[str, str]]
    page_size: int
    server: bool


_DRAWN: Final = st.builds(
    Drawn,
    record=_WHO,
    way=st.dictionaries(
        st.sampled_from(("Patient", *_SEARCHED)), st.sampled_from([None, None, "first page", *_IN_PREFETCH])
    ),
    faults=st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(_QUICK)), max_size=3),
    page_size=st.sampled_from([1000, 1000, 3, 1]),
    server=st.sampled_from([True, True, True, False]),
)


def _value(hospital: Hospital, kind: str, patient_id: str, how: str | None) -> Any:
    chart = hospital.chart
    if kind == "Patient":
        return next(r for r in chart.resources if (r["resourceType"], r["id"]) == (kind, patient_id))
    query = {"patient": patient_id, **({"_count": "1"} if how == "first page" else {})}
    page = chart.page(kind, query)
    if how in (None, "first page"):
        return page
    asked = Asked(kind, 1, f"{chart.base}/{kind}?patient={patient_id}", chart.base, None, query)
    sent = PAGES[how].does(asked, page)
    return sent if isinstance(sent, dict) else None


@tried(120)
@given(drawn=_DRAWN)
def test_no_fault_changes_a_verdict(hospital: Hospital, drawn: Drawn) -> None:
    chart, patient_id = hospital.chart, patient_of(drawn.record)
    chart.moves()
    chart.serves(drawn.record)
    prefetch = {k[0].lower() + k[1:]: _value(hospital, k, patient_id, how) for k, how in drawn.way.items()}
    chart.page_size = drawn.page_size
    chart.faults.extend(WRONGS[name].on(kind) for kind, name in drawn.faults if not _unfit(kind, name))
    try:
        answered = hospital.call(patient_id, prefetch=prefetch, server=drawn.server)
    finally:
        chart.page_size = 1000
    check_quiet(answered)
    assert answered.status in (200, 412)
    _check(assess(drawn.record), answered.assessment, answered.cards)


def _unfit(kind: str, name: str) -> bool:
    """Whether a fault of pages would strike what has none."""
    return WRONGS[name].pages and kind in ("Patient", "Medication", "metadata")


def _check(full: Json, found: Json | None, cards: list[Json]) -> None:
    if not full["card"] and not _participation_lost(full, found):
        assert cards == []
    if found is None:
        assert cards == []
        return
    if full["status"] == "not-applicable":
        assert found["status"] == "not-applicable"
        return
    check_honest(full, found)
    assert found["status"] == status_of(found)
    lost = [kind for kind, got in found["data"].items() if got["state"] != "complete"]
    if not lost:
        check_same(full, found)


def _participation_lost(full: Json, found: Json | None) -> bool:
    """Whether a participant's card is missing in the full data, and their study is what could not be got."""
    if found is None or not any("already in, or through" in note for note in full["notes"]):
        return False
    return any(found["data"][kind]["state"] != "complete" for kind in ("ResearchSubject", "ResearchStudy"))


@pytest.mark.parametrize("number", range(len(VIGNETTES)))
def test_every_vignette_is_the_same_by_fetch(hospital: Hospital, number: int) -> None:
    """Without a fault, nothing is lost: the property above could not fail otherwise."""
    record = VIGNETTES[number]
    hospital.chart.moves()
    hospital.chart.serves(record)
    hospital.chart.page_size = 2
    try:
        answered = hospital.call(patient_of(record))
    finally:
        hospital.chart.page_size = 1000
    full = assess(record)
    if answered.assessment is None:
        assert not full["card"]
    else:
        check_same(full, answered.assessment)


def test_the_faults_do_lose_what_they_strike(hospital: Hospital) -> None:
    """The property would see a fault: one that loses a type makes the patient who fits unknown."""
    for name in ("HTML", "total above", "a link of a number"):
        assert WRONGS[name].leaves == LOST
        hospital.chart.moves()
        hospital.chart.serves(FIT)
        hospital.chart.faults.append(WRONGS[name].on("Procedure"))
        answered = hospital.call(patient_of(FIT))
        assert answered.assessment is not None
        assert answered.assessment["status"] == "unknown"
