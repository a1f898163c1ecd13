"""From a define that differs to the one operator in it that does: the smallest part on which the engines differ.

Every part of the define's ELM that refers to no alias outside itself becomes a define of its own; both engines evaluate all of
them, and the smallest that differs is where the difference comes from. Errors: none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cds_service.elm import DateTime, load_library
from tests.reference import compare, patients
from tests.reference.engine import Reference
from tests.reference.trial import NOW, Expansions, PlainRetriever, in_javascript

Json = Any
Node = Mapping[str, Any]
_NO_EXPRESSION: Final = frozenset(
    {"NamedTypeSpecifier", "ListTypeSpecifier", "IntervalTypeSpecifier", "TupleTypeSpecifier", "ChoiceTypeSpecifier",
     "ByExpression", "ByColumn", "ByDirection", "With", "Without"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a define: its ELM, and what both engines came to."""

    node: Node
    ours: Mapping[str, Json]
    theirs: Mapping[str, Json]
    differences: Sequence[compare.Difference]


class OnBoth:
    """Libraries of expressions on both engines, for one patient's resources."""

    def __init__(self, reference: Reference, helpers: Node) -> None:
        self.reference = reference
        self.helpers = helpers
        self.nothing = Expansions({})

    def outcomes(
        self, elm: Node, resources: Sequence[Mapping[str, Any]], amended: Sequence[str] = ()
    ) -> dict[str, tuple[Mapping[str, Json], Mapping[str, Json]]]:
        """(ours, theirs) of every define."""
        name = elm["library"]["identifier"]["id"]
        library = load_library([elm, self.helpers], main=name, terminology=self.nothing)
        patient = next(resource for resource in resources if resource["resourceType"] == "Patient")
        retriever = PlainRetriever(resources, self.nothing)
        ours = library.evaluate(
            None, retriever=retriever, patient=patient, parameters={}, now=DateTime.parse(NOW)
        )
        self.reference.load("x", [in_javascript(elm), in_javascript(self.helpers)], name, {})
        theirs = self.reference.run("x", patients.bundle(resources), {}, NOW, amended=amended)
        return {define: (compare.outcome(result), theirs[define]) for define, result in ours.items()}

    def narrowed(
        self, elm: Node, define: str, resources: Sequence[Mapping[str, Any]], amended: Sequence[str] = ()
    ) -> Part | None:
        """The smallest part of the define that differs; None where no part can be told."""
        statement = next(s for s in elm["library"]["statements"]["def"] if s.get("name") == define)
        parts = sorted(closed(statement["expression"]), key=_size)
        head = [s for s in elm["library"]["statements"]["def"] if s.get("name") == "Patient"]
        defines = [
            {"name": f"P{number}", "context": "Patient", "accessLevel": "Public", "expression": part}
            for number, part in enumerate(parts)
        ]
        library = {**elm["library"], "statements": {"def": [*head, *defines]}}
        outcomes = self.outcomes({"library": library}, resources, amended)
        for number, part in enumerate(parts):
            ours, theirs = outcomes[f"P{number}"]
            found = compare.compared(ours, theirs)
            if found:
                return Part(part, ours, theirs, found)
        return None


def closed(node: Any) -> Iterator[Node]:
    """The expressions in a node, itself included, that refer to no alias outside themselves."""
    if isinstance(node, list):
        for item in node:
            yield from closed(item)
    elif isinstance(node, Mapping):
        if "type" in node and node["type"] not in _NO_EXPRESSION and not _free(node):
            yield node
        for value in node.values():
            yield from closed(value)


def _free(node: Any) -> set[str]:
    """The aliases, lets and scopes that a node refers to and does not introduce."""
    if isinstance(node, list):
        return set().union(*map(_free, node)) if node else set()
    if not isinstance(node, Mapping):
        return set()
    used = set().union(*(_free(value) for value in node.values() if isinstance(value, (list, Mapping))))
    kind = node.get("type")
    if kind == "Query":
        made = [
            *node["source"],
            *node.get("relationship", ()),
            *node.get("let", ()),
            node.get("aggregate") or {},
        ]
        names = {item[key] for item in made for key in ("alias", "identifier") if key in item}
        drawn = [item.get("expression") for item in (*node["source"], *node.get("relationship", ()))]
        return (used - names) | _free(drawn)  # what is drawn from stands outside of the aliases
    if kind in ("AliasRef", "QueryLetRef", "IdentifierRef", "OperandRef"):
        used.add(node["name"])
    if isinstance(node.get("scope"), str):
        used.add(node["scope"])
    return used


def _size(node: Any) -> int:
    if isinstance(node, list):
        return sum(_size(item) for item in node)
    if isinstance(node, Mapping):
        return 1 + sum(_size(value) for value in node.values() if isinstance(value, (list, Mapping)))
    return 0
