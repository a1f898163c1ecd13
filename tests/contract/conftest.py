"""The real application, loaded once, and clients that speak to it without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.app import create_app, load_screener
from cds_service.hooks.service import Service
from cds_service.logs import Log, silent
from cds_service.screening import Screener
from cds_service.settings import Settings

AS_OF = date(2026, 6, 15)
Make = Callable[..., Flask]


@pytest.fixture(scope="session")
def screener() -> Screener:
    return load_screener(Settings())


def collecting(lines: list[dict[str, Any]]) -> Log:
    """A log that checks the fields as the real one does, and keeps what it is given."""

    def log(event: str, **fields: Any) -> None:
        silent(event, **fields)
        lines.append({"event": event, **fields})

    return log


@contextmanager
def making_apps(screener: Screener, folder: Path) -> Iterator[Make]:
    """Gives what makes apps until the block ends; keyword arguments are `<table>__<key>` settings, `log` a list that
    collects what is logged, `now` the clock. All apps share one pseudonym key, in `folder`.
    """
    made: list[Flask] = []

    def make(log: list[dict[str, Any]] | None = None, **changes: Any) -> Flask:
        settings = Settings()
        given = {
            "service__as_of": AS_OF,
            "service__database_url": "sqlite://",
            "feedback__pseudonym_key_file": folder / "pseudonym.key",
            **changes,
        }
        base_url, sandbox = given.pop("base_url", None), given.pop("sandbox", ())
        now = given.pop("now", None)
        settings = replace(settings, clients=given.pop("clients", ()))
        for place, value in given.items():
            table, _, key = place.partition("__")
            settings = replace(settings, **{table: replace(getattr(settings, table), **{key: value})})
        lines = [] if log is None else log
        app = create_app(
            settings,
            screener=screener,
            base_url=base_url,
            sandbox=sandbox,
            now=now,
            log=collecting(lines),
        )
        made.append(app)
        return app

    yield make
    for app in made:
        service: Service = app.extensions["cds_service"]
        service.transport.close()
        service.store.close()
        if service.audit is not None:
            service.audit.close()


@pytest.fixture
def make_app(screener: Screener, tmp_path: Path) -> Iterator[Make]:
    """Makes an app as `making_apps` says."""
    with making_apps(screener, tmp_path) as make:
        yield make


@pytest.fixture
def client(make_app: Make) -> FlaskClient:
    return make_app().test_client()
