"""Which of several versions of one `type/id` counts (clinical specification §2.1). No errors.

The highest numeric `meta.versionId`; where one has none, the latest `meta.lastUpdated`. Equal contents count
once. What differs and can't be ordered is all kept, and marked: no verdict may rest on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cds_service.terminology.systems import DERIVATION

UNKNOWN_MODIFIER = {"system": DERIVATION, "code": "unknown-modifier"}


def latest_versions(
    resources: Iterable[dict[str, Any]], originals: dict[int, Mapping[str, Any]], warnings: list[str]
) -> list[dict[str, Any]]:
    """The resources in the order given, one of each `type/id`; one without an id stands for itself."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for resource in resources:
        own = resource.get("id")
        key = (resource["resourceType"], own) if isinstance(own, str) else id(resource)
        groups.setdefault(key, []).append(resource)
    kept: list[dict[str, Any]] = []
    doubtful = 0
    for group in groups.values():
        versions = group if len(group) == 1 else _latest(group)
        if len(versions) > 1:
            doubtful += 1
            versions = [marked(version, originals) for version in versions]
        kept += versions
    if doubtful:
        warnings.append(f"{doubtful} resource(s) came in different versions of which none is the latest")
    return kept


def marked(resource: dict[str, Any], originals: dict[int, Mapping[str, Any]]) -> dict[str, Any]:
    """A copy with the mark that no verdict may rest on this resource."""
    copy = {**resource, "meta": with_tag(resource.get("meta"), UNKNOWN_MODIFIER)}
    originals[id(copy)] = originals.get(id(resource), resource)
    return copy


def with_tag(meta: Any, tag: Mapping[str, str]) -> dict[str, Any]:
    """A `meta` with one more tag; whatever isn't a proper `meta` counts as none."""
    known = meta if isinstance(meta, dict) else {}
    tags = known.get("tag")
    return {**known, "tag": [*(tags if isinstance(tags, list) else ()), dict(tag)]}


def _latest(group: list[dict[str, Any]]) -> list[dict[str, Any]]:
    numbers = [_version(resource) for resource in group]
    if all(number is not None for number in numbers):
        highest = max(number for number in numbers if number is not None)
        group = [resource for resource, number in zip(group, numbers, strict=True) if number == highest]
    times = [_updated(resource) for resource in group]
    if all(time is not None for time in times):
        last = max(time for time in times if time is not None)
        group = [resource for resource, time in zip(group, times, strict=True) if time == last]
    different: list[dict[str, Any]] = []
    for resource in group:
        if not any(_same(resource, other) for other in different):
            different.append(resource)
    return different


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    try:
        return _content(one) == _content(other)
    except RecursionError:  # nested beyond any sense
        return False


def _content(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "meta"}


def _version(resource: Mapping[str, Any]) -> int | None:
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    if isinstance(version, str) and version.isascii() and version.isdigit() and len(version) <= 18:
        return int(version)
    return version if isinstance(version, int) and not isinstance(version, bool) else None


def _updated(resource: Mapping[str, Any]) -> datetime | None:
    meta = resource.get("meta")
    text = meta.get("lastUpdated") if isinstance(meta, dict) else None
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
