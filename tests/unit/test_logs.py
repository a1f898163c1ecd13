"""Logs: JSON lines, and no field that is not on the list."""

from __future__ import annotations

import io
import json
import os

import pytest

from cds_service.logs import json_log, silent


def test_a_line_is_json_with_time_and_event() -> None:
    out = io.StringIO()
    json_log(out)("call", service="trial-x", cards=1)
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {"event": "call", "service": "trial-x", "cards": 1}


@pytest.mark.parametrize("log", [json_log(io.StringIO()), silent])
def test_a_field_that_is_not_on_the_list_is_refused(log: object) -> None:
    assert callable(log)
    with pytest.raises(TypeError, match="patient"):
        log("call", patient="123")


def test_a_log_that_nobody_takes_fails_nothing() -> None:
    reading, writing = os.pipe()
    out = os.fdopen(writing, "w")
    log = json_log(out)
    log("call")
    assert json.loads(os.read(reading, 1000))["event"] == "call"
    os.close(reading)
    log("call")
    with pytest.raises(BrokenPipeError):
        out.close()
    log("call")
