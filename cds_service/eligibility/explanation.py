"""Why a criterion has its verdict, for people: the defines that its one evaluation read, with readable values, what was
looked for, what was found and which of it decided.

Pure data with its JSON form; `explaining` makes it. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cds_service.eligibility.attestation import Answer
from cds_service.eligibility.readable import to_json
from cds_service.eligibility.verdict import Evidence, Verdict
from cds_service.elm import Code
from cds_service.errors import EvaluationError
from cds_service.records.record import Acquired

if TYPE_CHECKING:
    from cds_service.eligibility.assessment import CriterionResult

SCREENING_DATE: Final = "ScreeningDate"


@dataclass(frozen=True, slots=True)
class ShownResource:
    """A resource that came, with what it is about beside itself (`about`: its Medication), and the codings that fitted.

    `ranges`: its reference ranges; `decides`: the verdict names it as its evidence.
    """

    evidence: Evidence
    about: tuple[Evidence, ...]
    codings: tuple[Code, ...]
    ranges: tuple[str, ...]
    decides: bool


@dataclass(frozen=True, slots=True, eq=False)
class ShownRetrieve:
    """What was looked for and what came. `value_set`: its URL; `name`: what the CQL calls it; `codes`: those asked for,
    or listed in the set; None: every resource of the type. `state`: how the type was obtained at all."""

    resource_type: str
    value_set: str | None
    name: str | None
    codes: tuple[Code, ...] | None
    state: Acquired
    found: tuple[ShownResource, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ShownDefine:
    """One define: its readable value or its error, the parameters that it names, and what it read.

    `found`: a retrieve below it found something of the record (the Patient apart); `decides`: evidence among it.
    """

    define: str
    name: str
    library: str
    locator: str | None
    type: str | None
    value: Any
    error: EvaluationError | None
    parameters: Mapping[str, Any]
    found: bool
    decides: bool
    reads: tuple[ShownDefine | ShownRetrieve, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShownParameter:
    """A threshold that was read, and who set it to this value."""

    name: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True, eq=False)
class CriterionExplanation:
    """One criterion's verdict and what it rests on.

    `computed`: what the CQL came to, before missing data and answers were laid over it; None where nothing was
    evaluated, as is `root` then. `answer`: the study team's answer that was looked at.
    """

    result: CriterionResult
    computed: Verdict | None = None
    answer: Answer | None = None
    parameters: tuple[ShownParameter, ...] = ()
    root: ShownDefine | None = None

    def defines(self) -> Iterator[ShownDefine]:
        """Every define once, in the order of first reading; the criterion's own comes first."""
        seen: set[int] = set()
        pending = [self.root] if self.root is not None else []
        while pending:
            node = pending.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                pending.extend(read for read in reversed(node.reads) if isinstance(read, ShownDefine))

    def to_json(self) -> dict[str, Any]:
        """The whole of it. `defines` holds each define once; what reads it names it."""
        row = self.result.to_json()
        computed, answer = self.computed, self.answer
        return {
            **{name: row[name] for name in ("id", "text", "status", "basis", "reasons", "notes", "evidence")},
            "computed": None
            if computed is None
            else {"status": computed.status, "basis": computed.basis, "reasons": list(computed.reasons)},
            "attestation": None if answer is None else answer.evidence.to_json(),
            "parameters": [
                {"name": p.name, "value": to_json(p.value), "origin": p.origin} for p in self.parameters
            ],
            "defines": [_define_json(node) for node in self.defines()],
        }


def _define_json(node: ShownDefine) -> dict[str, Any]:
    error = node.error
    return {
        "define": node.define,
        "library": node.library,
        "locator": node.locator,
        "type": node.type,
        "value": to_json(node.value),
        "error": None
        if error is None
        else {
            "message": str(error),
            "library": error.library,
            "define": error.define,
            "localId": error.local_id,
            "locator": error.locator,
        },
        "parameters": {name: to_json(value) for name, value in node.parameters.items()},
        "reads": [
            {"define": read.define} if isinstance(read, ShownDefine) else {"retrieve": _retrieve_json(read)}
            for read in node.reads
        ],
    }


def _retrieve_json(node: ShownRetrieve) -> dict[str, Any]:
    return {
        "resourceType": node.resource_type,
        "valueSet": node.value_set,
        "name": node.name,
        # A set's codes are found by its URL.
        "codes": None if node.codes is None or node.value_set else [_code_json(code) for code in node.codes],
        "state": node.state.state,
        "found": [
            {
                **item.evidence.to_json(),
                "about": [part.to_json() for part in item.about],
                "codings": [_code_json(coding) for coding in item.codings],
                "ranges": list(item.ranges),
                "decides": item.decides,
            }
            for item in node.found
        ],
    }


def _code_json(code: Code) -> dict[str, str | None]:
    return {"system": code.system, "code": code.code, "display": code.display}
