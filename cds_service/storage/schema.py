"""The tables, and how a database of an earlier version is taken over.

    about                what kind of database this is: the version of its tables, the key of its hashes, the tenants
                         that it knows by name
    issued_cards         each card that was shown; who it was for as keyed hashes
    feedback             what was said about cards; with the patient's hash where the card is known
    standing_refusals    the cards whose last answer holds until it is revoked, so that it outlives their retention
    seen_tokens          hashes of the token ids already used

Error policy: a database of a later version raises ConfigurationError and nothing of it is touched. One of an earlier
version is taken over in one transaction: all or nothing.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Dialect,
    Index,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.schema import CreateColumn
from sqlalchemy.types import TypeDecorator

from cds_service.errors import ConfigurationError

VERSION: Final = 2
# The codes of this project's override reasons that have an effect, and those that hold until they are revoked: the
# patient has decided.
STANDING_REASONS: Final = frozenset({"patient-declined", "enrolled-elsewhere"})
REASONS: Final = STANDING_REASONS | {
    "no-time",
    "already-discussed",
    "known-ineligible",
    "not-appropriate",
    "needs-information",
}
# The number under which processes that start at once take turns on PostgreSQL ("cds" in ASCII).
_LOCK: Final = 0x636473


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC; SQLite, which knows no zones, keeps it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


HASH: Final = String(64)
METADATA: Final = MetaData()
ABOUT: Final = Table(
    "about",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
CARDS: Final = Table(
    "issued_cards",
    METADATA,
    Column("uuid", String(128), primary_key=True),
    Column("service", Text, nullable=False),
    Column("trial", Text, nullable=False),
    Column("trial_version", Text, nullable=False, key="version"),
    Column("status", Text, nullable=False),
    Column("verdict_hash", HASH, nullable=False, key="verdict"),
    Column("issued_at", Moment, nullable=False),
    Column("client_hash", HASH, nullable=False, key="client"),
    Column("patient_hash", HASH, nullable=False, key="patient"),
    Column("user_hash", HASH, nullable=False, key="user"),
    Index("issued_cards_patient", "patient", "issued_at"),
    Index("issued_cards_issued_at", "issued_at"),
)
FEEDBACK: Final = Table(
    "feedback",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("service", String(128), nullable=False),
    Column("card", String(128), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("outcome_timestamp", Moment, nullable=False),
    Column("accepted_suggestions", Text),
    Column("override_system", String(512)),
    Column("override_code", String(128)),
    # Only whether there was a comment: its words may name a patient.
    Column("user_comment", String(8)),
    Column("received_at", Moment, nullable=False),
    # Of the card, where it was issued to who sent the feedback.
    Column("trial", Text),
    Column("patient_hash", HASH, key="patient"),
    Column("revoked_at", Moment),
    Index("feedback_card", "card"),
    Index("feedback_patient", "patient"),
    Index("feedback_received_at", "received_at"),
)
REFUSALS: Final = Table(
    "standing_refusals",
    METADATA,
    Column("card", String(128), primary_key=True),
    Column("service", Text, nullable=False),
    Column("trial", Text, nullable=False),
    Column("verdict_hash", HASH, nullable=False, key="verdict"),
    Column("issued_at", Moment, nullable=False),
    Column("client_hash", HASH, nullable=False, key="client"),
    Column("patient_hash", HASH, nullable=False, key="patient"),
    Column("user_hash", HASH, nullable=False, key="user"),
    Column("override_code", String(128), nullable=False),
    Column("refused_at", Moment, nullable=False),
    Index("standing_refusals_patient", "patient"),
)
TOKENS: Final = Table(
    "seen_tokens",
    METADATA,
    Column("token_hash", HASH, primary_key=True, key="token"),
    Column("expires_at", Moment, nullable=False),
    Index("seen_tokens_expires_at", "expires_at"),
)


def prepare(connection: Connection) -> None:
    """Makes the tables, or takes over those of an earlier version. Raises ConfigurationError."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = _version(connection)
    if found == VERSION:
        return
    if found > VERSION:
        raise ConfigurationError(
            f"service.database_url: the database was written by a later version of this service (its tables have"
            f" version {found}, this one knows {VERSION}): upgrade the service, or name another database."
        )
    tokens = _take_over_0_1(connection) if found == 1 else []
    METADATA.create_all(connection)
    if tokens:
        connection.execute(insert(TOKENS), tokens)
    connection.execute(insert(ABOUT).values(name="schema", value=str(VERSION)))


def token_hash(issuer: str, jti: str) -> str:
    """How a token id is kept: of bounded length, whatever a client makes of it."""
    named = issuer.encode()
    return hashlib.sha256(len(named).to_bytes(8, "big") + named + jti.encode()).hexdigest()


def _version(connection: Connection) -> int:
    """The version of the tables: 0 none yet, 1 those of cds-service 0.1.0, which had no `about`."""
    known = inspect(connection)
    if not known.has_table(ABOUT.name):
        return 1 if known.has_table(FEEDBACK.name) else 0
    written = connection.scalar(select(ABOUT.c.value).where(ABOUT.c.name == "schema"))
    try:
        return int(written or "")
    except ValueError:
        raise ConfigurationError(
            "service.database_url: the database holds a table `about` that is not this service's: name another one."
        ) from None


def _take_over_0_1(connection: Connection) -> list[dict[str, Any]]:
    """Widens the tables of 0.1.0; feedback stays as it is, unlinked, since its cards were not recorded. Returns the
    token ids to keep.
    """
    for name in ("trial", "patient", "revoked_at"):
        column = CreateColumn(FEEDBACK.c[name]).compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE feedback ADD COLUMN {column}"))
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE feedback ALTER COLUMN accepted_suggestions TYPE TEXT"))
    for index in FEEDBACK.indexes:
        index.create(connection, checkfirst=True)
    if not inspect(connection).has_table(TOKENS.name):
        return []
    old = text("SELECT issuer, jti, expires_at FROM seen_tokens").columns(expires_at=Moment)
    tokens = [
        {"token": token_hash(issuer, jti), "expires_at": expires_at}
        for issuer, jti, expires_at in connection.execute(old)
    ]
    connection.execute(text("DROP TABLE seen_tokens"))
    return tokens
