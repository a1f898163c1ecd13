"""Feedback that was acknowledged is there after the service was killed, exactly once."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import pytest
import requests

from cds_service.storage import Store
from tests.support.answers import free_port
from tests.support.postgresql import Server

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from cds_service.cli import main; main()"]
SERVICE = "trial-eligibility"
START_SECONDS = 60.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cds-service.db'}"
    server: Server = request.getfixturevalue("postgresql_server")
    return server.new_database()


def test_what_was_stored_is_in_the_one_file_after_an_orderly_stop(tmp_path: Path) -> None:
    with serving(tmp_path, f"sqlite:///{tmp_path / 'cds-service.db'}") as (base, process):
        for _ in range(8):
            # Connections of their own, so that both processes take some.
            sent = {"feedback": [_entry(str(uuid4()))]}
            answer = requests.post(f"{base}/cds-services/{SERVICE}/feedback", json=sent, timeout=30)
            assert answer.status_code == 200
        process.terminate()
        assert process.wait(timeout=30) == 0
    shutil.copy(tmp_path / "cds-service.db", tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
        assert backup.execute("SELECT count(*) FROM feedback").fetchone() == (8,)


@contextmanager
def serving(folder: Path, url: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a service of two processes, and its first one."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    keep = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    environment = {**keep, "PYTHONPATH": str(ROOT), "CDS_DATABASE_URL": url}
    with (folder / "out.log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", str(port), "--workers", "2"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = monotonic() + START_SECONDS
        while not _ready(base):
            assert process.poll() is None, (folder / "out.log").read_text()
            assert monotonic() < until, (folder / "out.log").read_text()
            sleep(0.1)
        yield base, process
    finally:
        _kill(process)


def _ready(base: str) -> bool:
    try:
        return requests.get(f"{base}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills all of the service's processes at once: none can tidy up."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _entry(card: str) -> dict[str, object]:
    return {
        "card": card,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-06-15T10:00:00Z",
        "overrideReason": {"reason": {"code": "no-time"}},
    }


class Sender(threading.Thread):
    """Sends feedback, three cards at a time, until the service is gone; keeps what was acknowledged."""

    def __init__(self, base: str, enough: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self.sent: list[str] = []
        self._url = f"{base}/cds-services/{SERVICE}/feedback"
        self._enough = enough

    def run(self) -> None:
        with requests.Session() as session:
            while True:
                cards = [str(uuid4()) for _ in range(3)]
                self.sent += cards
                try:
                    answer = session.post(
                        self._url, json={"feedback": [_entry(c) for c in cards]}, timeout=30
                    )
                except requests.RequestException:
                    return
                assert answer.status_code == 200
                self.acknowledged += cards
                self._enough.release()


def test_acknowledged_feedback_survives_a_kill_exactly_once(tmp_path: Path, url: str) -> None:
    with serving(tmp_path, url) as (base, process):
        enough = threading.Semaphore(0)
        senders = [Sender(base, enough) for _ in range(6)]
        for sender in senders:
            sender.start()
        for _ in range(60):
            assert enough.acquire(timeout=60), "the service acknowledges feedback"
        _kill(process)
        for sender in senders:
            sender.join(timeout=60)
    acknowledged = [card for sender in senders for card in sender.acknowledged]
    sent = [card for sender in senders for card in sender.sent]
    assert len(acknowledged) >= 180
    stored = _stored(url)
    assert len(stored) == len(set(stored)), "nothing twice"
    assert set(acknowledged) <= set(stored) <= set(sent)
    # A call is stored whole or not at all.
    assert len(stored) % 3 == 0

    # A client that got no answer sends again after the restart: what is known stays one.
    with serving(tmp_path, url) as (base, _):
        for start in range(0, len(sent), 500):
            body = {"feedback": [_entry(card) for card in sent[start : start + 500]]}
            answer = requests.post(f"{base}/cds-services/{SERVICE}/feedback", json=body, timeout=60)
            assert answer.status_code == 200
    assert sorted(_stored(url)) == sorted(sent)
    assert "Traceback" not in (tmp_path / "out.log").read_text()


def _stored(url: str) -> list[str]:
    store = Store(url)
    cards = [row.card for row in store.feedback()]
    store.close()
    return cards
