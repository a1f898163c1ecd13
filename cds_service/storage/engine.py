"""The connections behind a database URL: SQLite files, SQLite in memory, or PostgreSQL by pg8000.

Connections are pooled, shared by threads and never by processes: a forked child begins with an empty pool.
SQLite keeps readers beside one writer (WAL); a transaction says when it begins whether it writes, so that two
writers wait for each other instead of failing halfway. A *durable* one is on the disk before it ends, whatever
happens to the machine; any other survives the process's death, not a power failure.
Error policy: a URL of another kind of database, or a driver that isn't there, raises ConfigurationError. Nothing
waits longer than the given seconds; what comes too late is the driver's error, which `database` turns into 503.
"""

from __future__ import annotations

import logging
import os
import ssl
import weakref
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Engine, ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from cds_service.errors import ConfigurationError

# What SQLAlchemy says of a connection that broke would stand on standard error, with a traceback, among JSON lines;
# whoever gives it a handler gets it still.
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())

WRITES: Final = "cds_service_writes"
DURABLE: Final = "cds_service_durable"
# https://www.postgresql.org/docs/current/errcodes-appendix.html: the server ends, or is another one now (read-only).
_GONE: Final = ("57P01", "57P02", "57P03", "25006")


def open_engine(url: str, seconds: float) -> Engine:
    """The engine of a database URL, with no connection open yet. Raises ConfigurationError."""
    parsed = make_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed, seconds)
        if parsed.get_backend_name() == "postgresql":
            return _postgresql(parsed, seconds)
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(
            "service.database_url: the driver of this database is not installed: for postgresql:// run"
            " `pip install 'cds-service[postgres]'`."
        ) from None
    raise ConfigurationError("service.database_url: sqlite:///<file> or postgresql://… is wanted.")


def insert_into(table: Table, dialect: Dialect) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what becomes of a row that is there already; both databases say it alike."""
    return postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)


def in_memory(engine: Engine) -> bool:
    """Whether the data ends with the last connection."""
    return engine.dialect.name == "sqlite" and _in_memory(engine.url)


def sqlite_file(url: str) -> str | None:
    """The file of an SQLite URL; None for one in memory and for other databases."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or _in_memory(parsed):
        return None
    return parsed.database


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:") or url.query.get("mode") == "memory"


def _sqlite(url: URL, seconds: float) -> Engine:
    waits: dict[str, Any] = {"check_same_thread": False, "timeout": seconds}
    if _in_memory(url):
        # One connection is one database here: all threads take turns with it.
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=seconds,
            connect_args=waits,
        )
    else:
        engine = create_engine(
            url, poolclass=QueuePool, pool_size=4, max_overflow=12, pool_timeout=seconds, connect_args=waits
        )
        _empty_after_fork(engine)
        _notice_loss(engine)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _notice_loss(engine: Engine) -> None:
    """A file that was moved away or deleted is no longer the database, though open connections go on with it: what they
    write would be found by nobody, and a new connection would begin an empty one.
    """
    file = engine.url.database or ""
    opened = False

    def known(_connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        nonlocal opened
        opened = os.path.exists(file)  # not where it is an SQLite URI of its own

    def check(*_: object) -> None:
        if opened and not os.path.exists(file):
            raise FileNotFoundError

    event.listen(engine, "connect", known)
    event.listen(engine, "checkout", check)
    event.listen(engine, "do_connect", check)


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # Transactions begin where `_begin_sqlite` says, not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # What is erased is overwritten, not only unlinked.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get(WRITES):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get(DURABLE) else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql(url: URL, seconds: float) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+pg8000")
    arguments: dict[str, Any] = {}
    if url.drivername == "postgresql+pg8000":
        url, arguments = _with_tls(url)
        arguments |= {"timeout": seconds, "application_name": "cds-service"}
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=12,
        pool_timeout=seconds,
        pool_recycle=1800,
        connect_args=arguments,
    )

    def prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SET {setting} = {int(seconds * 1000)}")
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "handle_error", _notice_end)
    _empty_after_fork(engine)
    return engine


def _with_tls(url: URL) -> tuple[URL, dict[str, Any]]:
    """libpq's `sslmode` and `sslrootcert`, which pg8000 wants as a context."""
    mode, root = url.query.get("sslmode", "prefer"), url.query.get("sslrootcert")
    rest = url.difference_update_query(["sslmode", "sslrootcert"])
    if mode in ("verify-full", "verify-ca") and not isinstance(root, tuple):
        try:
            context = ssl.create_default_context(cafile=root)
        except OSError:
            raise ConfigurationError(
                "service.database_url: the certificates of sslrootcert can't be read."
            ) from None
        context.check_hostname = mode == "verify-full"
        return rest, {"ssl_context": context}
    known: dict[Any, bool | None] = {"disable": False, "prefer": None, "require": True}
    if mode not in known or root is not None:
        raise ConfigurationError(
            "service.database_url: sslmode is one of disable, prefer, require, verify-ca, verify-full;"
            " sslrootcert goes with the last two."
        )
    return rest, {"ssl_context": known[mode]}


def _notice_end(context: ExceptionContext) -> None:
    """A server that said that it ends is gone: its connections are not used again."""
    told = context.original_exception.args[0] if context.original_exception.args else None
    if isinstance(told, dict) and told.get("C") in _GONE:
        context.is_disconnect = True


def _empty_after_fork(engine: Engine) -> None:
    """A forked child leaves the connections that it inherited alone: its parent uses them."""
    known = weakref.ref(engine)

    def empty() -> None:
        if (inherited := known()) is not None:
            inherited.dispose(close=False)

    os.register_at_fork(after_in_child=empty)
