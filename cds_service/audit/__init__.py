"""Where audit events go: a file of this machine, or a FHIR server by way of a spool that outlives the process.

Error policy: a sink that can't be used raises ConfigurationError at the start; an event that it can't keep later raises
RetryLaterError, so that the access it tells of is refused. No event's content reaches a log or a metric.
"""

from __future__ import annotations

from pathlib import Path

from cds_service.audit.file import FileSink
from cds_service.audit.server import ServerSink, sink_token
from cds_service.hooks.auditing import AuditSink
from cds_service.hooks.observed import Meter
from cds_service.hooks.problems import Log

__all__ = ["FileSink", "ServerSink", "open_sink", "sink_token"]


def open_sink(
    sink: str | None,
    *,
    token_file: Path | None,
    spool_dir: Path,
    log: Log,
    meter: Meter,
    ca_file: Path | None = None,
) -> AuditSink | None:
    """The sink of the settings `[audit]`; None where none is set. `ca_file`: as for FHIR servers that are read.

    Raises ConfigurationError.
    """
    if sink is None:
        return None
    if sink.startswith("file:"):
        return FileSink(Path(sink.removeprefix("file:")), meter)
    sink_token(token_file, sink)
    return ServerSink(sink, spool_dir, token_file=token_file, log=log, meter=meter, ca_file=ca_file)
