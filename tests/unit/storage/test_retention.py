"""What is old goes: at the start, and hourly in each process that answers, beside its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cds_service.errors import RetryLaterError
from cds_service.storage import Deleted, Retention, Store
from tests.unit.storage.stored import CLIENT, NOW, PATIENT, card, override

Open = Callable[[str], Store]


def test_what_is_older_than_the_days_goes_and_token_ids_that_expired(store: Store) -> None:
    store.record_cards([card(366), new := card(364)])
    store.first_use("a", "old", NOW - timedelta(seconds=1), NOW - timedelta(hours=1))
    store.first_use("a", "new", NOW + timedelta(seconds=1), NOW)
    assert Retention(store, 365, now=lambda: NOW).apply() == Deleted(cards=1)
    assert [uuid for uuid, *_ in store.issued()] == [new.uuid]
    assert store.forget_tokens(NOW + timedelta(days=1)) == 1, "only the one that had not expired was left"


@pytest.mark.parametrize("days", [800_000, 10**9, 10**15])
def test_a_retention_longer_than_time_deletes_nothing(store: Store, days: int) -> None:
    store.record_cards([card(1000)])
    assert Retention(store, days, now=lambda: NOW).apply() == Deleted()


def test_it_goes_on_beside_the_calls_until_the_store_is_closed(opened: Open, tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path / 'x.db'}")
    ticks = threading.Semaphore(0)
    moment = [NOW]

    def now() -> datetime:
        ticks.release()
        return moment[0]

    store.record_cards([card(0)])
    retention = Retention(store, 365, now=now, interval=0.01)
    others = set(threading.enumerate())
    for _ in range(5):
        retention.begin()
    (thread,) = set(threading.enumerate()) - others  # one thread, however many requests
    assert ticks.acquire(timeout=30)
    assert len(list(store.issued())) == 1
    moment[0] = NOW + timedelta(days=366)
    for _ in range(3):
        assert ticks.acquire(timeout=30)
    assert list(store.issued()) == []
    store.close()
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_database_that_does_not_answer_ends_nothing(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(f"sqlite:///{tmp_path / 'x.db'}")
    tried = threading.Semaphore(0)

    def fails(_now: datetime) -> int:
        tried.release()
        raise RetryLaterError("away")

    monkeypatch.setattr(store, "forget_tokens", fails)
    others = set(threading.enumerate())
    Retention(store, 1, interval=0.01).begin()
    (thread,) = set(threading.enumerate()) - others
    for _ in range(3):
        assert tried.acquire(timeout=30)
    store.close()
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_large_deletion_lets_calls_through(opened: Open, tmp_path: Path) -> None:
    """It works in steps: between two of them a call gets its turn."""
    store = opened(f"sqlite:///{tmp_path / 'x.db'}")
    for _ in range(10):
        store.record_cards([card(400) for _ in range(1000)])
    worker = threading.Thread(target=lambda: store.retain(NOW - timedelta(days=365)))
    worker.start()
    during = 0
    while worker.is_alive():
        store.add_feedback(override(f"card-{during}"), client=CLIENT)
        during += 1
    worker.join()
    assert during > 1
    assert store.history(PATIENT, datetime(1, 1, 1, tzinfo=UTC)) == []
