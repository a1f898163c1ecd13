"""A PostgreSQL server that goes away and comes back: calls are told to come again, and are answered without a restart."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pg8000.dbapi
import pytest

from cds_service.errors import ConfigurationError, RetryLaterError
from cds_service.storage import Store
from tests.support import postgresql
from tests.support.absent import Absent
from tests.support.postgresql import Server
from tests.unit.storage.stored import CLIENT, PATIENT, card, override

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of these tests alone: they stop it."""
    try:
        with postgresql.running() as running:
            yield running
    except Absent as absent:
        pytest.skip(str(absent))


def test_a_restart_of_the_server_is_not_noticed_by_the_next_call(server: Server) -> None:
    told: list[str] = []
    store = Store(server.new_database(), report=told.append)
    store.record_cards([card()])
    server.stop()
    server.start()
    store.record_cards([card()])
    assert len(store.history(PATIENT, LONG_AGO)) == 2
    assert told == []
    store.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_while_the_server_is_away_calls_are_told_to_come_again(server: Server, how: signal.Signals) -> None:
    told: list[str] = []
    store = Store(server.new_database(), report=told.append)
    shown = card()
    store.record_cards([shown])
    server.stop(how)
    try:
        for call in (
            lambda: store.record_cards([card()]),
            lambda: store.history(PATIENT, LONG_AGO),
            lambda: store.add_feedback(override(shown), client=CLIENT),
            lambda: store.first_use("https://ehr", "j", datetime.now(UTC), datetime.now(UTC)),
            lambda: list(store.feedback()),
        ):
            with pytest.raises(RetryLaterError) as caught:
                call()
            assert caught.value.retry_after >= 1
            assert server.password not in str(caught.value)
        assert not store.ready()
    finally:
        server.start()
    assert store.ready()
    assert store.add_feedback(override(shown), client=CLIENT) == 1
    assert len(store.history(PATIENT, LONG_AGO)) == 1
    assert told
    assert all(server.password not in kind and " at " not in kind for kind in told)
    store.close()


def test_a_server_that_hangs_holds_a_call_for_seconds_only(server: Server) -> None:
    store = Store(server.new_database(), seconds=1.0)
    store.record_cards([card()])
    server.pause()
    try:
        begun = monotonic()
        with pytest.raises(RetryLaterError):
            store.history(PATIENT, LONG_AGO)
        assert monotonic() - begun < 20
    finally:
        server.resume()
    assert len(store.history(PATIENT, LONG_AGO)) == 1
    store.close()


def test_a_row_that_somebody_holds_holds_a_call_for_seconds_only(server: Server) -> None:
    url = server.new_database()
    store = Store(url, seconds=1.0)
    shown = card()
    store.record_cards([shown])
    name = url.rpartition("/")[2]
    holder = pg8000.dbapi.connect("tests", postgresql.HOST, name, server.port, server.password)
    holder.cursor().execute("SELECT * FROM issued_cards FOR UPDATE")
    with pytest.raises(RetryLaterError):
        store.add_feedback(override(shown), client=CLIENT)
    holder.rollback()
    holder.close()
    assert store.add_feedback(override(shown), client=CLIENT) == 1
    store.close()


def test_the_connections_of_a_store_are_bounded(server: Server) -> None:
    store = Store(server.new_database())
    assert store._engine.pool.size() + store._engine.pool._max_overflow <= 16  # type: ignore[attr-defined]
    store.close()


def test_a_wrong_password_is_told_without_it(server: Server) -> None:
    url = server.new_database().replace(server.password, "wrong-canary")
    with pytest.raises(ConfigurationError, match="can't be opened") as caught:
        Store(url)
    assert "wrong-canary" not in str(caught.value)


def test_a_server_without_tls_is_refused_where_tls_is_required(server: Server) -> None:
    url = server.new_database()
    with pytest.raises(ConfigurationError, match="can't be opened"):
        Store(f"{url}?sslmode=require")
    Store(f"{url}?sslmode=disable").close()
    Store(url.replace("postgresql://", "postgresql+pg8000://")).close()


def test_a_user_who_may_only_use_the_tables_can_serve(server: Server, tmp_path: Path) -> None:
    """The tables are made once by their owner; the service itself needs no right to change them."""
    url = server.new_database()
    name = url.rpartition("/")[2]
    Store(url).close()
    server.execute(f"CREATE ROLE plain_{name} LOGIN PASSWORD 'p'")
    server.execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain_{name}", name
    )
    store = Store(f"postgresql://plain_{name}:p@{postgresql.HOST}:{server.port}/{name}")
    store.record_cards([card()])
    assert len(store.history(PATIENT, LONG_AGO)) == 1
    store.close()
