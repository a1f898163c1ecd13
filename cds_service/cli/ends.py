"""How a command ends: the exit code of each error, and its sentence on standard error.

Error policy: an error that this program does not raise on purpose is a defect; it is told by its kind and place only,
since its message may repeat what was read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

import typer

from cds_service.errors import CdsServiceError, TranslationError, UnobtainableError
from cds_service.records.shortfalls import patient_remedy

DONE: Final = 0
CHECK_FAILED: Final = 1
BAD_INPUT: Final = 2
UNOBTAINABLE: Final = 3
INTERRUPTED: Final = 130
_NO_PATIENT: Final = "Check the server's address, the patient's id and the token."

_CODES: Final[Mapping[type[CdsServiceError], int]] = MappingProxyType(
    {TranslationError: CHECK_FAILED, UnobtainableError: UNOBTAINABLE}
)


def code_of(error: CdsServiceError) -> int:
    """The exit code of an error raised on purpose: bad input unless its kind says otherwise."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), BAD_INPUT)


def sentence(error: CdsServiceError) -> str:
    """What the user is told: the error's own words, with what to do where those can't know it."""
    if isinstance(error, UnobtainableError):
        return f"{error} {patient_remedy(error.reason) or _NO_PATIENT}"
    return str(error)


def write(output: bytes) -> None:
    """A whole result on standard output. A reader that has seen enough and gone (`| head`) is no error."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # What is still buffered has nowhere to go, and must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(message: str) -> None:
    """One message on standard error, after the program's name; a reader that has gone is no error."""
    with suppress(OSError):
        typer.echo(f"cds-service: {message}", err=True)


def defect(error: BaseException) -> str:
    """The sentence for an unforeseen error: what kind, and where in this package it was raised last."""
    place = "outside the service"
    trace = error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if "cds_service" in path.parts:
            place = f"{'/'.join(path.parts[path.parts.index('cds_service') :])}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"Internal error ({type(error).__name__} at {place}); please report it."
