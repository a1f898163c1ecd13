"""Each test of the store runs on every kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cds_service.storage import Store
from tests.support.postgresql import Server

KINDS = ("sqlite in memory", "sqlite file", "postgresql")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database."""
    if request.param == "sqlite in memory":
        return "sqlite://"
    if request.param == "sqlite file":
        return f"sqlite:///{tmp_path / 'cds.db'}"
    server: Server = request.getfixturevalue("postgresql_server")
    return server.new_database()


@pytest.fixture(params=KINDS[1:])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database that outlives its connections."""
    if request.param == "sqlite file":
        return f"sqlite:///{tmp_path / 'cds.db'}"
    server: Server = request.getfixturevalue("postgresql_server")
    return server.new_database()


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    """Opens stores and closes them after the test."""
    stores: list[Store] = []

    def open_store(url: str) -> Store:
        stores.append(Store(url))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def store(url: str, opened: Callable[[str], Store]) -> Store:
    return opened(url)
