"""Starts the official CQL translator behind its small test server (translator/TranslatorServer.java) on loopback.

By hand: `python -m tests.support.translator [PORT]` serves until interrupted.
Errors: `Absent` says what is not installed; `RuntimeError` that the server did not start, with what it printed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import IO
from zipfile import ZipFile

from tests.support.absent import Absent

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".tools" / "translator"
SOURCE = Path(__file__).with_name("translator") / "TranslatorServer.java"
FHIR_HELPERS = "org/hl7/fhir/FHIRHelpers-4.0.1.cql"  # inside the quick jar
START_SECONDS = 60.0


def require() -> None:
    """Raise Absent unless Java and the translator's jars are there."""
    if shutil.which("java") is None or shutil.which("javac") is None:
        raise Absent("Java 17 (a JDK) is not installed")
    if not any(JARS.glob("cql-to-elm-*.jar")):
        raise Absent("the CQL translator is not there: `make translator` gets it with Maven")


@contextmanager
def running(port: int = 0) -> Iterator[str]:
    """The address of a translator that runs until the block ends; port 0 takes a free one."""
    require()
    with tempfile.TemporaryFile("w+") as output:
        server = subprocess.Popen(
            ["java", "-XX:+UseSerialGC", "-Xmx768m", "-cp", f"{JARS}/*", str(SOURCE), str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield f"http://127.0.0.1:{_bound_port(server, output)}"
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def version() -> str:
    """The translator's version, of the name of its jar."""
    require()
    return next(JARS.glob("cql-to-elm-*.jar")).stem.removeprefix("cql-to-elm-")


def fhir_helpers() -> bytes:
    """The CQL of FHIRHelpers 4.0.1 as the translator ships it (Apache-2.0)."""
    require()
    with ZipFile(next(JARS.glob("quick-*.jar"))) as jar:
        return jar.read(FHIR_HELPERS)


def _bound_port(server: subprocess.Popen[bytes], output: IO[str]) -> int:
    until = monotonic() + START_SECONDS
    while monotonic() < until:
        output.seek(0)
        text = output.read()
        for line in text.splitlines():
            if line.startswith("listening on "):
                return int(line.removeprefix("listening on "))
        if server.poll() is not None:
            raise RuntimeError(f"the translator did not start:\n{text}")
        sleep(0.1)
    raise RuntimeError(f"the translator did not listen within {START_SECONDS:g} s")


def main() -> None:
    with running(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as address:
        print(f"The translator listens on {address}; Ctrl-C ends it.", flush=True)
        try:
            while True:
                sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
