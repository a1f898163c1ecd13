"""What the service keeps between calls: the cards issued, feedback on them, standing refusals, token ids already used.
No patient data: who a card was for is a keyed hash.
"""

from __future__ import annotations

from cds_service.storage.database import Store
from cds_service.storage.engine import sqlite_file
from cds_service.storage.pseudonyms import Pseudonyms
from cds_service.storage.rates import NO_REASON, OTHER_REASON, Week, weekly
from cds_service.storage.records import (
    ACCEPTED,
    OVERRIDDEN,
    REVOKED,
    Answer,
    Deleted,
    Feedback,
    IssuedCard,
    Shown,
    StoredFeedback,
)
from cds_service.storage.retention import Retention

__all__ = [
    "ACCEPTED",
    "NO_REASON",
    "OTHER_REASON",
    "OVERRIDDEN",
    "REVOKED",
    "Answer",
    "Deleted",
    "Feedback",
    "IssuedCard",
    "Pseudonyms",
    "Retention",
    "Shown",
    "Store",
    "StoredFeedback",
    "Week",
    "sqlite_file",
    "weekly",
]
