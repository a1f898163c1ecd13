"""Metrics: labels from closed sets only, and sums that outlive the worker that counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from cds_service.cli.observing import gunicorn_options
from cds_service.metrics import Metrics
from cds_service.records.shortfalls import kind_of

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Name and labels → value of every sample on a page."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text).get((name, frozenset(labels.items())), 0.0)


def page(metrics: Metrics) -> str:
    return metrics.page()[0].decode()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics({"x": ["IN01", "EX01"]}, ["Patient", "Condition"], version="1.2.3")


def test_words_that_are_not_known_are_counted_as_other(metrics: Metrics) -> None:
    metrics.answered("/cds-services", "CANARY", 200, 0.1, {"canary": 0.1})
    metrics.refused("Canary")
    metrics.refused("canary sentence")
    metrics.shown("canary")
    metrics.resting("canary", "canary")
    metrics.not_got("Canary", "canary", "canary 1")
    metrics.audited("canary")
    metrics.fetched("Canary", 0.1, "canary", "canary 1")
    metrics.breaker("canary", 1)
    text = page(metrics)
    assert "canary" not in text.lower()
    assert value(text, "cds_refusals_total", kind="other") == 2
    assert value(text, "cds_cards_resting_total", trial="other", reason="other") == 1
    assert value(text, "cds_fhir_failures_total", resource_type="other", kind="other") == 1
    assert value(text, "cds_fhir_request_seconds_count", resource_type="other", outcome="other") == 1
    assert value(text, "cds_fhir_breaker_changes_total", change="other") == 1


def test_known_words_are_told_apart(metrics: Metrics) -> None:
    metrics.answered("/cds-services", "GET", 200, 0.003, {"parse": 0.001})
    metrics.refused("InputError")
    metrics.refused("404", 3)
    metrics.resting("x", "patient-declined")
    metrics.not_got("Condition", "failed", "timeout")
    metrics.fetched("Condition", 0.02, None, None)
    metrics.fetched("Condition", 3.0, "failed", "timeout")
    metrics.fetched("metadata", 0.02, "refused", "HTTP 403")
    metrics.retried()
    metrics.turned_away()
    metrics.breaker("opened", 2)
    metrics.breaker("closed", 1)
    text = page(metrics)
    labels = {"route": "/cds-services", "method": "GET", "status": "200"}
    assert value(text, "cds_request_seconds_count", **labels) == 1
    assert value(text, "cds_request_seconds_bucket", le="0.002", **labels) == 0
    assert value(text, "cds_request_seconds_bucket", le="0.005", **labels) == 1
    assert value(text, "cds_phase_seconds_count", phase="parse") == 1
    assert value(text, "cds_refusals_total", kind="InputError") == 1
    assert value(text, "cds_refusals_total", kind="404") == 3
    assert value(text, "cds_cards_resting_total", trial="x", reason="patient-declined") == 1
    assert value(text, "cds_fhir_failures_total", resource_type="Condition", kind="timeout") == 1
    fetches = {"resource_type": "Condition", "outcome": "ok"}
    assert value(text, "cds_fhir_request_seconds_bucket", le="0.01", **fetches) == 0
    assert value(text, "cds_fhir_request_seconds_bucket", le="0.025", **fetches) == 1
    assert value(text, "cds_fhir_request_seconds_sum", resource_type="Condition", outcome="timeout") == 3
    assert value(text, "cds_fhir_request_seconds_count", resource_type="metadata", outcome="http-4xx") == 1
    assert value(text, "cds_fhir_retries_total") == 1
    assert value(text, "cds_fhir_calls_turned_away_total") == 1
    assert value(text, "cds_fhir_breaker_changes_total", change="opened") == 1
    assert value(text, "cds_fhir_breakers_open") == 1
    assert value(text, "cds_build_info", version="1.2.3") == 1


@pytest.mark.parametrize(
    ("state", "reason", "kind"),
    [
        ("failed", "HTTP 503", "http-5xx"),
        ("refused", "HTTP 403", "http-4xx"),
        ("failed", "redirect not followed", "redirect"),
        ("failed", "some words of another", "failed"),
        ("truncated", None, "truncated"),
        ("canary", None, "other"),
    ],
)
def test_kinds_of_failure_are_few(state: str, reason: str | None, kind: str) -> None:
    assert kind_of(state, reason) == kind


# Counts in two processes that fork, one of which dies; then by the one that is left.
SHARED = """
import os, sys
from pathlib import Path
from cds_service.metrics import Metrics, shared_folder, worker_ended

with shared_folder() as folder:
    metrics = Metrics({"x": ["IN01"]}, [], folder=folder)
    for again in range(3):
        child = os.fork()
        if child == 0:
            metrics.begun()
            for _ in range(10):
                metrics.refused("404")
                metrics.answered("/", "GET", 200, 0.1, {})
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        worker_ended(folder, child)
    metrics.refused("404")
    print(metrics.page()[0].decode())
    print("# files", *sorted(path.name for path in folder.iterdir()))
    print("# folder", folder, flush=True)
    child = os.fork()
    if child == 0:
        sys.exit()  # leaves the block as a worker does that ends
    os.waitpid(child, 0)
    print("# kept", folder.is_dir())
print("# removed", not folder.is_dir())
"""


def test_what_dead_workers_counted_stays_and_what_they_were_doing_does_not() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(
        [sys.executable, "-c", SHARED], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert value(told, "cds_refusals_total", kind="404") == 31
    assert value(told, "cds_request_seconds_count", route="/", method="GET", status="200") == 30
    assert value(told, "cds_requests_in_flight") == 0
    said = {line.split()[1]: line.split()[2:] for line in told.splitlines() if line.startswith("# ")}
    if os.access("/dev/shm", os.W_OK):
        assert said["folder"][0].startswith("/dev/shm/"), "a full disk would kill the workers"
    assert {name for name in said["files"] if name.endswith("_dead.db")} == {
        "counter_dead.db",
        "histogram_dead.db",
    }
    assert len(said["files"]) <= 7, "three dead workers left no files of their own"
    assert said["kept"] == ["True"]
    assert said["removed"] == ["True"]
    assert not Path(said["folder"][0]).exists()


def test_workers_that_end_at_once_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = Flask("test")
    app.extensions["cds_service"] = SimpleNamespace(audit=None)
    ended = gunicorn_options(app, tmp_path)["child_exit"]
    told: list[tuple[str, int]] = []

    def take_over(_folder: Path, pid: int) -> None:
        told.append(("begins", pid))
        if pid < 3:  # the signal of the next one's end arrives in the middle
            ended(None, SimpleNamespace(pid=pid + 1))
        told.append(("is done", pid))

    monkeypatch.setattr("cds_service.cli.observing.worker_ended", take_over)
    ended(None, SimpleNamespace(pid=1))
    ended(None, SimpleNamespace(pid=7))
    assert told == [(what, pid) for pid in (1, 2, 3, 7) for what in ("begins", "is done")]
