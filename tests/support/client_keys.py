"""Key pairs of CDS clients, and their JWKs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm


@cache
def ec_key(name: str = "a", curve: type[ec.EllipticCurve] = ec.SECP384R1) -> ec.EllipticCurvePrivateKey:
    """The same key for the same name."""
    return ec.generate_private_key(curve())


@cache
def rsa_key(bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def jwk_of(private_key: Any, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """The public JWK of a private key; keyword arguments stand over its members, None takes one away."""
    public = private_key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        written = ECAlgorithm.to_jwk(public)
    elif isinstance(public, rsa.RSAPublicKey):
        written = RSAAlgorithm.to_jwk(public)
    else:
        written = OKPAlgorithm.to_jwk(public)
    return {
        name: value
        for name, value in {**json.loads(written), "kid": kid, **more}.items()
        if value is not None
    }


def jwk_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()
