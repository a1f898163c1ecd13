"""Synthetic records of a chosen size for the benchmarks: the base candidate of the vignettes plus everyday noise."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import orjson

from tests import builders

_NOISE_LOINC = (
    "2345-7",
    "718-7",
    "4548-4",
    "2951-2",
    "2823-3",
    "8480-6",
    "8462-4",
    "8867-4",
    "2708-6",
    "6690-2",
)
_NOISE_SNOMED = (
    "38341003",
    "44054006",
    "195967001",
    "396275006",
    "55822004",
    "13644009",
    "271737000",
    "73211009",
)


def bundle_of(size: int, *, seed: int = 1) -> dict[str, Any]:
    """A collection Bundle of about `size` resources of one candidate; the same seed gives the same Bundle."""
    rng = random.Random(seed)
    bundle = builders.b0()
    patient = next(e["resource"]["id"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")
    for number in range(size - len(bundle["entry"])):
        bundle["entry"].append({"resource": _noise(rng, number, f"Patient/{patient}")})
    return bundle


def _noise(rng: random.Random, number: int, subject: str) -> dict[str, Any]:
    day = f"20{rng.randint(10, 25):02}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    if number % 5 == 0:
        return {
            "resourceType": "Condition",
            "id": f"noise-{number}",
            "subject": {"reference": subject},
            "clinicalStatus": {"coding": [{"code": "active"}]},
            "verificationStatus": {"coding": [{"code": "confirmed"}]},
            "code": {
                "coding": [{"system": builders.SNOMED, "code": rng.choice(_NOISE_SNOMED), "display": "noise"}]
            },
            "recordedDate": day,
        }
    return {
        "resourceType": "Observation",
        "id": f"noise-{number}",
        "subject": {"reference": subject},
        "status": "final",
        "category": [{"coding": [{"system": builders.OBSERVATION_CATEGORY, "code": "laboratory"}]}],
        "code": {
            "coding": [{"system": builders.LOINC, "code": rng.choice(_NOISE_LOINC), "display": "noise"}]
        },
        "effectiveDateTime": f"{day}T08:30:00-03:00",
        "valueQuantity": {
            "value": round(rng.uniform(1, 200), 1),
            "unit": "mg/dL",
            "system": builders.UCUM,
            "code": "mg/dL",
        },
        "referenceRange": [
            {"high": {"value": 100, "unit": "mg/dL", "system": builders.UCUM, "code": "mg/dL"}}
        ],
    }


def dense_bundle_of(size: int) -> dict[str, Any]:
    """A Bundle of `size` resources that the trial reads nearly all: the vignettes' charts, as one patient's, again and again.

    Each repetition lies a week before the last one.
    """
    root = files("cds_service") / "trials" / "nct02917681" / "vignettes"
    charts = [orjson.loads(f.read_bytes())["bundle"] for f in sorted(root.iterdir(), key=lambda f: f.name)]
    base = builders.b0()
    patient = next(e["resource"] for e in base["entry"] if e["resource"]["resourceType"] == "Patient")
    found: list[dict[str, Any]] = []
    week = 0
    while len(found) < size - 1:
        for chart in charts:
            own = next(
                e["resource"]["id"] for e in chart["entry"] if e["resource"]["resourceType"] == "Patient"
            )
            for entry in chart["entry"]:
                if entry["resource"]["resourceType"] != "Patient":
                    text = orjson.dumps({**entry["resource"], "id": f"dense-{len(found)}"}).decode()
                    text = text.replace(f"Patient/{own}", f"Patient/{patient['id']}")
                    text = _DAY.sub(lambda day: _earlier(day[0], week), text)  # noqa: B023 - used at once
                    found.append(orjson.loads(text))
        week += 1
    return {**base, "entry": [{"resource": resource} for resource in [patient, *found[: size - 1]]]}


_DAY = re.compile(r"20\d\d-\d\d-\d\d")


def _earlier(day: str, weeks: int) -> str:
    return (date.fromisoformat(day) - timedelta(weeks=weeks)).isoformat()
