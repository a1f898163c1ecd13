"""Starts a real HAPI FHIR server (JPA, R4, an empty database in memory) on loopback, from two Maven Central artifacts.

The server writes its own address into its paging links, so host, port and path are fixed. One that answers there
already is used as it is and left running. By hand: `python -m tests.support.hapi` serves until interrupted.
Errors: `Absent` says what is not installed; `RuntimeError` that the server did not start, with the end of its log.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import requests

from tests.support.absent import Absent

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / ".tools" / "hapi"
HOST, PORT, CONTEXT = "127.0.0.1", 8080, "/cqf-ruler-r4"
BASE = f"http://localhost:{PORT}{CONTEXT}/fhir"
START_SECONDS = 240.0
# A database on disk and an index on disk spend most of each search reading them.
PROPERTIES: Final = """
datasource.url=jdbc:h2:mem:r4;DB_CLOSE_DELAY=-1
hibernate.search.default.directory_provider=local-heap
"""
# More than so many in one transaction are no faster.
AT_ONCE: Final = 500


def require() -> None:
    """Raise Absent unless Java and the server's two files are there."""
    if shutil.which("java") is None:
        raise Absent("Java 17 is not installed")
    if not all((ARTIFACTS / name).is_file() for name in ("jetty-runner.jar", "cqf-ruler-r4.war")):
        raise Absent("the HAPI FHIR server is not there: `make hapi` gets it with Maven")


@contextmanager
def running() -> Iterator[str]:
    """The base address of a HAPI FHIR server that runs until the block ends."""
    if _answers():
        yield BASE
        return
    require()
    with socket.socket() as probe:
        if probe.connect_ex((HOST, PORT)) == 0:
            raise RuntimeError(f"port {PORT} is taken by something else than the HAPI FHIR server")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        properties = Path(folder) / "hapi.properties"
        properties.write_text(PROPERTIES)
        with log.open("wb") as output:
            server = subprocess.Popen(
                _command(properties), cwd=folder, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait(server, log)
            yield BASE
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def load(base: str, resources: Sequence[dict[str, Any]]) -> None:
    """Write resources over the server's REST API, as transactions that write each under its own id."""
    headers = {"Content-Type": "application/fhir+json"}
    for start in range(0, len(resources), AT_ONCE):
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
            for r in resources[start : start + AT_ONCE]
        ]
        transaction = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = requests.post(base, json=transaction, headers=headers, timeout=120)
        assert answer.ok, answer.text


def _command(properties: Path) -> list[str]:
    opens = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in ("lang", "util")]
    runner, war = str(ARTIFACTS / "jetty-runner.jar"), str(ARTIFACTS / "cqf-ruler-r4.war")
    place = ["--host", HOST, "--port", str(PORT), "--path", CONTEXT]
    return ["java", "-Xmx2g", f"-Dhapi.properties={properties}", *opens, "-jar", runner, *place, war]


def _answers() -> bool:
    try:
        return requests.get(f"{BASE}/metadata", params={"_format": "json"}, timeout=30).ok
    except requests.RequestException:
        return False


def _wait(server: subprocess.Popen[bytes], log: Path) -> None:
    until = monotonic() + START_SECONDS
    while monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"the HAPI FHIR server ended while starting:\n{_tail(log)}")
        if _answers():
            return
        sleep(1)
    raise RuntimeError(f"the HAPI FHIR server did not answer within {START_SECONDS:g} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def main() -> None:
    with running() as base:
        print(f"HAPI FHIR answers at {base}; Ctrl-C ends it.", flush=True)
        try:
            while True:
                sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
