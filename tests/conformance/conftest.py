"""The real application of the contract tests, here too."""

from __future__ import annotations

from tests.contract.conftest import client, make_app, screener

__all__ = ["client", "make_app", "screener"]
