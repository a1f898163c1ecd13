"""`serve` and `demo`: the service under gunicorn (threads, loaded before the workers fork).

Error policy: settings, a host or a port that can't be used end with 2 before anything listens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from ssl import SSLContext
from threading import Event
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from flask import Blueprint, Flask

from cds_service.app import create_app, load_screener
from cds_service.cli.demo_rests import rests_blueprint
from cds_service.cli.observing import gunicorn_options
from cds_service.errors import ConfigurationError
from cds_service.hooks.service import Service
from cds_service.logs import json_log, take_over
from cds_service.metrics import shared_folder
from cds_service.records.addresses import is_loopback
from cds_service.sandbox import create_sandbox, load_vignettes
from cds_service.sandbox.mount import CLINICIAN, PAGE_PREFIX
from cds_service.server import Limits, Server, check_free, tls_context
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
    threads: Annotated[
        int, typer.Option(min=1, max=256, help="Threads of each process, for calls.")
    ] = THREADS,
    drain_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            max=300,
            help="When stopped: how long to accept on, while /readyz says 503 to load balancers.",
        ),
    ] = 1.0,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Serve https: the certificate chain, PEM.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Serve https: the certificate's key, PEM.")] = None,
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
) -> None:
    """Serve CDS Hooks until stopped. Beyond loopback only with configured [[clients]]."""
    settings = load_settings(config)
    if not settings.clients and not is_loopback(host):
        raise ConfigurationError(
            f"Without [[clients]] the service listens on a loopback address only, not on {host}: configure clients."
        )
    tls = _tls(tls_certificate, tls_key)
    check_free(host, port)
    stopping = Event()
    with shared_folder() as folder:
        with settings.located():
            app = create_app(
                settings, base_url=_url(host, port, tls), draining=stopping.is_set, metrics_folder=folder
            )
        _run(
            app,
            settings,
            host,
            port,
            stopping,
            drain_seconds=drain_seconds,
            tls=tls,
            workers=workers,
            threads=threads,
            observed=gunicorn_options(app, folder),
        )


def demo(port: Port = 8000) -> None:
    """Serve the demo on this machine: the service with an embedded sandbox EHR and synthetic patients."""
    host = "127.0.0.1"
    check_free(host, port)
    with tempfile.TemporaryDirectory(prefix="cds-service-demo-") as folder:
        app = demo_app(Path(folder), base_url=_url(host, port))
        page = f"{_url(host, port)}/sandbox/"
        typer.echo(f"The demo is at {page} (synthetic patients, as of {DEMO_DAY}). Ctrl-C ends it.")
        observed = gunicorn_options(app, None)
        _run(app, demo_settings(Path(folder)), host, port, Event(), observed=observed)


def demo_app(folder: Path, *, base_url: str | None = None) -> Flask:
    """The demo's application. Its data lives in memory and in `folder` (feedback, pseudonym key)."""
    settings = demo_settings(folder)
    screener = load_screener(settings)
    vignettes = load_vignettes(files("cds_service") / "trials" / DEMO_TRIAL / "vignettes")
    sandbox: Iterable[Blueprint] = create_sandbox(screener.catalog.trials.values(), vignettes, DEMO_DAY)
    app = create_app(settings, base_url=base_url, sandbox=sandbox, screener=screener)
    app.register_blueprint(
        rests_blueprint(
            app.extensions["cds_service"],
            [vignette.patient_id for vignette in vignettes],
            f"Practitioner/{CLINICIAN['id']}",
            url_prefix=PAGE_PREFIX,
        )
    )
    return app


def demo_settings(folder: Path) -> Settings:
    """The demo's settings: a fixed day, excluded patients shown, no card rests; no file and no variable counts."""
    settings = Settings()
    return replace(
        settings,
        service=replace(settings.service, as_of=DEMO_DAY, database_url=f"sqlite:///{folder / 'demo.db'}"),
        cards=replace(settings.cards, show_excluded=True, rest_after_views=0),
        feedback=replace(settings.feedback, pseudonym_key_file=folder / "pseudonym.key"),
    )


def _url(host: str, port: int, tls: SSLContext | None = None) -> str:
    scheme = "https" if tls is not None else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _tls(certificate: Path | None, key: Path | None) -> SSLContext | None:
    """What https needs, or None for http. Raises ConfigurationError."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigurationError("--tls-certificate and --tls-key belong together: give both, or neither.")
    return tls_context(certificate, key)


def _run(
    app: Flask,
    settings: Settings,
    host: str,
    port: int,
    stopping: Event,
    *,
    workers: int = 1,
    threads: int = THREADS,
    drain_seconds: float = 0.0,
    tls: SSLContext | None = None,
    observed: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Serves until a signal ends it. `observed`: further settings of gunicorn."""
    take_over(json_log())
    service: Service = app.extensions["cds_service"]

    def refused(status: int, count: int) -> None:
        service.log("refused-by-server", status=status, requests=count)
        service.meter.refused(str(status), count)

    limits = Limits(
        body_bytes=settings.limits.body_bytes,
        request_seconds=settings.limits.request_seconds,
        concurrency=settings.limits.concurrency,
        threads=threads,
        fetch_seconds=settings.limits.fetch_seconds,
        drain_seconds=drain_seconds,
        stopping=stopping,
        refused=refused,
        tls=tls,
    )
    # gunicorn drops X_Forwarded_For before anybody can see that it was there: where that decides, it is a 400.
    options = {**observed, "header_map": "drop" if settings.clients else "refuse"}
    Server(app, _url(host, port).removeprefix("http://"), limits, workers=workers, **options).run()
