"""HL7's CQL test suite (https://github.com/cqframework/cql-tests), run through the engine and judged strictly.

Each test's expression and expected output become two libraries of one define, translated by the official
translator; what the engine makes of them must be the same value of the same type: false is not null, an empty
list is not null, 1 is not 1.0. A test marked invalid passes when the translator refuses it or the define
fails. A test of an older CQL (`versionTo`) is translated at that compatibility level. Nothing of the suite is
copied into this repository: `CQL_TESTS` names its folder. `conformance` prints the table of passes.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from cds_service.elm import (
    Code,
    Concept,
    Date,
    DateTime,
    Interval,
    Quantity,
    Ratio,
    Time,
    load_library,
)
from cds_service.errors import AuthoringError

NAMESPACE = "{http://hl7.org/fhirpath/tests}"
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "conformance" / "cql-tests"
OPTIONS = "locators=true&result-types=true&signatures=Overloads"
NOW = DateTime.parse("2026-06-15T12:00:00.000-03:00")


@dataclass(frozen=True)
class Case:
    """One test of the suite. `invalid`: it must not be executable; `level`: the last CQL version that it is for."""

    file: str
    group: str
    name: str
    expression: str
    output: str | None
    invalid: bool
    level: str | None = None

    @property
    def id(self) -> str:
        return f"{self.file}/{self.group}/{self.name}"


@dataclass(frozen=True)
class Outcome:
    """What became of a test: `problem` None is a pass."""

    case: Case
    problem: str | None


def folder() -> Path | None:
    """The suite's folder: CQL_TESTS, else beside the repository; None where neither is there."""
    named = os.environ.get("CQL_TESTS")
    path = Path(named) if named else DEFAULT_FOLDER
    return path if (path / "tests" / "cql").is_dir() else None


def cases(path: Path) -> list[Case]:
    """Every test of the suite, in file order; a name used twice in a group gets a number."""
    found: list[Case] = []
    seen: set[str] = set()
    for file in sorted((path / "tests" / "cql").glob("*.xml")):
        for group in ET.parse(file).getroot().iter(f"{NAMESPACE}group"):
            for test in group.iter(f"{NAMESPACE}test"):
                expression = test.find(f"{NAMESPACE}expression")
                output = test.find(f"{NAMESPACE}output")
                assert expression is not None
                name = test.attrib["name"]
                case = Case(
                    file.stem,
                    group.attrib["name"],
                    name,
                    expression.text or "",
                    None if output is None else (output.text or ""),
                    expression.get("invalid") is not None,
                    test.get("versionTo"),
                )
                number = 1
                while case.id in seen:
                    number += 1
                    case = replace(case, name=f"{name}#{number}")
                seen.add(case.id)
                found.append(case)
    return found


class Translations:
    """The ELM of the suite's expressions, from the translator at `url` or, where there is one, from a cache file."""

    def __init__(self, cache: Path | None, url: str | None) -> None:
        self.cache = cache
        self.url = url
        self.known: dict[str, Any] = (
            json.loads(cache.read_text()) if cache is not None and cache.exists() else {}
        )
        self.changed = False

    def elm(self, expression: str, level: str | None = None) -> Mapping[str, Any]:
        """The ELM library with the define `It`, at a compatibility level of CQL (None: the translator's own)."""
        options = OPTIONS + (f"&compatibility-level={level}" if level else "")
        key = hashlib.sha256((options + expression).encode()).hexdigest()
        if key not in self.known:
            assert self.url is not None, "an expression is not in the cache and there is no translator"
            text = f"library It\n\ndefine It: {expression}\n"
            answer = requests.post(
                f"{self.url}/cql/translator?{options}",
                data=text.encode(),
                headers={"Content-Type": "application/cql", "Accept": "application/elm+json"},
                timeout=60,
            )
            self.known[key] = answer.json()
            self.changed = True
        found: Mapping[str, Any] = self.known[key]
        return found

    def save(self) -> None:
        """Write the cache."""
        if self.changed and self.cache is not None:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            self.cache.write_text(json.dumps(self.known))


class _Nothing:
    """A record without resources and a terminology without sets."""

    def retrieve(self, *_: Any) -> Sequence[Mapping[str, Any]]:
        return ()

    def has_value_set(self, url: str) -> bool:
        return False

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        return False

    def expand(self, url: str) -> Sequence[Code]:
        return ()


class Refused(Exception):  # noqa: N818 - it is an outcome here
    """An expression was refused by the translator or the engine, or failed."""


def value(elm: Mapping[str, Any]) -> Any:
    """What the define comes to; Refused where it can't be had."""
    nothing = _Nothing()
    try:
        library = load_library([elm], main="It", terminology=nothing)
    except AuthoringError as error:
        raise Refused(str(error)) from error
    result = library.evaluate(["It"], retriever=nothing, patient=None, parameters={}, now=NOW)["It"]
    if result.error is not None:
        raise Refused(str(result.error))
    return result.value


def run(case: Case, translations: Translations) -> Outcome:
    """Run one test."""
    try:
        actual = value(translations.elm(case.expression, case.level))
    except Refused as refused:
        return Outcome(case, None if case.invalid else f"refused: {refused}")
    if case.invalid:
        return Outcome(case, f"should be refused, is {actual!r}")
    try:
        expected = value(translations.elm(case.output or ""))
    except Refused as refused:
        return Outcome(case, f"expected output refused: {refused}")
    if same(actual, expected):
        return Outcome(case, None)
    return Outcome(case, f"is {actual!r}, should be {expected!r}")


def run_all(path: Path, translations: Translations) -> Iterator[Outcome]:
    """Run every test of the suite."""
    for case in cases(path):
        yield run(case, translations)


_UNITS = {"years": "year", "months": "month", "weeks": "week", "days": "day", "hours": "hour"}
_UNITS |= {"minutes": "minute", "seconds": "second", "milliseconds": "millisecond", None: "1", "": "1"}


def same(actual: Any, expected: Any) -> bool:
    """The same value of the same type, all the way down; nothing is rounded or converted."""
    if type(actual) is not type(expected):
        return False
    if isinstance(expected, list):
        return len(actual) == len(expected) and all(same(a, e) for a, e in zip(actual, expected, strict=True))
    if isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(
            same(actual[name], item) for name, item in expected.items()
        )
    if isinstance(expected, Quantity):
        units = [_UNITS.get(quantity.unit, quantity.unit) for quantity in (actual, expected)]
        return actual.value == expected.value and units[0] == units[1]
    if isinstance(expected, Ratio):
        return same(actual.numerator, expected.numerator) and same(actual.denominator, expected.denominator)
    if isinstance(expected, Interval):
        return all(
            same(getattr(actual, name), getattr(expected, name))
            for name in ("low", "high", "low_closed", "high_closed")
        )
    if isinstance(expected, DateTime):
        return len(actual.parts) == len(expected.parts) and actual.key() == expected.key()
    if isinstance(expected, (bool, int, str, Decimal, Date, Time, Code, Concept)) or expected is None:
        return bool(actual == expected)
    raise AssertionError(f"a value of type {type(expected)} can't be compared")


if __name__ == "__main__":
    from tests.engine.conformance import main

    sys.exit(main(sys.argv[1:]))
