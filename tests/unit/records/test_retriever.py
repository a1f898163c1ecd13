"""Retrieving by type, code and value set."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.elm.values import Code
from cds_service.errors import AuthoringError
from cds_service.records.retriever import RecordRetriever, codes_at
from cds_service.terminology import systems
from cds_service.terminology.value_sets import value_set_url

from .helpers import VALUE_SETS, concept, condition, normalised, observation

ALT = observation("1742-6", id="alt")
AST = observation("1920-8", id="ast")
BOTH = observation(
    "x", id="both", code={"coding": [*concept("1742-6")["coding"], *concept("1920-8")["coding"]]}
)
RECORD = normalised(AST, BOTH, ALT, condition(code=concept("g1221", systems.ICD10CM)))


def retrieve(
    kind: str, path: str | None = "code", codes: Any = None, value_set: str | None = None
) -> list[str]:
    url = None if value_set is None else value_set_url(value_set)
    return [r["id"] for r in RecordRetriever(RECORD, VALUE_SETS).retrieve(kind, path, codes, url)]


def test_everything_of_a_type() -> None:
    assert retrieve("Observation", None) == ["ast", "both", "alt"]
    assert retrieve("Patient", None) == ["p"]
    assert retrieve("Procedure", None) == []


def test_by_value_set() -> None:
    assert retrieve("Observation", value_set="AltActivity") == ["both", "alt"]
    assert retrieve("Observation", value_set="SerumCreatinine") == []
    assert retrieve("Condition", value_set="AlsConfirmedDx") == ["c"]
    with pytest.raises(AuthoringError, match="NoSuchSet"):
        retrieve("Observation", value_set="NoSuchSet")


def test_by_code_in_the_record_s_order() -> None:
    alt, ast = Code("1742-6", systems.LOINC, None, "another display"), Code("1920-8", systems.LOINC)
    assert retrieve("Observation", codes=[alt]) == ["both", "alt"]
    assert retrieve("Observation", codes=[alt, ast]) == ["ast", "both", "alt"]
    assert retrieve("Observation", codes=[Code("1742-6", "urn:other")]) == []
    assert retrieve("Observation", codes=[Code("1742-6")]) == []
    assert retrieve("Observation", codes=[]) == []
    assert retrieve("Condition", codes=[Code("G12.21", systems.ICD10CM)]) == ["c"]


def test_concepts_are_alike_only_where_all_of_their_content_is() -> None:
    one, same, shown, said = (
        observation("1742-6", id=name, code={"coding": [{**concept("1742-6")["coding"][0], **more}], **text})
        for name, more, text in (
            ("1", {}, {}),
            ("2", {}, {}),
            ("3", {"display": "other words"}, {}),
            ("4", {}, {"text": "words"}),
        )
    )
    record = normalised(one, same, shown, said)
    retriever = RecordRetriever(record, VALUE_SETS)
    found = retriever.retrieve("Observation", "code", [Code("1742-6", systems.LOINC)], None)
    assert [r["id"] for r in found] == ["1", "2", "3", "4"]
    assert retriever.alike == {id(found[1]["code"]): id(found[0]["code"])}


@pytest.mark.parametrize(
    ("resource", "path", "expected"),
    [
        ({"code": concept("a", "s")}, "code", [("s", "a")]),
        ({"medicationCodeableConcept": concept("a", "s")}, "medication", [("s", "a")]),
        ({"class": {"system": "s", "code": "a"}}, "class", [("s", "a")]),
        ({"type": [concept("a", "s"), concept("b", "s")]}, "type", [("s", "a"), ("s", "b")]),
        ({"device": {"code": concept("a", "s")}}, "device.code", [("s", "a")]),
        ({"gender": "male"}, "gender", [(None, "male")]),
        (
            {"code": {"coding": [{"code": "a"}, {"system": 5, "code": "b"}, {"system": "s"}, 5]}},
            "code",
            [(None, "a"), (None, "b")],
        ),
        ({"code": 5}, "code", []),
        ({"code": None}, "code", []),
        ({"code": {"coding": 5}}, "code", []),
        ({}, "code", []),
    ],
)
def test_codes_of_an_element(resource: Any, path: str, expected: list[tuple[str | None, str]]) -> None:
    assert list(codes_at(resource, path)) == expected
