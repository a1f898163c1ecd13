"""What it costs to fetch a chart from a FHIR server: time on the wall, processor time of this side, requests; by page size.

`python -m tests.benchmarks.bench_fetch` asks a server of its own (a process on loopback, each answer held back as a
distant one's would be); `--server URL` another one, onto which it writes its charts first. What is measured is
`acquire`: all searches of the trial, paged, eight at a time, and the record of what they brought. Errors: a type that
did not arrive whole ends the run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, Final

import orjson

from cds_service.records.fhir_server import acquire
from cds_service.records.fhir_transport import Bounds, Transport
from cds_service.screening import Screener
from tests.benchmarks.bench_http import record
from tests.benchmarks.figures import figure, machine, spread
from tests.support import hapi
from tests.support.chart_server import Asked, Fault, Reply, serving_chart

SIZES: Final = (50, 500, 5000)
ROUNDS: Final = {50: 20, 500: 10, 5000: 3}
PAGE_SIZES: Final = (50, 100, 200, 500, 1000)
# An answer's way through a hospital's network and an EHR's interface engine.
WAIT_SECONDS: Final = 0.02


def chart_of(patient: str, size: int) -> list[dict[str, Any]]:
    """The chart of `bench_http`, as that of a patient with this id; its resources have ids of their own."""
    found = record(size)
    theirs = next(r["id"] for r in found if r["resourceType"] == "Patient")
    text = orjson.dumps(found).decode().replace(f'"Patient/{theirs}"', f'"Patient/{patient}"')
    made: list[dict[str, Any]] = orjson.loads(text)
    for number, resource in enumerate(made):
        if resource["resourceType"] == "Patient":
            resource["id"] = patient
        elif resource["resourceType"] != "Practitioner":
            resource["id"] = f"{patient}-{number}"
    return made


def figures(base: str | None = None) -> Iterator[str]:
    """All lines of this benchmark, on the server of that base URL, or on one of its own."""
    yield from machine()
    if base is not None:
        for size in SIZES:
            hapi.load(base, chart_of(_patient(size), size))
        yield f"# on {base}"
        yield from _fetches(base)
        return
    for seconds in (0.0, WAIT_SECONDS):
        with chart_server(seconds) as own:
            yield f"# each answer after {seconds * 1000:g} ms and the time of a server in Python"
            yield from _fetches(own, f"_wait_{seconds * 1000:g}ms" if seconds else "")


def _fetches(base: str, of: str = "") -> Iterator[str]:
    wanted = Screener.load().wanted()
    for size in SIZES:
        for page_size in PAGE_SIZES if size > SIZES[0] else (Bounds().page_size,):
            bounds = replace(Bounds(), page_size=page_size)
            walls, processors = [], []
            transport = Transport(bounds=bounds)
            for _ in range(ROUNDS[size] + 1):
                wall, processor = time.perf_counter(), time.process_time()
                found = acquire(base, _patient(size), wanted, transport=transport, seconds=60)
                walls.append((time.perf_counter() - wall) * 1000)
                processors.append((time.process_time() - processor) * 1000)
                if any(got.state != "complete" for got in found.account.values()):
                    raise SystemExit(f"not all arrived: {found.account}")
            transport.close()
            name = f"fetch{of}_{size}_count_{page_size}"
            yield from spread(name, walls[1:])
            yield figure(f"{name}_cpu_median", median(processors[1:]), "ms")


def _patient(size: int) -> str:
    return f"p-of-bench-{size}"


@contextmanager
def chart_server(wait: float) -> Iterator[str]:
    """A FHIR server with the charts in a process of its own, each answer held back so long; its base URL."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, wait), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _serve(there: Connection, wait: float) -> None:
    bundles = [
        {"entry": [{"resource": resource} for resource in chart_of(_patient(size), size)]} for size in SIZES
    ]

    def late(_asked: Asked, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        return Reply(orjson.dumps(sent), headers={"Content-Type": "application/fhir+json"}, wait=wait)

    with serving_chart(*bundles, faults=[Fault(late)]) as served:
        there.send(served.base)
        there.recv()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", help="base URL of a FHIR server that may be written to")
    for line in figures(parser.parse_args().server):
        print(line, flush=True)


if __name__ == "__main__":
    main()
