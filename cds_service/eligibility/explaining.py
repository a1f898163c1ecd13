"""From the engine's explanation of a define to that of a criterion: readable values, evidence, thresholds with origin.

Only for the criteria that are asked for, and after the fact: nothing is evaluated again. Nothing here raises, except
InputError for a criterion that there is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from cds_service.eligibility import evidence as shown
from cds_service.eligibility.attestation import Answer
from cds_service.eligibility.explanation import (
    SCREENING_DATE,
    CriterionExplanation,
    ShownDefine,
    ShownParameter,
    ShownResource,
    ShownRetrieve,
)
from cds_service.eligibility.parameters import Parameters
from cds_service.eligibility.readable import readable, reference_ranges, type_words
from cds_service.eligibility.trial import Trial
from cds_service.eligibility.verdict import Evidence, Verdict
from cds_service.elm import Code, ExplainedRetrieve, Explanation, FoundResource
from cds_service.errors import InputError
from cds_service.records.record import PatientRecord

if TYPE_CHECKING:
    from cds_service.eligibility.assessment import CriterionResult


def chosen_criteria(trials: Sequence[Trial], asked: Iterable[str]) -> frozenset[str]:
    """The ids of the criteria meant by `EX04-OtherInterferingDisease`, `ex04`, a row of several parts (`EX08`), `all`.

    InputError names those that there are.
    """
    meant: dict[str, set[str]] = {}
    for criterion in (criterion for trial in trials for criterion in trial.criteria):
        for name in (criterion.id, criterion.id.partition("-")[0], criterion.group, "all"):
            meant.setdefault(name.casefold(), set()).add(criterion.id)
    chosen: set[str] = set()
    for name in asked:
        if name.casefold() not in meant:
            known = dict.fromkeys(c.id.partition("-")[0] for trial in trials for c in trial.criteria)
            raise InputError(
                f"There is no criterion {name!r} to explain; there are {', '.join(known)}, and all."
            )
        chosen |= meant[name.casefold()]
    return frozenset(chosen)


# --- Making it ------------------------------------------------------------------------------------------------------


def explain_criterion(
    result: CriterionResult,
    computed: Verdict,
    answer: Answer | None,
    explanation: Explanation | None,
    evidence: Iterable[Mapping[str, Any]],
    *,
    record: PatientRecord,
    names: shown.Names,
    as_of: date,
    parameters: Parameters,
) -> CriterionExplanation:
    """The explanation of a criterion's verdict by that of its define; `evidence`: the resources of the verdict."""
    if explanation is None:
        return CriterionExplanation(result, computed, answer)
    showing = _Showing(record, names, as_of, frozenset(id(resource) for resource in evidence))
    thresholds: dict[str, ShownParameter] = {}
    for node in explanation.bottom_up():
        root = showing.define(node)
        for name, value in root.parameters.items():
            thresholds.setdefault(name, ShownParameter(name, value, _origin(name, parameters)))
    ordered = tuple(thresholds[name] for name in sorted(thresholds))
    return CriterionExplanation(result, computed, answer, ordered, root)


def _origin(name: str, parameters: Parameters) -> str:
    if name == SCREENING_DATE:
        return "the screening day"
    changed = [path for path in parameters.changed if path.partition(".")[0] == name]
    if changed:
        return next(
            (parameters.origins[path] for path in changed if path in parameters.origins), "set by the site"
        )
    return "trial.toml" if name in parameters.in_force else "the CQL's default"


class _Showing:
    """One explanation being made readable: what several defines share is made once."""

    def __init__(
        self, record: PatientRecord, names: shown.Names, as_of: date, evidence: frozenset[int]
    ) -> None:
        self._record = record
        self._names = names
        self._as_of = as_of
        self._evidence = evidence
        self._made: dict[int, ShownDefine | ShownRetrieve] = {}
        self._presented: dict[int, tuple[Evidence, ...]] = {}

    def define(self, node: Explanation) -> ShownDefine:
        """A define, all of whose defines are made."""
        for child in node.children:
            if isinstance(child, ExplainedRetrieve) and id(child) not in self._made:
                self._made[id(child)] = self._retrieve(child)
        reads = tuple(self._made[id(child)] for child in node.children)
        made = ShownDefine(
            define=node.define,
            name=node.name,
            library=node.library,
            locator=node.locator,
            type=type_words(node.type),
            value=readable(node.value, self._subject),
            error=node.error,
            parameters={name: readable(value, self._subject) for name, value in node.parameters.items()},
            found=any(_found(read) for read in reads),
            decides=any(_decides(read) for read in reads),
            reads=reads,
        )
        self._made[id(node)] = made
        return made

    def _retrieve(self, node: ExplainedRetrieve) -> ShownRetrieve:
        named, codes = node.value_set, node.codes
        return ShownRetrieve(
            resource_type=node.resource_type,
            value_set=None if named is None else named.id,
            name=None if named is None else named.name,
            codes=None if codes is None else tuple(self._worded(code) for code in codes),
            state=self._record.state(node.resource_type),
            found=tuple(self._found(item, codes or ()) for item in node.found),
        )

    def _found(self, item: FoundResource, asked: Iterable[Code]) -> ShownResource:
        itself, *about = self._present(item.resource)
        words = {(code.system, code.code): code.display for code in asked}
        codings = dict.fromkeys(
            self._worded(coding, words.get((coding.system, coding.code))) for coding in item.codings
        )
        ranges = tuple(reference_ranges(self._record.original(item.resource)))
        return ShownResource(
            itself, tuple(about), tuple(codings), ranges, id(item.resource) in self._evidence
        )

    def _worded(self, code: Code, asked: str | None = None) -> Code:
        """The code with words: its own, else those of the value sets, else those of the code that was asked for."""
        display = code.display or self._names.display(code.system, code.code or "") or asked
        return Code(code.code, code.system, code.version, display)

    def _subject(self, resource: Mapping[str, Any]) -> Evidence:
        return self._present(resource)[0]

    def _present(self, resource: Mapping[str, Any]) -> tuple[Evidence, ...]:
        found = self._presented.get(id(resource))
        if found is None:
            found = shown.present((resource,), self._record, self._names, self._as_of)
            self._presented[id(resource)] = found
        return found


def _found(node: ShownDefine | ShownRetrieve) -> bool:
    if isinstance(node, ShownDefine):
        return node.found
    return bool(node.found) and node.resource_type != "Patient"


def _decides(node: ShownDefine | ShownRetrieve) -> bool:
    return node.decides if isinstance(node, ShownDefine) else any(item.decides for item in node.found)
