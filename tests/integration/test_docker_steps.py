"""The compose file's steps without a Docker engine: first start, patients, and the `curl` line that gets a card."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import requests

from tests.support.answers import free_port

pytestmark = pytest.mark.hapi

DOCKER = Path(__file__).resolve().parents[2] / "docker"
DEMO = DOCKER / "demo"


def _environment(data: Path, port: int, fhir_server: str) -> dict[str, str]:
    """What compose.yaml sets, for this machine; the interpreter's folder first, as in the image."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("CDS_", "DEMO_"))}
    return {
        **keep,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DEMO_DATA": str(data),
        "DEMO_BASE_URL": f"http://localhost:{port}",
        "DEMO_FHIR_SERVER": fhir_server,
        "DEMO_PORT": str(port),
    }


@contextmanager
def _started(environment: dict[str, str], cwd: Path) -> Iterator[None]:
    """The service by the container's own start script, which `exec`s it beyond loopback."""
    with (cwd / "service.log").open("wb") as log:
        process = subprocess.Popen(
            ["/bin/sh", str(DEMO / "start.sh")],
            env=environment,
            cwd=cwd,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until = monotonic() + 60
        while not _healthy(environment["DEMO_PORT"]):
            assert process.poll() is None, (cwd / "service.log").read_text()
            assert monotonic() < until, (cwd / "service.log").read_text()
            sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _healthy(port: str) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


def _done(command: list[str], environment: dict[str, str], cwd: Path) -> str:
    """What a command of the documented steps prints."""
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_compose_steps_get_a_card(hapi_url: str, tmp_path: Path) -> None:
    """Leaves the patients with today's dates; whoever needs them otherwise loads them anew."""
    port = free_port()
    environment = _environment(tmp_path, port, hapi_url)
    call = json.loads((DEMO / "patient-view.json").read_text(encoding="utf-8"))
    call["fhirServer"] = hapi_url
    loaded = _done([sys.executable, str(DEMO / "load_patients.py")], environment, tmp_path)
    assert re.fullmatch(r"\d+ synthetic patients are on the FHIR server", loaded)
    url = f"http://localhost:{port}/cds-services/trial-nct02917681"
    token = ["cds-service", "doctor", "--token", "demo", "--audience", url]
    with _started(environment, tmp_path):
        assert requests.post(url, json=call, timeout=60).status_code == 401
        card = _card(url, call, _done(token, environment, tmp_path))
        assert "ALS" in card["summary"]
        assert card["extension"]["org.cds-service.assessment"]["trial"] == "nct02917681"
        bearer = _done(token, environment, tmp_path)
        other = {**call, "fhirServer": "http://127.0.0.1:9/fhir"}
        assert _post(url, other, bearer).status_code == 403
        assert _post(url, call, bearer).status_code == 401, "a token serves one call"
    key = tmp_path / "demo.key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in (".pem", ".toml")}
    with _started(environment, tmp_path):
        pass
    assert {name: (tmp_path / name).read_bytes() for name in made} == made, "a second start keeps the key"


def _post(url: str, call: dict[str, Any], token: str) -> requests.Response:
    return requests.post(url, json=call, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def _card(url: str, call: dict[str, Any], token: str) -> dict[str, Any]:
    """The one card, by the documented curl line where curl is there."""
    if shutil.which("curl") is None:
        (card,) = _post(url, call, token).json()["cards"]
    else:
        headers = ["-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {token}"]
        answered = subprocess.run(
            ["curl", "-s", url, *headers, "--data", json.dumps(call)],
            capture_output=True,
            check=True,
            timeout=60,
        )
        (card,) = json.loads(answered.stdout)["cards"]
    assert isinstance(card, dict)
    return card
