"""Literal references: whom or what does `reference` name? Pure; anything malformed names nothing (None).

A reference is compared as `Type/id`, after taking `/_history/…` off. `urn:uuid:` and `urn:oid:` are resolved
through the Bundle's `fullUrl`s. An absolute URL counts by its last two segments, unless the resource it
would name is known under another server's URL: then it is another resource (FHIR R4 §2.36.4, §3.3.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_TAIL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]*)?/?$")


@dataclass(frozen=True, slots=True)
class References:
    """Resolves references within one Bundle. `by_url` leads from fullUrl to Type/id, `bases` from Type/id to
    the server bases (`https://ehr.example/fhir/`) under which the Bundle lists it."""

    by_url: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, named: Iterable[tuple[str | None, Mapping[str, Any]]], servers: Iterable[str] = ()
    ) -> References:
        """Of (fullUrl, resource) pairs. `servers`: base URLs of the one server that all of them came from; none where
        they may be of several.
        """
        raise NotImplementedError

    def relative(self, reference: object) -> str | None:
        """`Type/id` of a reference; None when it names nothing that can be known. `#contained` stays as it is."""
        if not isinstance(reference, str) or not reference:
            return None
        if reference.startswith("#"):
            return reference
        if reference in self.bases:  # already relative, and listed in the Bundle
            return reference
        known = self.by_url.get(reference)
        if known is not None:
            return known
        if reference.startswith("urn:"):
            return None
        match = _TAIL.search(reference)
        if match is None:
            return None
        relative = f"{match[1]}/{match[2]}"
        base = reference[: match.start(1)]
        if base in ("", "/"):
            return relative
        bases = self.bases.get(relative)
        return relative if not bases or base in bases else None


def base_of(full_url: str, relative: str) -> str | None:
    """The server base of an absolute `fullUrl` that ends in `Type/id`; None for any other."""
    match = _TAIL.search(full_url)
    if (
        match is None
        or f"{match[1]}/{match[2]}" != relative
        or not full_url.startswith(("http://", "https://"))
    ):
        return None
    return full_url[: match.start(1)]
