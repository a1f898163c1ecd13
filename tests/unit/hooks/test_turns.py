"""Records are judged one at a time, and one that is stuck does not keep the others from theirs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date
from typing import Any

from cds_service.hooks.turns import InTurn
from cds_service.records.wanted import Wanted

DAY = date(2026, 6, 15)


class Screening:
    """A screener that counts how many are at work in it; the trial "stuck" waits for `go`."""

    def __init__(self) -> None:
        self.at_once = self.most = 0
        self.begun = threading.Event()
        self.go = threading.Event()
        self._lock = threading.Lock()

    def screen(self, record: Any, trial_ids: Sequence[str] | None, as_of: date) -> list[Any]:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        if trial_ids == ["stuck"]:
            self.begun.set()
            self.go.wait(60)
        with self._lock:
            self.at_once -= 1
        return [trial_ids]

    def gates_open(self, record: Any, trial_ids: Sequence[str] | None, as_of: date) -> list[str]:
        return list(trial_ids or ())

    def wanted_by_gates(self, trial_ids: Sequence[str] | None) -> Wanted:
        return Wanted(frozenset({"Condition"}))

    def wanted(self, trial_ids: Sequence[str] | None) -> Wanted:
        return Wanted(frozenset({"Observation"}))


def test_records_are_judged_one_at_a_time() -> None:
    screening = Screening()
    turns = InTurn(screening, patience=60)
    record: Any = None
    threads = [threading.Thread(target=turns.screen, args=(record, ["a"], DAY)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert screening.most == 1
    assert turns.gates_open(record, ["a"], DAY) == ["a"]
    assert turns.wanted_by_gates(["a"]).types == {"Condition"}
    assert turns.wanted(["a"]).types == {"Observation"}


def test_one_that_is_stuck_keeps_nobody_from_the_turn_for_long() -> None:
    screening = Screening()
    turns = InTurn(screening, patience=0.01)
    record: Any = None
    stuck = threading.Thread(target=turns.screen, args=(record, ["stuck"], DAY))
    stuck.start()
    assert screening.begun.wait(60)
    assert turns.screen(record, ["b"], DAY) == [["b"]]
    screening.go.set()
    stuck.join()
