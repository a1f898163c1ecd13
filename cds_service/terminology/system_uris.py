"""Code systems by whatever URI they are written: the canonical one is what codes are compared by.

People write a code system's URI in many ways that can mean one system only: with https, `www.`, a slash or `|version`
behind it, in capitals, as an OID with or without `urn:oid:`, SNOMED CT by the URI of an edition. What is listed
(the ConceptMap `system-aliases`) names the others: national URIs, OIDs and names that are no URIs at all.

No errors: the URI of a system that isn't known stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from cds_service.terminology.systems import SNOMED

# An edition or a version of SNOMED CT: the codes are the same.
_SNOMED_EDITION: Final = "snomed.info/sct/"
# HL7's own URIs begin with http; a browser's address bar makes it https.
_HL7: Final = ("https://terminology.hl7.org/", "https://hl7.org/fhir/")


class SystemUris:
    """Leads from what is written as a code system to its canonical URI; immutable."""

    def __init__(self, aliases: Mapping[str, str], canonical: Iterable[str]) -> None:
        """`aliases`: from another URI to the system's own, or to a further alias. Of `canonical` URIs that are one, the
        first counts: no other way to write it may take its place.
        """
        self._by_key: dict[str, str] = {}
        for uri in (*canonical, *aliases.values()):
            self._by_key.setdefault(uri_key(uri), uri)
        leads = {uri_key(alias): uri for alias, uri in aliases.items()}
        for key, end in leads.items():
            passed, uri = {key}, end
            while (further := uri_key(uri)) in leads and further not in passed:
                passed.add(further)
                uri = leads[further]
            self._by_key[key] = self._by_key[uri_key(uri)]

    def canonical(self, written: str) -> str:
        """The canonical URI of a system; of one that isn't known the text itself."""
        key = uri_key(written)
        found = self._by_key.get(key)
        if found is not None:
            return found
        if key.startswith(_SNOMED_EDITION):
            return SNOMED
        if written.startswith(_HL7):
            return written.replace("https:", "http:", 1)
        return written


def uri_key(written: str) -> str:
    """What stays of a URI when everything is taken off that tells no systems apart."""
    key = written.strip().partition("|")[0].casefold()
    for prefix in ("http://", "https://", "urn:oid:", "oid:"):
        key = key.removeprefix(prefix)
    return key.removeprefix("www.").rstrip("/")
