"""How long the whole trial library takes on records of 50, 500 and 5,000 resources, beside parsing the same bytes.

Run with `make bench` or `python -m tests.benchmarks.bench_library`. Each line is `name value unit`: medians and 95th percentiles.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from datetime import date
from statistics import median, quantiles
from typing import Any

import orjson

from cds_service.eligibility.assess import _evaluate
from cds_service.records.bundle import read_bundle
from cds_service.records.normalise import normalise
from cds_service.records.retriever import RecordRetriever
from cds_service.screening import Screener
from tests.benchmarks.records import bundle_of, machine

AS_OF = date(2026, 6, 15)


def timed(work: Callable[[], Any], seconds: float = 2.0) -> list[float]:
    """Milliseconds of repeated runs of `work`, at least 5 and for about `seconds`."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return times


def show(name: str, times: list[float]) -> None:
    print(f"{name}_median {median(times):.3f} ms")
    print(f"{name}_p95 {quantiles(times, n=20)[-1]:.3f} ms")


def main() -> None:
    print(f"# {machine()}")
    start = time.perf_counter()
    screener = Screener.load()
    print(f"load_once {(time.perf_counter() - start) * 1000:.1f} ms")
    loaded = screener.catalog.get("nct02917681")
    gc.collect()
    gc.freeze()  # as `serve` does: what was loaded once is not collected again and again
    for size in (50, 500, 5000):
        body = orjson.dumps(bundle_of(size))
        print(f"# {size} resources, {len(body)} bytes")
        record = read_bundle(orjson.loads(body))
        normalised = normalise(record, screener.mappings, timezone=screener.timezone, as_of=AS_OF)
        now = screener._noon(AS_OF)
        show(f"json_loads_{size}", timed(lambda body=body: json.loads(body)))
        show(f"orjson_loads_{size}", timed(lambda body=body: orjson.loads(body)))
        show(f"read_bundle_{size}", timed(lambda body=body: read_bundle(orjson.loads(body))))
        show(
            f"normalise_{size}",
            timed(lambda r=record: normalise(r, screener.mappings, timezone=screener.timezone, as_of=AS_OF)),
        )
        show(
            f"evaluate_library_{size}",
            timed(
                lambda n=normalised, t=now: _evaluate(
                    loaded, n, RecordRetriever(n, screener.value_sets), AS_OF, t
                )
            ),
        )
        show(f"screen_{size}", timed(lambda r=record: screener.screen(r, None, AS_OF)))


if __name__ == "__main__":
    main()
