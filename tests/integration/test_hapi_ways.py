"""A real FHIR server: however a chart comes to the hook, every criterion says what it says of the whole record."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import date
from typing import Any

import pytest

from tests.integration.conftest import Prefetch, Vignette
from tests.support.hooked import (
    DAY,
    FILES,
    TRIAL,
    Hook,
    RecordingScreener,
    assessed,
    hooked,
    record_of,
    states,
    verdicts,
)

pytestmark = pytest.mark.hapi


def _whole(prefetch: Prefetch) -> Prefetch:
    return prefetch


def _none(_prefetch: Prefetch) -> Prefetch:
    return {}


def _every_other(prefetch: Prefetch) -> Prefetch:
    """Of one patient these types, of another those between them."""
    first = len(str(prefetch["patient"]["id"])) % 2
    return dict(sorted(prefetch.items())[first::2])


def _drawn_half(prefetch: Prefetch) -> Prefetch:
    keys = random.Random(str(prefetch["patient"]["id"])).sample(sorted(prefetch), len(prefetch) // 2)
    return {key: prefetch[key] for key in keys}


# What of the chart comes as prefetch, and how the rest is asked for.
WAYS: Mapping[str, tuple[Callable[[Prefetch], Prefetch], dict[str, Any]]] = {
    "prefetch": (_whole, {}),
    "every other type": (_every_other, {}),
    "a drawn half": (_drawn_half, {}),
    "pages of 2": (_none, {"page_size": 2}),
    "pages of 500": (_none, {"page_size": 500}),
    "Observations by code": (_none, {"SERVICE_OBSERVATIONS": "codes"}),
}
NAMES = [path.stem for path in FILES]
# So many searches take their time: one chart of each kind.
BY_CODE = ("AV-01", "AV-03", "AV-05", "AV-08", "AV-12")
CALLS = [(name, way) for name in NAMES for way in WAYS if way != "Observations by code" or name in BY_CODE]


@pytest.fixture(scope="module")
def hooks(screener: RecordingScreener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Hook]]:
    """A service for each way."""
    with ExitStack() as open_hooks:
        yield {
            way: open_hooks.enter_context(hooked(tmp_path_factory.mktemp("hook"), screener, **options))
            for way, (_, options) in WAYS.items()
        }


@pytest.mark.parametrize(("name", "way"), CALLS)
def test_every_verdict_is_the_same_however_the_chart_comes(
    name: str,
    way: str,
    hapi_url: str,
    screener: RecordingScreener,
    vignettes: Mapping[str, Vignette],
    chart: Callable[[str], Prefetch],
    hooks: Mapping[str, Hook],
) -> None:
    vignette = vignettes[name]
    record = record_of(vignette.resources)
    whole = assessed(screener, record)
    assert whole["status"] == vignette.expected["status"]
    given = WAYS[way][0](chart(name))
    answer = hooks[way].call(vignette.patient, server=hapi_url, prefetch=given)
    assert bool(answer.cards) == vignette.expected["card"]
    if not screener.gates_open(record, [TRIAL], date.fromisoformat(DAY)):
        assert answer.assessment is None
        return
    assert answer.assessment is not None
    assert answer.assessment["status"] == whole["status"]
    assert verdicts(answer.assessment) == verdicts(whole)
    assert set(states(answer.assessment).values()) == {"complete"}


@pytest.mark.parametrize("name", NAMES)
def test_without_a_server_prefetch_alone_gives_every_verdict(
    name: str,
    screener: RecordingScreener,
    vignettes: Mapping[str, Vignette],
    chart: Callable[[str], Prefetch],
    hooks: Mapping[str, Hook],
) -> None:
    """No template brings a study that a ResearchSubject refers to: what rests on one may be unknown, never a no."""
    vignette = vignettes[name]
    record = record_of(vignette.resources)
    answer = hooks["prefetch"].call(vignette.patient, prefetch=chart(name))
    if answer.assessment is None:
        assert not screener.gates_open(record, [TRIAL], date.fromisoformat(DAY))
        return
    said, whole = verdicts(answer.assessment), verdicts(assessed(screener, record))
    if any(resource["resourceType"] == "ResearchSubject" for resource in vignette.resources):
        assert said["EX12-OtherTrial"]["status"] == "unknown"
        del said["EX12-OtherTrial"], whole["EX12-OtherTrial"]
    else:
        assert bool(answer.cards) == vignette.expected["card"]
    assert said == whole
