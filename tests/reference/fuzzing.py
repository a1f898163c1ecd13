"""What a fuzz does with a patient and with a batch of expressions: compare, explain, tell what is left, count.

Errors: ReferenceFailed, TranslationError.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from typing import Any, Final

from tests.reference.compare import Difference, compared
from tests.reference.engine import Reference
from tests.reference.explanations import AMENDMENTS
from tests.reference.expressions import expression, translated
from tests.reference.judgements import judged
from tests.reference.narrow import OnBoth
from tests.reference.patients import Pools, patient
from tests.reference.trial import Compared, TrialOnBoth

# Each amendment alone, then all together.
_EVERY: Final = [explanation.name for explanation in AMENDMENTS]
WAYS: Final = [*([name] for name in _EVERY), *([_EVERY] if len(_EVERY) > 1 else [])]
MINIMISED: Final = 3  # patients of a piece of work that are made small; the others are only named


def _name(way: Sequence[str]) -> str:
    return way[0] if len(way) == 1 else "several of these"


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
                    names[one.library, one.define] = _name(amended)
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
        lines = "\n".join(
            f"      {json.dumps(resource, ensure_ascii=False, default=float)}" for resource in kept
        )
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
                tried = [
                    r for n, r in enumerate(kept) if not at <= n < at + step or r["resourceType"] == "Patient"
                ]
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
        ways: list[tuple[str, dict[str, Any]]] = []
        for name, (ours, theirs) in self.both.outcomes(elm, resources).items():
            if name not in kept:
                continue
            tally.values += 1
            tally.both_failed += "error" in ours and "error" in theirs
            found = compared(ours, theirs)
            tally.equal += not found
            if found:
                ways = ways or [(_name(way), self.both.outcomes(elm, resources, way)) for way in WAYS]
                amended = next((by for by, outcomes in ways if not compared(*outcomes[name])), None)
                if amended is not None:
                    tally.explained[amended] += 1
                else:
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
        if part is None:
            tally.unexplained.append(f"{name}: {text}\n  differs as a whole, and in no part of it")
            return
        reason = judged(part)
        if reason is not None:
            tally.explained[reason] += 1
            return
        where = "\n".join(f"    {difference}"[:800] for difference in part.differences[:3])
        whole = "\n".join(f"    {difference}"[:800] for difference in found[:2])
        tally.unexplained.append(
            f"{name}: {text}\n{whole}\n  in {part.node['type']} {part.node.get('locator', '')}\n{where}"
        )
