"""The sandbox's resources in memory: one Store for each mounted sandbox, safe for several threads, bounded.

Resources are plain JSON and are replaced, never changed, so a reader may keep what it was given. Raises
StoreFullError when more than `capacity` resources were added; `reset` restores the state of the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from itertools import count
from threading import Lock
from typing import Any, Final

from cds_service.errors import CdsServiceError

CAPACITY: Final = 2_000


class StoreFullError(CdsServiceError):
    """More was written to the sandbox than it is made for."""


class Store:
    """Resources by type and id, in the order they came; a replaced resource keeps its place.

    `as_of` is the sandbox's day: time stamps of what is written lie on it, a millisecond apart, so that the
    latest one is known although no clock is read.
    """

    def __init__(self, resources: Iterable[dict[str, Any]], as_of: date, *, capacity: int = CAPACITY) -> None:
        self._lock = Lock()
        self._as_of = as_of
        self._capacity = capacity
        self._ticks = count()
        self._initial = tuple(self._as_given(r) for r in resources)
        self._held: dict[str, dict[str, dict[str, Any]]] = {}
        self._added = 0
        self.reset()

    def reset(self) -> None:
        """Back to the resources of the start; whatever was written is gone."""
        held: dict[str, dict[str, dict[str, Any]]] = {}
        for resource in self._initial:
            held.setdefault(resource["resourceType"], {})[resource["id"]] = resource
        with self._lock:
            self._held, self._added = held, 0

    def get(self, resource_type: str, resource_id: str) -> dict[str, Any] | None:
        """One resource, or None."""
        with self._lock:
            return self._held.get(resource_type, {}).get(resource_id)

    def all(self, resource_type: str) -> list[dict[str, Any]]:
        """Every resource of a type, in a stable order."""
        with self._lock:
            return list(self._held.get(resource_type, {}).values())

    def create(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Store a new resource under an id of the server's choosing; its own id is ignored, as FHIR asks."""
        with self._lock:
            self._make_room()
            of_type = self._held.setdefault(resource["resourceType"], {})
            # Numbered, not random: the sandbox is reproducible. A vignette or an update may hold the number
            # already.
            new_id = next(i for n in count(len(of_type) + 1) if (i := f"sandbox-{n}") not in of_type)
            stored = self._stamped({**resource, "id": new_id}, "1")
            of_type[new_id] = stored
            return stored

    def update(
        self, resource: Mapping[str, Any], expected_version: str | None = None
    ) -> tuple[dict[str, Any], bool]:
        """Store a resource under its own id. Returns it and whether it is new.

        Raises VersionConflictError when `expected_version` is given and is not the current one.
        """
        with self._lock:
            of_type = self._held.setdefault(resource["resourceType"], {})
            current = of_type.get(resource["id"])
            version = current["meta"]["versionId"] if current else None
            if expected_version is not None and expected_version != version:
                raise VersionConflictError(
                    "The resource has another version than If-Match names; read it again."
                )
            if current is None:
                self._make_room()
            stored = self._stamped(resource, str(int(version) + 1) if version and version.isdigit() else "1")
            of_type[resource["id"]] = stored
            return stored, current is None

    def _make_room(self) -> None:
        if self._added >= self._capacity:
            raise StoreFullError("The sandbox holds as much as it is made for. Reset it to go on.")
        self._added += 1

    def _as_given(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """A resource of the start: its own version and time stand, what it lacks is supplied."""
        supplied = {"versionId": "1", "lastUpdated": self._moment(time(6))}
        return {**resource, "meta": supplied | _meta(resource)}

    def _stamped(self, resource: Mapping[str, Any], version: str) -> dict[str, Any]:
        # Late on the day, so that what is written counts as newer than whatever was there at the start.
        stamp = {"versionId": version, "lastUpdated": self._moment(time(23))}
        return {**resource, "meta": _meta(resource) | stamp}

    def _moment(self, hour: time) -> str:
        moment = datetime.combine(self._as_of, hour) + timedelta(milliseconds=next(self._ticks))
        return moment.isoformat(timespec="milliseconds") + "Z"


def _meta(resource: Mapping[str, Any]) -> dict[str, Any]:
    meta = resource.get("meta")
    return dict(meta) if isinstance(meta, Mapping) else {}


class VersionConflictError(CdsServiceError):
    """An update names a version that is not the current one (HTTP 412)."""
