"""Literal references: whom or what does `reference` name? Pure; anything malformed names nothing (None).

A reference is compared as `Type/id`, after taking `/_history/…` off. `urn:uuid:` and `urn:oid:` are resolved through
the `fullUrl`s of the entries. Each server has ids of its own (FHIR R4 §2.36.4, §3.3.1): an absolute URL, or a relative
one inside an entry of another server, names a resource of the record only where its base is one by which the record's
server calls itself, or the `fullUrl` of that very resource. Where nothing tells whose the record is, an absolute URL
counts by its last two segments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cds_service.records.resource_types import PATIENT_ELEMENTS, PATIENT_OPTIONAL

_TAIL: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]*)?/?$")
_UUID: Final = re.compile(r"/[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
_UUID_LENGTH: Final = 36
_NONE: Final[frozenset[str]] = frozenset()
_PORTS: Final = {"http": ":80", "https": ":443"}
# A fullUrl, its resource's type and what stands for its id.
Named = tuple[str | None, str, Any]


@dataclass(frozen=True, slots=True)
class References:
    """Resolves the references of one record.

    `names`: from fullUrl to the Type/id by which the record knows the resource. `bases`: from Type/id to the bases
    under which it is listed. `servers`: the bases by which the record's own server calls itself; none where that is not
    known. `patient`: Type/id of the patient for whom one server gave all this; then any URL that ends in it is meant.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, frozenset[str]] = field(default_factory=dict)
    servers: frozenset[str] = frozenset()
    patient: str | None = None

    @classmethod
    def of(
        cls,
        named: Iterable[tuple[str | None, Mapping[str, Any]]],
        servers: Iterable[str] = (),
        *,
        patient: str | None = None,
    ) -> References:
        """Of what one server gave: (fullUrl, resource) pairs, its base URLs as far as they are known, and the patient
        (`Patient/123`) whose data were asked for.
        """
        entries = [(url, str(r.get("resourceType")), r.get("id")) for url, r in named]
        return cls.between(entries, servers, patient=patient, one_server=True)

    @classmethod
    def between(
        cls, entries: Sequence[Named], servers: Iterable[str], *, patient: str | None, one_server: bool
    ) -> References:
        """Of entries that may be of several servers, unless `one_server` says otherwise."""
        own = {_canonical(server) for server in servers}
        listed = [
            (url, kind, f"{kind}/{identifier}", base_of(url, f"{kind}/{identifier}"))
            for url, kind, identifier in entries
            if isinstance(identifier, str)
        ]
        if one_server:
            # What belongs to a patient comes from the server itself; what it refers to may be of another.
            own |= {
                base
                for _, kind, _, base in listed
                if base is not None and (kind == "Patient" or not _shared(kind))
            }
        names: dict[str, str] = {}
        bases: dict[str, frozenset[str]] = {}
        taken = {relative for _, _, relative, base in listed if base is None or base in own}
        for url, kind, relative, base in listed:
            if len(relative) > _UUID_LENGTH and _UUID.search(relative):
                names.setdefault(f"urn:uuid:{relative[-_UUID_LENGTH:].lower()}", relative)
            if url is None or base is None:
                bases.setdefault(relative, frozenset())
                if url is not None:
                    names.setdefault(_spelled(url), relative)
                continue
            known = names.get(f"{base}{relative}")
            if known is None:
                known = relative
                foreign = bool(own) and (relative in taken or _shared(kind))
                if kind != "Patient" and base not in own and (foreign or (not own and bases.get(relative))):
                    known = _another_name(relative, taken)
                names[f"{base}{relative}"] = known
                taken.add(known)
            names[url] = known  # as most references to it are spelled, too
            if base not in bases.get(known, ()):
                bases[known] = bases.get(known, frozenset()) | {base}
        return cls(names, bases, frozenset(own), patient if one_server else None)

    def name_of(self, full_url: str | None, relative: str) -> str:
        """The Type/id by which the record knows the resource of an entry: its own, unless it is another server's and
        could be taken for one of the record's.
        """
        known = self.names.get(full_url or "", relative)
        # A fullUrl may stand on several entries.
        return known if known != relative and known.startswith(f"{relative}.") else relative

    def foreign_base(self, full_url: str | None, relative: str) -> str | None:
        """The base of an entry that is plainly another server's."""
        if not self.servers or self.bases.get(self.name_of(full_url, relative), _NONE) <= self.servers:
            return None
        base = base_of(full_url, relative)
        return base if base not in self.servers else None

    def relative(self, reference: object, holder: str | None = None) -> str | None:
        """`Type/id` of a reference; None when it names nothing that can be known. `#contained` stays as it is.

        `holder`: the `foreign_base` of the entry that it stands in.
        """
        if not isinstance(reference, str) or not reference:
            return None
        if reference.startswith("#"):
            return reference
        known = self.names.get(reference)
        if known is not None:
            return known
        match = None if reference.startswith("urn:") else _TAIL.search(reference)
        if match is None:
            return self.names.get(_spelled(reference))
        relative = f"{match[1]}/{match[2]}"
        before = reference[: match.start(1)]
        if relative == self.patient:
            return relative
        if before in ("", "/"):
            return relative if holder is None else self.names.get(f"{holder}{relative}")
        base = _canonical(before)
        known = self.names.get(f"{base}{relative}")
        if known is not None:
            return known
        listed = self.bases.get(relative)
        if base in self.servers:
            return relative if not listed or listed & self.servers else None
        return relative if not self.servers and not listed else None


def base_of(full_url: str | None, relative: str) -> str | None:
    """The server base of an absolute `fullUrl` that ends in `Type/id`, in one spelling; None for any other."""
    if full_url is None or full_url[:7].lower() not in ("http://", "https:/"):
        return None
    if full_url.endswith(relative):
        before = full_url[: -len(relative)]
        return _canonical(before) if before.endswith("/") else None
    match = _TAIL.search(full_url)
    if match is None or f"{match[1]}/{match[2]}" != relative:
        return None
    return _canonical(full_url[: match.start(1)])


def last_segments(reference: str) -> str | None:
    """`Type/id` at the end of a reference, whatever stands before it; None for any other text."""
    match = _TAIL.search(reference)
    return f"{match[1]}/{match[2]}" if match is not None else None


def _canonical(base: str) -> str:
    """A base in one spelling: `host/path/`. A proxy that ends TLS changes the scheme, and names no other server."""
    scheme, _, rest = base.partition("://")
    host, _, path = rest.partition("/")
    host = host.lower().removesuffix(_PORTS.get(scheme.lower(), ""))
    path = path.strip("/")
    return f"{host}/{path}/" if path else f"{host}/"


def _spelled(url: str) -> str:
    """A fullUrl that is no server's, as it is looked up: a urn in any case."""
    return url.lower() if url[:4].lower() == "urn:" else url


def _shared(kind: str) -> bool:
    """Whether resources of a type may belong to no patient, so that only their address tells them apart."""
    return kind not in PATIENT_ELEMENTS or kind in PATIENT_OPTIONAL


def _another_name(relative: str, taken: set[str]) -> str:
    number = 2
    while f"{relative}.{number}" in taken:
        number += 1
    return f"{relative}.{number}"
