"""`make conformance`: HL7's CQL test suite through the engine, as a table of passes per file.

`hl7_skips.json` lists the tests that do not pass, with whose fault it is and why. A listed test that passes
counts as failed, as does an unlisted one that does not. `--into docs/conformance.md` writes the table, the list
and the ELM node types (`elm_nodes`) between the document's markers.

Exits 0 when nothing failed, 1 when something did, 2 where the suite or the translator is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tests.engine import elm_nodes, hl7_suite
from tests.engine.hl7_suite import Outcome, Translations
from tests.support import translator
from tests.support.absent import Absent

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
SKIPS: Final[Mapping[str, Any]] = json.loads(
    Path(__file__).with_name("hl7_skips.json").read_text(encoding="utf-8")
)
REASONS: Final[Mapping[str, str]] = {
    test: f"{entry['fault']}: {entry['reason']}" for entry in SKIPS["skips"] for test in entry["tests"]
}
PUBLISHED: Final = "https://github.com/cqframework/cql-tests"
FAULTS: Final[Mapping[str, str]] = {
    "suite": "The suite contradicts the specification, or itself",
    "translator": "The translator makes no ELM, or other ELM, of it",
    "engine": "The engine is wrong",
}


@dataclass
class Row:
    """The tests of a file, counted."""

    file: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.skipped


def failure(outcome: Outcome) -> str | None:
    """Why a test counts as failed; None where it passed or is listed as not passing."""
    listed = REASONS.get(outcome.case.id)
    if listed is not None:
        return None if outcome.problem else f"passes, but is listed as not passing ({listed})"
    return outcome.problem


def counted(outcomes: Iterable[Outcome]) -> list[Row]:
    """A row for each file, in the order of the suite, and one for all."""
    rows: dict[str, Row] = {}
    total = Row("all")
    for outcome in outcomes:
        for row in (rows.setdefault(outcome.case.file, Row(outcome.case.file)), total):
            if failure(outcome):
                row.failed += 1
            elif outcome.problem:
                row.skipped += 1
            else:
                row.passed += 1
    return [*rows.values(), total]


def summary(total: Row) -> str:
    """The last line."""
    return (
        f"cql-tests: {total.passed} passed, {total.failed} failed, {total.skipped} skipped of {total.tests}"
    )


def printed(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [f"{'file':34} {'tests':>6} {'passed':>6} {'failed':>6} {'skipped':>7}"]
    lines += [
        f"{row.file:34} {row.tests:6} {row.passed:6} {row.failed:6} {row.skipped:7}" for row in rows[:-1]
    ]
    return "\n".join(lines)


# --- The document ---


def suite_block(rows: Sequence[Row]) -> str:
    """The table of the document."""
    lines = [
        f"Engine: cds-service {version('cds-service')}. Translator: the official cql-to-elm {translator.version()}.",
        "",
        "| file | tests | passed | failed | skipped |",
        "|---|---:|---:|---:|---:|",
        *(f"| {row.file} | {row.tests} | {row.passed} | {row.failed} | {row.skipped} |" for row in rows[:-1]),
        "",
        f"`{summary(rows[-1])}`",
    ]
    return "\n".join(lines)


def skips_block() -> str:
    """The tests that do not pass, by whose fault it is."""
    lines: list[str] = []
    for fault, title in FAULTS.items():
        entries = [entry for entry in SKIPS["skips"] if entry["fault"] == fault]
        number = sum(len(entry["tests"]) for entry in entries)
        lines += [f"### {title}: {number or 'none'}", ""]
        for entry in entries:
            lines.append(f"- {entry['reason']}")
            lines.append(f"  ({', '.join(f'`{test}`' for test in entry['tests'])})")
        if entries:
            lines.append("")
    return "\n".join(lines).strip()


def block(name: str, document: str) -> str:
    """What stands between a document's markers `<!-- NAME -->` and `<!-- /NAME -->`."""
    return document.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]


def refreshed(document: str, blocks: Mapping[str, str]) -> str:
    """A document with new text between its markers; SystemExit where a pair of markers is missing."""
    for name, text in blocks.items():
        before, opening, rest = document.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"\n<!-- /{name} -->")
        if not opening or not closing:
            raise SystemExit(f"the document has no markers <!-- {name} --> and <!-- /{name} -->")
        document = f"{before}{opening}{text}{closing}{after}"
    return document


def main(arguments: Sequence[str]) -> int:
    """Run the suite, print what failed and the table; the exit status."""
    parser = argparse.ArgumentParser(prog="make conformance", description="HL7's CQL test suite")
    parser.add_argument("--into", type=Path, metavar="FILE", help="refresh the tables of this document")
    into = parser.parse_args(arguments).into
    path = hl7_suite.folder()
    if path is None:
        print(
            f"HL7's CQL test suite is not there. It is published at {PUBLISHED}; get a copy and name its folder: "
            "make conformance CQL_TESTS=/path/to/cql-tests",
            file=sys.stderr,
        )
        return 2
    cache = os.environ.get("CQL_TESTS_CACHE")
    try:
        with translator.running() as url:
            translations = Translations(Path(cache) if cache else None, url)
            outcomes = list(hl7_suite.run_all(path, translations))
            translations.save()
    except (Absent, RuntimeError) as error:
        print(f"The suite needs the CQL translator. {error}", file=sys.stderr)
        return 2
    for outcome in outcomes:
        problem = failure(outcome)
        if problem:
            print(f"{outcome.case.id}: {' '.join(outcome.case.expression.split())}\n    {problem}")
    rows = counted(outcomes)
    if into is not None:
        blocks = {"suite": suite_block(rows), "skips": skips_block(), "nodes": elm_nodes.block()}
        into.write_text(refreshed(into.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    print(printed(rows))
    print(summary(rows[-1]))
    return 1 if rows[-1].failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
