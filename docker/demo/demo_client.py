"""The demo's CDS client: its key, its tokens, and the synthetic patients on its FHIR server.

    python demo_client.py init             key, public keys and cds-service.toml in $DEMO_DATA, where there are none
    python demo_client.py token [SERVICE]  a bearer token for one call of a CDS service (default: trial-nct02917681)
    python demo_client.py load             the trial's test patients to $DEMO_FHIR_SERVER, their dates moved to today

For trying the service only: a real client keeps its own key. Errors end it with a sentence and code 1.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER = "https://demo-client.example"
KEY_ID = "demo-1"
TRIAL = "nct02917681"
TOKEN_SECONDS = 300
SERVER_SECONDS = 300
_DAY = re.compile(r"^(\d{4}-\d{2}-\d{2})(T.*)?$")


def init(data: Path, base_url: str, fhir_server: str) -> None:
    """Make the client's key and the service's configuration, unless they are there."""
    key_file, jwks, config = (
        data / "demo-client.key.pem",
        data / "demo-client.jwks.json",
        data / "cds-service.toml",
    )
    if config.exists():
        return
    key = ec.generate_private_key(ec.SECP384R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(private)
    public = json.loads(ECAlgorithm.to_jwk(key.public_key()))
    jwks.write_text(json.dumps({"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "ES384"}]}))
    database = f"sqlite:///{data.resolve() / 'cds-service.db'}"
    lines = [
        "# Made on the first start of the demo; delete it to have it made anew.",
        "[service]",
        f"base_url = {json.dumps(base_url)}",
        f"database_url = {json.dumps(database)}",
        "[cards]",
        "show_excluded = true",
        "[limits]",
        "fetch_seconds = 30.0  # a FHIR server that has just started takes its time",
        "[[clients]]",
        'name = "demo"',
        f"issuer = {json.dumps(ISSUER)}",
        f"jwks_file = {json.dumps(jwks.name)}",
        f"fhir_servers = [{json.dumps(fhir_server)}]",
        '# Where Docker puts the containers of a compose file: the name "fhir" leads there.',
        'private_networks = ["172.16.0.0/12", "192.168.0.0/16"]',
    ]
    config.write_text("\n".join(lines) + "\n")


def token(data: Path, base_url: str, service: str) -> str:
    """A signed JWT for one call of that CDS service."""
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": f"{base_url}/cds-services/{service}",
        "iat": now,
        "exp": now + timedelta(seconds=TOKEN_SECONDS),
        "jti": str(uuid.uuid4()),
    }
    key = (data / "demo-client.key.pem").read_bytes()
    return jwt.encode(claims, key, algorithm="ES384", headers={"kid": KEY_ID, "typ": "JWT"})


def load(fhir_server: str, today: date) -> int:
    """Put every test patient of the trial on the server; how many. Waits for a server that is starting."""
    vignettes = [json.loads(file.read_text("utf-8")) for file in _vignettes()]
    _wait(fhir_server)
    for vignette in vignettes:
        moved = _moved(vignette["bundle"], today - date.fromisoformat(vignette["asOf"]))
        answer = requests.post(
            fhir_server,
            json=transaction(moved),
            headers={"Content-Type": "application/fhir+json"},
            timeout=120,
        )
        if not answer.ok:
            raise RuntimeError(f"{vignette['id']}: the FHIR server answered {answer.status_code}")
    return len(vignettes)


def transaction(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """The Bundle's resources as a transaction that writes each under its own id."""
    entries = [
        {
            "resource": resource,
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for resource in (entry["resource"] for entry in bundle["entry"])
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _moved(value: Any, by: timedelta) -> Any:
    """The same JSON with every full date, with or without a time, moved by whole days; partial dates stay."""
    if isinstance(value, dict):
        return {name: _moved(member, by) for name, member in value.items()}
    if isinstance(value, list):
        return [_moved(item, by) for item in value]
    if isinstance(value, str) and (match := _DAY.match(value)):
        return f"{date.fromisoformat(match[1]) + by}{match[2] or ''}"
    return value


def _vignettes() -> list[Any]:
    folder = files("cds_service") / "trials" / TRIAL / "vignettes"
    return sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)


def _wait(fhir_server: str) -> None:
    until = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < until:
        try:
            if requests.get(f"{fhir_server}/metadata", timeout=30).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(2)
    raise RuntimeError(f"the FHIR server does not answer within {SERVER_SECONDS} s")


def main(arguments: list[str]) -> None:
    data = Path(os.environ.get("DEMO_DATA", "/data"))
    base_url = os.environ.get("DEMO_BASE_URL", "http://localhost:8000")
    fhir_server = os.environ.get("DEMO_FHIR_SERVER", "http://fhir:8080/fhir")
    match arguments:
        case ["init"]:
            init(data, base_url, fhir_server)
        case ["token"]:
            print(token(data, base_url, f"trial-{TRIAL}"))
        case ["token", service]:
            print(token(data, base_url, service))
        case ["load"]:
            print(f"{load(fhir_server, datetime.now(UTC).date())} synthetic patients are on the FHIR server")
        case _:
            sys.exit(str(__doc__))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, RuntimeError, requests.RequestException) as error:
        sys.exit(f"demo client: {error}")
