"""Errors and messaging. CQL 1.5, Appendix B, Message.

A message of severity Error whose condition is true makes the define fail; other severities are passed over in
silence, since a message may hold patient data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.context import Context, Env
from cds_service.elm.operators.building import children


def _message(scope: Scope, node: Node) -> Expr:
    """Message(source T, condition Boolean, code String, severity String, message String) T: the source."""
    source, condition, code, severity = children(scope, node, "source", "condition", "code", "severity")
    scope.compiler.varies()
    if source is None:
        scope.fail(node, "a message without a source")
    inner, test = source.fn, (condition or constant(True)).fn
    level = (severity or constant("Message")).fn
    # Only a code that the library states is told: a computed one may hold patient data.
    label = code.value() if code is not None and code.constant else None
    what = (
        f"the library raised the error {label}" if isinstance(label, str) else "the library raised an error"
    )

    def run_message(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if test(ctx, env) is True and level(ctx, env) == "Error":
            raise DataError(what)
        return value

    return Expr(run_message, source.type)


BUILDERS: Mapping[str, Builder] = {"Message": _message}
