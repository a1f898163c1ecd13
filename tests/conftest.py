"""Shared fixtures of the heavy servers, and the rule that nothing may skip in CI.

A test that needs what isn't installed skips with the reason. With CI=true a skip is a failure, except where
ALLOWED_SKIPS names the test and why.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.support import hapi, postgresql, translator
from tests.support.absent import Absent

# Beginning of a test's id → why it may skip even in CI.
ALLOWED_SKIPS: Final[Mapping[str, str]] = {
    "tests/engine/test_hl7_suite.py": "HL7's suite is not copied into this repository; CQL_TESTS names its folder",
}
# Server → the tests that share one; only one of each may run.
SERVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "hapi": ("tests/integration/test_hapi.py", "tests/integration/test_docker_steps.py"),
    "browser": ("tests/browser/",),
}
IN_CI: Final = os.environ.get("CI", "").lower() == "true"


@pytest.fixture(scope="session")
def translator_url() -> Iterator[str]:
    """The address of the official CQL translator. Tests that use it share one: mark them `java`."""
    try:
        translator.require()
    except Absent as absent:
        pytest.skip(str(absent))
    with translator.running() as url:
        yield url


@pytest.fixture(scope="session")
def hapi_url() -> Iterator[str]:
    """The FHIR base address of a HAPI server. Tests that use it share one: mark them `hapi`."""
    try:
        with hapi.running() as url:
            yield url
    except Absent as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server of this process of the tests; each test takes a database of its own from it."""
    try:
        with postgresql.running() as server:
            yield server
    except Absent as absent:
        pytest.skip(str(absent))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Sends the tests of a file to one worker, so that fixtures are made once, and those of one server as well."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((server for server, paths in SERVERS.items() if file.startswith(paths)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    return _held_to_ci(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    report = yield
    return _held_to_ci(report)


def _held_to_ci(report: Any) -> Any:
    """The report, failed where it skipped in CI without leave. An expected failure is not a skip."""
    if not IN_CI or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return report
    if any(report.nodeid.startswith(allowed) for allowed in ALLOWED_SKIPS):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} may not skip in CI: {reason}"
    return report
