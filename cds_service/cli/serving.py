"""`serve` and `demo`: the service under gunicorn (threads, loaded before the workers fork).

Error policy: settings, a host or a port that can't be used end with 2 before anything listens.
"""

from __future__ import annotations

import gc
import socket
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from flask import Blueprint, Flask
from gunicorn.app.base import BaseApplication

from cds_service.app import create_app, load_screener
from cds_service.cli.observing import gunicorn_options
from cds_service.errors import ConfigurationError
from cds_service.logs import json_log, take_over
from cds_service.metrics import shared_folder
from cds_service.records.fhir_transport import is_loopback
from cds_service.sandbox import create_sandbox, load_vignettes
from cds_service.settings import Settings, load_settings

# The day on which the demo's synthetic patients were written.
DEMO_DAY: Final = date(2026, 6, 15)
DEMO_TRIAL: Final = "nct02917681"
THREADS: Final = 48

Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of each process.")] = THREADS,
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
) -> None:
    """Serve CDS Hooks until stopped. Beyond loopback only with configured [[clients]]."""
    settings = load_settings(config)
    if not settings.clients and not is_loopback(host):
        raise ConfigurationError(
            f"Without [[clients]] the service listens on a loopback address only, not on {host}: configure clients."
        )
    _check_free(host, port)
    with shared_folder() as folder:
        app = create_app(settings, base_url=_url(host, port), metrics_folder=folder)
        _run(app, host, port, workers=workers, threads=threads, observed=gunicorn_options(app, folder))


def demo(port: Port = 8000) -> None:
    """Serve the demo on this machine: the service with an embedded sandbox EHR and synthetic patients."""
    host = "127.0.0.1"
    _check_free(host, port)
    with tempfile.TemporaryDirectory(prefix="cds-service-demo-") as folder:
        app = demo_app(Path(folder), base_url=_url(host, port))
        page = f"{_url(host, port)}/sandbox/"
        typer.echo(f"The demo is at {page} (synthetic patients, as of {DEMO_DAY}). Ctrl-C ends it.")
        _run(app, host, port, workers=1, threads=THREADS, observed=gunicorn_options(app, None))


def demo_app(folder: Path, *, base_url: str | None = None) -> Flask:
    """The demo's application. Its data lives in memory and in `folder` (feedback, pseudonym key)."""
    settings = demo_settings(folder)
    screener = load_screener(settings)
    vignettes = load_vignettes(files("cds_service") / "trials" / DEMO_TRIAL / "vignettes")
    sandbox: Iterable[Blueprint] = create_sandbox(screener.catalog.trials.values(), vignettes, DEMO_DAY)
    return create_app(settings, base_url=base_url, sandbox=sandbox, screener=screener)


def demo_settings(folder: Path) -> Settings:
    """The demo's settings: a fixed day, excluded patients shown, no card rests; no file and no variable counts."""
    settings = Settings()
    return replace(
        settings,
        service=replace(settings.service, as_of=DEMO_DAY, database_url=f"sqlite:///{folder / 'demo.db'}"),
        cards=replace(settings.cards, show_excluded=True, rest_after_views=0),
        feedback=replace(settings.feedback, pseudonym_key_file=folder / "pseudonym.key"),
    )


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _check_free(host: str, port: int) -> None:
    """Raise ConfigurationError unless the address can be listened on; gunicorn would only try again and again."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"{host} port {port} can't be listened on ({reason}): choose another."
        ) from None


def _run(
    app: Flask, host: str, port: int, *, workers: int, threads: int, observed: Mapping[str, Any]
) -> None:
    """Serves until a signal ends it. What was loaded is frozen, so that forks share it and no collection walks it."""
    take_over(json_log())
    gc.collect()
    gc.freeze()
    _Server(
        lambda: app,
        {
            "bind": _url(host, port).removeprefix("http://"),
            "worker_class": "gthread",
            "workers": workers,
            "threads": threads,
            "preload_app": True,
            "timeout": 60,
            "graceful_timeout": 10,
            "keepalive": 30,
            "loglevel": "warning",
            **observed,
        },
    ).run()


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, told by this program alone: neither its configuration file nor its variables are read."""

    def __init__(self, load: Callable[[], Flask], options: Mapping[str, Any]) -> None:
        self._load = load
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._load()
