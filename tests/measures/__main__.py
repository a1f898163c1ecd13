"""`python -m tests.measures FOLDER`: every define of every measure, for every test patient, in both engines.

Prints one line for each measure and a total. Exit 0: all equal or explained; 1: unexplained differences or a measure
that could not be loaded; 2: nothing to run on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cds_service.errors import AuthoringError, TranslationError
from tests.measures import content as contents
from tests.measures.running import TZ, Runner
from tests.measures.translating import OPTIONS, elm_of
from tests.reference.compare import Difference, compared, outcome, shown
from tests.reference.engine import Reference, ReferenceFailed, missing, running

# What is explained: by patterns of both values, by what ours has besides the reference's ("but"), or by an amendment of the reference (tests/reference/amendments.cjs) under
# which the difference is gone.
EXPLAINED = json.loads((Path(__file__).parent / "explained.json").read_bytes())
AMENDMENTS = {entry["name"]: [entry["amendment"]] for entry in EXPLAINED if "amendment" in entry}
SEVERAL = "several of these"
EVERY = [name for names in AMENDMENTS.values() for name in names]
WHERE = (
    "Name a checkout of published FHIR 4.0.1 measures: make measures MEASURES=<folder>. Such content is at\n"
    "https://github.com/cqframework/ecqm-content-r4-2021, https://github.com/cqframework/ecqm-content-r4 and\n"
    "https://github.com/DBCG/connectathon (fhir401)."
)


@dataclass
class Row:
    """What came of one measure."""

    title: str
    defines: int = 0
    patients: int = 0
    equal: int = 0
    told: int = 0  # of the equal ones: neither null, false nor an empty list
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[dict[str, Any]] = field(default_factory=list)
    failure: str | None = None
    milliseconds: float = 0.0

    @property
    def compared(self) -> int:
        return self.equal + self.explained.total() + len(self.unexplained)


def explanation(library: str, define: str, ours: str, theirs: str) -> str | None:
    """The name of the explained difference that this one is, None where it is none."""
    for entry in EXPLAINED:
        if "amendment" in entry or ("but" in entry and re.sub(entry["but"], "", ours) != theirs):
            continue
        patterns = (("define", f"{library}.{define}"), ("ours", ours), ("reference", theirs))
        if all(re.search(entry.get(name, ""), text) for name, text in patterns):
            return str(entry["name"])
    return None


def run_measure(
    reference: Reference,
    measure: contents.Measure,
    libraries: Sequence[Mapping[str, Any]],
    patients: Sequence[contents.TestPatient],
    known: Mapping[str, Any],
    title: str,
) -> Row:
    """Both engines on one measure."""
    row = Row(title)
    try:
        runner = Runner(reference, libraries, measure.main.name, known)
    except (AuthoringError, ReferenceFailed) as error:
        row.failure = f"{type(error).__name__}: {error}"
        return row
    row.defines = len(runner.library.defines)
    for patient in patients:
        row.patients += 1
        try:
            theirs = runner.theirs(patient)
        except ReferenceFailed as error:
            row.unexplained.append(
                {"measure": title, "patient": patient.name, "home": str(patient.home), "difference": f"the reference fails: {error}"}
            )  # fmt: skip
            continue
        began = time.process_time()
        results = runner.ours(patient)
        row.milliseconds += (time.process_time() - began) * 1000
        ours = {name: outcome(result) for name, result in results.items()}
        names, amended = amendments_of(runner, patient, _differing(ours, theirs))
        for name, one in ours.items():
            others = [theirs.get(name), *([amended[name]] if name in amended else [])]
            _judge(row, measure.main.name, patient, name, one, others, names.get(name))
    return row


def _differing(
    ours: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    return {name: one for name, one in ours.items() if name in theirs and compared(one, theirs[name])}


def amendments_of(
    runner: Runner, patient: contents.TestPatient, differing: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, str], dict[str, Mapping[str, Any]]]:
    """By define, the explained difference with an amendment under which the engines agree, or that it needs several; and
    what the reference makes of the others under all of them."""
    if not differing:
        return {}, {}
    theirs = runner.theirs(patient, [*differing], EVERY)
    left = {define: one for define, one in differing.items() if not compared(one, theirs[define])}
    found = dict.fromkeys(left, SEVERAL)
    for name, amended in AMENDMENTS.items():
        alone = [define for define in left if found[define] == SEVERAL]
        again = runner.theirs(patient, alone, amended) if alone else {}
        found.update({define: name for define in alone if not compared(left[define], again[define])})
    return found, {define: one for define, one in theirs.items() if define not in found}


def _judge(
    row: Row,
    library: str,
    patient: contents.TestPatient,
    name: str,
    ours: Mapping[str, Any],
    others: Sequence[Mapping[str, Any] | None],
    amended: str | None,
) -> None:
    """Count one define. `others`: what the reference makes of it, and if that differs what it makes of it amended."""
    other = others[0]
    found = compared(ours, other) if other is not None else [Difference("", "a define", "none of that name")]
    if not found:
        row.equal += 1
        row.told += ours.get("value") not in (None, False, [])
        return
    one, two, *further = (_written(side) for side in (ours, *others))
    names = (explanation(library, name, one, theirs) for theirs in (two, *further))
    name_of = amended or next((found for found in names if found is not None), None)
    if name_of is not None:
        row.explained[name_of] += 1
        return
    row.unexplained.append(
        {"measure": row.title, "define": name, "patient": patient.name, "home": str(patient.home), "difference": str(found[0]), "ours": one[:1500], "reference": two[:1500]}
    )  # fmt: skip


def _written(side: Mapping[str, Any] | None) -> str:
    side = side or {}
    return shown(side.get("value")) if "value" in side else f"fails: {side.get('error')}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.measures", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument(
        "--form", action="append", choices=[*OPTIONS], help="how CQL is translated (default: plain, typed)"
    )
    parser.add_argument("--only", default="", help="only measures whose title matches")
    parser.add_argument("--patients", type=int, default=0, help="at most so many patients a measure (0: all)")
    parser.add_argument("--every", action="store_true", help="included libraries too, each for itself")
    parser.add_argument("--translator", default=os.environ.get("CQL_TRANSLATOR", "http://127.0.0.1:8190"))
    parser.add_argument("--differences", type=Path, help="write the unexplained ones here, as JSON")
    given = parser.parse_args(arguments)
    if given.folder is None or not given.folder.is_dir():
        print(WHERE, file=sys.stderr)
        return 2
    absent = missing()
    if absent:
        print(f"The reference engine can't run: {absent}.", file=sys.stderr)
        return 2
    os.environ["TZ"] = TZ
    time.tzset()
    content = contents.read(given.folder)
    found = [m for m in contents.measures(content, every=given.every) if re.search(given.only, m.title)]
    if not found or not content.patients:
        print(
            f"{given.folder} holds {len(found)} measures and {len(content.patients)} test patients.\n{WHERE}",
            file=sys.stderr,
        )
        return 2
    rows = list(_rows(found, content, given))
    unexplained = [item for row in rows for item in row.unexplained]
    if given.differences:
        given.differences.write_text(json.dumps(unexplained, indent=1, ensure_ascii=False), encoding="utf-8")
    failed = [row for row in rows if row.failure]
    total = Row(
        "total",
        sum(r.defines for r in rows),
        len(content.patients),
        sum(r.equal for r in rows),
        sum(r.told for r in rows),
    )
    for row in rows:
        total.explained += row.explained
    for name, number in total.explained.most_common():
        print(f"  explained {number}: {name}")
    print(
        f"measures: {len(rows) - len(failed)} run, {len(failed)} not; {total.equal + total.explained.total() + len(unexplained)} compared, "
        f"{total.equal} equal ({total.told} of them neither null, false nor empty), {total.explained.total()} explained, {len(unexplained)} unexplained"
    )
    return 1 if unexplained or any("TranslationError" not in (row.failure or "") for row in failed) else 0


def _rows(
    found: Sequence[contents.Measure], content: contents.Content, given: argparse.Namespace
) -> Iterable[Row]:
    with running() as reference:
        for measure in found:
            forms = (given.form or ["plain", "typed"]) if measure.main.cql is not None else ["bundled"]
            for form in forms:
                title = f"{measure.title} {form}"
                patients = _patients(measure, content.patients, given.patients)
                row = _row(reference, measure, form, title, patients, content, given.translator)
                _print(row)
                yield row


def _row(
    reference: Reference,
    measure: contents.Measure,
    form: str,
    title: str,
    patients: Sequence[contents.TestPatient],
    content: contents.Content,
    translator: str,
) -> Row:
    if measure.missing:
        return Row(title, failure=f"TranslationError: the folder lacks {', '.join(measure.missing)}")
    try:
        libraries = elm_of(measure, translator, form)
    except TranslationError as error:
        return Row(title, failure=f"TranslationError: {error}")
    return run_measure(reference, measure, libraries, patients, content.value_sets, title)


def _patients(
    measure: contents.Measure, patients: Sequence[contents.TestPatient], most: int
) -> Sequence[contents.TestPatient]:
    """Its own patients first: those whose folder is named after it or lies nearest."""
    name = re.escape(measure.main.name)
    ordered = sorted(patients, key=lambda p: 0 if re.search(name, str(p.home)) else 1)
    return ordered[:most] if most else ordered


def _print(row: Row) -> None:
    if row.failure:
        print(f"{row.title}: NOT RUN: {' '.join(row.failure.split())[:300]}", flush=True)
        return
    each = row.milliseconds / max(row.patients, 1)
    print(
        f"{row.title}: {row.defines} defines x {row.patients} patients, {row.compared} compared, {row.equal} equal "
        f"({row.told} tell), {row.explained.total()} explained, {len(row.unexplained)} unexplained; {each:.2f} ms a patient",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
