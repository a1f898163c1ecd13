"""The tree of an explanation as lines of text, and the lists beside it. Nothing here recurses or raises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cds_service.eligibility.explanation import SCREENING_DATE, ShownDefine, ShownResource, ShownRetrieve
from cds_service.eligibility.readable import code_words
from cds_service.elm import Code
from cds_service.records.record import COMPLETE
from cds_service.rendering import words
from cds_service.rendering.explanation_plan import Place, Plan, retrieves
from cds_service.rendering.text import wrapped
from cds_service.rendering.value_words import LISTED, evidence_words, value_words
from cds_service.terminology.systems import CANONICAL

# How much is shown of each, unless all is asked for.
_CODES: Final = 3
_FOUND: Final = 5
_SOUGHT: Final = 12
_SOURCES: Final = 4
_PARAMETER: Final = 40
_VALUE: Final = 280
# What the branches may take of a line.
_INDENT: Final = 42


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters of the tree. `decides`, `other`: before a resource; `source`: before what is read elsewhere."""

    branch: str
    last: str
    stem: str
    decides: str
    other: str
    source: str
    more: str


TREE: Final = Marks("├─ ", "└─ ", "│  ", "◀", "·", "←", "…")
ASCII: Final = Marks("|- ", "`- ", "|  ", "<", "-", "<-", "...")
_BLANK: Final = "   "


def marks_for(encoding: str | None) -> Marks:
    """The tree's own characters where the encoding has them, else ASCII's."""
    drawn = (TREE.branch, TREE.last, TREE.stem, TREE.decides, TREE.other, TREE.source, TREE.more)
    try:
        "".join(drawn).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return TREE


class ExplanationTree:
    """One criterion's tree. `kind`: the criterion's (headline, inclusion, exclusion); `full`: nothing is left out."""

    def __init__(self, root: ShownDefine, kind: str, *, full: bool = False, marks: Marks = TREE) -> None:
        self._root = root
        self._kind = kind
        self._full = full
        self._marks = marks
        self._named: set[str] = set()
        self._plan = Plan(root, full=full)

    def lines(self, width: int) -> Iterator[str]:
        """The tree, each line at most `width` characters."""
        marks = self._marks
        pending: list[tuple[Place, str, str]] = [(self._plan.top, "", "")]
        while pending:
            place, first, below = pending.pop()
            stem = below + (marks.stem if place.children else _BLANK)
            node = place.node
            text = self._define(node, place) if isinstance(node, ShownDefine) else self._sought(node)
            yield from wrapped(text, width, self._short(stem), self._short(first))
            if isinstance(node, ShownRetrieve):
                yield from self._resources(node, width, below)
            for number, child in reversed(list(enumerate(place.children, 1))):
                last = number == len(place.children)
                branch, onward = (marks.last, _BLANK) if last else (marks.branch, marks.stem)
                pending.append((child, below + branch, below + onward))

    def not_found(self) -> Iterator[str]:
        """What was looked for in vain, each with the resource types in which it was."""
        sought: dict[str, dict[str, None]] = {}
        for node in self._plan.missed:
            if node.state.state == COMPLETE:
                sought.setdefault(self._asked(node), {})[node.resource_type] = None
        told = [
            f"{asked}, in {', '.join(types)}" if asked else f"any {', '.join(types)}"
            for asked, types in sought.items()
        ]
        yield from told[:_SOUGHT]
        if len(told) > _SOUGHT:
            yield f"and {len(told) - _SOUGHT} more sets and codes (--explain-full lists them)"

    def not_obtained(self) -> Iterator[str]:
        """The resource types that were read but not, or not completely, obtained."""
        states = {node.resource_type: node.state for node in retrieves(self._root)}
        for kind, state in sorted(states.items()):
            if state.state != COMPLETE:
                reason = f" ({state.reason})" if state.reason else ""
                yield f"{kind}: {words.word_for(words.DATA_STATE, state.state)}{reason}"

    def _short(self, indent: str) -> str:
        """An indent that leaves room for words, however deep it is."""
        more = self._marks.more + " "
        return indent if len(indent) <= _INDENT else more + indent[len(more) - _INDENT :]

    # --- Defines ---

    def _define(self, node: ShownDefine, place: Place) -> str:
        """`FVC Window (fvcWindowDays = 90): in ← FVC Measured`."""
        value = self._value(node, place)
        parameters = self._parameters(node)
        where = f" [{node.locator}]" if self._full and node.locator else ""
        text = f"{place.name}{where}{f' ({parameters})' if parameters else ''}: {value}"
        sources = [
            name
            for name, source in self._plan.sources(place)
            if not (self._plan.is_patient(source) and (place is self._plan.top or "Patient: " in value))
        ]
        shown = sources if self._full else sources[:_SOURCES]
        more = f" and {len(sources) - len(shown)} more" if len(sources) > len(shown) else ""
        return f"{text} {self._marks.source} {', '.join(shown)}{more}" if shown else text

    def _value(self, node: ShownDefine, place: Place) -> str:
        error = node.error
        if error is not None:
            own = (error.library, error.define) == (node.library, node.name)
            return f"failed: {error}" if own else f'failed, since "{error.define}" of {error.library} did'
        # The verdict's own evidence stands in the row above the tree.
        listed = None if self._full else 0 if place is self._plan.top else LISTED
        value = value_words(node.value, self._kind, boolean=node.type == "System.Boolean", listed=listed)
        if self._full or len(value) <= _VALUE:
            return value
        return f"{value[:_VALUE].rpartition(' ')[0]} {self._marks.more}"

    def _parameters(self, node: ShownDefine) -> str:
        told = []
        for name, value in node.parameters.items():
            text = value_words(value, self._kind, listed=None)
            if name != SCREENING_DATE:
                told.append(f"{name} = {text}" if len(text) <= _PARAMETER else name)
        return ", ".join(told)

    # --- Retrieves ---

    def _sought(self, node: ShownRetrieve) -> str:
        if node.codes is None and node.found:
            return f"{node.resource_type}: all on record ({len(node.found)})"
        text = f"{node.resource_type}: {self._asked(node) or 'all'}"
        return text if node.found else f"{text}: nothing found"

    def _asked(self, node: ShownRetrieve) -> str:
        """`AlsMimicDx (SNOMED CT 230253001 Bulbospinal neuronopathy; and 6 more)`; of what was found only its name."""
        if node.codes is None:
            return ""
        name = node.name or node.value_set
        if name is not None and node.found and not self._full:
            return name
        shown = node.codes if self._full else _sample(node.codes)
        texts = [code_words(code) for code in shown]
        if len(node.codes) > len(shown):
            texts.append(f"and {len(node.codes) - len(shown)} more")
        return f"{name} ({'; '.join(texts)})" if name is not None else "; ".join(texts)

    def _resources(self, node: ShownRetrieve, width: int, below: str) -> Iterator[str]:
        indent = self._short(below) + _BLANK
        found = sorted(node.found, key=lambda item: not item.decides)
        # Of a whole type only what decides is worth a look, where there is more than a few.
        whole = node.codes is None and len(found) > _FOUND
        chosen = [item for item in found if item.decides] if whole else found
        shown = found if self._full else chosen[:_FOUND]
        for item in shown:
            mark = self._marks.decides if item.decides else self._marks.other
            yield from wrapped(self._resource(item), width, indent + "  ", f"{indent}{mark} ")
        if shown and len(found) > len(shown):
            yield f"{indent}{self._marks.other} and {len(found) - len(shown)} more"

    def _resource(self, item: ShownResource) -> str:
        """In full where it is met first, afterwards by its name; with the codings that fitted."""
        evidence = item.evidence
        known = f"{evidence.display} [{evidence.reference}]"
        if self._full or evidence.reference not in self._named:
            self._named.add(evidence.reference)
            status = f", {evidence.status}" if evidence.status else ""
            known = f"{evidence_words(evidence)}{status} [{evidence.reference}]"
        about = [f"{evidence_words(part)} [{part.reference}]" for part in item.about]
        ranges = [f"reference range {' or '.join(item.ranges)}"] if item.ranges else []
        codings = [text for code in item.codings if (text := _coding(code, evidence.display))]
        return "; ".join((known, *about, *ranges, *codings))


def _coding(code: Code, display: str) -> str:
    """The coding, without the words that its resource has been called by; nothing of a code of words alone."""
    if code.display != display:
        return code_words(code)
    return "" if (code.system or "").startswith(CANONICAL) else code_words(Code(code.code, code.system))


def _sample(codes: Sequence[Code]) -> list[Code]:
    """The first code of each of the first few systems."""
    firsts: dict[str | None, Code] = {}
    for code in codes:
        firsts.setdefault(code.system, code)
    return list(firsts.values())[:_CODES]
