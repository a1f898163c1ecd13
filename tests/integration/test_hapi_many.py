"""A real FHIR server and much at once: a chart of thousands of resources, and hundreds of calls side by side."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import pytest
import requests

from tests.benchmarks.bench_fetch import chart_of
from tests.integration.conftest import Prefetch, Vignette
from tests.support import hapi
from tests.support.hooked import (
    DAY,
    TRIAL,
    RecordingScreener,
    assessed,
    hooked,
    prefetched,
    record_of,
    states,
    verdicts,
)
from tests.support.serving import Served, serving

pytestmark = pytest.mark.hapi

RESOURCES: Final = 5000
CALLS: Final = 200
WORKERS: Final = 2
AT_ONCE: Final = 8
ENOUGH_SECONDS: Final = 120.0


def test_a_chart_of_five_thousand_resources(
    hapi_url: str, screener: RecordingScreener, tmp_path: Path
) -> None:
    """Read whole it gives every verdict; without the time for that it gives fewer, and none that is another one."""
    patient = "p-of-five-thousand"
    resources = chart_of(patient, RESOURCES)
    assert sum(r["resourceType"] == "Observation" for r in resources) > 3000
    hapi.load(hapi_url, resources)
    whole = verdicts(assessed(screener, record_of(resources)))

    with hooked(tmp_path, screener, LIMITS_FETCH_SECONDS="30") as patient_hook:
        begun = monotonic()
        answer = patient_hook.call(patient, server=hapi_url)
        print(f"{RESOURCES} resources fetched and judged in {monotonic() - begun:.2f} s")
    assert answer.assessment is not None
    assert set(states(answer.assessment).values()) == {"complete"}
    counted = Counter(r["resourceType"] for r in resources if r["resourceType"] != "Practitioner")
    assert {k: entry["count"] for k, entry in answer.assessment["data"].items() if entry["count"]} == counted
    assert verdicts(answer.assessment) == whole

    with hooked(tmp_path, screener, LIMITS_FETCH_SECONDS="0.6") as hasty_hook:
        gate = prefetched(
            hapi_url,
            {"patient": f"Patient/{patient}", "condition": f"Condition?patient={patient}&_count=1000"},
            patient,
        )
        hasty = hasty_hook.call(patient, server=hapi_url, prefetch=gate)
    if hasty.assessment is None:  # not even the gate's Condition list came whole
        return
    assert states(hasty.assessment)["Observation"] in ("failed", "truncated")
    for criterion, row in verdicts(hasty.assessment).items():
        known = (whole[criterion]["status"], "unknown")
        assert row["status"] in known, criterion


@dataclass
class Busy:
    """What was seen of the workers while they were busy: the most threads of one, the most connections of all."""

    threads: int = 0
    connections: int = 0
    done: threading.Event = field(default_factory=threading.Event)


def test_two_hundred_calls_side_by_side(
    hapi_url: str,
    screener: RecordingScreener,
    vignettes: Mapping[str, Vignette],
    chart: Callable[[str], Prefetch],
    tmp_path: Path,
) -> None:
    """Whoever comes again when told to gets the right card, and the service spends no more than it may."""
    charts = {vignette.patient: chart(name) for name, vignette in vignettes.items()}
    with hooked(tmp_path, screener) as hook:
        right = {p: hook.call(p, server=hapi_url, prefetch=given).cards for p, given in charts.items()}
    assert {v.patient: bool(right[v.patient]) for v in vignettes.values()} == {
        v.patient: v.expected["card"] for v in vignettes.values()
    }
    config = (
        f'[service]\nas_of = "{DAY}"\nbase_url = "http://127.0.0.1:8000"\n'
        "[cards]\nshow_excluded = true\nrest_after_views = 0\n"
        f"[limits]\nfetch_seconds = {ENOUGH_SECONDS}\nrequests_per_minute = 100000\nconcurrency = {AT_ONCE}\n"
    )
    folder = tmp_path / "served"
    folder.mkdir()
    with serving(folder, "--workers", str(WORKERS), config=config) as served:
        with watched(served) as busy, ThreadPoolExecutor(CALLS) as pool:
            patients = [list(charts)[n % len(charts)] for n in range(CALLS)]
            calls = [
                pool.submit(followed, served, hapi_url, patient, given_of(charts[patient], number))
                for number, patient in enumerate(patients)
            ]
            answers = [call.result(timeout=2 * ENOUGH_SECONDS) for call in calls]
        assert {status for told, _ in answers for status in told} <= {200, 503}
        wrong = [
            (number, patient, _said(cards), [line for line in served.lines() if line.get("data")])
            for number, (patient, (_, cards)) in enumerate(zip(patients, answers, strict=True))
            if _said(cards) != _said(right[patient])
        ]
        assert wrong == []
        refused = sum(told[503] for told, _ in answers)
        print(
            f"{CALLS} calls, {refused} refusals, at most {busy.threads} threads, {busy.connections} connections"
        )
        assert busy.connections <= WORKERS * AT_ONCE * 8
        assert busy.threads <= AT_ONCE * 8 + 100
        assert requests.get(f"{served.base}/readyz", timeout=60).status_code == 200
        log = served.told()
    assert "Traceback" not in log
    assert "pool is full" not in log


def given_of(chart: dict[str, Any], number: int) -> dict[str, Any]:
    """What of a chart an EHR sends: nothing for each twentieth call, all but one type for the others."""
    if number % 20 == 0:
        return {}
    withheld = random.Random(number).choice(sorted(chart))
    return {key: value for key, value in chart.items() if key != withheld}


def followed(
    served: Served, fhir_server: str, patient: str, prefetch: dict[str, Any]
) -> tuple[Counter[int], list[Any]]:
    """How often each status came until the cards did, for a caller that comes again when it is told to."""
    call = {
        "hook": "patient-view",
        "hookInstance": "4a1b2c3d-0000-4000-8000-000000000001",
        "fhirServer": fhir_server,
        "context": {"userId": "Practitioner/example", "patientId": patient},
        "prefetch": prefetch,
    }
    told: Counter[int] = Counter()
    until = monotonic() + ENOUGH_SECONDS
    while monotonic() < until:
        answer = requests.post(f"{served.base}/cds-services/trial-{TRIAL}", json=call, timeout=ENOUGH_SECONDS)
        told[answer.status_code] += 1
        if answer.status_code != 503:
            assert answer.status_code == 200, answer.text
            return told, answer.json()["cards"]
        sleep(float(answer.headers["Retry-After"]))
    raise AssertionError(f"never answered: {told}")


def _said(cards: list[Any]) -> list[Any]:
    return [(card["summary"], card.get("detail"), card["indicator"], card["extension"]) for card in cards]


@contextmanager
def watched(served: Served) -> Iterator[Busy]:
    """Counts the workers' threads and connections until the block ends (Linux)."""
    busy, workers = Busy(), served.wait_for_workers(WORKERS)

    def watch() -> None:
        while not busy.done.wait(0.1):
            for worker in workers:
                busy.threads = max(busy.threads, len(list(Path(f"/proc/{worker}/task").iterdir())))
            busy.connections = max(busy.connections, _connections(hapi.PORT))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield busy
    finally:
        busy.done.set()
        watching.join()


def _connections(port: int) -> int:
    """How many established connections of this machine lead to a port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(line[2].rpartition(":")[2], 16) == port and line[3] == "01" for line in lines)
