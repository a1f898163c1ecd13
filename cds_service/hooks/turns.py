"""One record is judged at a time, whoever asks.

Python runs one thread at a time anyway: side by side many calls all end late, and the thread that reads and refuses
requests gets its turn last. One after the other each ends as early as it can, and calls that wait for a FHIR server
hold nobody up. Nothing fails: whoever waits too long (an evaluation is stuck) goes ahead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Final

from cds_service.eligibility.assessment import Assessment
from cds_service.hooks.service import Screening
from cds_service.records.record import PatientRecord
from cds_service.records.wanted import Wanted

PATIENCE_SECONDS: Final = 0.5


class InTurn:
    """A screener (see `hooks.service.Screening`) that judges one record at a time."""

    def __init__(self, screener: Screening, patience: float = PATIENCE_SECONDS) -> None:
        self._screener = screener
        self._patience = patience
        self._turn = threading.Lock()

    def screen(self, record: PatientRecord, trial_ids: Sequence[str] | None, as_of: date) -> list[Assessment]:
        with self._my_turn():
            return self._screener.screen(record, trial_ids, as_of)

    def gates_open(self, record: PatientRecord, trial_ids: Sequence[str] | None, as_of: date) -> list[str]:
        with self._my_turn():
            return self._screener.gates_open(record, trial_ids, as_of)

    def wanted_by_gates(self, trial_ids: Sequence[str] | None = None) -> Wanted:
        return self._screener.wanted_by_gates(trial_ids)

    def wanted(self, trial_ids: Sequence[str] | None = None) -> Wanted:
        return self._screener.wanted(trial_ids)

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        mine = self._turn.acquire(timeout=self._patience)
        try:
            yield
        finally:
            if mine:
                self._turn.release()
