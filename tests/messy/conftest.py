"""The real application for the records that go through the hook."""

from tests.contract.conftest import *  # noqa: F403
