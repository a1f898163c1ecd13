"""The rows of `requirements.toml` beside the tests that say they prove them.

Tests are found in the source, not by running them: what stands in the document does not hang on what is installed.
Error policy: whatever is wrong is a sentence of `problems`; a broken data file raises.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parents[1]
DATA: Final = Path(__file__).with_name("requirements.toml")
# How a row of each set is named in a marker.
_NAMES: Final[Mapping[str, str]] = {"checklist": "checklist:{}", "cds-hooks_2.0": "cds-hooks_2.0@{}"}
_VERBS: Final = frozenset({"SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY", "DEPRECATED"})
_SKIPPED: Final = frozenset({"skip", "xfail"})


@dataclass(frozen=True, slots=True)
class Row:
    """What one row asks of a service, in own words. At most one of the last three is set: why the row can't bind, or how
    a permission is used or not.
    """

    id: str
    number: int
    set: str
    part: str
    verb: str
    says: str
    not_bound: str | None = None
    taken: str | None = None
    not_taken: str | None = None

    @property
    def needs_test(self) -> bool:
        return self.not_bound is None and self.not_taken is None and self.verb != "DEPRECATED"


@dataclass(frozen=True, slots=True)
class Mark:
    """A marker on a test: the file below `tests`, the test's name, the row that it names."""

    file: str
    test: str
    row: str

    @property
    def id(self) -> str:
        return f"tests/{self.file}::{self.test}"


@dataclass(frozen=True, slots=True)
class Marks:
    """All markers on tests, and the places of those that stand where none belongs."""

    found: tuple[Mark, ...]
    strays: tuple[str, ...]

    def of(self, row: Row) -> list[Mark]:
        return [mark for mark in self.found if mark.row == row.id]


def read_rows(path: Path = DATA) -> list[Row]:
    """The rows in the order of the file."""
    rows = []
    for part in tomllib.loads(path.read_text("utf-8"))["parts"]:
        for entry in part["rows"]:
            given = dict(entry)
            number = given.pop("n")
            name = _NAMES[part["set"]].format(number)
            rows.append(Row(name, number, part["set"], part["title"], **given))
    return rows


def read_marks(folder: Path = TESTS) -> Marks:
    """The markers in every test file below `folder`."""
    found: list[Mark] = []
    strays: list[str] = []
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        source = path.read_text("utf-8")
        if "mark.proves" not in source:
            continue
        tree = ast.parse(source)
        taken: set[ast.Call] = set()
        for test, decorators in _tests(tree):
            calls = [d for d in decorators if _is_marker(d, "proves")]
            taken.update(calls)
            rows = [row for call in calls for row in _arguments(call)]
            if None in rows or not path.name.startswith("test_"):
                strays += [f"{name}:{call.lineno}" for call in calls]
            elif calls and any(_is_marker(d, kind) for d in decorators for kind in _SKIPPED):
                strays.append(f"{name}:{calls[0].lineno}")
            else:
                found += [Mark(name, test, row) for row in rows if row is not None]
        strays += [
            f"{name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _is_marker(node, "proves") and node not in taken
        ]
    return Marks(tuple(found), tuple(strays))


def problems(rows: Sequence[Row], marks: Marks) -> list[str]:
    """What is wrong between the rows and the markers, a sentence each; empty where all is well."""
    wrong = [
        f"{place}: a marker `proves` stands on a test that runs, with rows as plain texts"
        for place in marks.strays
    ]
    known = {row.id for row in rows}
    wrong += [
        f"{mark.id} says that it proves {mark.row}, which no row is called"
        for mark in marks.found
        if mark.row not in known
    ]
    wrong += [f"{row} is listed twice" for row in _repeated(row.id for row in rows)]
    for row in rows:
        stands = [row.not_bound, row.taken, row.not_taken]
        if row.verb not in _VERBS:
            wrong.append(f"{row.id}: {row.verb} is no verb of conformance")
        if sum(reason is not None for reason in stands) > 1 or "" in stands:
            wrong.append(f"{row.id}: give one reason, in words")
        if row.verb == "MAY" and row.taken is None and row.not_taken is None:
            wrong.append(f"{row.id}: say what is done about this MAY (taken, not_taken)")
        if row.verb != "MAY" and (row.taken or row.not_taken):
            wrong.append(f"{row.id}: only a MAY is taken or not; a {row.verb} has a test, or not_bound")
        if row.needs_test and not marks.of(row):
            wrong.append(f"{row.id} ({row.verb}: {row.says}) has no test")
    return wrong


def _tests(tree: ast.Module) -> Iterator[tuple[str, list[ast.expr]]]:
    """Each test function with its decorators."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name, node.decorator_list


def _is_marker(node: ast.expr, kind: str) -> bool:
    target = node.func if isinstance(node, ast.Call) else node
    if not (isinstance(target, ast.Attribute) and target.attr == kind):
        return False
    return isinstance(target.value, ast.Attribute) and target.value.attr == "mark"


def _arguments(call: ast.expr) -> list[str | None]:
    """The rows that a marker names; None for what is no plain text, or for no row at all."""
    arguments = call.args if isinstance(call, ast.Call) else []
    rows = [a.value if isinstance(a, ast.Constant) and isinstance(a.value, str) else None for a in arguments]
    return rows or [None]


def _repeated(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
