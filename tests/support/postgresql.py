"""Starts a real PostgreSQL server (an empty cluster in a temporary folder) on loopback, with a password.

The server refuses to run as root: where the tests do, it runs as the user `postgres`, or else `nobody`.
Errors: `Absent` says what is not installed; `RuntimeError` that the server did not start, with the end of its log.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pg8000.dbapi

from tests.support.absent import Absent
from tests.support.answers import free_port

HOST = "127.0.0.1"
START_SECONDS = 60.0
_DEBIAN = Path("/usr/lib/postgresql")


class Server:
    """A cluster that can be stopped and started again, at the same port with the same data."""

    def __init__(self, folder: Path, password: str) -> None:
        self.folder, self.password, self.port = folder, password, free_port()
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {"listen_addresses": HOST, "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("postgres"), "-D", str(self.folder / "data"), *given],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                **as_user(),
            )
        until = monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or monotonic() > until:
                raise RuntimeError(
                    f"PostgreSQL did not start:\n{self._log.read_text(errors='replace')[-3000:]}"
                )
            sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: ends at once and tells its clients; SIGQUIT: as after a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def pause(self) -> None:
        """Nothing answers any more, and no connection is closed."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, what: signal.Signals) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            os.kill(pid, what)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Executes one statement as the owner of the cluster."""
        connection = pg8000.dbapi.connect("tests", HOST, database, self.port, self.password, timeout=10)
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"db_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://tests:{self.password}@{HOST}:{self.port}/{name}"

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except pg8000.dbapi.Error:
            return False
        return True


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs; Debian keeps them out of PATH. Raises Absent."""
    for folder in sorted(_DEBIAN.glob("*/bin"), key=lambda path: path.parent.name, reverse=True):
        if (folder / name).is_file():
            return str(folder / name)
    if (found := shutil.which(name)) is not None:
        return found
    raise Absent("PostgreSQL is not installed (Debian: apt-get install postgresql)")


def as_user() -> dict[str, object]:
    """What makes a process of root one of another user."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def running() -> Iterator[Server]:
    """A PostgreSQL server that runs until the block ends."""
    initdb = program("initdb")
    program("postgres")
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder, password = Path(name), secrets.token_hex(12)
        (folder / "password").write_text(password)
        if (user := as_user()) != {}:
            for path in (folder, folder / "password"):
                os.chown(path, user["user"], user["group"])  # type: ignore[arg-type]
        made = subprocess.run(
            [
                *(initdb, "-D", str(folder / "data"), "-U", "tests", "-E", "UTF8", "--locale=C", "-N"),
                *("--auth=scram-sha-256", f"--pwfile={folder / 'password'}"),
            ],
            capture_output=True,
            text=True,
            cwd=folder,
            **user,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stderr[-3000:]}")
        server = Server(folder, password)
        try:
            server.start()
            yield server
        finally:
            server.stop()
