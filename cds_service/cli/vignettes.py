"""The test patients of a trial package (`vignettes/*.json`), assessed and held against what their author expects.

A file is `{"asOf", "bundle", "expected": {"status"?, "card"?, "criteria"?: {id: status | {member: value}}}}`; what
`expected` leaves out is not checked. Error policy: a file of another shape raises AuthoringError with its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from importlib.resources.abc import Traversable
from typing import Any

import orjson

from cds_service.errors import AuthoringError, InputError
from cds_service.records.bundle import read_bundle
from cds_service.screening import Screener


def differences(screener: Screener, trial_id: str, folder: Traversable) -> Iterator[tuple[str, list[str]]]:
    """(file name, one sentence for each difference from the expectation) of every vignette, by file name."""
    if not folder.is_dir():
        return
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".json"):
            yield file.name, _differences(screener, trial_id, file)


def _differences(screener: Screener, trial_id: str, file: Traversable) -> list[str]:
    try:
        vignette = orjson.loads(file.read_bytes())
        as_of, expected = date.fromisoformat(vignette["asOf"]), vignette["expected"]
        record = read_bundle(vignette["bundle"])
        wanted_rows = dict(expected.get("criteria") or {})
    except (OSError, ValueError, LookupError, TypeError, AttributeError, InputError) as error:
        raise AuthoringError(
            f"{file.name}: not a vignette; asOf, a bundle of one patient and expected are needed "
            f"({type(error).__name__})."
        ) from error
    (assessment,) = screener.screen(record, [trial_id], as_of)
    found = assessment.to_json()
    rows = {row["id"]: row for row in found["criteria"]}
    told = [
        _difference(member, expected[member], found[member])
        for member in ("status", "card")
        if member in expected
    ]
    for criterion, wanted in wanted_rows.items():
        if criterion not in rows:
            told.append(f"there is no criterion {criterion}")
            continue
        members: Mapping[str, Any] = wanted if isinstance(wanted, dict) else {"status": wanted}
        told += [
            _difference(f"{criterion} {m}", value, rows[criterion].get(m)) for m, value in members.items()
        ]
    return [sentence for sentence in told if sentence]


def _difference(what: str, expected: Any, found: Any) -> str | None:
    return None if expected == found else f"{what} is {_shown(found)}, expected {_shown(expected)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
