"""What the tests on a real FHIR server share: the vignettes' patients, loaded once, and the trials."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from tests.support import hapi
from tests.support.hooked import DAY, FILES, RecordingScreener, hooked, prefetched

Prefetch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Vignette:
    """`patient`: its id; `expected`: the status and whether a card is due."""

    patient: str
    resources: tuple[dict[str, Any], ...]
    expected: Mapping[str, Any]


@pytest.fixture(scope="session")
def screener() -> RecordingScreener:
    return RecordingScreener.loaded()


@pytest.fixture(scope="session")
def vignettes(hapi_url: str) -> dict[str, Vignette]:
    """All vignettes by name, their patients on the server side by side."""
    found = {}
    for path in FILES:
        document = json.loads(path.read_text(encoding="utf-8"))
        assert document["asOf"] == DAY
        resources = tuple(entry["resource"] for entry in document["bundle"]["entry"])
        (patient,) = (r["id"] for r in resources if r["resourceType"] == "Patient")
        found[path.stem] = Vignette(patient, resources, document["expected"])
    hapi.load(hapi_url, [resource for vignette in found.values() for resource in vignette.resources])
    return found


@pytest.fixture(scope="session")
def chart(
    hapi_url: str,
    screener: RecordingScreener,
    vignettes: dict[str, Vignette],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Prefetch]:
    """The prefetch of a vignette's patient: what the server answers to all templates of discovery, asked once."""
    with hooked(tmp_path_factory.mktemp("full"), screener, SERVICE_PREFETCH="full") as hook:
        templates = hook.templates()
    return cache(lambda name: prefetched(hapi_url, templates, vignettes[name].patient))
