"""What the service keeps between calls: feedback, the cards issued, token ids already used. No patient data."""

from __future__ import annotations

from cds_service.storage.database import Store

__all__ = ["Store"]
