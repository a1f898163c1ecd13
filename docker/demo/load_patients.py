"""Puts the trial's synthetic patients on the demo's FHIR server ($DEMO_FHIR_SERVER), their dates moved to today.

Waits for a server that is starting. Errors end it with a sentence and code 1.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import requests

TRIAL = "nct02917681"
SERVER_SECONDS = 300
_DAY = re.compile(r"^(\d{4}-\d{2}-\d{2})(T.*)?$")


def load(fhir_server: str, today: date) -> int:
    """Put every test patient of the trial on the server; how many. Waits for a server that is starting."""
    vignettes = [json.loads(file.read_text("utf-8")) for file in _vignettes()]
    _wait(fhir_server)
    for vignette in vignettes:
        moved = _moved(vignette["bundle"], today - date.fromisoformat(vignette["asOf"]))
        answer = requests.post(
            fhir_server,
            json=transaction(moved),
            headers={"Content-Type": "application/fhir+json"},
            timeout=120,
        )
        if not answer.ok:
            raise RuntimeError(f"{vignette['id']}: the FHIR server answered {answer.status_code}")
    return len(vignettes)


def transaction(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """The Bundle's resources as a transaction that writes each under its own id."""
    entries = [
        {
            "resource": resource,
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for resource in (entry["resource"] for entry in bundle["entry"])
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _moved(value: Any, by: timedelta) -> Any:
    """The same JSON with every full date, with or without a time, moved by whole days; partial dates stay."""
    if isinstance(value, dict):
        return {name: _moved(member, by) for name, member in value.items()}
    if isinstance(value, list):
        return [_moved(item, by) for item in value]
    if isinstance(value, str) and (match := _DAY.match(value)):
        return f"{date.fromisoformat(match[1]) + by}{match[2] or ''}"
    return value


def _vignettes() -> list[Any]:
    folder = files("cds_service") / "trials" / TRIAL / "vignettes"
    return sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)


def _wait(fhir_server: str) -> None:
    until = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < until:
        try:
            if requests.get(f"{fhir_server}/metadata", timeout=30).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(2)
    raise RuntimeError(f"the FHIR server does not answer within {SERVER_SECONDS} s")


if __name__ == "__main__":
    server = os.environ.get("DEMO_FHIR_SERVER", "http://fhir:8080/fhir")
    try:
        print(f"{load(server, datetime.now(UTC).date())} synthetic patients are on the FHIR server")
    except (OSError, RuntimeError, requests.RequestException) as error:
        sys.exit(f"synthetic patients: {error}")
