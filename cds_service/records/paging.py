"""The pages of a search as one answer, wherever its first page came from: a prefetch value or the server.

Links are followed on the server of the call only. Error policy: nothing raises; whatever keeps the rest away makes the
answer truncated or failed, with its reason, and what came before stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cds_service.records.fhir_transport import MORE_DATA, Bounds, FetchFailure, PooledClient
from cds_service.records.obtained import Obtained, Resource
from cds_service.records.origins import on_server
from cds_service.records.record import COMPLETE, FAILED, TRUNCATED
from cds_service.records.searchset import Page, names_other_patient, read_page, unique_count, worse

# Some servers filter after paging, so that a page may be empty; one after the other without anything new is a loop.
_PAGES_WITHOUT_NEWS: Final = 10


def all_pages(
    first: Page,
    resource_type: str,
    patient_id: str,
    client: PooledClient | None = None,
    bounds: Bounds | None = None,
) -> Obtained:
    """What the first page and those that it leads to hold of this patient; without a client the first page only."""
    found = _Found(resource_type)
    found.add(first)
    if client is not None and not _taken(first, client):
        found.add_state((TRUNCATED, MORE_DATA))
    elif client is not None and first.next is not None:
        found.add_state(_follow(found, first.next, client, bounds or Bounds()))
    elif first.next is not None:
        found.add_state((TRUNCATED, "more pages exist"))
    return found.obtained(patient_id)


def _follow(found: _Found, link: str, client: PooledClient, bounds: Bounds) -> tuple[str, str | None]:
    """Adds the pages from this link on; how that ended."""
    followed: set[str] = set()
    without_news = 0
    for _ in range(bounds.pages - 1):
        # A bare query belongs to the search that it stands in.
        url = (
            on_server(client.url, found.resource_type + link if link.startswith("?") else link)
            if link
            else None
        )
        if url is None:
            return TRUNCATED, "paging link to another server"
        if url in followed or without_news == _PAGES_WITHOUT_NEWS:
            return TRUNCATED, "paging loop"
        followed.add(url)
        try:
            page = read_page(client.execute(url, method="get"), found.resource_type)
        except FetchFailure as failure:
            if failure.reason == MORE_DATA:
                return TRUNCATED, MORE_DATA
            return TRUNCATED, f"a later page failed: {failure.reason}"
        without_news = 0 if found.add(page) else without_news + 1
        if not _taken(page, client):
            return TRUNCATED, MORE_DATA
        if page.next is None:
            return COMPLETE, None
        link = page.next
    return TRUNCATED, "more pages than are read"


def _taken(page: Page, client: PooledClient) -> bool:
    """Takes a page's resources from what the call may read; False once that is used up."""
    return client.allowance.take(resources=len(page.resources) + len(page.included))


@dataclass(slots=True)
class _Found:
    """What the pages of one search brought so far."""

    resource_type: str
    matches: list[Resource] = field(default_factory=list)
    included: list[Resource] = field(default_factory=list)
    full_urls: dict[int, str] = field(default_factory=dict)
    state: tuple[str, str | None] = (COMPLETE, None)
    hint: bool = False
    total: int | None = None
    ids: set[object] = field(default_factory=set)

    def add(self, page: Page) -> bool:
        """Takes a page in; whether it held any match that no page before it did."""
        self.matches += page.resources
        self.included += page.included
        self.full_urls.update(page.full_urls)
        self.hint |= page.hint
        self.add_state((page.state, page.reason))
        if page.total is not None:
            # A total that shrank between two pages moved what was to come: something may have been skipped.
            self.total = page.total if self.total is None else max(self.total, page.total)
        known = len(self.ids)
        self.ids.update(own if isinstance(own := r.get("id"), str) else id(r) for r in page.resources)
        return len(self.ids) > known

    def add_state(self, state: tuple[str, str | None]) -> None:
        self.state = worse(self.state, state)

    def obtained(self, patient_id: str) -> Obtained:
        """The patient's own of it. Where all matches are others', the patient's were not obtained at all; beside
        others' they are never taken for all, whatever a total says: a resource may have got the wrong subject.
        """
        counted = unique_count(tuple(self.matches))
        if self.total is not None and self.total > counted:
            self.add_state((TRUNCATED, "total above the entries"))
        own = tuple(r for r in self.matches if not names_other_patient(r, patient_id))
        dropped = len(self.matches) - len(own)
        if dropped and not own:
            self.add_state((FAILED, "another patient's data"))
        elif dropped:
            self.add_state((TRUNCATED, "another patient's data"))
        return Obtained(own, tuple(self.included), *self.state, dropped, self.hint, self.full_urls)
