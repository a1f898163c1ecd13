"""Every operator, as CQL 1.5 says: the rows of `operator_table`, executed from committed ELM. Needs no Java."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.elm import DateTime, Library, Result, load_library
from tests.engine.hl7_suite import _Nothing, same
from tests.engine.operator_table import DATA, ERROR, library, rows

NOW = DateTime.parse("2026-06-15T12:00:00.000-03:00")


@pytest.fixture(scope="module")
def operators() -> Library:
    return load_library(
        [(DATA / "Operators.elm.json").read_bytes()], main="Operators", terminology=_Nothing()
    )


@pytest.fixture(scope="module")
def results(operators: Library) -> dict[str, Result]:
    return operators.evaluate(None, retriever=_Nothing(), patient=None, parameters={}, now=NOW)


def test_the_committed_library_is_the_table() -> None:
    assert (DATA / "Operators.cql").read_text() == library()


@pytest.mark.parametrize(
    ("name", "expected"),
    [(name, expected) for name, _, expected in rows()],
    ids=[f"{n}: {c}" for n, c, _ in rows()],
)
def test_operator(results: dict[str, Result], name: str, expected: Any) -> None:
    result = results[name]
    if expected == ERROR:
        assert result.error is not None
        assert result.error.define == name
        assert result.error.locator
        return
    assert result.error is None
    assert same(result.value, expected), f"is {result.value!r}, should be {expected!r}"
