"""`make checklist`: the part "CDS Hooks" of docs/conformance.md, written from requirements.toml and the tests' markers.

Without `--into` prints what is wrong and the counts. Exits 1 where a row has no test or a marker no row.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.conformance.rows import Mark, Marks, Row, problems, read_marks, read_rows
from tests.engine.conformance import DOCUMENT, refreshed

BLOCK: Final = "cds-hooks"
_SETS: Final = {
    "checklist": "The project's checklist",
    "cds-hooks_2.0": "The numbered requirements of CDS Hooks 2.0 that name the service",
}


def block(rows: Sequence[Row], marks: Marks) -> str:
    """What stands between the document's markers."""
    lines: list[str] = []
    for name, title in _SETS.items():
        of_set = [row for row in rows if row.set == name]
        lines += [f"### {title}", "", counted(of_set, marks), ""]
        for part, group in groupby(of_set, key=lambda row: row.part):
            lines += [f"**{part}**", "", "| row | | what | proven by |", "|---:|---|---|---|"]
            lines += [_line(row, marks.of(row)) for row in group]
            lines.append("")
    return "\n".join(lines).strip()


def counted(rows: Sequence[Row], marks: Marks) -> str:
    """One sentence with the numbers."""
    firm = [row for row in rows if row.verb not in ("MAY", "DEPRECATED")]
    bound = [row for row in firm if row.not_bound is None]
    proven = [row for row in bound if marks.of(row)]
    may = [row for row in rows if row.verb == "MAY"]
    taken = [row for row in may if row.taken is not None]
    return (
        f"{len(rows)} rows. Of {len(firm)} SHALL and SHOULD, {len(proven)} are proven by tests and "
        f"{len(firm) - len(bound)} cannot bind; {len(bound) - len(proven)} are open. "
        f"Of {len(may)} MAY, {len(taken)} are taken."
    )


def _line(row: Row, marks: Sequence[Mark]) -> str:
    what = row.says
    if row.not_bound is not None:
        what += f". *Does not bind:* {row.not_bound}"
    elif row.taken is not None:
        what += f". *Taken:* {row.taken}"
    elif row.not_taken is not None:
        what += f". *Not taken:* {row.not_taken}"
    named = dict.fromkeys((mark.file, mark.test) for mark in marks)
    tests = "<br>".join(f"[`{test}`](../tests/{file})" for file, test in named)
    return f"| {row.number} | {row.verb} | {what.replace('|', '&#124;')} | {tests} |"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make checklist", description="CDS Hooks, row by row")
    parser.add_argument(
        "--into", type=Path, metavar="FILE", nargs="?", const=DOCUMENT, help="refresh this document"
    )
    into = parser.parse_args(arguments).into
    rows, marks = read_rows(), read_marks()
    if into is not None:
        into.write_text(refreshed(into.read_text("utf-8"), {BLOCK: block(rows, marks)}), "utf-8")
    wrong = problems(rows, marks)
    print("\n".join([*wrong, *(counted([r for r in rows if r.set == name], marks) for name in _SETS)]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
