"""The store behind one database URL. Each call is one transaction.

Error policy: a database that can't be opened raises ConfigurationError at the start. One that does not answer later,
in whatever way, raises RetryLaterError, so that nothing is shown that could not be recorded and no feedback is
acknowledged that could not be stored; `report` is told the kind of failure, never its words, which may hold values.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import Column, Connection, Dialect, Executable, Table, bindparam, delete, insert, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cds_service.errors import ConfigurationError, RetryLaterError
from cds_service.storage import answering, cards
from cds_service.storage.engine import DURABLE, WRITES, in_memory, insert_into, open_engine, sqlite_file
from cds_service.storage.records import Deleted, Feedback, IssuedCard, Shown, StoredFeedback
from cds_service.storage.schema import ABOUT, CARDS, FEEDBACK, REFUSALS, TOKENS, prepare, token_hash

SECONDS: Final = 5.0
_TENANT: Final = "tenant-"
_SCHEMA: Final = select(ABOUT.c.value).where(ABOUT.c.name == "schema")
_KEY: Final = select(ABOUT.c.value).where(ABOUT.c.name == "key")
# Rows deleted in one transaction: other writers wait for no more than these.
_BATCH: Final = 500
# Seconds between two such transactions, so that a call that waits gets its turn.
_PAUSE: Final = 0.002


class Store:
    """The database behind one URL; safe to share between threads, and by processes that fork from this one.

    seconds: the longest wait for a connection, a lock or an answer.
    """

    def __init__(
        self, url: str, *, seconds: float = SECONDS, report: Callable[[str], None] | None = None
    ) -> None:
        self._engine = open_engine(url, seconds)
        # SQLite itself would leave a log behind that can't be written either, once the file can.
        if (file := sqlite_file(url)) is not None and Path(file).exists() and not os.access(file, os.W_OK):
            raise ConfigurationError(
                f"service.database_url: {file} can't be written: check its owner and mode."
            )
        # The same connections; what they say of a transaction is known when it begins.
        self._writers = {
            durable: self._engine.execution_options(**{WRITES: True, DURABLE: durable})
            for durable in (False, True)
        }
        self._first_use = _first_use(self._engine.dialect)
        self._seconds = seconds
        problems: list[str] = []
        self._report: Callable[[str], None] | None = problems.append
        # SQLite has one writer: threads wait for each other here, which wakes them at once, and not by trying again.
        self._turn = threading.Lock() if self._engine.dialect.name == "sqlite" else None
        self._tenants: set[tuple[str, str]] = set()
        self.closed: Final = threading.Event()
        try:
            with self._writing(durable=True) as connection:
                prepare(connection)
        except RetryLaterError:
            raise ConfigurationError(
                f"service.database_url: the database can't be opened ({', '.join(problems)}): check the URL, that its "
                "folder or server is there, and the permissions."
            ) from None
        finally:
            self.release()
        self._report = report

    def ready(self) -> bool:
        """Whether the database answers, and is this service's still."""
        try:
            with self._reading() as connection:
                return connection.execute(_SCHEMA).first() is not None
        except RetryLaterError:
            return False

    def record_cards(self, issued: Sequence[IssuedCard]) -> None:
        """Records cards, all or none, before they are shown. Raises RetryLaterError."""
        if not issued:
            return
        with self._writing() as connection:
            cards.record(connection, issued)

    def remember_tenant(self, issuer: str, tenant: str) -> None:
        """Keeps the name of a tenant whose patients are stored under it, for `tenants`. Raises RetryLaterError."""
        if (issuer, tenant) in self._tenants:
            return
        name = _TENANT + token_hash(issuer, tenant)[:40]
        values = {"name": name, "value": orjson.dumps([issuer, tenant]).decode()}
        with self._writing() as connection:
            connection.execute(insert_into(ABOUT, connection.dialect).values(values).on_conflict_do_nothing())
        self._tenants.add((issuer, tenant))

    def tenants(self, issuer: str) -> list[str]:
        """The tenants of the issuer that `remember_tenant` was told of, in order."""
        asked = select(ABOUT.c.value).where(ABOUT.c.name.startswith(_TENANT, autoescape=True))
        with self._reading() as connection:
            known = [orjson.loads(value) for value in connection.scalars(asked)]
        return sorted(tenant for of, tenant in known if of == issuer)

    def history(self, patient: str, since: datetime, *, user: str | None = None) -> list[Shown]:
        """The cards issued for the patient (its hash) since then, and those of standing refusals whatever their age,
        oldest first, each with its answers. Raises RetryLaterError.

        user: leaves out the cards shown to others that nobody answered; a chart that many open has very many.
        """
        with self._reading() as connection:
            return cards.history(connection, patient, since, user)

    def add_feedback(self, rows: Sequence[Feedback], *, client: str = "") -> int:
        """Stores the rows of `parse_feedback` in one transaction and says how many were new; one known by its id is
        kept as it is. Linked to its card only where that was issued to this client (its hash) by this service.

        What is stored is on the disk when this returns. Raises RetryLaterError.
        """
        if not rows:
            return 0
        with self._writing(durable=True) as connection:
            return answering.add(connection, rows, client)

    def revoke(self, patient: str, trial: str | None, now: datetime) -> int:
        """Ends the standing refusals of the patient, of one trial or of all, and says how many there were."""
        with self._writing(durable=True) as connection:
            return answering.revoke(connection, patient, trial, now)

    def erase_patient(self, patient: str) -> Deleted:
        """Deletes all that is stored of the patient: cards, the feedback on them, standing refusals."""
        counts = {}
        with self._writing(durable=True) as connection:
            # Feedback last: whoever is storing some holds its card until it is there to be deleted.
            for name, table in (("cards", CARDS), ("refusals", REFUSALS), ("feedback", FEEDBACK)):
                counts[name] = connection.execute(delete(table).where(table.c.patient == patient)).rowcount
        self._shorten_log()
        return Deleted(**counts)

    def retain(self, before: datetime) -> Deleted:
        """Deletes the cards issued and the feedback received before then; standing refusals stay."""
        return Deleted(
            cards=self._delete_older(CARDS, CARDS.c.issued_at, before),
            feedback=self._delete_older(FEEDBACK, FEEDBACK.c.received_at, before),
        )

    def feedback(self, since: datetime | None = None) -> Iterator[StoredFeedback]:
        """The stored feedback, received since then, oldest first."""
        asked = select(FEEDBACK).order_by(FEEDBACK.c.received_at, FEEDBACK.c.id)
        if since is not None:
            asked = asked.where(FEEDBACK.c.received_at >= since)
        with self._reading() as connection:
            rows = connection.execution_options(yield_per=1000).execute(asked).mappings()
            yield from map(answering.stored_feedback, rows)

    def issued(self) -> Iterator[tuple[str, str, datetime]]:
        """Uuid, trial and time of each recorded card, oldest first."""
        asked = select(CARDS.c.uuid, CARDS.c.trial, CARDS.c.issued_at).order_by(CARDS.c.issued_at)
        with self._reading() as connection:
            rows = connection.execution_options(yield_per=1000).execute(asked)
            yield from ((uuid, trial, issued_at) for uuid, trial, issued_at in rows)

    def first_use(self, issuer: str, jti: str, expires_at: datetime, now: datetime) -> bool:
        """Whether this token id of this issuer is used for the first time; remembers it until `expires_at`.

        Raises RetryLaterError.
        """
        values = {"token": token_hash(issuer, jti), "expires_at": expires_at, "now": now}
        with self._writing() as connection:
            return connection.scalar(self._first_use, values) is not None

    def forget_tokens(self, now: datetime) -> int:
        """Deletes the token ids that have expired, and says how many."""
        return self._delete_older(TOKENS, TOKENS.c.expires_at, now)

    def knows_key(self) -> bool:
        """Whether `hold_key` was told before by which key the hashes are made."""
        with self._reading() as connection:
            return connection.scalar(_KEY) is not None

    def hold_key(self, check: str, *, remember: bool = True) -> None:
        """Remembers by which key the hashes are made (`Pseudonyms.check`). Raises ConfigurationError where it was
        another: with this one no card, no refusal and no patient to erase would be found again.
        """
        with self._writing(durable=True) as connection:
            known = connection.scalar(_KEY)
            if known is None and remember:
                connection.execute(insert(ABOUT).values(name="key", value=check))
        if known not in (None, check):
            raise ConfigurationError(
                "feedback.pseudonym_key_file: the database was written with another key: name that key's file or"
                " restore it; without it, begin with a new database (service.database_url)."
            )

    def release(self) -> None:
        """Closes the connections that nobody uses now: those of this process are none of its forks'."""
        if not in_memory(self._engine):
            self._engine.dispose()

    def close(self) -> None:
        """Closes the connections."""
        self.closed.set()
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._answering(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self, *, durable: bool = False) -> Iterator[Connection]:
        with self._answering(), self._my_turn(), self._writers[durable].begin() as connection:
            yield connection

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._seconds):
            raise TimeoutError
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Makes every failure of the database one error."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            if self._report is not None:
                self._report(_kind(error))
            raise RetryLaterError(
                "The service's database does not answer: send the request again in a moment."
            ) from None

    def _delete_older(self, table: Table, column: Column[Any], before: datetime) -> int:
        """Deletes in transactions so small that no call waits for long."""
        (key,) = table.primary_key.columns
        older = select(key).where(column < before).limit(_BATCH)
        total = 0
        while not self.closed.wait(_PAUSE):
            with self._writing() as connection:
                deleted = connection.execute(delete(table).where(key.in_(older.scalar_subquery()))).rowcount
            total += deleted
            if deleted < _BATCH:
                break
        return total

    def _shorten_log(self) -> None:
        """SQLite: brings what was deleted out of the write-ahead log as well, unless somebody reads just now."""
        if self._turn is None or in_memory(self._engine):
            return
        with self._answering(), self._my_turn():
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()


def _first_use(dialect: Dialect) -> Executable:
    """Adds a token id that is new or has expired. One statement decides, so that of two that come at once only one is
    the first.
    """
    new = insert_into(TOKENS, dialect)
    return new.on_conflict_do_update(
        index_elements=[TOKENS.c.token],
        set_={TOKENS.c.expires_at: new.excluded.expires_at},
        where=TOKENS.c.expires_at < bindparam("now"),
    ).returning(TOKENS.c.token)


def _kind(error: Exception) -> str:
    """What failed, in the driver's and the server's terms, without their words."""
    name = type(error).__name__
    told = error.orig.args[0] if isinstance(error, DBAPIError) and error.orig and error.orig.args else None
    return f"{name} {told['C']}" if isinstance(told, dict) and "C" in told else name
