"""Clients' keys: what of a JWK Set is taken, and how a file's or an address's set is kept, renewed and rotated."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.hooks import keys as keys_module
from cds_service.hooks.jwk import SET_BYTES, SET_KEYS, BadKeys, read_jwk_set
from cds_service.hooks.keys import (
    PAUSE_SECONDS,
    STALE_SECONDS,
    Fetched,
    FileKeys,
    PublishedKeys,
    fetch_jwk_set,
)
from cds_service.hooks.strict_json import strict_json
from tests.support.certificates import authority
from tests.support.client_keys import ec_key, jwk_of, jwk_set, rsa_key
from tests.support.clock import Clock
from tests.unit.records_io.scripted_server import Answer, serving

A, B = jwk_of(ec_key("a"), "key-a"), jwk_of(ec_key("b"), "key-b")

# --- what of a set is taken


@pytest.mark.parametrize(
    ("key", "algorithms", "strength"),
    [
        (jwk_of(ec_key(curve=ec.SECP256R1), "k"), ("ES256",), "P-256"),
        (jwk_of(ec_key(), "k"), ("ES384",), "P-384"),
        (jwk_of(ec_key(curve=ec.SECP521R1), "k"), ("ES512",), "P-521"),
        (jwk_of(Ed25519PrivateKey.generate(), "k"), ("EdDSA",), "Ed25519"),
        (jwk_of(rsa_key(), "k", alg="RS384"), ("RS384",), "RSA, 2048 bits"),
        (
            jwk_of(rsa_key(), "k"),
            ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
            "RSA, 2048 bits",
        ),
    ],
)
def test_a_key_is_good_for_the_algorithms_of_its_kind_and_size(
    key: dict[str, Any], algorithms: tuple[str, ...], strength: str
) -> None:
    found = read_jwk_set(jwk_set(key)).keys["k"]
    assert (found.algorithms, found.strength) == (algorithms, strength)


BAD_SETS: dict[str, bytes] = {
    "no JSON": b"{",
    "no object": b"[]",
    "no keys": b"{}",
    "keys no list": b'{"keys": {}}',
    "a key no object": b'{"keys": ["a"]}',
    "no key in it": jwk_set(),
    "keys for encryption only": jwk_set({**A, "use": "enc"}, {**B, "key_ops": ["encrypt"]}),
    "a name twice": b'{"keys": [], ' + jwk_set(A)[1:],
    "a kid twice": jwk_set(A, {**B, "kid": "key-a"}),
    "NaN": jwk_set(A)[:-1] + b', "x": NaN}',
    "another encoding": jwk_set(A).decode().encode("utf-16"),
    "too many keys": jwk_set(*({**A, "kid": str(n)} for n in range(SET_KEYS + 1))),
    "too large": jwk_set({**A, "x5c": ["A" * SET_BYTES]}),
    "nested beyond measure": b'{"keys":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("name", BAD_SETS)
def test_a_set_that_does_not_say_one_thing_is_not_used_at_all(name: str) -> None:
    with pytest.raises(BadKeys):
        read_jwk_set(BAD_SETS[name])


BAD_KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "no kid": (jwk_of(ec_key()), "no kid"),
    "a kid that is no text": ({**A, "kid": 1}, "no kid"),
    "an empty kid": ({**A, "kid": ""}, "no kid"),
    "a private key": ({**A, "d": "AAAA"}, "public"),
    "a shared key": ({"kty": "oct", "k": "AAAA", "kid": "x"}, "public"),
    "a shared key without its secret": ({"kty": "oct", "kid": "x"}, "public"),
    "an unknown kind": ({**A, "kty": "XX"}, "public"),
    "a kind that is no text": ({**A, "kty": ["EC"]}, "public"),
    "a curve of no algorithm": ({**A, "crv": "secp256k1"}, "curve"),
    "a curve that is no text": ({**A, "crv": ["P-384"]}, "curve"),
    "a curve of another size": ({**A, "crv": "P-256"}, "numbers"),
    "a point off the curve": ({**A, "y": A["x"]}, "numbers"),
    "a key for key agreement": ({"kty": "OKP", "crv": "X25519", "x": "AAAA", "kid": "x"}, "curve"),
    "padding": ({**A, "x": A["x"] + "="}, "base64url"),
    "letters of no base64url": ({**A, "x": "é" + A["x"][1:]}, "base64url"),
    "a number for a text": ({**A, "x": 1}, "base64url"),
    "no numbers": ({"kty": "RSA", "kid": "x"}, "base64url"),
    "an RSA key too short": (jwk_of(rsa_key(1024), "x"), "2048"),
    "an RSA key too long": ({**jwk_of(rsa_key(), "x"), "n": "_" * 1400}, "2048"),
    "an even RSA modulus of one bit": ({**jwk_of(rsa_key(), "x"), "n": "AA"}, "numbers"),
    "an RSA exponent of 3": (jwk_of(rsa_key(exponent=3), "x"), "exponent"),
    "an RSA exponent of 1": ({**jwk_of(rsa_key(), "x"), "e": "AQ"}, "numbers"),
    "a shared alg": (jwk_of(rsa_key(), "x", alg="HS256"), "alg"),
    "the alg none": ({**A, "alg": "none"}, "alg"),
    "the alg of another curve": ({**A, "alg": "ES256"}, "alg"),
    "the alg of another kind": ({**A, "alg": "RS384"}, "alg"),
    "an alg that is no text": ({**A, "alg": {}}, "alg"),
}


@pytest.mark.proves("checklist:45", "cds-hooks_2.0@203")
@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_key_that_can_not_be_trusted_is_left_out_and_named(name: str) -> None:
    key, words = BAD_KEYS[name]
    found = read_jwk_set(jwk_set(key, B))
    assert list(found.keys) == ["key-b"]
    (ignored,) = found.ignored
    assert words in ignored.problem
    assert str(key.get("kid")) not in ignored.problem.split()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
MEMBER = st.sampled_from(["kty", "kid", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "d"])


@given(
    st.sampled_from([A, jwk_of(rsa_key(), "key-r")]),
    st.dictionaries(MEMBER, JSON | st.text("A_-=", max_size=90), min_size=1, max_size=3),
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_in_a_key_it_is_taken_or_left_out(
    key: dict[str, Any], changes: dict[str, Any]
) -> None:
    try:
        found = read_jwk_set(json.dumps({"keys": [{**key, **changes}, B]}).encode())
    except BadKeys:
        return
    assert set(found.keys) >= {"key-b"}
    assert all(len(k.algorithms) >= 1 for k in found.keys.values())


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 1}',
        b'{"b": {"a": 1, "a": 2}}',
        b"[NaN]",
        b"-Infinity",
        b'"\\ud800"',
        b"\xff",
        b'"\xed\xa0\x80"',
        b"",
        b"1" * 5000,
        b"[" * 5000,
        b'{"a": 1}{',
        b"\xef\xbb\xbf{}",
    ],
)
def test_json_of_two_meanings_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="one meaning"):
        strict_json(text)


# --- a file


@pytest.fixture
def reported() -> list[str]:
    return []


def write(path: Path, content: bytes) -> None:
    """Replaces a file as careful programs do, with a time of its own."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


def test_a_changed_file_is_read_without_a_restart(tmp_path: Path, reported: list[str]) -> None:
    path = tmp_path / "jwks.json"
    write(path, jwk_set(A))
    keys = FileKeys(path, reported.append)
    assert keys.find("key-a")
    assert keys.find("key-b") is None
    write(path, jwk_set(B))
    assert keys.find("key-a") is None
    assert keys.find("key-b")
    assert reported == []


def test_a_file_written_in_place_is_read_too(tmp_path: Path, reported: list[str]) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwk_set(A))
    keys = FileKeys(path, reported.append)
    path.write_bytes(jwk_set(B))
    os.utime(path, ns=(1, 1))
    assert keys.find("key-b")


def test_the_old_keys_stay_while_the_new_file_is_bad(tmp_path: Path, reported: list[str]) -> None:
    path = tmp_path / "jwks.json"
    write(path, jwk_set(A))
    keys = FileKeys(path, reported.append)
    write(path, jwk_set(B)[:-2])
    assert [keys.find("key-a"), keys.find("key-a")] != [None, None]
    assert len(reported) == 1, "told once, not on each call"
    path.unlink()
    assert keys.find("key-a")
    assert reported[1:] == ["the file can't be read"]
    write(path, jwk_set(B))
    assert keys.find("key-a") is None
    assert keys.find("key-b")


def test_a_file_with_one_bad_key_does_not_pass(tmp_path: Path, reported: list[str]) -> None:
    path = tmp_path / "jwks.json"
    write(path, jwk_set(A, {**B, "alg": "HS256"}))
    with pytest.raises(BadKeys, match=r"key 'key-b' has an alg"):
        FileKeys(path, reported.append)


# --- an address


class Publisher:
    """A server of keys without a network: gives `answer`, counts fetches, and waits while `held`."""

    def __init__(self, *keys: dict[str, Any], age: float = 3600.0) -> None:
        self.answer: Fetched | Exception = Fetched(jwk_set(*keys), age)
        self.fetches = 0
        self.open = threading.Event()
        self.open.set()

    def fetch(self, _url: str) -> Fetched:
        self.fetches += 1
        assert self.open.wait(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


Published = Callable[[Publisher], PublishedKeys]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def published(clock: Clock, reported: list[str]) -> Published:
    return lambda publisher: PublishedKeys(
        "https://ehr.example.org/jwks", reported.append, fetch=publisher.fetch, clock=clock
    )


def test_a_set_is_fetched_when_it_is_needed_and_then_kept(published: Published) -> None:
    publisher = Publisher(A)
    keys = published(publisher)
    assert publisher.fetches == 0
    assert keys.find("key-a")
    assert keys.find("key-a")
    assert publisher.fetches == 1


def test_an_unknown_kid_has_the_set_fetched_anew_once_a_minute(published: Published, clock: Clock) -> None:
    publisher = Publisher(A)
    keys = published(publisher)
    keys.find("key-a")
    publisher.answer = Fetched(jwk_set(A, B), 3600.0)
    assert [keys.find("key-b") for _ in range(50)] == [None] * 50
    assert publisher.fetches == 1
    clock.now += PAUSE_SECONDS
    assert keys.find("key-b")
    assert [keys.find(f"made-up-{n}") for n in range(50)] == [None] * 50
    assert publisher.fetches == 2


def test_a_set_past_its_age_is_fetched_before_it_is_used(published: Published, clock: Clock) -> None:
    publisher = Publisher(A, age=600.0)
    keys = published(publisher)
    assert keys.find("key-a")
    publisher.answer = Fetched(jwk_set(B), 600.0)
    clock.now += 599
    assert keys.find("key-a")
    clock.now += 1
    assert keys.find("key-a") is None, "a key that was withdrawn is not taken once more"
    assert keys.find("key-b")


@pytest.mark.parametrize(
    "failure",
    [
        BadKeys("the server of the keys can't be reached"),
        Fetched(b"<html>", 3600),
        Fetched(jwk_set({**A, "d": "x"}), 9),
        RuntimeError("a defect"),
    ],
)
def test_the_old_set_stands_in_for_a_day_while_none_can_be_had(
    published: Published, clock: Clock, reported: list[str], failure: Fetched | Exception
) -> None:
    publisher = Publisher(A, age=600.0)
    keys = published(publisher)
    keys.find("key-a")
    publisher.answer = failure
    clock.now += 600
    assert all(keys.find("key-a") for _ in range(20))
    assert (publisher.fetches, len(reported)) == (2, 1)
    clock.now += STALE_SECONDS - 1
    assert keys.find("key-a")
    clock.now += 1
    assert keys.find("key-a") is None
    publisher.answer = Fetched(jwk_set(A), 600.0)
    clock.now += PAUSE_SECONDS
    assert keys.find("key-a")


def test_one_bad_key_of_a_published_set_does_not_stop_the_others(
    published: Published, reported: list[str]
) -> None:
    keys = published(Publisher(A, {**B, "kty": "AKP"}))
    assert keys.find("key-a")
    assert len(reported) == 1


def test_many_calls_at_once_make_one_fetch(published: Published) -> None:
    publisher = Publisher(A)
    publisher.open.clear()
    keys = published(publisher)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(keys.find("key-a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    publisher.open.set()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(found)
    assert publisher.fetches == 1


def test_a_fetch_that_does_not_end_holds_few_calls_and_none_for_long(
    published: Published, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "FETCH_SECONDS", 50.0)
    publisher = Publisher(A)
    keys = published(publisher)
    keys.find("key-a")
    publisher.open.clear()
    clock.now += PAUSE_SECONDS
    waiting = [threading.Thread(target=keys.find, args=(f"made-up-{n}",)) for n in range(8)]
    for thread in waiting:
        thread.start()
    while keys._waiters._value:  # type: ignore[attr-defined]  # until all places are taken
        threading.Event().wait(0.001)
    assert keys.find("one-too-many") is None
    assert all(thread.is_alive() for thread in waiting), "it did not wait for one of them"
    assert keys.find("key-a"), "a known key needs no fetch"
    clock.now += 50.0
    assert keys.find("later") is None, "the time of this fetch is over: nobody waits for it any more"
    clock.now += PAUSE_SECONDS
    assert keys.find("much-later") is None
    assert publisher.fetches == 2, "one fetch at a time"
    publisher.open.set()
    for thread in waiting:
        thread.join()


# --- fetching

JWKS = "jwks"


@pytest.mark.parametrize(
    ("headers", "age"),
    [
        ({}, 3600),
        ({"Cache-Control": "public, max-age=7200"}, 7200),
        ({"Cache-Control": "max-age=1"}, 300),
        ({"Cache-Control": 'Max-Age="99999999"'}, 86_400),
        ({"Cache-Control": "s-maxage=9000"}, 3600),
        ({"Cache-Control": "no-store, max-age=9000"}, 300),
        ({"Cache-Control": "no-cache"}, 300),
        ({"Cache-Control": "max-age=-5"}, 3600),
    ],
)
def test_a_set_is_kept_as_long_as_its_server_says_within_bounds(headers: dict[str, str], age: float) -> None:
    with serving({JWKS: Answer({"keys": []}, headers=headers)}) as server:
        fetched = fetch_jwk_set(f"{server.base}/{JWKS}")
    assert fetched == Fetched(b'{"keys": []}', age)
    assert not {"Authorization", "Cookie"} & server.requests[0].headers.keys()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=302, headers={"Location": "/fhir/other"}), "HTTP 302"),
        (Answer(status=500), "HTTP 500"),
        (Answer(b"x" * (SET_BYTES + 1)), "larger"),
        (Answer(b" " * (SET_BYTES * 20), zipped=True), "larger"),
        (Answer({"keys": []}, headers={"Content-Encoding": "gzip"}), "reached"),
        (Answer({"keys": ["x" * 1000]}, cut=100), "reached"),
    ],
)
def test_an_answer_that_is_no_set_is_not_taken(answer: Answer, words: str) -> None:
    with serving({JWKS: answer, "other": {"keys": []}}) as server:
        with pytest.raises(BadKeys, match=words):
            fetch_jwk_set(f"{server.base}/{JWKS}")
        assert not server.asked("other"), "no redirect is followed"


def test_a_slow_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "FETCH_SECONDS", 0.3)
    with (
        serving({JWKS: Answer({"keys": ["x" * 4000]}, drip=0.05)}) as server,
        pytest.raises(BadKeys, match=r"within 0\.3 s"),
    ):
        fetch_jwk_set(f"{server.base}/{JWKS}")


def test_nobody_there_is_a_failure_without_an_address_in_it() -> None:
    with pytest.raises(BadKeys, match=r"^the server of the keys can't be reached$"):
        fetch_jwk_set("https://127.0.0.1:9/jwks")


def test_a_certificate_must_be_signed_by_an_authority_that_is_trusted(tmp_path: Path) -> None:
    own = authority(tmp_path)
    with serving({JWKS: {"keys": []}}, tls=own.server("localhost")) as server:
        url = server.base.replace("127.0.0.1", "localhost") + f"/{JWKS}"
        assert fetch_jwk_set(url, ca_file=own.file).body
        with pytest.raises(BadKeys, match="certificate"):
            fetch_jwk_set(url)
        with pytest.raises(BadKeys, match="certificate"):
            fetch_jwk_set(f"{server.base}/{JWKS}", ca_file=own.file)
        assert len(server.requests) == 1
