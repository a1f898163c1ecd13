"""The differential fuzz: random patients and random expressions on our engine and on the reference, compared value by value.

    python -m tests.reference.fuzz --patients 10000 --expressions 10000 --seed 0 --jobs 2 --into docs/differential.md

The expressions need the official translator (`make translator`, or `--translator URL`).

Prints its progress and a summary: values compared, equal, explained by each explanation, unexplained. An unexplained difference
is printed with its seed, its define, both values and a patient made as small as still shows it; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from cds_service import __version__
from tests.reference.compare import Difference, compared
from tests.reference.engine import HERE, Reference, missing, running
from tests.reference.explanations import AMENDMENTS, BY_NAME
from tests.reference.expressions import BATCH, expression, translated
from tests.reference.judgements import judged
from tests.reference.narrow import OnBoth
from tests.reference.patients import Pools, patient
from tests.reference.trial import Compared, TrialOnBoth
from tests.support import translator

BEGIN: Final = "<!-- run: begin -->"
END: Final = "<!-- run: end -->"

CHUNK: Final = 20
# Each amendment alone, then all together.
_EVERY: Final = [explanation.name for explanation in AMENDMENTS]
WAYS: Final = [*([name] for name in _EVERY), *([_EVERY] if len(_EVERY) > 1 else [])]
_AMENDED: Final = _EVERY[0] if len(_EVERY) == 1 else "several of these"
MINIMISED: Final = 3  # patients a worker's chunk that are made small; the others are only named


@dataclass(slots=True)
class Tally:
    """What a run found."""

    patients: int = 0
    expressions: int = 0
    refused: int = 0
    values: int = 0
    equal: int = 0
    both_failed: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.patients += other.patients
        self.expressions += other.expressions
        self.refused += other.refused
        self.values += other.values
        self.equal += other.equal
        self.both_failed += other.both_failed
        self.explained += other.explained
        self.unexplained += other.unexplained

    def written(self) -> dict[str, Any]:
        """As JSON, for the state file."""
        return {**asdict(self), "explained": dict(self.explained)}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Tally:
        return cls(**{**written, "explained": Counter(written["explained"])})

    def lines(self) -> Iterable[str]:
        """The summary."""
        if self.patients:
            yield f"patients     {self.patients:>12,}"
        if self.expressions:
            yield f"expressions  {self.expressions:>12,}   (refused by the translator: {self.refused:,})"
        yield f"values       {self.values:>12,}"
        yield f"equal        {self.equal:>12,}   (both failed: {self.both_failed:,})"
        for name, count in self.explained.most_common():
            yield f"explained    {count:>12,}   {name}"
        yield f"unexplained  {len(self.unexplained):>12,}"


class PatientFuzz:
    """One worker's engines."""

    def __init__(self, both: TrialOnBoth) -> None:
        self.both = both

    def run(self, seeds: Iterable[int], size: int) -> Tally:
        """Compare the patients of these seeds."""
        tally = Tally()
        for seed in seeds:
            self.one(seed, size, tally)
        return tally

    def one(self, seed: int, size: int, tally: Tally) -> None:
        resources, parameters = self.both.resources(seed, size), self.both.parameters(seed)
        compared = self.both.compared(resources, parameters)
        tally.patients += 1
        tally.values += len(compared)
        tally.both_failed += sum("error" in one.ours and "error" in one.theirs for one in compared)
        differing = [one for one in compared if one.differences]
        tally.equal += len(compared) - len(differing)
        if not differing:
            return
        names = self.explained(differing, resources, parameters)
        for one in differing:
            name = names.get((one.library, one.define))
            if name is not None:
                tally.explained[name] += 1
                continue
            small = len(tally.unexplained) < MINIMISED
            tally.unexplained.append(self.told(seed, one, resources, parameters, minimise=small))

    def explained(
        self,
        differing: Sequence[Compared],
        resources: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
    ) -> dict[tuple[str, str], str]:
        """By define, the first amendment with which the engines agree on it, or that several are needed."""
        names: dict[tuple[str, str], str] = {}
        for amended in WAYS:
            left = [one for one in differing if (one.library, one.define) not in names]
            for one in self.both.again(left, resources, parameters, amended) if left else ():
                if not one.differences:
                    names[one.library, one.define] = amended[0] if len(amended) == 1 else "several of these"
        return names

    def still(
        self, one: Compared, resources: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]
    ) -> Compared | None:
        """The define on these resources, where it differs although every amendment is in force."""
        ours = self.both.ours(resources, parameters)[one.library][one.define]
        [found] = self.both.again([replace(one, ours=ours)], resources, parameters, WAYS[-1])
        return found if found.differences else None

    def told(
        self,
        seed: int,
        one: Compared,
        resources: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        *,
        minimise: bool,
    ) -> str:
        """An unexplained difference, for people."""
        text = f'seed {seed}: {one.library}."{one.define}"\n' + "\n".join(
            f"    {difference}"[:1500] for difference in one.differences[:5]
        )
        if not minimise:
            return text
        kept = self.minimised(one, resources, parameters)
        left = self.still(one, kept, parameters)
        shown_here = "" if left is None else "\n".join(f"    {d}"[:800] for d in left.differences[:3])
        lines = "\n".join(f"      {json.dumps(resource, ensure_ascii=False, default=float)}" for resource in kept)
        return f"{text}\n    on the smallest patient, with {json.dumps(parameters)}:\n{shown_here}\n{lines}"

    def minimised(
        self, one: Compared, resources: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]
    ) -> list[Mapping[str, Any]]:
        """The resources without those that the difference doesn't need."""
        kept = list(resources)
        step = max(1, len(kept) // 2)
        while step:
            at = 0
            while at < len(kept):
                tried = [r for n, r in enumerate(kept) if not at <= n < at + step or r["resourceType"] == "Patient"]
                if len(tried) < len(kept) and self.still(one, tried, parameters):
                    kept = tried
                else:
                    at += step
            step //= 2
        return kept


class ExpressionFuzz:
    """One worker's engines, for generated expressions."""

    def __init__(self, reference: Reference, translator: str, pools: Pools) -> None:
        helpers = json.loads((files("cds_service") / "trials" / "FHIRHelpers.elm.json").read_bytes())
        self.both = OnBoth(reference, helpers)
        self.translator = translator
        self.pools = pools

    def run(self, seeds: range) -> Tally:
        """Compare the expressions of these seeds, on the patient of the first."""
        tally = Tally()
        defines = {f"E{seed}": expression(seed) for seed in seeds}
        elm, kept, refused = translated("Generated", defines, self.translator)
        resources = patient(seeds.start, self.pools, 25)
        tally.expressions, tally.refused = len(defines), len(refused)
        for name, (ours, theirs) in self.both.outcomes(elm, resources).items():
            if name not in kept:
                continue
            tally.values += 1
            tally.both_failed += "error" in ours and "error" in theirs
            found = compared(ours, theirs)
            tally.equal += not found
            if found:
                self._why(elm, name, kept[name], resources, found, tally)
        return tally

    def _why(
        self,
        elm: Mapping[str, Any],
        name: str,
        text: str,
        resources: Sequence[Mapping[str, Any]],
        found: Sequence[Difference],
        tally: Tally,
    ) -> None:
        part = self.both.narrowed(elm, name, resources, _EVERY)
        reason = _AMENDED if part is None else judged(part)
        if reason is not None:
            tally.explained[reason] += 1
            return
        assert part is not None
        where = "\n".join(f"    {difference}"[:800] for difference in part.differences[:3])
        whole = "\n".join(f"    {difference}"[:800] for difference in found[:2])
        tally.unexplained.append(f"{name}: {text}\n{whole}\n  in {part.node['type']} {part.node.get('locator', '')}\n{where}")


# --- processes ----------------------------------------------------------------------------------------------

_worker: dict[str, Any] = {}


def _start(translator: str | None) -> None:
    """In a worker: the engines, for as long as it lives."""
    stack = ExitStack()
    reference = stack.enter_context(running(remember=True))
    both = TrialOnBoth(reference)
    _worker["stack"] = stack
    _worker["patients"] = PatientFuzz(both)
    if translator is not None:
        _worker["expressions"] = ExpressionFuzz(reference, translator, both.pools)


def _patients(seeds: range, size: int) -> Tally:
    tally: Tally = _worker["patients"].run(seeds, size)
    return tally


def _expressions(seeds: range) -> Tally:
    tally: Tally = _worker["expressions"].run(seeds)
    return tally


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do. `state`: a file of what was done, which a later run takes over."""

    patients: int
    expressions: int
    seed: int
    size: int
    jobs: int
    translator: str | None
    state: Path | None = None

    def chunks(self) -> Iterator[tuple[str, Callable[..., Tally], tuple[Any, ...]]]:
        """The work, in pieces: (key, function, arguments)."""
        for seeds in _pieces(self.seed, self.patients, CHUNK):
            yield f"patients {seeds.start}-{seeds.stop} of {self.size}", _patients, (seeds, self.size)
        for seeds in _pieces(self.seed, self.expressions, BATCH):
            yield f"expressions {seeds.start}-{seeds.stop}", _expressions, (seeds,)

    def run(self) -> Tally:
        """Do it, with progress on standard output."""
        total = Tally()
        started = time.monotonic()
        done = _done(self.state)
        waiting = {}
        with ProcessPoolExecutor(self.jobs, initializer=_start, initargs=(self.translator,)) as pool:
            for key, work, arguments in self.chunks():
                if key in done:
                    total.add(done[key])
                else:
                    waiting[pool.submit(work, *arguments)] = key
            for finished in as_completed(waiting):
                found = finished.result()
                _keep(self.state, waiting[finished], found)
                for text in found.unexplained:
                    print(text)
                total.add(found)
                print(
                    f"{total.patients:>6,} of {self.patients:,} patients, {total.expressions:>6,} of {self.expressions:,} "
                    f"expressions, {time.monotonic() - started:,.0f} s, {len(total.unexplained)} unexplained",
                    flush=True,
                )
        return total


def _pieces(start: int, number: int, size: int) -> Iterator[range]:
    for at in range(start, start + number, size):
        yield range(at, min(at + size, start + number))


def _done(state: Path | None) -> dict[str, Tally]:
    if state is None or not state.exists():
        return {}
    rows = [json.loads(line) for line in state.read_text().splitlines()]
    return {row["key"]: Tally.read(row["tally"]) for row in rows}


def _keep(state: Path | None, key: str, tally: Tally) -> None:
    if state is not None:
        with state.open("a") as file:
            file.write(json.dumps({"key": key, "tally": tally.written()}) + "\n")


def report(total: Tally, command: str) -> str:
    """The lines of docs/differential.md between its marks: what was run, with what, and what came of it."""
    versions = json.loads((HERE / "package.json").read_text())["dependencies"]
    rows = [f"| {name} | {count:,} |" for name, count in total.explained.most_common()]
    why = [
        f"- **{e.name}** ({e.section}; {'both are' if e.right == 'both' else f'{e.right} is'} right): \u201c{e.sentence}\u201d {e.why}"
        for e in BY_NAME.values()
    ]
    return "\n".join([
        f"`{command}`, cds-service {__version__} against " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ":",
        "", "```", *total.lines(), "```",
        "", "| explanation | values |", "|---|---:|", *rows,
        "", "What each explanation says:", "", *why,
    ])  # fmt: skip


def _write(into: Path, text: str) -> None:
    whole = into.read_text(encoding="utf-8")
    before, rest = whole.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    into.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--patients", type=int, default=1000)
    arguments.add_argument("--expressions", type=int, default=0)
    arguments.add_argument("--size", type=int, default=40, help="resources of a patient, about")
    arguments.add_argument("--seed", type=int, default=0, help="of the first patient and expression")
    arguments.add_argument("--state", type=Path, help="a file of what was done; a later run goes on from it")
    arguments.add_argument("--translator", help="the translator's address; without it, one is started")
    arguments.add_argument("--into", type=Path, help="the document to write the report into")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = arguments.parse_args()
    if (reason := missing()) is not None:
        print(reason)
        return 2
    with ExitStack() as stack:
        url = given.translator
        if given.expressions and url is None:
            url = stack.enter_context(translator.running())
        plan = Plan(given.patients, given.expressions, given.seed, given.size, given.jobs, url, given.state)
        total = plan.run()
    print("\n".join(total.lines()))
    if given.into is not None:
        command = f"make fuzz N={given.patients}" + (f" SEED={given.seed}" if given.seed else "")
        _write(given.into, report(total, command))
    return 1 if total.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
