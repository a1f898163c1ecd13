"""What the tests need beyond Python, and how they say that it isn't there."""

from __future__ import annotations


class Absent(Exception):  # noqa: N818 - it is a state of the machine, not an error
    """Something is not installed or not fetched; the message names it and what gets it. The tests skip with it."""
