"""The schemas that the other tests hold answers to refuse what the specification refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.conformance.shapes import CARD, DISCOVERY, DISCOVERY_3, RESPONSE, empties, misfits

UUID = "4e0a3a1e-3283-4575-ab82-028d55fe2719"
GOOD: dict[str, Any] = {
    "uuid": UUID,
    "summary": "s",
    "detail": "d",
    "indicator": "info",
    "source": {"label": "l", "url": "https://a.example/x", "topic": {"system": "http://s", "code": "c"}},
    "suggestions": [
        {
            "label": "l",
            "uuid": UUID,
            "isRecommended": True,
            "actions": [
                {"type": "create", "description": "d", "resource": {"resourceType": "ServiceRequest"}},
                {"type": "delete", "description": "d", "resourceId": "ServiceRequest/1"},
            ],
        },
        {"label": "m"},
    ],
    "selectionBehavior": "at-most-one",
    "overrideReasons": [{"code": "c", "system": "http://s", "display": "d"}],
    "links": [
        {"label": "l", "url": "https://a.example", "type": "absolute"},
        {"label": "l", "url": "https://a.example", "type": "smart", "appContext": "x"},
    ],
    "extension": {"org.example.thing": {"a": 1}},
}
GONE = object()
BAD: list[tuple[tuple[Any, ...], Any]] = [
    (("summary",), GONE),
    (("summary",), "x" * 140),
    (("summary",), "two\nlines"),
    (("indicator",), GONE),
    (("indicator",), "hard-stop"),
    (("source",), GONE),
    (("source", "label"), GONE),
    (("source", "url"), "/trials/x"),
    (("source", "icon"), "icon.png"),
    (("source", "topic", "code"), GONE),
    (("source", "topic", "system"), GONE),
    (("uuid",), 5),
    (("uuid",), "card-1"),
    (("detail",), ""),
    (("suggestions",), []),
    (("suggestions", 0, "label"), GONE),
    (("suggestions", 0, "isRecommended"), "yes"),
    (("suggestions", 1, "isRecommended"), True),
    (("suggestions", 0, "actions"), {}),
    (("suggestions", 0, "actions", 0, "type"), "order"),
    (("suggestions", 0, "actions", 0, "description"), GONE),
    (("suggestions", 0, "actions", 0, "resource"), GONE),
    (("suggestions", 0, "actions", 1, "resourceId"), GONE),
    (("suggestions", 0, "actions", 1, "resource"), "ServiceRequest/1"),
    (("suggestions", 0, "actionSelectionBehavior"), "any"),
    (("selectionBehavior",), GONE),
    (("selectionBehavior",), "all"),
    (("overrideReasons", 0, "display"), GONE),
    (("overrideReasons", 0, "code"), GONE),
    (("overrideReasons", 0, "system"), GONE),
    (("links", 0, "label"), GONE),
    (("links", 0, "url"), GONE),
    (("links", 0, "url"), "x"),
    (("links", 0, "type"), "relative"),
    (("links", 0, "appContext"), "x"),
    (("links", 1, "appContext"), {}),
    (("links", 1, "autolaunchable"), "true"),
    (("extension",), "x"),
    (("extension",), {"thing": {}}),
    (("other",), 1),
]


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    card = copy.deepcopy(GOOD)
    holder: Any = card
    for step in path[:-1]:
        holder = holder[step]
    if value is GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return card


def test_a_card_with_everything_that_is_allowed_fits() -> None:
    assert misfits({"cards": [GOOD]}, RESPONSE) == []


@pytest.mark.parametrize(("path", "value"), BAD, ids=[".".join(map(str, path)) for path, _ in BAD])
def test_a_card_that_breaks_a_rule_does_not(path: tuple[Any, ...], value: Any) -> None:
    assert misfits(changed(path, value), CARD)


def test_responses_without_cards_or_with_actions_of_the_system_do_not_fit() -> None:
    assert misfits({}, RESPONSE)
    assert misfits({"cards": {}}, RESPONSE)
    assert misfits({"cards": [], "systemActions": []}, RESPONSE)


@pytest.mark.parametrize("gone", ["hook", "description", "id"])
def test_a_service_needs_its_fields(gone: str) -> None:
    service = {
        "hook": "patient-view",
        "description": "d",
        "id": "i",
        "version": "3.0.0",
        "hookVersion": "1.0",
    }
    assert misfits({"services": [service]}, DISCOVERY_3) == []
    assert misfits({"services": [service]}, DISCOVERY)
    del service[gone]
    assert misfits({"services": [service]}, DISCOVERY_3)


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_empty_values_are_found_wherever_they_are(empty: Any) -> None:
    assert empties({"cards": [{"a": [{"b": empty}]}]}) == ["$.cards[0].a[0].b"]
    assert empties({"cards": [], "services": []}) == []
    assert empties({"a": {"cards": []}, "n": [0, False]}) == ["$.a.cards"]
