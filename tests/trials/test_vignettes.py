"""Every vignette through the public path: overall status, card, and every criterion of its `expected`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trials.assessing import assess, verdicts
from tests.trials.criteria import CRITERIA
from tests.trials.make_vignettes import FOLDER

FILES = sorted(FOLDER.glob("*.json"))


def _load(path: Path) -> dict[str, Any]:
    loaded = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_vignette(path: Path) -> None:
    vignette = _load(path)
    assessment = assess(vignette["bundle"], vignette["asOf"])
    expected = vignette["expected"]
    assert assessment["status"] == expected["status"]
    assert assessment["card"] is expected["card"]
    if expected["criteria"]:
        assert verdicts(assessment) == expected["criteria"]
        assert tuple(row["id"] for row in assessment["criteria"]) == CRITERIA


def test_av_06_names_every_reason_for_exclusion() -> None:
    """All reasons are listed, not only the first (§1.2)."""
    found = verdicts(assess(_load(FOLDER / "AV-06.json")["bundle"]))
    assert found["IN03-AlsfrsR"] == "not-met"
    assert found["IN04-Fvc"] == "not-met"
    assert found["EX13a-Niv"] == "met"
    assert found["EX15-AlternativeFeeding"] == "met"


def test_av_08_says_what_is_missing() -> None:
    assessment = assess(_load(FOLDER / "AV-08.json")["bundle"])
    rows = {row["id"]: row for row in assessment["criteria"]}
    assert rows["H1-Condition"]["reasons"] == ["ambiguous-code"]
    assert rows["H1-Condition"]["likely"] == "met"
    for criterion_id in ("IN02-ElEscorial", "IN03-AlsfrsR", "IN04-Fvc", "EX06-AstAlt", "EX07-Creatinine"):
        assert rows[criterion_id]["reasons"] == ["missing-data"], criterion_id
    for infection in ("a-HepatitisB", "b-HepatitisC", "c-Hiv", "d-Htlv", "e-Syphilis"):
        assert rows[f"EX08{infection}"]["reasons"] == ["missing-data"], infection


def test_av_14_says_why_there_is_no_card() -> None:
    assessment = assess(_load(FOLDER / "AV-14.json")["bundle"])
    assert any("already in, or through, this trial" in note for note in assessment["notes"])
