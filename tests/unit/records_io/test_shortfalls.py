"""The closed set of reasons: every one that the code gives is in it, and each says what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import cds_service.records
from cds_service.records import shortfalls
from cds_service.records.record import FAILED, NOT_OFFERED, PENDING, REFUSED, TRUNCATED
from cds_service.records.resource_types import R4_TYPES
from cds_service.settings import Settings

STATES: Final = frozenset({FAILED, TRUNCATED, REFUSED, NOT_OFFERED})
STATE_NAMES: Final = frozenset({"FAILED", "TRUNCATED", "REFUSED", "NOT_OFFERED"})
# Modules of `records` that speak of values, where a Problem is a reason of clinical-spec §1.1.
_OF_BUNDLES: Final = ("bundle.py", "bundle_entries.py", "bundle_account.py")
STATUSES: Final = [f"HTTP {status}" for status in (400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 599)]
ALL: Final = [*shortfalls.REASONS, *STATUSES]


def files() -> list[Path]:
    folder = Path(cds_service.records.__file__).parent
    return sorted(path for path in folder.glob("*.py") if path.name != "shortfalls.py")


def given() -> Iterator[tuple[str, str]]:
    """(file, reason) of every reason that is written out in the code: beside a state, or of a failure."""
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for text in _reasons(node, in_bundles=path.name in _OF_BUNDLES):
                yield path.name, text


def _reasons(node: ast.AST, *, in_bundles: bool) -> Iterator[str]:
    if isinstance(node, ast.Tuple) and len(node.elts) >= 2 and _is_state(node.elts[0]):
        yield from _texts(node.elts[1])
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in ("FetchFailure", "AddressNotAllowed") and node.args:
        yield from _texts(node.args[0])
    if name == "Problem" and in_bundles:
        yield from _texts(node.args[2])
    if name in ("Obtained", "Page", "Acquired"):
        for keyword in node.keywords:
            if keyword.arg == "reason":
                yield from _texts(keyword.value)
    for before, after in zip(node.args, node.args[1:], strict=False):
        if _is_state(before):
            yield from _texts(after)


def _is_state(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in STATE_NAMES


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may be; a number put into one stands as 503, a reason as `timeout`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _texts(value)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        stand_in = "503" if "HTTP" in ast.unparse(node) else "timeout"
        yield "".join(str(v.value) if isinstance(v, ast.Constant) else stand_in for v in node.values)


def test_every_reason_that_the_code_gives_is_of_the_closed_set() -> None:
    found = list(given())
    assert len(found) > 30, "the search for reasons in the code finds nothing any more"
    lacking = sorted({(file, text) for file, text in found if shortfalls.shown_reason(text) is None})
    source = "".join(path.read_text(encoding="utf-8") for path in files())
    dead = [reason for reason in shortfalls.REASONS if f'"{reason}"' not in source]
    assert dead == [], "nothing gives these any more"
    assert lacking == [], "add these to cds_service/records/shortfalls.py, with what to do about each"


@pytest.mark.parametrize("reason", ALL)
def test_each_reason_says_what_to_do(reason: str) -> None:
    assert shortfalls.shown_reason(reason) == reason
    for types in (("Observation",), ("Condition", "Procedure")):
        said = shortfalls.remedy(FAILED, reason, types)
        assert said[0].islower()
        assert not said.endswith(".")
        assert "{" not in said
        assert ": " not in said, "a sentence with a colon goes before it"
        assert len(said) < 160
    assert re.fullmatch(r"[a-z-]+[45]?[a-z-]*", shortfalls.kind_of(FAILED, reason))
    assert shortfalls.advice(FAILED, reason) in (
        shortfalls.AGAIN,
        shortfalls.CHART,
        shortfalls.ACCESS,
        shortfalls.PATIENT,
    )


def test_what_a_later_page_failed_with_counts() -> None:
    reason = "a later page failed: HTTP 503"
    assert shortfalls.shown_reason(reason) == reason
    assert shortfalls.kind_of(TRUNCATED, reason) == "http-5xx"
    assert shortfalls.remedy(TRUNCATED, reason, ["Condition"]) == shortfalls.remedy(
        FAILED, "HTTP 503", ["Condition"]
    )


@pytest.mark.parametrize(
    "text",
    ["Maria Souza", "HTTP 99", "HTTP 5000", "HTTP 500 for Patient/1", "a later page failed: canary", ""],
)
def test_any_other_text_is_never_shown(text: str) -> None:
    assert shortfalls.shown_reason(text) is None
    for state in (*STATES, PENDING):
        for said in (
            shortfalls.remedy(state, text, ["Condition"]),
            shortfalls.advice(state, text),
            shortfalls.kind_of(state, text),
        ):
            assert said
            assert not text or text not in said


def test_the_scopes_to_ask_for_are_named_as_smart_writes_them() -> None:
    said = shortfalls.remedy(REFUSED, "scope not granted", ["Observation", "Procedure"])
    assert "patient/Observation.rs patient/Procedure.rs" in said
    assert "send Observation, Procedure as prefetch" in said
    assert "patient/Patient.r granted" in str(shortfalls.patient_remedy("scope not granted"))
    assert {"Observation", "Procedure"} <= R4_TYPES


def test_what_can_be_tried_again_is_told_from_what_can_not() -> None:
    again = {r for r in ALL if shortfalls.advice(FAILED, r) == shortfalls.AGAIN}
    assert {"timeout", "connection", "server not answering", "HTTP 429", "HTTP 500", "HTTP 503"} <= again
    assert again.isdisjoint({"scope not granted", "HTTP 401", "HTTP 403", "HTTP 404", "not exported"})


def test_the_settings_named_are_settings() -> None:
    named = {
        found
        for r in ALL
        for found in re.findall(r"\b(limits|service)\.(\w+)", shortfalls.remedy(FAILED, r, ["X"]))
    }
    assert named
    assert all(hasattr(getattr(Settings(), table), key) for table, key in named)
    assert hasattr(Settings().service, "private_networks")
