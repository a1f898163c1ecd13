"""Keyed hashes in the place of identifiers: the same patient of the same issuer has the same hash, and without the
key nobody can tell whose it is.

HMAC-SHA256 under a key of 32 random bytes that is made on first use. Each kind of hash has its own domain and each
part its length, so that no two different inputs are the same message.
Error policy: a key that can't be read, is too short or that others can read is a ConfigurationError: it is never
replaced, because then no card and no refusal would be found again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from cds_service.errors import ConfigurationError

KEY_BYTES: Final = 32
_SETTING: Final = "feedback.pseudonym_key_file"
# Another process that has just made the file writes its key at once; a file that stays short is broken.
_WRITTEN_WITHIN_SECONDS: Final = 2.0


class Pseudonyms:
    """The hashes under one key, each 64 hexadecimal digits. Immutable; safe to share."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path, *, make: bool = True) -> Pseudonyms:
        """With the key of this file; a missing one is made unless `make` is False. Raises ConfigurationError."""
        if make:
            _make(path)
        return cls(_read(path))

    def patient(self, issuer: str, tenant: str | None, patient_id: str) -> str:
        """Of the patient with this FHIR id at the issuer (and its tenant)."""
        return self._hash("patient", issuer, tenant, patient_id)

    def user(self, issuer: str, tenant: str | None, user_id: str) -> str:
        """Of the user with this `userId` (`Practitioner/1`) at the issuer (and its tenant)."""
        return self._hash("user", issuer, tenant, user_id)

    def client(self, issuer: str, tenant: str | None) -> str:
        """Of the CDS client: issuer and tenant."""
        return self._hash("client", issuer, tenant)

    def verdict(self, content: bytes) -> str:
        """Of what a card was made of: the same verdicts have the same hash."""
        return self._hash("verdict", content)

    def check(self) -> str:
        """Tells whether another key is this one, and nothing else of it."""
        return self._hash("key")

    def _hash(self, domain: str, *parts: str | bytes | None) -> str:
        message = bytearray()
        for part in (f"cds-service/{domain}", *parts):
            content = part.encode() if isinstance(part, str) else part
            # What is absent is told apart from what is empty.
            message += b"\0" if content is None else b"\1" + len(content).to_bytes(8, "big") + content
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def _make(path: Path) -> None:
    """Writes a new key, unless the file exists already."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigurationError(
            f"{_SETTING}: {path} can't be made ({error.strerror}): name a file in a folder that this user may write."
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        # Whatever the umask: only this user.
        os.fchmod(descriptor, 0o600)
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(descriptor)


def _read(path: Path) -> bytes:
    until = monotonic() + _WRITTEN_WITHIN_SECONDS
    try:
        with path.open("rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            while len(key := file.read(KEY_BYTES + 1)) == 0 and monotonic() < until:
                sleep(0.01)
    except FileNotFoundError:
        raise ConfigurationError(
            f"{_SETTING}: there is no key at {path}: name the file that the service has used, or restore it from a "
            "backup; without it, begin with a new database (service.database_url)."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{_SETTING}: {path} can't be read ({error.strerror}): check its owner and mode."
        ) from None
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{_SETTING}: {path} is not a key of {KEY_BYTES} bytes: restore it from a backup; delete it only if"
            " nothing was ever stored with it."
        )
    return key


def _check_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{_SETTING}: {path} is not a file.")
    # A secret that an orchestrator mounts belongs to root and is read by the service's group.
    allowed = 0o040 if found.st_uid == 0 and os.geteuid() != 0 else 0
    if found.st_mode & 0o077 & ~allowed:
        raise ConfigurationError(
            f"{_SETTING}: other users can read or change {path}: run `chmod 600 {path}`, and if somebody may have"
            " read it, count the stored hashes as known to them."
        )
