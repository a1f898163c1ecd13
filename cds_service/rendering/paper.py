"""What every printed sheet of an assessment carries: whose it is, the trial, the day, and its number.

CSS page-margin boxes hold it, a named page for each assessment. A browser that knows no margin boxes prints the sheets
without them. Nothing here fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cds_service.rendering.text import printable
from cds_service.rendering.view import View

_BOX: Final = "font:8pt/1.2 system-ui,'Segoe UI','Noto Sans',sans-serif;color:#444"
_SIZE: Final = "size:A4;margin:16mm 14mm 15mm"
_LONGEST: Final = 90


def paper_rules(views: Sequence[View]) -> str:
    """The `@page` rules of a page that shows these assessments, and which article prints on which."""
    rules = [f"@page{{{_SIZE}}}"]
    for number, view in enumerate(views):
        rules.append(
            f"@page sheet{number}{{{_SIZE};"
            f"@top-left{{content:{_text(view.nct or view.trial_id)};{_BOX};font-weight:bold}}"
            f"@top-right{{content:{_text(f'{view.patient}, screening day {view.as_of}')};{_BOX}}}"
            f"@bottom-left{{content:'Pre-screening aid: it does not determine eligibility';{_BOX}}}"
            f"@bottom-right{{content:'Page ' counter(page) ' of ' counter(pages);{_BOX}}}}}"
            f".sheet{number}{{page:sheet{number}}}"
        )
    return "".join(rules)


def _text(value: str) -> str:
    """A text as a CSS string: whatever is no letter, digit or blank of ASCII is escaped by its number.

    The blank behind an escape belongs to it.
    """
    plain = printable(value)
    short = plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
    safe = (c if c.isascii() and (c.isalnum() or c == " ") else f"\\{ord(c):x} " for c in short)
    return f"'{''.join(safe)}'"
