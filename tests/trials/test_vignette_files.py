"""The vignette files: valid FHIR R4, self-contained, loadable side by side, and equal to their source."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.trials.criteria import CRITERIA
from tests.trials.make_vignettes import FOLDER, text, vignettes

FILES = sorted(FOLDER.glob("*.json"))
# The base specification's rule for ids, minus the purely numeric ones, which a HAPI server assigns itself.
ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _resources(path: Path) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in _load(path)["bundle"]["entry"]]


def _references(element: Any) -> Iterator[str]:
    if isinstance(element, dict):
        if isinstance(element.get("reference"), str):
            yield element["reference"]
        for value in element.values():
            yield from _references(value)
    elif isinstance(element, list):
        for value in element:
            yield from _references(value)


def test_the_ten_acceptance_vignettes_and_four_more_are_there() -> None:
    ids = {path.stem for path in FILES}
    assert {f"AV-{n:02}" for n in range(1, 11)} <= ids
    assert len(ids) >= 14


@pytest.mark.parametrize("vignette", vignettes(), ids=lambda v: v.id)
def test_file_equals_its_source(vignette: Any) -> None:
    path = FOLDER / f"{vignette.id}.json"
    assert path.read_text(encoding="utf-8") == text(vignette), "run python -m tests.trials.make_vignettes"


def test_no_file_without_source() -> None:
    assert {path.stem for path in FILES} == {v.id for v in vignettes()}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_each_resource_is_valid_r4(path: Path) -> None:
    for resource in _resources(path):
        kind = resource["resourceType"]
        model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
        model.model_validate(resource)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_bundle_is_self_contained(path: Path) -> None:
    vignette = _load(path)
    resources = _resources(path)
    own = {f"{r['resourceType']}/{r['id']}" for r in resources}
    assert set(_references(vignette["bundle"])) <= own
    assert vignette["bundle"]["type"] == "collection"
    for entry in vignette["bundle"]["entry"]:
        resource = entry["resource"]
        assert entry["fullUrl"].endswith(f"/{resource['resourceType']}/{resource['id']}")
    patients = [r["id"] for r in resources if r["resourceType"] == "Patient"]
    assert len(patients) == 1
    assert all(r["id"].startswith(patients[0]) for r in resources)


def test_ids_are_legal_and_globally_unique() -> None:
    ids = [f"{r['resourceType']}/{r['id']}" for path in FILES for r in _resources(path)]
    assert [i for i, n in Counter(ids).items() if n > 1] == []
    for reference in ids:
        own_id = reference.partition("/")[2]
        assert ID.fullmatch(own_id)
        assert not own_id.isdigit()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_expectations_name_every_criterion(path: Path) -> None:
    vignette = _load(path)
    assert vignette["id"] == path.stem
    verdicts = vignette["expected"]["criteria"]
    if vignette["expected"]["status"] == "not-applicable":
        assert verdicts == {}
    else:
        assert tuple(verdicts) == CRITERIA
        assert set(verdicts.values()) <= {"met", "not-met", "unknown"}
