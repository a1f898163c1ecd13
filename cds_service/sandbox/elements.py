"""Reading elements of FHIR JSON by path, forgiving of odd shapes: what does not fit yields nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cds_service.sandbox.parameters import patient_paths


def values(resource: Mapping[str, Any], path: str) -> Iterator[Any]:
    """Every value at a dotted path, lists flattened."""
    nodes: list[Any] = [resource]
    for step in path.split("."):
        nodes = [item for node in nodes if isinstance(node, Mapping) for item in as_list(node.get(step))]
    yield from nodes


def as_list(value: Any) -> list[Any]:
    """A list as it is, nothing for None, anything else as a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def references(resource: Mapping[str, Any], path: str) -> Iterator[str]:
    """The literal references at a path, `Type/id` where they are relative or absolute to some server."""
    for value in values(resource, path):
        reference = value.get("reference") if isinstance(value, Mapping) else None
        if isinstance(reference, str):
            yield relative(reference)


def relative(reference: str) -> str:
    """The `Type/id` at the end of a literal reference, without server and version."""
    parts = reference.partition("/_history/")[0].rsplit("/", 2)
    return "/".join(parts[-2:])


def patient_ids(resource: Mapping[str, Any]) -> set[str]:
    """The ids of the patients a resource says it belongs to; a Patient belongs to itself."""
    kind = str(resource["resourceType"])
    if kind == "Patient":
        return {str(resource.get("id"))}
    found = (reference for path in patient_paths(kind) for reference in references(resource, path))
    return {reference.removeprefix("Patient/") for reference in found if reference.startswith("Patient/")}
