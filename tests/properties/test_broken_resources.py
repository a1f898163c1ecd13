"""Bad data never break the path: missing and mistyped fields give an InputError or an Assessment, never another error.

A broken resource is as good as none, or makes something unknown; it never helps a patient in.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import InputError
from tests.builders import Resource, b0, consent, fvc_percent, observation, research_study
from tests.properties.records import records, tried
from tests.trials.assessing import assess
from tests.trials.criteria import CRITERIA

FEW = tried(150)
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    1e30,
    "",
    " ",
    "junk",
    "2026-13-45",
    "0000-00-00",
    "9999-12-31T23:59:60Z",
    [],
    [None],
    ["x"],
    [[]],
    {},
    {"x": {}},
    {"coding": "x"},
    {"coding": [None, "x", {"system": 1, "code": []}]},
    {"reference": 7},
    {"value": "12"},
    {"value": True, "unit": []},
]
# Facts in rarer shapes: an answer with its ordinal value, a posture, a study named inside a Consent.
_ORDINAL = {
    "coding": [
        {
            "system": "http://loinc.org",
            "code": "LA-local-3",
            "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 3}],
        }
    ]
}
_POSTURE = {
    "url": "http://hl7.org/fhir/StructureDefinition/observation-bodyPosition",
    "valueCodeableConcept": {"text": "supine"},
}
_STUDY_DATA = {"meaning": "instance", "reference": {"reference": "ResearchStudy/study-1"}}
RARE: list[Resource] = [
    observation("82940-8", {"valueCodeableConcept": _ORDINAL}, on="2026-06-10", category="survey"),
    fvc_percent(80, on="2026-05-25", extension=[_POSTURE]),
    research_study("study-1", "NCT02917681"),
    {**consent(), "provision": {"type": "permit", "data": [_STUDY_DATA]}},
]
STATUSES = {"not-applicable", "excluded", "unknown", "eligible-pending-review"}


def places(element: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value, the value itself excepted."""
    if isinstance(element, dict):
        for key, value in element.items():
            yield (*path, key)
            yield from places(value, (*path, key))
    elif isinstance(element, list):
        for index, value in enumerate(element):
            yield (*path, index)
            yield from places(value, (*path, index))


def broken(record: Resource, path: tuple[Any, ...], junk: Any, *, drop: bool) -> Resource:
    """A copy of the record with the place replaced by junk, or dropped."""
    copied = copy.deepcopy(record)
    parent: Any = copied
    for step in path[:-1]:
        parent = parent[step]
    if drop:
        del parent[path[-1]]
    else:
        parent[path[-1]] = junk
    return copied


def _inner(record: Resource) -> list[tuple[Any, ...]]:
    return [p for p in places(record) if len(p) > 3]


@FEW
@given(st.data())
def test_one_broken_place_never_raises(data: st.DataObject) -> None:
    record = data.draw(records())
    path = data.draw(st.sampled_from(_inner(record)))
    junk = data.draw(st.sampled_from(JUNK))
    spoiled = broken(record, path, junk, drop=data.draw(st.booleans()))
    try:
        assessment = assess(spoiled)
    except InputError:
        return
    assert assessment["status"] in STATUSES
    assert tuple(row["id"] for row in assessment["criteria"]) == CRITERIA


@FEW
@given(st.data())
def test_one_broken_place_of_the_base_record_breaks_no_computation(data: st.DataObject) -> None:
    """A define that fails would stand there as not-computed; junk in one field is no reason for that."""
    record = b0(RARE)
    path = data.draw(st.sampled_from(_inner(record)))
    junk = data.draw(st.sampled_from(JUNK))
    try:
        assessment = assess(broken(record, path, junk, drop=data.draw(st.booleans())))
    except InputError:
        return
    failed = [r["id"] for r in assessment["criteria"] if "not-computed" in r["reasons"]]
    assert failed == [], (path, junk)


@pytest.mark.parametrize("rare", RARE, ids=lambda r: r["resourceType"])
def test_no_broken_place_of_a_rare_shape_breaks_anything(rare: Resource) -> None:
    """The same, over every place of these resources and every kind of junk."""
    record = b0(rare)
    last = len(record["entry"]) - 1
    for path in [p for p in _inner(record) if p[1] == last]:
        for junk in JUNK:
            assessment = assess(broken(record, path, junk, drop=False))
            failed = [r["id"] for r in assessment["criteria"] if "not-computed" in r["reasons"]]
            assert failed == [], (path, junk)


@FEW
@given(st.lists(st.sampled_from(JUNK), max_size=4), st.sampled_from(["resource", "entry", "bundle"]))
def test_junk_among_the_entries(junk: list[Any], where: str) -> None:
    record = b0()
    if where == "resource":
        record["entry"] += [{"resource": value} for value in junk]
    elif where == "entry":
        record["entry"] += junk
    else:
        record["entry"] = junk
    try:
        assessment = assess(record)
    except InputError:
        return
    assert assessment["status"] in STATUSES
