"""The command line `cds-service`: its commands, and what their ends mean.

    assess    one patient's Assessments: of a Bundle file, of standard input, or from a FHIR server
    serve     the service                     demo   the service with its embedded sandbox EHR and patients
    doctor    is all in place, what must each client's tokens be like; makes a client to try, and its tokens
    trial     list, check, translate, export
    feedback  what was said about cards: export, rates; and of one patient: revoke, erase

Exit codes: 0 done, 1 a check failed, 2 bad usage or input, 3 the server or the Patient can't be had.
Error policy: every error is told on standard error without a traceback, and never with a patient's data.
"""

from __future__ import annotations

from cds_service.cli.commands import main

__all__ = ["main"]
