"""The whole records of this folder, as files and as a hook's prefetch, and what is expected of a plain ALS patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.builders import Resource, resources_of
from tests.contract.hook_requests import hook_request
from tests.trials.criteria import CRITERIA, HUMAN

DATA: Final = Path(__file__).parent / "data"
# With §9's base record B0: what its data meet, what a person must answer, and nothing else found.
_MET: Final = frozenset(
    {"H1-Condition", "H2-Age", "IN01-Age", "H3-Gender", "IN02-ElEscorial", "IN03-AlsfrsR", "IN04-Fvc"}
)
# Decided by results, never by nothing having been found.
RESULTS: Final = (
    "EX06-AstAlt",
    "EX07-Creatinine",
    "EX08a-HepatitisB",
    "EX08b-HepatitisC",
    "EX08c-Hiv",
    "EX08d-Htlv",
    "EX08e-Syphilis",
)
Expected = dict[str, tuple[str, tuple[str, ...]]]


def expected(**others: str) -> Expected:
    """Criterion → (status, reasons) of a plain ALS patient, with `EX09="unknown text-only"` for what is otherwise."""
    found: Expected = {}
    for criterion in CRITERIA:
        if criterion in _MET:
            found[criterion] = "met", ()
        elif criterion in HUMAN:
            found[criterion] = "unknown", ("needs-clinician",)
        else:
            found[criterion] = "not-met", ()
    for name, verdict in others.items():
        (criterion,) = [c for c in CRITERIA if c.partition("-")[0] == name]
        status, *reasons = verdict.split()
        found[criterion] = status, tuple(reasons)
    return found


def load(name: str) -> Resource:
    """A record as its file has it."""
    record = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(record, dict)
    return record


def found(assessment: dict[str, Any]) -> Expected:
    return {row["id"]: (row["status"], tuple(row["reasons"])) for row in assessment["criteria"]}


def as_served(record: Resource) -> list[Resource]:
    """The record's resources as a FHIR server holds them: each with an id, urn:uuid references as `Type/id`."""
    names: dict[str, str] = {}
    for number, entry in enumerate(record["entry"]):
        resource = entry["resource"]
        own = resource.setdefault("id", entry["fullUrl"].rpartition(":")[2] or f"r{number}")
        names[entry["fullUrl"]] = f"{resource['resourceType']}/{own}"
    text = json.dumps(resources_of(record))
    for full_url, name in names.items():
        if full_url.startswith("urn:uuid:"):
            text = text.replace(json.dumps(full_url), json.dumps(name))
    served = json.loads(text)
    assert isinstance(served, list)
    return served


def as_prefetch(record: Resource, types: frozenset[str]) -> dict[str, Any]:
    """A hook request whose prefetch holds the whole record, Medications and Devices beside what refers to them."""
    served = as_served(record)
    patient = next(r for r in served if r["resourceType"] == "Patient")
    companions = [r for r in served if r["resourceType"] in ("Medication", "Device")]
    prefetch: dict[str, Any] = {"patient": patient}
    for kind in sorted(types - {"Patient", "Medication", "ResearchStudy"}):
        own = [r for r in served if r["resourceType"] == kind]
        beside = [r for r in companions if kind.startswith("Medication") or kind == "DeviceUseStatement"]
        entries = [{"resource": r, "search": {"mode": "match"}} for r in own]
        entries += [{"resource": r, "search": {"mode": "include"}} for r in beside if own and r not in own]
        prefetch[kind[0].lower() + kind[1:]] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(own),
            "entry": entries,
        }
    return hook_request(patient["id"], prefetch=prefetch)
