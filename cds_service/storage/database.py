"""What the service keeps: feedback on cards and the ids of tokens already used. No patient, user or card
text.

Built on SQLAlchemy Core: SQLite by default, another database by URL. Each write is one transaction.
Error policy: a database that can't be opened raises ConfigurationError at the start; later failures are
errors of the request (500), never a silent loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    DateTime,
    Index,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
)
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, StaticPool

from cds_service.errors import ConfigurationError
from cds_service.storage.records import Deleted, IssuedCard, Shown

METADATA: Final = MetaData()
FEEDBACK: Final = Table(
    "feedback",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("service", String(128), nullable=False),
    Column("card", String(128), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("outcome_timestamp", DateTime(timezone=True), nullable=False),
    Column("accepted_suggestions", String(4000)),
    Column("override_system", String(512)),
    Column("override_code", String(128)),
    # Only whether there was a comment: its words may name a patient.
    Column("user_comment", String(8)),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Index("feedback_card", "card"),
)
TOKENS: Final = Table(
    "seen_tokens",
    METADATA,
    Column("issuer", String(512), primary_key=True),
    Column("jti", String(512), primary_key=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)


class Store:
    """The database behind one URL; safe to share between threads."""

    def __init__(self, url: str) -> None:
        try:
            self.engine: Engine = _engine(url)
            METADATA.create_all(self.engine)
            if not isinstance(self.engine.pool, StaticPool):
                # Connections opened here must not be shared by the workers that fork from this process.
                self.engine.dispose()
        except (SQLAlchemyError, ImportError):
            raise ConfigurationError(
                "service.database_url: the database can't be opened; check the URL, its driver and the permissions."
            ) from None

    def ready(self) -> bool:
        """Whether the database answers."""
        try:
            with self.engine.connect() as connection:
                connection.execute(select(1))
        except SQLAlchemyError:
            return False
        return True

    def record_cards(self, cards: Sequence[IssuedCard]) -> None:
        """Records cards, all or none, before they are shown. Raises RetryLaterError."""
        raise NotImplementedError

    def history(self, patient: str, since: datetime) -> list[Shown]:
        """The cards issued for the patient (its hash) since then, and those of standing refusals whatever their age,
        oldest first, each with its answers. Raises RetryLaterError.
        """
        raise NotImplementedError

    def revoke(self, patient: str, trial: str | None, now: datetime) -> int:
        """Ends the standing refusals of the patient, of one trial or of all, and says how many there were."""
        raise NotImplementedError

    def erase_patient(self, patient: str) -> Deleted:
        """Deletes all that is stored of the patient: cards, the feedback on them, standing refusals."""
        raise NotImplementedError

    def retain(self, before: datetime) -> Deleted:
        """Deletes the cards issued and the feedback received before then; standing refusals stay."""
        raise NotImplementedError

    def add_feedback(self, rows: Sequence[Mapping[str, Any]], *, client: str = "") -> int:
        """Stores the rows of `parse_feedback` in one transaction and says how many were new; one known by its id is
        kept as it is. Linked to its card only where that was issued to this client (its hash) by this service.
        """
        try:
            return self._add_new(rows)
        except (
            IntegrityError
        ):  # the same feedback came at the same time: what the other call stored is known now
            return self._add_new(rows)

    def _add_new(self, rows: Sequence[Mapping[str, Any]]) -> int:
        by_id = {row["id"]: row for row in rows}
        with self.engine.begin() as connection:
            known = set(
                connection.scalars(select(FEEDBACK.c.id).where(FEEDBACK.c.id.in_(by_id))) if by_id else ()
            )
            new = [dict(row) for key, row in by_id.items() if key not in known]
            if new:
                connection.execute(insert(FEEDBACK), new)
        return len(new)

    def feedback(self) -> list[dict[str, Any]]:
        """All stored feedback, oldest first."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(FEEDBACK).order_by(FEEDBACK.c.received_at, FEEDBACK.c.id))
            return [dict(row) for row in rows.mappings()]

    def first_use(self, issuer: str, jti: str, expires_at: Any, now: Any) -> bool:
        """Whether this token id of this issuer is used for the first time; remembers it until
        `expires_at`.
        """
        try:
            with self.engine.begin() as connection:
                connection.execute(delete(TOKENS).where(TOKENS.c.expires_at < now))
                connection.execute(insert(TOKENS).values(issuer=issuer, jti=jti, expires_at=expires_at))
        except IntegrityError:
            return False
        return True

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    """An engine that may be shared by threads and, because nothing stays open at the start, by forked workers."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    if parsed.database in (None, "", ":memory:"):
        # One connection is one database here: all threads must share it.
        return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    engine = create_engine(url, poolclass=NullPool)
    event.listen(engine, "connect", _for_many_readers)
    return engine


def _for_many_readers(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """SQLite: readers beside one writer, and a short wait instead of an error when two write at once."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()
