"""The database itself: many at once, forks, takeovers, what can't be opened and what goes away."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, inspect, text

from cds_service.errors import ConfigurationError, RetryLaterError
from cds_service.hooks.feedback import parse_feedback
from cds_service.storage import Store, sqlite_file
from cds_service.storage.engine import open_engine
from cds_service.storage.schema import METADATA, VERSION
from tests.unit.storage.stored import CLIENT, NOW, PATIENT, acceptance, card, override

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
Open = Callable[[str], Store]
# The tables of version 0.1.0, as it made them.
TABLES_0_1 = (
    (
        "CREATE TABLE feedback (id VARCHAR(64) NOT NULL, service VARCHAR(128) NOT NULL, card VARCHAR(128) NOT NULL,"
        " outcome VARCHAR(16) NOT NULL, outcome_timestamp {moment} NOT NULL, accepted_suggestions VARCHAR(4000),"
        " override_system VARCHAR(512), override_code VARCHAR(128), user_comment VARCHAR(8),"
        " received_at {moment} NOT NULL, PRIMARY KEY (id))"
    ),
    "CREATE INDEX feedback_card ON feedback (card)",
    (
        "CREATE TABLE seen_tokens (issuer VARCHAR(512) NOT NULL, jti VARCHAR(512) NOT NULL,"
        " expires_at {moment} NOT NULL, PRIMARY KEY (issuer, jti))"
    ),
)


def with_0_1(url: str) -> None:
    """Makes the database one of version 0.1.0, with one entry of feedback and one token id."""
    engine = open_engine(url, 5)
    moment = "DATETIME" if engine.dialect.name == "sqlite" else "TIMESTAMP WITH TIME ZONE"
    (said,) = override("old-card", "no-time")
    with engine.begin() as connection:
        for statement in TABLES_0_1:
            connection.execute(text(statement.format(moment=moment)))
        connection.execute(
            text(
                f"INSERT INTO feedback VALUES ('{said.id}', 'trial-x', 'old-card', 'overridden',"
                f" '2026-06-15 12:00:00.000000', NULL, '{said.override_system}', 'no-time', 'given',"
                " '2026-06-15 12:00:01.000000')"
            )
        )
        connection.execute(
            text("INSERT INTO seen_tokens VALUES ('https://ehr', 'j1', '2026-06-15 13:00:00.000000')")
        )
    engine.dispose()


def test_a_database_of_0_1_0_is_taken_over_without_loss(kept: str, opened: Open) -> None:
    with_0_1(kept)
    for _ in range(2):
        store = opened(kept)
        (row,) = store.feedback()
        assert (row.card, row.override_code, row.user_comment, row.linked) == (
            "old-card",
            "no-time",
            True,
            False,
        )
        assert row.received_at - row.outcome_timestamp == timedelta(seconds=1)
        assert row.outcome_timestamp.tzinfo is not None
        assert not store.first_use("https://ehr", "j1", NOW + timedelta(hours=1), NOW)
        assert store.first_use("https://ehr", f"new {_}", NOW + timedelta(hours=1), NOW)
    # What was sent to 0.1.0 and is sent again is known.
    assert store.add_feedback(override("old-card", "no-time"), client=CLIENT) == 0
    many = acceptance("other")[0]
    assert store.add_feedback([many], client=CLIENT) == 1


def test_a_database_that_was_taken_over_has_the_tables_of_a_new_one(
    kept: str, opened: Open, tmp_path: Path
) -> None:
    with_0_1(kept)
    opened(kept)
    engine = open_engine(kept, 5)
    found = inspect(engine)
    for table in METADATA.sorted_tables:
        assert {column["name"] for column in found.get_columns(table.name)} == {
            column.name for column in table.columns
        }
        assert {index["name"] for index in found.get_indexes(table.name)} == {
            index.name for index in table.indexes
        }
    engine.dispose()


def test_a_takeover_that_fails_changes_nothing(tmp_path: Path, opened: Open) -> None:
    url = f"sqlite:///{tmp_path / 'cds.db'}"
    with_0_1(url)
    with sqlite3.connect(tmp_path / "cds.db") as raw:
        raw.execute("CREATE INDEX seen_tokens_expires_at ON feedback (card)")  # the last name that is wanted
    raw.close()
    with pytest.raises(ConfigurationError, match="can't be opened"):
        opened(url)
    with sqlite3.connect(tmp_path / "cds.db") as raw:
        names = [row[1] for row in raw.execute("PRAGMA table_info(feedback)")]
        assert raw.execute("SELECT count(*) FROM seen_tokens WHERE issuer = 'https://ehr'").fetchone() == (1,)
    raw.close()
    assert "trial" not in names


def test_a_database_of_a_later_version_is_refused_and_left_alone(kept: str, opened: Open) -> None:
    opened(kept)
    engine = open_engine(kept, 5)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE about SET value = '{VERSION + 1}' WHERE name = 'schema'"))
    with pytest.raises(ConfigurationError, match=r"later version.*upgrade"):
        opened(kept)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT value FROM about WHERE name = 'schema'")) == str(VERSION + 1)
    engine.dispose()


def test_a_table_about_of_somebody_else_is_refused(tmp_path: Path, opened: Open) -> None:
    with sqlite3.connect(tmp_path / "x.db") as raw:
        raw.execute("CREATE TABLE about (name TEXT, value TEXT)")
    raw.close()
    with pytest.raises(ConfigurationError, match="name another"):
        opened(f"sqlite:///{tmp_path / 'x.db'}")


def test_processes_that_start_at_once_make_the_tables_once(kept: str) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(_opens, [kept] * 8) == [True] * 8


def _opens(url: str) -> bool:
    store = Store(url)
    ready = store.ready()
    store.close()
    return ready


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////nonexistent/folder/x.db", "can't be opened"),
        ("nosuchdialect://x", "is wanted"),
        ("mysql://u:secret-canary@h/x", "is wanted"),
        ("postgresql://u:secret-canary@127.0.0.1:1/x", "can't be opened"),
        ("postgresql+nosuchdriver://u:secret-canary@127.0.0.1:1/x", "driver"),
        ("postgresql://u@127.0.0.1:1/x?sslmode=maybe", "sslmode"),
        ("postgresql://u@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/nonexistent.pem", "sslrootcert"),
    ],
)
def test_a_database_that_can_not_be_opened_is_told_without_its_password(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Store(url)
    assert "secret-canary" not in str(caught.value)
    assert str(caught.value).startswith("service.database_url: ")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database, but long enough to look at " * 10)
    with pytest.raises(ConfigurationError, match="can't be opened"):
        Store(f"sqlite:///{tmp_path / 'x.db'}")


def test_the_file_of_a_url() -> None:
    assert sqlite_file("sqlite:///x/y.db") == "x/y.db"
    assert sqlite_file("sqlite://") is None
    assert sqlite_file("postgresql://h/x") is None


def test_threads_store_everything_once(store: Store) -> None:
    shown = [card() for _ in range(40)]

    def work(n: int) -> tuple[int, bool]:
        store.record_cards([shown[n]])
        added = sum(store.add_feedback(override(each), client=CLIENT) for each in shown[: n + 1][-3:])
        store.history(PATIENT, LONG_AGO)
        return added, store.first_use("https://ehr", str(n // 2), NOW + timedelta(hours=1), NOW)

    with ThreadPoolExecutor(12) as pool:
        done = list(pool.map(work, range(40)))
    assert sum(first for _, first in done) == 20
    assert sum(added for added, _ in done) == len(list(store.feedback()))
    assert len(store.history(PATIENT, LONG_AGO)) == 40


@pytest.mark.parametrize("known", [True, False], ids=["known cards", "unknown cards"])
def test_batches_of_the_same_feedback_in_any_order_are_stored_once(
    kept: str, opened: Open, known: bool
) -> None:
    store = opened(kept)
    shown = [card() for _ in range(50)]
    if known:
        store.record_cards(shown)
    said = [row for each in shown for row in override(each, "patient-declined")]
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda n: store.add_feedback(said[:: (-1) ** n], client=CLIENT), range(8)))
    assert sum(added) == 50


def test_processes_write_the_same_database(kept: str, opened: Open) -> None:
    store = opened(kept)
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        firsts = pool.starmap(_writes, [(kept, n) for n in range(3)])
    assert sum(firsts) == 30
    assert len(store.history(PATIENT, LONG_AGO)) == 90


def _writes(url: str, _number: int) -> int:
    store = Store(url)
    for _ in range(30):
        store.record_cards([card()])
    firsts = sum(store.first_use("https://ehr", str(n), NOW + timedelta(hours=1), NOW) for n in range(30))
    store.close()
    return firsts


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_uses_connections_of_its_own(kept: str, opened: Open) -> None:
    store = opened(kept)
    store.record_cards([card()])  # a connection is in the pool now
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                for _ in range(20):
                    store.record_cards([card()])
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(pid)
    for _ in range(20):
        store.record_cards([card()])
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    assert len(store.history(PATIENT, LONG_AGO)) == 81


def test_nothing_is_open_once_the_store_is_ready_to_be_forked(kept: str, opened: Open) -> None:
    store = opened(kept)
    assert store._engine.pool.checkedin() == 0  # type: ignore[attr-defined]
    store.ready()
    store.release()
    assert store._engine.pool.checkedin() == 0  # type: ignore[attr-defined]
    assert store.ready()


def test_an_erasure_finds_the_feedback_that_comes_at_the_same_time(kept: str, opened: Open) -> None:
    """Whatever comes first: nothing of the patient is left that was linked to an erased card."""
    store = opened(kept)
    for _ in range(15):
        shown = [card() for _ in range(5)]
        store.record_cards(shown)
        said = [row for each in shown for row in override(each, "patient-declined")]
        together = threading.Barrier(2)

        def answer(rows=said, gate=together) -> None:  # type: ignore[no-untyped-def]
            gate.wait()
            store.add_feedback(rows, client=CLIENT)

        def forget(gate=together) -> None:  # type: ignore[no-untyped-def]
            gate.wait()
            store.erase_patient(PATIENT)

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(answer), pool.submit(forget)]:
                done.result()
        assert store.history(PATIENT, LONG_AGO) == []
        assert not any(row.linked for row in store.feedback())


def test_a_writer_that_takes_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    told: list[str] = []
    store = Store(f"sqlite:///{tmp_path / 'x.db'}", seconds=0.3, report=told.append)
    blocker = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    begun = monotonic()
    with pytest.raises(RetryLaterError, match="again") as caught:
        store.record_cards([card()])
    assert monotonic() - begun < 5
    assert told == ["OperationalError"]
    assert "issued_cards" not in str(caught.value)
    assert store.history(PATIENT, LONG_AGO) == [], "who reads is not held up"
    blocker.execute("ROLLBACK")
    blocker.close()
    store.record_cards([card()])
    assert len(store.history(PATIENT, LONG_AGO)) == 1
    store.close()


def test_a_database_that_is_full_or_broken_is_no_acknowledgement(tmp_path: Path) -> None:
    told: list[str] = []
    store = Store(f"sqlite:///{tmp_path / 'x.db'}", report=told.append)
    with sqlite3.connect(tmp_path / "x.db") as raw:
        raw.execute("DROP TABLE feedback")
    raw.close()
    with pytest.raises(RetryLaterError):
        store.add_feedback(override("c"), client=CLIENT)
    assert told == ["OperationalError"]
    store.close()


def test_feedback_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    """SQLite is asked for a full synchronisation when feedback is stored, and for less where only counts are at stake."""
    store = Store(f"sqlite:///{tmp_path / 'x.db'}")
    asked: list[str] = []

    @event.listens_for(store._engine, "before_cursor_execute")
    def note(_c, _cursor, statement, *_rest) -> None:  # type: ignore[no-untyped-def]
        if statement.startswith(("PRAGMA synchronous", "BEGIN", "INSERT")):
            asked.append(" ".join(statement.split()[:3]))

    store.add_feedback(override("c"), client=CLIENT)
    assert asked == ["PRAGMA synchronous=FULL", "BEGIN IMMEDIATE", "INSERT INTO feedback"]
    asked.clear()
    store.record_cards([card()])
    assert asked == ["PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE", "INSERT INTO issued_cards"]
    store.close()


def test_what_is_erased_is_not_left_in_the_files(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'x.db'}")
    store.record_cards([card(patient="b0b" * 21 + "b") for _ in range(50)])
    assert _in_files(tmp_path, b"b0bb0bb0b")
    store.erase_patient("b0b" * 21 + "b")
    assert not _in_files(tmp_path, b"b0bb0bb0b")
    store.close()


def _in_files(folder: Path, wanted: bytes) -> bool:
    return any(wanted in path.read_bytes() for path in folder.iterdir())


def test_a_token_id_is_kept_as_a_hash_until_it_has_expired(store: Store) -> None:
    later = NOW + timedelta(minutes=5)
    huge = "ü" * 5000
    assert store.first_use("a", huge, later, NOW)
    assert not store.first_use("a", huge, later, NOW)
    # The border between issuer and id counts.
    assert store.first_use("ab", "c", later, NOW)
    assert store.first_use("a", "bc", later, NOW)
    assert store.forget_tokens(NOW) == 0
    assert store.forget_tokens(later + timedelta(seconds=1)) == 3
    assert store.first_use("a", huge, later, NOW)
    after = later + timedelta(seconds=1)
    assert store.first_use("a", huge, after + timedelta(hours=1), after), "expired, though not yet deleted"
    assert not store.first_use("a", huge, after + timedelta(hours=1), after)


def test_a_file_that_can_not_be_written_is_refused_and_left_alone(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'cds.db'}"
    opened(url).close()
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("cds_service.storage.database.os.access", lambda *_: False)
    with pytest.raises(ConfigurationError, match="can't be written: check its owner and mode"):
        opened(url)
    assert sorted(tmp_path.iterdir()) == before


def test_another_key_than_that_of_the_database_is_refused(store: Store) -> None:
    store.hold_key("1" * 64, remember=False)
    store.hold_key("1" * 64)
    store.hold_key("1" * 64)
    with pytest.raises(ConfigurationError, match="another key"):
        store.hold_key("2" * 64)
    with pytest.raises(ConfigurationError, match="another key"):
        store.hold_key("2" * 64, remember=False)


def test_times_come_back_as_they_were_in_utc(store: Store) -> None:
    odd = datetime(2026, 6, 15, 23, 30, 0, 123456, tzinfo=ZoneInfo("Asia/Kathmandu"))
    store.record_cards([card(issued_at=odd)])
    (found,) = store.history(PATIENT, LONG_AGO)
    assert found.issued_at == odd
    assert found.issued_at.utcoffset() == timedelta(0)


def test_the_longest_feedback_that_is_accepted_is_stored_whole(kept: str, opened: Open) -> None:
    with_0_1(kept)
    store = opened(kept)
    ids = [{"id": '"\\\u0001' * 21} for _ in range(50)]
    body = {"card": "ü" * 128, "outcome": "accepted", "outcomeTimestamp": "2026-06-15T10:00:00Z"}
    (said,) = parse_feedback({"feedback": [{**body, "acceptedSuggestions": ids}]}, "trial-x")
    assert store.add_feedback([said], client=CLIENT) == 1
    stored = next(row for row in store.feedback() if row.outcome == "accepted")
    assert stored.accepted_suggestions == said.accepted_suggestions
    assert len(said.accepted_suggestions or "") > 8000


def test_the_tenants_of_an_issuer_are_known_to_whoever_erases(kept: str, opened: Open) -> None:
    store = opened(kept)
    for issuer, tenant in (("a", "t2"), ("a", "t1"), ("a", "t2"), ("b", "t" * 4000)):
        store.remember_tenant(issuer, tenant)
    other = opened(kept)
    assert other.tenants("a") == ["t1", "t2"]
    assert other.tenants("b") == ["t" * 4000]
    assert other.tenants("c") == []


def test_a_file_that_was_moved_away_takes_nothing_until_it_is_back(tmp_path: Path, opened: Open) -> None:
    file, away = tmp_path / "cds.db", tmp_path / "away.db"
    store = opened(f"sqlite:///{file}")
    assert store.add_feedback(override("before")) == 1
    for path in tmp_path.glob("cds.db*"):
        path.rename(tmp_path / path.name.replace("cds", "away"))
    for _ in range(2):
        assert not store.ready()
        with pytest.raises(RetryLaterError):
            store.add_feedback(override("lost"))
    assert not file.exists()
    for path in tmp_path.glob("away.db*"):
        path.rename(tmp_path / path.name.replace("away", "cds"))
    assert not away.exists()
    assert store.ready()
    assert store.add_feedback(override("after")) == 1
    assert {said.card for said in store.feedback()} == {"before", "after"}


def test_a_database_without_its_tables_is_not_ready(kept: str, opened: Open) -> None:
    store = opened(kept)
    assert store.ready()
    engine = open_engine(kept, 5.0)
    with engine.begin() as connection:
        METADATA.drop_all(connection)
    engine.dispose()
    assert not store.ready()
