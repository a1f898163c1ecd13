"""The other half of the random patients of `test_differential.py`, in a file of its own for a second worker."""

from __future__ import annotations

import pytest

from tests.reference.engine import missing, running
from tests.reference.fuzzing import PatientFuzz
from tests.reference.trial import TrialOnBoth


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_random_patients_come_to_the_same_values() -> None:
    with running(remember=True) as reference:
        tally = PatientFuzz(TrialOnBoth(reference)).run(range(150, 300), size=25)
    assert not tally.unexplained
    assert tally.values > 150 * 300
    assert tally.both_failed == 0
