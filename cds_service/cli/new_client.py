"""A CDS client for trying the service: its key pair, its JWK Set, its lines of configuration, and its tokens.

A real client keeps its own private key and gives away its JWK Set only. Error policy: InputError for a name, file or
folder that can't be used; a file that exists is never written over. No key and no token is part of an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cds_service.errors import InputError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RSA_BITS: Final = 3072
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Algorithm(StrEnum):
    """What CDS Hooks recommends for signatures."""

    ES384 = "ES384"
    RS384 = "RS384"


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """The files of the client `name` in a folder. Raises InputError for a name that is no file's."""

    name: str
    folder: Path

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                "The client's name must be of letters, digits, '.', '-' and '_', and begin with a letter or digit."
            )

    @property
    def private_key(self) -> Path:
        return self.folder / f"{self.name}.key.pem"

    @property
    def jwk_set(self) -> Path:
        return self.folder / f"{self.name}.jwks.json"


def default_issuer(name: str) -> str:
    """The `iss` of a client made here; `.example` belongs to nobody (RFC 2606)."""
    return f"https://{name.lower().replace('_', '-')}.example"


def make_client(files: ClientFiles, algorithm: Algorithm) -> None:
    """Writes a new private key, which only its owner may read, and the JWK Set of its public key."""
    key: PrivateKey
    if algorithm is Algorithm.ES384:
        key = ec.generate_private_key(ec.SECP384R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = {**_public_jwk(key), "kid": _thumbprint(key), "use": "sig", "alg": algorithm.value}
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
        _write_new(files.private_key, private, 0o600)
    except OSError as error:
        raise _unwritable(files.private_key, error) from None
    try:
        _write_new(files.jwk_set, orjson.dumps({"keys": [public]}, option=orjson.OPT_INDENT_2) + b"\n", 0o644)
    except OSError as error:
        # The key was made here and a moment ago; nobody knows its other half.
        files.private_key.unlink()
        raise _unwritable(files.jwk_set, error) from None


def configuration(files: ClientFiles, issuer: str, beside: Path) -> str:
    """The lines to paste into the configuration file, which stands in the folder `beside`."""
    jwk_set = files.jwk_set.resolve()
    with suppress(ValueError):
        jwk_set = jwk_set.relative_to(beside.resolve())
    return "\n".join(
        (
            "[[clients]]",
            f"name = {_toml(files.name)}",
            f"issuer = {_toml(issuer)}",
            f"jwks_file = {_toml(str(jwk_set))}",
            "# The FHIR servers that its calls may name; without them it sends all data as prefetch:",
            '# fhir_servers = ["https://ehr.example.org/r4"]',
        )
    )


def _toml(text: str) -> str:
    """A basic string: JSON's but for DEL, and for the surrogates by which JSON may write what is beyond 16 bits."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def signed_token(files: ClientFiles, issuer: str, audience: str, *, tenant: str | None, seconds: int) -> str:
    """A JWT for one call of the URL `audience`, by the client's private key."""
    key = _private_key(files.private_key)
    now = int(time.time())
    claims = {"iss": issuer, "aud": audience, "iat": now, "exp": now + seconds, "jti": str(uuid4())}
    if tenant is not None:
        claims["tenant"] = tenant
    algorithm = Algorithm.ES384 if isinstance(key, ec.EllipticCurvePrivateKey) else Algorithm.RS384
    return jwt.encode(claims, key, algorithm.value, headers={"kid": _thumbprint(key), "typ": "JWT"})


def _private_key(path: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror}): make a client with `cds-service doctor --new-client`, "
            "or name its folder with --folder."
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(f"{path} is not a private key in PEM without a password.") from None
    known = isinstance(key, rsa.RSAPrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1)
    )
    if not isinstance(key, PrivateKey) or not known:
        raise InputError(f"{path} is neither a P-384 nor an RSA key, of which tokens are made here.")
    return key


def _public_jwk(key: PrivateKey) -> Mapping[str, Any]:
    """The members of RFC 7518 §6 that make up the public key, and no other."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        written = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        written = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {name: written[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in written}


def _thumbprint(key: PrivateKey) -> str:
    """The name of the public key by its content (RFC 7638): the private key alone tells it."""
    content = orjson.dumps(_public_jwk(key), option=orjson.OPT_SORT_KEYS)
    return urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Writes a file that must not exist. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _unwritable(path: Path, error: OSError) -> InputError:
    if os.path.lexists(path):
        return InputError(
            f"{path} exists and is not written over: choose another name or folder, or move it away."
        )
    return InputError(f"{path} can't be written ({error.strerror}): choose another folder with --folder.")
