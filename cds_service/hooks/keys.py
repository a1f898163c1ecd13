"""Where a client's keys come from: a JWK Set in a file, or one that it publishes. Keys are rotated without a restart.

A published set is fetched when it is first needed, again when it is older than it may be, and when a token names a key
that it lacks: once a minute at most, since anybody can write a token with a made-up `kid`. One fetch runs at a time,
beside the calls: a few wait for it, five seconds at most; all others are judged by what is known.
Error policy: a file that can't be used at the start raises BadKeys. Later, what can't be read or fetched is reported
in words of this module, and the set known before stays: a file's until the file is good again, a published one's
for a day.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as PoolTimeout

from cds_service.hooks.jwk import SET_BYTES, BadKeys, JwkSet, PublicKey, read_jwk_set
from cds_service.records.addresses import ANYWHERE
from cds_service.records.connections import read_body, session

FETCH_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 60.0
AGE_SECONDS: Final = 3600.0
LEAST_AGE_SECONDS: Final = 300.0
MOST_AGE_SECONDS: Final = 86_400.0
# How long a set that should have been renewed is still used while its server does not answer.
STALE_SECONDS: Final = 86_400.0
_WAITERS: Final = 8
_MAX_AGE: Final = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?(\d{1,10})', re.IGNORECASE)
_UNCACHED: Final = re.compile(r"(?:^|[,\s])no-(?:cache|store)\b", re.IGNORECASE)

Report = Callable[[str], None]


class Keys(Protocol):
    """The keys of one client; safe to share between threads, and by processes that fork before the first call."""

    def find(self, kid: str) -> PublicKey | None:
        """The key of that name, as it stands now. Raises nothing."""


def read_file(path: Path) -> JwkSet:
    """The JWK Set in a file. Raises BadKeys, also for a single key that can't be used: somebody put it there."""
    try:
        with path.open("rb") as file:
            found = read_jwk_set(file.read(SET_BYTES + 1))
    except OSError:
        raise BadKeys("the file can't be read") from None
    if found.ignored:
        raise found.ignored[0]
    return found


class FileKeys:
    """The keys of a JWK Set file, read anew when the file has changed. `report` is told why a change was not taken."""

    def __init__(self, path: Path, report: Report) -> None:
        self._path = path
        self._report = report
        self._lock = threading.Lock()
        self._seen = _version(path)
        self._keys = read_file(path).keys

    def find(self, kid: str) -> PublicKey | None:
        if _version(self._path) != self._seen:
            with self._lock:
                self._read_anew()
        return self._keys.get(kid)

    def _read_anew(self) -> None:
        """Takes the file as it is now, unless another call has just done so. A bad one is reported once."""
        version = _version(self._path)
        if version == self._seen:
            return
        try:
            self._keys = read_file(self._path).keys
        except BadKeys as bad:
            self._report(bad.problem)
        # Seen before it was read: a file that was still being written is read once more.
        self._seen = version


def _version(path: Path) -> tuple[int, ...] | None:
    """What changes when the file is written or replaced; None while it can't be looked at."""
    try:
        known = os.stat(path)
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino, known.st_dev


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered: the body, and for how many seconds it may be used."""

    body: bytes
    age: float


Fetch = Callable[[str], Fetched]


@dataclass(frozen=True, slots=True)
class _Held:
    """The set in use. Times are those of the clock: until when it is as good as new, until when it may stand in."""

    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    fresh_until: float = 0.0
    kept_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Fetching:
    started: float
    done: threading.Event = field(default_factory=threading.Event)


class PublishedKeys:
    """The keys of a JWK Set behind a URL, cached. `report` is told why a fetch brought nothing."""

    def __init__(
        self,
        url: str,
        report: Report,
        *,
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._report = report
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._held = _Held()
        self._running: _Fetching | None = None
        self._not_before = float("-inf")
        self._waiters = threading.BoundedSemaphore(_WAITERS)

    def find(self, kid: str) -> PublicKey | None:
        if self._wanting(kid) and (running := self._renewal(kid)):
            self._await(running)
        held = self._held
        return held.keys.get(kid) if self._clock() < held.kept_until else None

    def _wanting(self, kid: str) -> bool:
        """Whether what is held does not settle the matter: no such key, or a set that should be renewed."""
        held = self._held
        return kid not in held.keys or self._clock() >= held.fresh_until

    def _renewal(self, kid: str) -> _Fetching | None:
        """The fetch to wait for: the one that runs, or a new one where one is due."""
        with self._lock:
            if not self._wanting(kid):
                return None
            now = self._clock()
            if self._running is None and now >= self._not_before:
                fetching = _Fetching(now)
                threading.Thread(target=self._renew, args=(fetching,), name="jwks", daemon=True).start()
                self._running, self._not_before = fetching, now + PAUSE_SECONDS
            return self._running

    def _await(self, running: _Fetching) -> None:
        """Waits for that fetch, but not beyond its five seconds, nor where many wait already: whoever sends made-up
        `kid`s must not hold all the threads that other clients' calls need.
        """
        left = running.started + FETCH_SECONDS - self._clock()
        if left > 0 and self._waiters.acquire(blocking=False):
            try:
                running.done.wait(left)
            finally:
                self._waiters.release()

    def _renew(self, fetching: _Fetching) -> None:
        """One fetch, in a thread of its own: a server that sends a byte now and then delays no call for longer."""
        try:
            fetched = self._fetch(self._url)
            found = read_jwk_set(fetched.body)
            if not found.keys:
                raise found.ignored[0]
            fresh_until = self._clock() + fetched.age
            self._held = _Held(found.keys, fresh_until, fresh_until + STALE_SECONDS)
            for bad in found.ignored:
                self._report(bad.problem)
        except BadKeys as bad:
            self._report(bad.problem)
        except Exception as error:  # whatever it is, it must not be printed by the thread that it ends
            self._report(f"the keys could not be had: {type(error).__name__}")
        finally:
            with self._lock:
                self._running = None
            fetching.done.set()


def fetch_jwk_set(url: str, *, ca_file: Path | None = None) -> Fetched:
    """What the server of a client's keys answers: no redirect is followed, no proxy, cookie or credential used. The
    address is the operator's own choice and may be a private one; the certificate must be good (`ca_file`: as for
    FHIR servers).

    Raises BadKeys.
    """
    until = time.monotonic() + FETCH_SECONDS

    def check_time(_length: int) -> None:
        if time.monotonic() > until:
            raise TimeoutError

    try:
        with session(ANYWHERE, ca_file=ca_file) as once:
            answer = once.get(
                url,
                headers={"Accept": "application/jwk-set+json, application/json"},
                timeout=FETCH_SECONDS,
                stream=True,
                allow_redirects=False,
            )
            with answer:
                if answer.status_code != 200:
                    raise BadKeys(f"the server of the keys answered with HTTP {answer.status_code}, not 200")
                body = read_body(answer, SET_BYTES, check_time)
                if body is None:
                    raise BadKeys(f"the JWK Set is larger than {SET_BYTES} bytes")
                return Fetched(body, _age(answer.headers.get("Cache-Control", "")))
    except requests.exceptions.SSLError:
        raise BadKeys("the certificate of the server of the keys is not accepted") from None
    except (requests.Timeout, PoolTimeout, TimeoutError):
        raise BadKeys(f"the server of the keys did not answer within {FETCH_SECONDS:g} s") from None
    except (requests.RequestException, HTTPError, OSError, ValueError):
        raise BadKeys("the server of the keys can't be reached") from None


def _age(cache_control: str) -> float:
    """For how many seconds an answer may be used: what its server says, but 5 minutes at least and a day at most."""
    stated = _MAX_AGE.search(cache_control)
    if _UNCACHED.search(cache_control):
        return LEAST_AGE_SECONDS
    return min(max(float(stated[1]), LEAST_AGE_SECONDS), MOST_AGE_SECONDS) if stated else AGE_SECONDS
