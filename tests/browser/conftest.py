"""The demo as a person meets it: a real server in a process of its own, and Debian's Chromium.

Where Chromium is not installed these tests skip and say so. Every page must stay free of console errors: `page`
fails the test at its end otherwise.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from werkzeug.serving import make_server

from cds_service.sandbox import create_sandbox
from tests.unit.sandbox.wards import AS_OF, trial, ward

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS: Final = 60
TIMEOUT_MS: Final = 15_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each page has a context of its own."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def demo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `cds-service demo`, started for the session."""
    port = _free_port()
    log = Path(tmp_path_factory.mktemp("demo")) / "server.log"
    with log.open("wb") as output:
        program = "from cds_service.cli import main; main()"
        command = [sys.executable, "-c", program, "demo", "--port", str(port)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture
def demo(demo_url: str) -> str:
    """The demo's address, its sandbox back at the start and no card at rest."""
    for path in ("reset", "rests/end"):
        assert requests.post(f"{demo_url}/sandbox/{path}", json={}, timeout=10).status_code == 204
    return demo_url


@pytest.fixture(scope="session")
def static_url() -> Iterator[str]:
    """The sandbox alone, without a service behind it: enough to test a script of the page by itself."""
    app = Flask("static")
    for blueprint in create_sandbox([trial()], ward(), AS_OF):
        app.register_blueprint(blueprint)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A desktop page in the light scheme. At the end nothing may stand in its console."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, color_scheme="light")
    context.set_default_timeout(TIMEOUT_MS)
    opened = context.new_page()
    complaints = watch(opened)
    yield opened
    context.close()
    assert complaints == []


def watch(page: Page) -> list[str]:
    """Collects what the page complains about: console errors and warnings, exceptions, failed requests."""
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    return complaints


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the demo ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            if requests.get(f"{url}/healthz", timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"the demo did not start within {START_SECONDS} s: {log.read_text()[-2000:]}")
