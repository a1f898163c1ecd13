"""Stub."""

from __future__ import annotations

from typing import Any

import orjson

from tests.benchmarks.bench_http import record


def chart_of(patient: str, size: int) -> list[dict[str, Any]]:
    """The chart of `bench_http`, as that of a patient with this id; its resources have ids of their own."""
    found = record(size)
    theirs = next(r["id"] for r in found if r["resourceType"] == "Patient")
    text = orjson.dumps(found).decode().replace(f'"Patient/{theirs}"', f'"Patient/{patient}"')
    made: list[dict[str, Any]] = orjson.loads(text)
    for number, resource in enumerate(made):
        if resource["resourceType"] == "Patient":
            resource["id"] = patient
        elif resource["resourceType"] != "Practitioner":
            resource["id"] = f"{patient}-{number}"
    return made
