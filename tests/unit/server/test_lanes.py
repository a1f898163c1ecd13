"""Lanes of threads: how many are at work, what happens to those that are stuck, and which request goes where."""

from __future__ import annotations

import threading

import pytest

from cds_service.server.lanes import Lane, lane_of


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


def test_no_more_are_at_work_than_may_be(gate: threading.Event) -> None:
    lane = Lane("test", 2, stuck_seconds=60)
    done = threading.Semaphore(0)

    def work() -> None:
        gate.wait(60)
        done.release()

    for key in "ab":
        assert lane.free(0)
        lane.start(key, work, 0)
    assert not lane.free(1)
    gate.set()
    for key in "ab":
        assert done.acquire(timeout=60)
        lane.done(key)
    assert lane.free(1)
    assert not lane.working(1)


def test_stuck_work_gives_its_place_to_others_as_long_as_there_are_threads(gate: threading.Event) -> None:
    lane = Lane("test", 1, threads=3, stuck_seconds=10)
    lane.start("a", gate.wait, 0)
    assert not lane.free(10)
    assert lane.free(11)
    assert not lane.working(11), "nobody waits for what is stuck"
    ran = threading.Event()
    lane.start("b", ran.set, 11)
    assert ran.wait(60), "a thread of its own, not the one that is stuck"
    lane.done("b")
    lane.start("c", gate.wait, 12)
    lane.start("d", gate.wait, 24)
    assert not lane.lost(30)
    assert lane.lost(36)
    assert not lane.free(36)
    gate.set()


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("POST", "/cds-services/trial-eligibility", "calls"),
        ("POST", "/cds-services/trial-eligibility/feedback", "calls"),
        ("POST", "/assessments", "calls"),
        ("GET", "/cds-services", "health"),
        ("GET", "/healthz", "health"),
        ("GET", "/readyz", "health"),
        ("GET", "/metrics", "health"),
        ("GET", "/trials/nct02917681", "pages"),
        ("GET", "/sandbox/fhir/Patient", "pages"),
        ("OPTIONS", "/cds-services/trial-eligibility", "pages"),
    ],
)
def test_calls_share_no_thread_with_what_must_always_answer(method: str, path: str, lane: str) -> None:
    assert lane_of(method, path) == lane
