"""A token serves one call: of all that come at once to several worker processes, and after a restart."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import jwt
import pytest
import requests

from tests.support.answers import free_port
from tests.support.client_keys import ec_key, jwk_of, jwk_set

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "from cds_service.cli import main; main()"
ISSUER = "https://ehr.example.org"
PATH = "/cds-services/trial-eligibility"
CALL = {
    "hook": "patient-view",
    "hookInstance": "4a1b2c3d-0000-4000-8000-000000000003",
    "context": {"userId": "Practitioner/1", "patientId": "1"},
    "prefetch": {"patient": {"resourceType": "Patient", "id": "1"}, "condition": None},
}


@contextmanager
def served(folder: Path, port: int) -> Iterator[str]:
    """`serve` with two workers and the folder's configuration, until the block ends."""
    base = f"http://127.0.0.1:{port}"
    keep = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    with (folder / "out.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "serve", "--port", str(port), "--workers", "2"],
            cwd=folder,
            env={**keep, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 60
        while not healthy(base):
            assert process.poll() is None, (folder / "out.log").read_text()
            assert time.monotonic() < until, (folder / "out.log").read_text()
            time.sleep(0.1)
        yield base
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def healthy(base: str) -> bool:
    try:
        return requests.get(f"{base}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


def token(base: str) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": base + PATH, "iat": now, "exp": now + 300, "jti": str(uuid4())}
    return jwt.encode(claims, ec_key(), "ES384", headers={"kid": "a"})


def status(base: str, bearer: str) -> int:
    return requests.post(
        base + PATH, json=CALL, headers={"Authorization": f"Bearer {bearer}"}, timeout=60
    ).status_code


@pytest.mark.proves("checklist:47")
def test_a_token_serves_one_call_across_workers_and_restarts(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "jwks.json").write_bytes(jwk_set(jwk_of(ec_key(), "a")))
    (tmp_path / "cds-service.toml").write_text(
        f'[service]\nbase_url = "http://127.0.0.1:{port}"\n'
        f'[[clients]]\nname = "a"\nissuer = "{ISSUER}"\njwks_file = "jwks.json"\n'
    )
    with served(tmp_path, port) as base, ThreadPoolExecutor(8) as pool:
        tokens = [token(base) for _ in range(6)]
        for bearer in tokens:
            assert sorted(pool.map(lambda _, b=bearer: status(base, b), range(8))) == [200] + [401] * 7
    with served(tmp_path, port) as base:
        assert [status(base, bearer) for bearer in tokens] == [401] * len(tokens)
        assert status(base, token(base)) == 200
    log = (tmp_path / "out.log").read_text()
    assert not any(part in log for bearer in tokens for part in bearer.split("."))
