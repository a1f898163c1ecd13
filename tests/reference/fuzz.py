"""The differential fuzz: random patients and random expressions on our engine and on the reference, compared value by value.

    python -m tests.reference.fuzz --patients 10000 --seed 0 --jobs 2 --into docs/differential.md

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
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tests.reference.compare import shown
from tests.reference.engine import missing, running
from tests.reference.explanations import AMENDMENTS
from tests.reference.trial import Compared, TrialOnBoth

CHUNK: Final = 20
# Each amendment alone, then all together.
_EVERY: Final = [explanation.name for explanation in AMENDMENTS]
WAYS: Final = [*([name] for name in _EVERY), *([_EVERY] if len(_EVERY) > 1 else [])]
MINIMISED: Final = 3  # patients a worker's chunk that are made small; the others are only named


@dataclass(slots=True)
class Tally:
    """What a run found."""

    patients: int = 0
    values: int = 0
    equal: int = 0
    both_failed: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.patients += other.patients
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
        yield f"patients     {self.patients:>12,}"
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


# --- processes ----------------------------------------------------------------------------------------------

_worker: dict[str, Any] = {}


def _start() -> None:
    """In a worker: the engines, for as long as it lives."""
    stack = ExitStack()
    _worker["stack"] = stack
    _worker["patients"] = PatientFuzz(TrialOnBoth(stack.enter_context(running(remember=True))))


def _patients(seeds: Sequence[int], size: int) -> Tally:
    tally: Tally = _worker["patients"].run(seeds, size)
    return tally


def patients(number: int, seed: int, jobs: int, size: int, state: Path | None = None) -> Tally:
    """Fuzz `number` patients from seed `seed` on. `state`: a file of what was done, which a later run takes over."""
    total = Tally()
    started = time.monotonic()
    done = _done(state)
    waiting = {}
    seeds = range(seed, seed + number)
    with ProcessPoolExecutor(jobs, initializer=_start) as pool:
        for at in range(0, number, CHUNK):
            chunk = seeds[at : at + CHUNK]
            key = f"patients {chunk.start}-{chunk.stop} of {size}"
            if key in done:
                total.add(done[key])
            else:
                waiting[pool.submit(_patients, chunk, size)] = key
        for finished in as_completed(waiting):
            found = finished.result()
            _keep(state, waiting[finished], found)
            for text in found.unexplained:
                print(text)
            total.add(found)
            spent = time.monotonic() - started
            print(
                f"{total.patients:>6,} of {number:,} patients, {spent:,.0f} s, {len(total.unexplained)} unexplained",
                flush=True,
            )
    return total


def _done(state: Path | None) -> dict[str, Tally]:
    if state is None or not state.exists():
        return {}
    rows = [json.loads(line) for line in state.read_text().splitlines()]
    return {row["key"]: Tally.read(row["tally"]) for row in rows}


def _keep(state: Path | None, key: str, tally: Tally) -> None:
    if state is not None:
        with state.open("a") as file:
            file.write(json.dumps({"key": key, "tally": tally.written()}) + "\n")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--patients", type=int, default=1000)
    arguments.add_argument("--size", type=int, default=40, help="resources of a patient, about")
    arguments.add_argument("--seed", type=int, default=0, help="of the first patient")
    arguments.add_argument("--state", type=Path, help="a file of what was done; a later run goes on from it")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = arguments.parse_args()
    if (reason := missing()) is not None:
        print(reason)
        return 2
    total = patients(given.patients, given.seed, given.jobs, given.size, given.state)
    print("\n".join(total.lines()))
    return 1 if total.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
