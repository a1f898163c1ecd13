"""What schemathesis is told by SCHEMATHESIS_HOOKS: how to be let in, and what an error's body must be.

FUZZ_SERVICE: the folder and port of the running service, as `served.Served.note` wrote them.
"""

from __future__ import annotations

import os
from pathlib import Path

import schemathesis
from schemathesis import AuthContext, Case, CheckContext, Response

from tests.fuzz.served import is_outcome, noted_token


@schemathesis.auth(refresh_interval=None)
class Tokens:
    """A fresh token for each call, as a token is good for one."""

    def get(self, case: Case, context: AuthContext) -> str | None:
        return noted_token(Path(os.environ["FUZZ_SERVICE"]), case.formatted_path)

    def set(self, case: Case, data: str, context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.check
def errors_are_outcomes(context: CheckContext, response: Response, case: Case) -> None:
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    if response.status_code == 401:
        assert response.content == b"", "a 401 says nothing"
        return
    headers = {"Content-Type": (response.headers.get("content-type") or [""])[0]}
    assert is_outcome(headers, response.content), "an error is an OperationOutcome that says what to do"
