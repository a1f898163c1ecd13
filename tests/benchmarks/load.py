"""What the service does under more calls than it can answer: `make load`, or `python -m tests.benchmarks.load`.

The service runs as `cds-service serve` does, in processes of its own; this process offers it calls at a rate, each on
a connection of its own and at its own moment, whether those before it have been answered or not (an open loop). A
call's time runs from the moment at which it was due. First the sustainable rate is found: the highest of a row of
rates at which every call is answered and 95 of 100 within the half second of CDS Hooks; then once, twice … sixteen
times that rate is offered. Each line says what came of it. Errors: a figure is never too bad to be printed; a
service that does not start, or no sustainable rate, ends the run with status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final

from tests.benchmarks.bench_http import SERVICE, request_body
from tests.benchmarks.figures import machine
from tests.support.answers import free_port

FACTORS: Final = (1, 2, 4, 8, 16)
BAR_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 30.0
SHARES: Final = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
BEGIN: Final = "<!-- load: python -m tests.benchmarks.load --into docs/performance.md -->"
END: Final = "<!-- end of load -->"
HEADINGS: Final = (
    "load",
    "offered/s",
    "200/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "503 p95",
    "200",
    "503",
    "429",
    "errors",
)


@dataclass
class Outcome:
    """What came of the calls: seconds of those answered with each status, and how the others failed."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    late: float = 0.0

    def count(self, status: int) -> int:
        return len(self.seconds.get(status, ()))

    def percentile(self, percent: int, status: int = 200) -> float:
        """Milliseconds; not a number without a call of that status."""
        times = self.seconds.get(status, [])
        if len(times) < 2:
            return times[0] * 1000 if times else float("nan")
        return quantiles(times, n=100, method="inclusive")[percent - 1] * 1000

    @property
    def failed(self) -> int:
        """Calls that were neither answered with cards nor told when to try again."""
        told = {200, 429, 503}
        return self.errors.total() + sum(len(s) for status, s in self.seconds.items() if status not in told)


class Call(asyncio.Protocol):
    """One call on a connection of its own; `done` becomes its status."""

    def __init__(self, request: bytes, done: asyncio.Future[int]) -> None:
        self._request = request
        self._done = done
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, whole, body = self._answer.partition(b"\r\n\r\n")
        if not whole or self._done.done():
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) >= length:
            self._done.set_result(int(head.split(b" ", 2)[1]))
            self._transport.abort()  # also what has not been sent yet

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("no answer"))


async def one(port: int, request: bytes, due: float, outcome: Outcome) -> None:
    """One call, into the outcome."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[int] = loop.create_future()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await loop.create_connection(lambda: Call(request, done), "127.0.0.1", port)
            status = await done
    except (OSError, TimeoutError) as error:
        outcome.errors[type(error).__name__] += 1
        return
    outcome.seconds.setdefault(status, []).append(time.perf_counter() - due)


async def offer(port: int, request: bytes, rate: float, seconds: float, seed: int = 1) -> Outcome:
    """The outcome of calls that come at random moments, `rate` a second on average."""
    outcome, calls, rng = Outcome(), set(), random.Random(seed)
    due = time.perf_counter()
    end = due + seconds
    while (due := due + rng.expovariate(rate)) < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        outcome.late = max(outcome.late, time.perf_counter() - due)
        call = asyncio.create_task(one(port, request, due, outcome))
        calls.add(call)
        call.add_done_callback(calls.discard)
    await asyncio.gather(*calls)
    return outcome


async def capacity(port: int, request: bytes, seconds: float, clients: int = 8) -> float:
    """Calls a second when so many clients call one after the other."""
    outcome, end = Outcome(), time.perf_counter() + seconds

    async def client() -> None:
        while time.perf_counter() < end:
            await one(port, request, time.perf_counter(), outcome)

    await asyncio.gather(*(client() for _ in range(clients)))
    return outcome.count(200) / seconds


def sustainable(port: int, request: bytes, seconds: float) -> float:
    """The rate that is answered whole and in time. SystemExit where none of those tried is."""
    most = asyncio.run(capacity(port, request, seconds))
    for share in SHARES:
        outcome = asyncio.run(offer(port, request, most * share, seconds))
        if not outcome.failed and not outcome.count(503) and outcome.percentile(95) <= BAR_SECONDS * 1000:
            return most * share
    raise SystemExit(
        f"no sustainable rate was found: {most:.1f} calls/s one after the other, but none in time"
    )


@contextmanager
def service(workers: int) -> Iterator[int]:
    """The service with so many worker processes; yields its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CDS_")},
            "CDS_AS_OF": "2026-06-15",
            "CDS_DATABASE_URL": f"sqlite:///{Path(folder) / 'load.db'}",
            "CDS_FEEDBACK_PSEUDONYM_KEY_FILE": str(Path(folder) / "pseudonym.key"),
            "CDS_CARDS_REST_AFTER_VIEWS": "0",
            "CDS_LIMITS_REQUESTS_PER_MINUTE": "100000000",
        }
        command = [sys.executable, "-c", "from cds_service.cli import main; main()", "serve"]
        process = subprocess.Popen(
            [*command, "--port", str(port), "--workers", str(workers), "--drain-seconds", "0"],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            asyncio.run(_answering(port))
            yield port
        finally:
            process.terminate()
            process.wait(60)


async def _answering(port: int) -> None:
    for _ in range(300):
        outcome = Outcome()
        await one(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", time.perf_counter(), outcome)
        if outcome.count(200):
            return
        await asyncio.sleep(0.1)
    raise SystemExit("the service did not start")


def figures(workers: int, resources: int, seconds: float) -> Iterator[str]:
    """All lines of this benchmark."""
    yield from machine()
    body = request_body(resources)
    head = f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    yield f"# workers: {workers}; a call: {resources} resources, {len(body)} bytes, a connection of its own"
    with service(workers) as port:
        asyncio.run(capacity(port, request, 2.0))
        rate = sustainable(port, request, seconds)
        yield f"# sustainable (every call answered, p95 at most {BAR_SECONDS * 1000:.0f} ms): {rate:.1f} calls/s"
        yield row(*HEADINGS)
        for factor in FACTORS:
            yield _line(
                factor, factor * rate, seconds, asyncio.run(offer(port, request, factor * rate, seconds))
            )


def _line(factor: int, rate: float, seconds: float, outcome: Outcome) -> str:
    times = [f"{outcome.percentile(percent):.0f}" for percent in (50, 95, 99)]
    counts = [str(outcome.count(status)) for status in (200, 503, 429)]
    goodput = f"{outcome.count(200) / seconds:.1f}"
    line = row(
        f"{factor}x",
        f"{rate:.0f}",
        goodput,
        *times,
        f"{outcome.percentile(95, 503):.0f}",
        *counts,
        str(outcome.failed),
    )
    # A generator that can't keep up measures itself: it must be seen.
    return (
        f"{line}   # the generator was up to {outcome.late * 1000:.0f} ms late"
        if outcome.late > 0.1
        else line
    )


def row(*cells: str) -> str:
    """One line of the table."""
    return " ".join(f"{cell:>9}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--resources", type=int, default=500, help="of the record that a call brings")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each rate")
    parser.add_argument("--into", type=Path, help="a document with the marks of the load test")
    chosen = parser.parse_args()
    lines = []
    for line in figures(chosen.workers, chosen.resources, chosen.seconds):
        print(line, flush=True)
        lines.append(line)
    if chosen.into:
        head, found, rest = chosen.into.read_text("utf-8").partition(BEGIN)
        _, ended, tail = rest.partition(END)
        if not found or not ended:
            raise SystemExit(f"the document has no {BEGIN} … {END}")
        chosen.into.write_text("\n".join([head + BEGIN, "```", *lines, "```", END]) + tail, "utf-8")


if __name__ == "__main__":
    main()
