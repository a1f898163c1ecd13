"""Prometheus metrics of one service, right over all its worker processes.

Every label value comes from a closed set: routes by pattern, this program's own words, ids of trials and criteria,
resource types that the trials read. Whatever else turns up is counted as `other`. Each worker counts in files of one
folder (prometheus-client's multiprocess mode), and whichever is asked adds them up. Error policy: nothing here fails a
request.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from cds_service import errors
from cds_service.eligibility.assessment import Assessment
from cds_service.records.shortfalls import kind_of

OTHER: Final = "other"
PHASES: Final = ("authenticate", "parse", "gather", "evaluate", "cards", "store", "audit")
RESULTS: Final = ("written", "lost", "delivered", "delayed", "rejected")
# Override reasons that keep a card back, and having been shown often enough (design §5, [cards]).
RESTS: Final = (
    "no-time",
    "already-discussed",
    "known-ineligible",
    "not-appropriate",
    "patient-declined",
    "enrolled-elsewhere",
    "views",
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# The errors of this package by name, and answers of HTTP's own by status.
_REFUSALS: Final = frozenset(
    {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.CdsServiceError)
    }
    | {str(status.value) for status in HTTPStatus if status >= 400}
)
_LATENCIES: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FETCHES: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Of requests to a FHIR server, those for no resource type: its CapabilityStatement, and a page whose link names none.
_NO_TYPES: Final = frozenset({"metadata", "page"})
_CHANGES: Final = ("opened", "closed")
_DEAD: Final = "dead"
_MEMORY: Final = "/dev/shm"  # noqa: S108 - a folder of its own is made there, as tempfile makes it


class Metrics:
    """The meter of `hooks.observed`. `criteria`: of each trial the ids; `folder`: shared by all workers, or None for
    one process alone.
    """

    def __init__(
        self,
        criteria: Mapping[str, Collection[str]],
        resource_types: Collection[str],
        *,
        version: str = "",
        folder: Path | None = None,
    ) -> None:
        self._criteria = {trial: frozenset(ids) for trial, ids in criteria.items()}
        self._types = frozenset(resource_types)
        self._fetched = self._types | _NO_TYPES
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        self._requests = Histogram(
            "cds_request_seconds",
            "Requests by route pattern, method and status.",
            ("route", "method", "status"),
            buckets=_LATENCIES,
            registry=registry,
        )
        self._phases = Histogram(
            "cds_phase_seconds", "Phases of requests.", ("phase",), buckets=_LATENCIES, registry=registry
        )
        self._in_flight = Gauge(
            "cds_requests_in_flight",
            "Requests being worked on.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._assessments = Counter(
            "cds_assessments", "Assessments by trial and status.", ("trial", "status"), registry=registry
        )
        self._verdicts = Counter(
            "cds_verdicts",
            "Verdicts by trial, criterion and status.",
            ("trial", "criterion", "status"),
            registry=registry,
        )
        self._shown = Counter("cds_cards_shown", "Cards answered, by trial.", ("trial",), registry=registry)
        self._resting = Counter(
            "cds_cards_resting",
            "Cards due and not shown, by trial and reason.",
            ("trial", "reason"),
            registry=registry,
        )
        self._not_got = Counter(
            "cds_fhir_failures",
            "Resource types that could not be had whole, by kind of failure.",
            ("resource_type", "kind"),
            registry=registry,
        )
        self._fetches = Histogram(
            "cds_fhir_request_seconds",
            "Requests to FHIR servers, with their retries, by resource type and outcome.",
            ("resource_type", "outcome"),
            buckets=_FETCHES,
            registry=registry,
        )
        self._retries = Counter(
            "cds_fhir_retries", "Requests to FHIR servers that were made again.", registry=registry
        )
        self._turned_away = Counter(
            "cds_fhir_calls_turned_away",
            "Calls that asked their FHIR server nothing, for its breaker was open.",
            registry=registry,
        )
        self._changes = Counter(
            "cds_fhir_breaker_changes", "Breakers opened and closed.", ("change",), registry=registry
        )
        self._open = Gauge(
            "cds_fhir_breakers_open",
            "FHIR servers that are left alone, or being tried again, by all workers.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._refusals = Counter(
            "cds_refusals", "Requests refused or failed, by kind.", ("kind",), registry=registry
        )
        self._audits = Counter(
            "cds_audit_events", "Audit events by what became of them.", ("result",), registry=registry
        )
        self._waiting = Gauge(
            "cds_audit_events_waiting",
            "Audit events that wait for delivery.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        build = Gauge(
            "cds_build_info",
            "The version that runs.",
            ("version",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        build.labels(version).set(1)
        # A call has more than forty verdicts, and finding a counter by its labels costs as much as counting.
        self._verdict = cache(self._verdicts.labels)

    def begun(self) -> None:
        self._in_flight.inc()

    def ended(self) -> None:
        self._in_flight.dec()

    def answered(
        self, route: str, method: str, status: int, seconds: float, phases: Mapping[str, float]
    ) -> None:
        self._requests.labels(route, method if method in _METHODS else OTHER, str(status)).observe(seconds)
        for name, spent in phases.items():
            self._phases.labels(_one_of(PHASES, name)).observe(spent)

    def refused(self, kind: str, count: int = 1) -> None:
        self._refusals.labels(_one_of(_REFUSALS, kind)).inc(count)

    def assessed(self, assessments: Sequence[Assessment]) -> None:
        for assessment in assessments:
            trial = _one_of(self._criteria, assessment.trial.id)
            known = self._criteria.get(trial, frozenset())
            self._assessments.labels(trial, assessment.status).inc()
            for result in assessment.criteria:
                self._verdict(trial, _one_of(known, result.criterion.id), result.verdict.status).inc()

    def shown(self, trial: str) -> None:
        self._shown.labels(_one_of(self._criteria, trial)).inc()

    def resting(self, trial: str, reason: str) -> None:
        self._resting.labels(_one_of(self._criteria, trial), _one_of(RESTS, reason)).inc()

    def not_got(self, resource_type: str, state: str, reason: str | None) -> None:
        self._not_got.labels(_one_of(self._types, resource_type), kind_of(state, reason)).inc()

    def fetched(self, resource_type: str, seconds: float, state: str | None, reason: str | None) -> None:
        outcome = "ok" if state is None else kind_of(state, reason)
        self._fetches.labels(_one_of(self._fetched, resource_type), outcome).observe(seconds)

    def retried(self) -> None:
        self._retries.inc()

    def turned_away(self) -> None:
        self._turned_away.inc()

    def breaker(self, change: str, now_open: int) -> None:
        self._changes.labels(_one_of(_CHANGES, change)).inc()
        self._open.set(now_open)

    def audited(self, result: str) -> None:
        self._audits.labels(_one_of(RESULTS, result)).inc()

    def waiting(self, events: int) -> None:
        self._waiting.set(events)

    def page(self) -> tuple[bytes, str]:
        """What Prometheus scrapes."""
        if self._folder is None:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered, str(self._folder))  # type: ignore[no-untyped-call]
        with _locked(self._folder):
            return generate_latest(gathered), CONTENT_TYPE_LATEST


def _one_of(known: Collection[str], word: str) -> str:
    return word if word in known else OTHER


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder in which this process and all that fork from it count together; removed when this process is done.

    In memory where the system has a place for it: counting waits for no disk, and none that is full kills a worker, as
    it does whoever writes to a mapped file that finds no room.

    To be entered before any Metrics is made: prometheus-client chooses once a process how its values are kept, and by
    an environment variable where.
    """
    owner = os.getpid()
    memory = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="cds-service-metrics-", dir=memory))
    before = values.ValueClass
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    try:
        yield folder
    finally:
        # A worker leaves this block too when it ends: the folder is not its own to remove.
        if os.getpid() == owner:
            values.ValueClass = before
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]
            shutil.rmtree(folder, ignore_errors=True)


def worker_ended(folder: Path, pid: int) -> None:
    """Takes a dead worker's files into those of all dead ones: what it counted stays, what it was doing does not."""
    with suppress(OSError, ValueError, RuntimeError), _locked(folder):
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        for kind in ("counter", "histogram"):
            left = folder / f"{kind}_{pid}.db"
            if left.is_file():
                _add(left, folder / f"{kind}_{_DEAD}.db")
                left.unlink()


def _add(source: Path, target: Path) -> None:
    """Adds all values of one file of counters or histograms to another's."""
    total = MmapedDict(str(target))  # type: ignore[no-untyped-call]
    for key, value, _, _ in MmapedDict.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call]
        before, _ = total.read_value(key)  # type: ignore[no-untyped-call]
        total.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
    total.close()  # type: ignore[no-untyped-call]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time adds up or takes together."""
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
