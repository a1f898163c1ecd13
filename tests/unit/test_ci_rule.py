"""The rule of tests/conftest.py: in CI a skipped test is a failed one, unless it has leave."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest


def _report(outcome: str = "skipped", **more: Any) -> SimpleNamespace:
    longrepr = ("test_x.py", 3, "Skipped: Java 17 is not installed")
    return SimpleNamespace(outcome=outcome, nodeid="tests/a/test_x.py::test_y", longrepr=longrepr, **more)


def test_a_skip_in_ci_fails_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "IN_CI", True)
    report = conftest._held_to_ci(_report())
    assert report.outcome == "failed"
    assert "may not skip in CI" in report.longrepr
    assert "Java 17 is not installed" in report.longrepr


def test_a_skip_elsewhere_stays_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "IN_CI", False)
    assert conftest._held_to_ci(_report()).outcome == "skipped"


def test_a_skip_with_leave_and_an_expected_failure_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "IN_CI", True)
    assert conftest._held_to_ci(_report(wasxfail="known")).outcome == "skipped"
    monkeypatch.setattr(conftest, "ALLOWED_SKIPS", {"tests/a/": "because"})
    assert conftest._held_to_ci(_report()).outcome == "skipped"


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_other_outcomes_are_left_alone(outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "IN_CI", True)
    assert conftest._held_to_ci(_report(outcome)).outcome == outcome
