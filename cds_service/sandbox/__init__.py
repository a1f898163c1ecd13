"""The embedded demo EHR: a FHIR R4 endpoint over synthetic patients, and a page that calls the service.

Synthetic data only, kept in memory, one state for each application that mounts it.
"""

from __future__ import annotations

from cds_service.sandbox.mount import create_sandbox
from cds_service.sandbox.vignettes import Vignette, load_vignettes

__all__ = ["Vignette", "create_sandbox", "load_vignettes"]
