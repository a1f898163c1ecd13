"""El Escorial categories: of codes, a site's own included, and of whole texts (clinical specification IN02). No
errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.records.quantities import Problem
from cds_service.terminology.systems import EL_ESCORIAL_CATEGORY
from cds_service.terminology.text import normalise_text


class Categories:
    """`known` maps (system, code) to a category; the system of a normalised text is ""."""

    def __init__(self, known: Mapping[tuple[str, str], str]) -> None:
        self._known = known

    def read(self, key: str, given: Any) -> dict[str, Any] | Problem:
        """The value element `key` as a `valueCodeableConcept` that begins with the project's coding."""
        if key == "valueString":
            given = {"text": given}
        elif key != "valueCodeableConcept":
            return Problem("text-only")
        category = self.of(given)
        if isinstance(category, Problem):
            return category
        coding = {"system": EL_ESCORIAL_CATEGORY, "code": category}
        return {"valueCodeableConcept": {**given, "coding": [coding, *given.get("coding", ())]}}

    def of(self, concept: Mapping[str, Any]) -> str | Problem:
        """The El Escorial category of a concept: by its codings, else by its text; two differing ones conflict."""
        found = self.coded(concept)
        if not found:
            text = self.written(concept)
            found = set() if text is None else {text}
        if len(found) > 1:
            return Problem("conflicting-data")
        return found.pop() if found else Problem("text-only")

    def coded(self, concept: Mapping[str, Any]) -> set[str]:
        """The categories that a concept's codings mean."""
        keys = [(coding.get("system", ""), coding.get("code", "")) for coding in concept.get("coding", ())]
        return {self._known[key] for key in keys if key[0] and key in self._known}

    def written(self, concept: Mapping[str, Any]) -> str | None:
        """The category that a concept's whole text means."""
        return self._known.get(("", normalise_text(concept.get("text", ""))))
