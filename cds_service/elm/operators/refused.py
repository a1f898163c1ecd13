"""ELM node types that can't be executed, and why: a library that has one does not load (AuthoringError)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from cds_service.elm.compile import Builder, Node, Scope

_HIERARCHY = (
    "the terminology holds value sets, not the hierarchies of code systems; "
    "put the codes below into a value set and ask whether the code is in it"
)

REASONS: Final[Mapping[str, str]] = {
    "Subsumes": _HIERARCHY,
    "SubsumedBy": _HIERARCHY,
    "Search": "FHIR's search parameters are no part of the model here; name the element's path in a Property",
}


def _refusing(reason: str) -> Builder:
    def build(scope: Scope, node: Node) -> NoReturn:
        scope.fail(node, f"ELM node type {node['type']!r} is not supported: {reason}")

    return build


BUILDERS: Mapping[str, Builder] = {name: _refusing(reason) for name, reason in REASONS.items()}
