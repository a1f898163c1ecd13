"""What all benchmarks have in common: how a figure is measured and written, and where it was measured.

A figure is one line, `name value unit`; a line that begins with `# ` says what the next ones are of. On a machine that has
other work to do, BENCH_CLOCK=cpu measures this process's processor time instead of what the clock on the wall says. Errors:
what is measured raises what it raises; a slow figure is no error.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import orjson

from tests.reference import engine


def timed(work: Callable[[], Any], seconds: float = 1.0, least: int = 5) -> list[float]:
    """Milliseconds of repeated runs of `work`, at least `least` and for about `seconds`."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        times.append(once(work))
    return times


_CPU: Final = os.environ.get("BENCH_CLOCK") == "cpu"
_clock = time.process_time if _CPU else time.perf_counter


def once(work: Callable[[], Any]) -> float:
    """Milliseconds of one run."""
    start = _clock()
    work()
    return (_clock() - start) * 1000


def figure(name: str, value: float, unit: str) -> str:
    """One line: three digits are enough."""
    return f"{name} {value:.3g} {unit}" if abs(value) < 1000 else f"{name} {value:.0f} {unit}"


def spread(name: str, times: Sequence[float]) -> Iterator[str]:
    """The median and the 95th percentile."""
    yield figure(f"{name}_median", median(times), "ms")
    yield figure(f"{name}_p95", quantiles(times, n=20)[-1], "ms")


def machine() -> Iterator[str]:
    """Where and with what it was measured."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next((x.split(":", 1)[1].strip() for x in text.splitlines() if "model name" in x), "")
    except OSError:
        model = ""
    clock = "processor time, but of the reference and of HTTP" if _CPU else "time on the wall"
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    yield f"# {model or platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}; load average {load}; {clock}"
    packages = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("cds-service", "orjson", "flask", "gunicorn")
    )
    yield f"# Python {platform.python_version()}; {packages}"


def reference_versions() -> str:
    """Of the reference engine and what runs it."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    named = ", ".join(
        f"{name} {orjson.loads((engine.MODULES / name / 'package.json').read_bytes())['version']}"
        for name in ("cql-execution", "cql-exec-fhir")
    )
    return f"# reference: {named}, Node {node}"
