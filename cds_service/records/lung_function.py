"""Forced vital capacity as % of predicted, where the record gives litres (clinical specification IN04 (b),
(c)).

Two kinds of derived Observations, both pointing to the volumes that they come from:

- `fvc-percent-reported-volumes`: a measured volume over the predicted volume of the same report;
- `fvc-percent-predicted`: a measured volume over the volume that a published equation predicts, one for each
  equation, its name in `method.text`.

Observations have been read before (canonical units). What lacks an input is not derived; nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any, Final

from cds_service.records.dates import EFFECTIVE, clinical_date
from cds_service.records.equations import Body, Equation
from cds_service.records.observations import UNREADABLE_DATE, inherited_meta
from cds_service.records.quantities import decimal_of
from cds_service.records.reference_ranges import Person
from cds_service.terminology.systems import DERIVATION, DERIVED_OBSERVATIONS, UCUM

Resource = dict[str, Any]
# What each derived Observation is computed from, as analytes of readings.json.
INPUTS: Final = {
    "fvc-percent-reported-volumes": ("fvc-volume", "fvc-predicted-volume"),
    "fvc-percent-predicted": ("fvc-volume", "body-height", "body-weight"),
}
USABLE = frozenset({"final", "amended", "corrected"})
HEIGHT_DAYS = 730
WEIGHT_DAYS = 90
# Older tests are out of every sensible window; computing them would only cost time.
TEST_DAYS = 366
# Of measured volumes with predicted ones: as many as three hundred spirometries make.
_MOST_PAIRS: Final = 100_000
_CONTEXT = Context(prec=28)
_PLACES = Decimal("1e-8")
_TAKEN = (
    "status", "subject", *EFFECTIVE, UNREADABLE_DATE, "issued", "bodySite", "method", "note", "extension",
)  # fmt: skip


@dataclass(slots=True)
class Measurements:
    """The readable Observations that lung function needs, by kind."""

    volumes: list[Resource]
    predicted: list[Resource]
    heights: list[Resource]
    weights: list[Resource]


def reported_percentages(
    found: Measurements, reports: Iterable[Resource], panels: Iterable[Resource]
) -> Iterator[tuple[Resource, Resource]]:
    """(derived Observation, measured volume) of each measured volume with a predicted one of the same report."""
    if not found.volumes or not found.predicted:
        return
    together = _together(reports, panels)
    usable = [predicted for predicted in found.predicted if predicted.get("status") in USABLE]
    if len(found.volumes) * len(usable) > _MOST_PAIRS:
        return  # no lung function laboratory reports so: nothing is derived rather than each held against each
    for volume in found.volumes:
        for predicted in usable:
            if _same_report(volume, predicted, together):
                percent = _percent(volume, _litres(predicted))
                if percent is not None:
                    yield (
                        _derived(volume, percent, "fvc-percent-reported-volumes", "derived-ratio", predicted),
                        volume,
                    )


def computed_percentages(
    found: Measurements, person: Person, equations: Iterable[Equation], as_of: date
) -> Iterator[tuple[Resource, Resource]]:
    """(derived Observation, measured volume) of each volume of the last year and each equation that fits."""
    born = person.born_from
    if person.sex is None or born is None or born != person.born_to:
        return
    for volume in found.volumes:
        day = clinical_date(volume)
        if day is None or not 0 <= (as_of - day).days <= TEST_DAYS or day < born:
            continue
        height = _nearest(found.heights, day, HEIGHT_DAYS)
        if height is None:
            continue
        body = Body(person.sex, born, day, height, _nearest(found.weights, day, WEIGHT_DAYS))
        for equation in equations:
            percent = _percent(volume, equation.predicted(body))
            if percent is not None:
                derived = _derived(volume, percent, "fvc-percent-predicted", "computed", None)
                derived["id"] = f"{volume.get('id', '')}-{equation.name.lower().replace('_', '-')}"
                derived["method"] = {"text": equation.name}
                yield derived, volume


def _together(reports: Iterable[Resource], panels: Iterable[Resource]) -> dict[str, set[int]]:
    """By reference: the numbers of the reports and panels that list the Observation as a result or member."""
    listed: dict[str, set[int]] = {}
    for number, report in enumerate((*reports, *panels)):
        for entry in (*report.get("result", ()), *report.get("hasMember", ())):
            reference = entry.get("reference")
            if reference:
                listed.setdefault(reference, set()).add(number)
    return listed


def _same_report(volume: Resource, predicted: Resource, together: Mapping[str, set[int]]) -> bool:
    mine, theirs = _reference(volume), _reference(predicted)
    sources, others = _sources(volume), _sources(predicted)
    if (
        theirs in sources
        or mine in others
        or (_is_component(volume) and _is_component(predicted) and sources & others)
    ):
        return True
    # A component belongs to the report of its parent.
    all_mine = together.get(mine, set()).union(*(together.get(s, set()) for s in sources))
    all_theirs = together.get(theirs, set()).union(*(together.get(s, set()) for s in others))
    return bool(all_mine & all_theirs)


def _reference(observation: Resource) -> str:
    return f"Observation/{observation.get('id', '')}"


def _sources(observation: Resource) -> set[str]:
    return {entry["reference"] for entry in observation.get("derivedFrom", ()) if entry.get("reference")}


def _is_component(observation: Resource) -> bool:
    return any(
        tag.get("system") == DERIVATION and tag.get("code") == "component"
        for tag in observation.get("meta", {}).get("tag", ())
    )


def _litres(observation: Resource) -> Decimal | None:
    """An exact number; None for an interval."""
    quantity = observation.get("valueQuantity")
    if not isinstance(quantity, dict) or "comparator" in quantity:
        return None
    return decimal_of(quantity.get("value"))


def _percent(volume: Resource, predicted: Decimal | None) -> Resource | None:
    quantity = volume.get("valueQuantity")
    litres = decimal_of(quantity.get("value")) if isinstance(quantity, dict) else None
    if litres is None or predicted is None or predicted <= 0:
        return None
    # Eight decimals, cut off: a value just below the threshold never becomes the threshold.
    percent = _CONTEXT.divide(litres * 100, predicted).quantize(_PLACES, ROUND_DOWN).normalize()
    value = {"value": percent, "unit": "%", "system": UCUM, "code": "%"}
    if quantity is not None and "comparator" in quantity:
        value["comparator"] = quantity["comparator"]
    return value


def _derived(
    volume: Resource, percent: Resource, code: str, how: str, predicted: Resource | None
) -> Resource:
    concept = volume.get("code", {})
    words = [concept.get("text"), *(coding.get("display") for coding in concept.get("coding", ()))]
    text = " ".join(word for word in words if word)  # keeps a posture that the volume's code states
    sources = [volume] if predicted is None else [volume, predicted]
    meta = inherited_meta(volume, how)
    if predicted is not None:
        meta["tag"] = [*inherited_meta(predicted, how)["tag"][:-1], *meta["tag"]]
    return {
        **{key: volume[key] for key in _TAKEN if key in volume},
        "resourceType": "Observation",
        "id": f"{volume.get('id', '')}-percent-{predicted.get('id', '') if predicted else ''}",
        "meta": meta,
        "code": {
            "coding": [{"system": DERIVED_OBSERVATIONS, "code": code}],
            **({"text": text} if text else {}),
        },
        "valueQuantity": percent,
        "derivedFrom": [{"reference": _reference(source)} for source in sources],
    }


def _nearest(observations: list[Resource], day: date, within: int) -> Decimal | None:
    """The value measured nearest to a day, before or after it; of one day's, the latest written."""
    best: tuple[int, str, Decimal] | None = None
    for observation in observations:
        measured = clinical_date(observation)
        value = _litres(observation)
        if measured is None or value is None or observation.get("status") not in USABLE:
            continue
        distance = abs((measured - day).days)
        written = str(observation.get("effectiveDateTime", ""))
        if distance <= within and (
            best is None or (-distance, written, value) > (-best[0], best[1], best[2])
        ):
            best = (distance, written, value)
    return None if best is None else best[2]
