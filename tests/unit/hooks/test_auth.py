"""The check of a token on its own: whatever comes, it is a caller or a refusal, and what happens in which order."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from cds_service.errors import TooManyRequestsError
from cds_service.hooks.auth import Caller, Client, Refused, verified_client
from cds_service.hooks.jwk import PublicKey, read_jwk_set
from tests.support.client_keys import ec_key, jwk_of, jwk_set

URL, ISSUER = "https://cds.example.org/cds-services/x", "https://ehr.example.org"
NOW = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
HEADER = {"alg": "ES384", "kid": "a", "typ": "JWT"}
CLAIMS = {"iss": ISSUER, "aud": URL, "exp": SECONDS + 300, "iat": SECONDS, "jti": "1", "tenant": "t"}


class Held:
    """The keys of one set, and which kids were asked for."""

    def __init__(self) -> None:
        self.keys = read_jwk_set(jwk_set(jwk_of(ec_key(), "a"))).keys
        self.asked: list[str] = []

    def find(self, kid: str) -> PublicKey | None:
        self.asked.append(kid)
        return self.keys.get(kid)


def signed(header: Any, claims: Any) -> str:
    parts = (json.dumps(part).encode() for part in (header, claims))
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = ECAlgorithm(ECAlgorithm.SHA384).sign(text.encode(), ec_key())
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def judged(
    authorization: str | None, client: Client | None = None, now: datetime = NOW, **more: Any
) -> Caller:
    more.setdefault("first_use", lambda *_: True)
    return verified_client(authorization, [client or Client("a", ISSUER, Held())], [URL], now, **more)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
NAMES = [
    "alg",
    "kid",
    "typ",
    "jku",
    "crit",
    "b64",
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "tenant",
    "jwk",
    "zip",
]
CHANGES = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3)


@given(CHANGES, CHANGES)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_whatever_a_signed_token_says_it_is_a_caller_or_a_refusal(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    kept: list[tuple[str, str, datetime, datetime]] = []
    try:
        caller = judged(
            f"Bearer {signed({**HEADER, **header}, {**CLAIMS, **claims})}",
            first_use=lambda *used: not kept.append(used),  # type: ignore[func-returns-value]
        )
    except Refused:
        assert kept == []
    else:
        assert caller.issuer == ISSUER
        ((_, jti, expires, _),) = kept
        assert 0 < len(jti) <= 512
        assert (expires - NOW).total_seconds() <= 3600 + 120


@given(st.text() | st.text("ab.=_- ,\n", max_size=40).map(lambda text: f"Bearer {text}"))
def test_whatever_stands_in_the_header_it_is_refused(authorization: str) -> None:
    with pytest.raises(Refused):
        judged(authorization)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_scheme_is_read_in_any_letters(scheme: str) -> None:
    assert judged(f"{scheme} {signed(HEADER, CLAIMS)}").tenant == "t"


@pytest.mark.parametrize("claim", [{"iss": "x"}, {"iss": None}])
def test_keys_are_not_asked_for_on_behalf_of_a_stranger(claim: dict[str, Any]) -> None:
    keys = Held()
    with pytest.raises(Refused, match="unknown issuer"):
        judged(f"Bearer {signed(HEADER, {**CLAIMS, **claim})}", Client("a", ISSUER, keys))
    assert keys.asked == []


def test_a_tenant_that_is_no_text_is_not_passed_on() -> None:
    assert judged(f"Bearer {signed(HEADER, {**CLAIMS, 'tenant': {'a': 1}})}").tenant is None
    client = Client("a", ISSUER, Held(), tenants=("t",))
    assert judged(f"Bearer {signed(HEADER, CLAIMS)}", client).tenant == "t"
    with pytest.raises(Refused, match="tenant"):
        judged(f"Bearer {signed(HEADER, {**CLAIMS, 'tenant': ['t']})}", client)


@pytest.mark.parametrize(
    ("moment", "reason"),
    [(-61, "not yet valid"), (-60, None), (0, None), (359, None), (360, "expired")],
)
def test_the_leeway_ends_to_the_second(moment: int, reason: str | None) -> None:
    now = datetime.fromtimestamp(SECONDS + moment, UTC)
    bearer = f"Bearer {signed(HEADER, CLAIMS)}"
    if reason is None:
        assert judged(bearer, now=now).client
    else:
        with pytest.raises(Refused, match=reason):
            judged(bearer, now=now)


@pytest.mark.parametrize(("life", "fits"), [(3600, True), (3601, False), (0, True), (-1, False)])
def test_a_token_lives_an_hour_at_most(life: int, fits: bool) -> None:
    bearer = f"Bearer {signed(HEADER, {**CLAIMS, 'exp': SECONDS + life})}"
    if fits:
        assert judged(bearer).client
    else:
        with pytest.raises(Refused, match="lifetime"):
            judged(bearer)


def test_who_is_turned_away_for_now_may_come_again_with_the_same_token() -> None:
    used: list[str] = []

    def busy(_client: Client) -> None:
        raise TooManyRequestsError("later")

    def first_use(_issuer: str, jti: str, *_: datetime) -> bool:
        used.append(jti)
        return True

    bearer = f"Bearer {signed(HEADER, CLAIMS)}"
    with pytest.raises(TooManyRequestsError):
        judged(bearer, first_use=first_use, admit=busy)
    assert used == []
    assert judged(bearer, first_use=first_use).client
    with pytest.raises(Refused, match="signature"):
        judged(bearer[:-128] + "A" * 128, admit=busy)


def test_a_refusal_knows_whose_token_it_claimed_to_be() -> None:
    with pytest.raises(Refused) as refused:
        judged(f"Bearer {jwt.encode(CLAIMS, ec_key('other'), 'ES384', headers=HEADER)}")
    assert (str(refused.value), refused.value.client) == ("signature", "a")
