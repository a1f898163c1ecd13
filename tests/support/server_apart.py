"""The scripted FHIR server in a process of its own, for tests that look at everything in theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.unit.records_io.scripted_server import serving


@contextmanager
def serving_apart(script: Mapping[str, Any]) -> Iterator[str]:
    """Runs a script of JSON values until the block ends; gives the server's base."""
    command = [sys.executable, "-m", "tests.support.server_apart"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(script).encode() + b"\n")
        process.stdin.flush()
        yield process.stdout.readline().decode().strip()
        process.stdin.close()  # it ends with its input


if __name__ == "__main__":
    with serving(json.loads(sys.stdin.readline())) as server:
        print(server.base, flush=True)
        sys.stdin.read()
