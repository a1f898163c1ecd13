"""The service as it is run: `cds-service serve` in a process of its own, with a ceiling on its memory, and what became
of it: its log, its processes, their memory and time.

Linux only (/proc); nothing here is skipped elsewhere, it fails.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from tests.support.answers import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND: Final = [sys.executable, "-c", "from cds_service.cli import main; main()"]
START_SECONDS: Final = 60.0
ISSUER: Final = "https://ehr.example.org"
# Address space of each process: far above what a call needs, far below what hurts a machine. A thread's stack counts
# with its 8 MB, used or not.
CEILING: Final = 3_000_000_000
_PLAIN: Final = """
[service]
as_of = "2026-06-15"
"""
_CLIENTS: Final = """
[[clients]]
name = "hospital-a"
issuer = "{issuer}"
jwks_file = "jwks.json"
"""
# The rate limit is another test's subject.
_LIMITS: Final = """
[limits]
requests_per_minute = 1000000
{limits}
"""


@dataclass(frozen=True)
class Served:
    """A running service. `key`: the private key of its one client; None: no client is configured."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    key: ec.EllipticCurvePrivateKey | None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """The ids of the processes that answer."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def headers(self, path: str) -> dict[str, str]:
        """What a call of `path` must carry to be let in."""
        return {} if self.key is None else {"Authorization": f"Bearer {token(self.key, self.base + path)}"}

    def note(self) -> None:
        """Writes down what another process needs to be let in: `noted_token`."""
        (self.folder / "base").write_text(self.base)
        if self.key is not None:
            form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (self.folder / "key.pem").write_bytes(self.key.private_bytes(*form))

    def post(self, path: str, body: bytes, **headers: str) -> requests.Response:
        sent = {"Content-Type": "application/json", **self.headers(path), **headers}
        return requests.post(self.base + path, data=body, headers=sent, timeout=250)

    def log(self) -> list[dict[str, Any]]:
        """What the service has logged; fails where there is a traceback in it."""
        text = (self.folder / "out.log").read_text()
        assert "Traceback" not in text, text
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def cpu_seconds(self) -> float:
        """Processor time that the workers have used."""
        ticks = 0
        for pid in self.workers():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        """The most memory that one of the workers has held since `forget_peak`."""
        peaks = []
        for pid in self.workers():
            status = Path(f"/proc/{pid}/status").read_text()
            peaks.append(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
        return max(peaks)

    def forget_peak(self) -> None:
        for pid in self.workers():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def check(self, workers: list[int]) -> None:
        """The service is unharmed: the same workers answer, and the log has no failure in it."""
        assert self.process.poll() is None
        assert self.workers() == workers, "a worker died"
        answer = requests.get(f"{self.base}/readyz", timeout=10)
        assert answer.status_code == 200
        failures = [line for line in self.log() if line["event"] == "failed" or line.get("status") == 500]
        assert failures == []


@contextmanager
def served(folder: Path, *, clients: bool = False, limits: str = "", workers: int = 1) -> Iterator[Served]:
    """A service that listens on a loopback port; `limits`: lines of `[limits]`."""
    port = free_port()
    key = ec.generate_private_key(ec.SECP384R1()) if clients else None
    configuration = _LIMITS.format(limits=limits)
    if key is not None:
        jwk = json.loads(ECAlgorithm.to_jwk(key.public_key()))
        (folder / "jwks.json").write_text(json.dumps({"keys": [{**jwk, "kid": "k", "alg": "ES384"}]}))
        configuration += _CLIENTS.format(issuer=ISSUER)
    else:
        configuration = _PLAIN + configuration
    (folder / "cds-service.toml").write_text(configuration)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    environment |= {"PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "2"}
    with (folder / "out.log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", str(port), "--workers", str(workers)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        # Before it has forked, so that its workers inherit the ceiling.
        resource.prlimit(process.pid, resource.RLIMIT_AS, (CEILING, CEILING))
        running = Served(port, process, folder, key)
        _await(running)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(service: Served) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert service.process.poll() is None, (service.folder / "out.log").read_text()
        try:
            if requests.get(f"{service.base}/healthz", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise AssertionError((service.folder / "out.log").read_text())


def token(key: ec.EllipticCurvePrivateKey, audience: str) -> str:
    """A fresh token of the client for one call."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + 300, "jti": str(uuid4())}
    return jwt.encode(claims, key, "ES384", headers={"kid": "k", "typ": "JWT"})


def noted_token(folder: Path, path: str) -> str | None:
    """A token for one call of the service that `note`d this folder; None where it has no client."""
    if not (folder / "key.pem").exists():
        return None
    key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return token(key, (folder / "base").read_text() + path)


def is_outcome(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an answer's body is an OperationOutcome that says something, with its media type."""
    try:
        outcome = json.loads(body)
        issues = outcome["issue"]
    except (ValueError, KeyError, TypeError):
        return False
    return (
        outcome["resourceType"] == "OperationOutcome"
        and headers.get("Content-Type", "") == "application/fhir+json"
        and all(len(issue["diagnostics"]) > 15 for issue in issues)
        and bool(issues)
    )


Send = Callable[[bytes], requests.Response]
