"""What the compiler does for speed changes no result: kept values, remembered calls, native conversions, fused look-ups,
functions made of the source (on the trials' libraries: test_generated)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.elm import Library, compile, load_library
from cds_service.elm.operators import alike, fhirhelpers, functions
from tests.engine import test_fhir
from tests.engine.test_fhir import NOW, PARAMETERS, PATIENT, RESOURCES, Record


@pytest.fixture(scope="module")
def plain() -> Library:
    """The FHIR library compiled without any of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile, "GENERATES", False)
        patch.setattr(compile, "_WORTH_KEEPING", 10**9)
        patch.setattr(functions, "_WORTH_REMEMBERING", 10**9)
        patch.setattr(alike, "_WORTH_SHARING", 10**9)
        patch.setattr(functions, "_is_accessor", lambda definition: False)
        patch.setattr(fhirhelpers, "native", lambda *_: None)
        patch.setattr(fhirhelpers, "codings_of", lambda *_: None)
        return load_library(test_fhir.sources(), main="Fhir", terminology=test_fhir.Sets())


DATES = st.sampled_from(
    ["2026", "2026-06", "2026-06-01", "2026-06-01T10:00:00-03:00", "2026-06-01T13:00:00Z", "x"]
)
CHANGES = st.fixed_dictionaries(
    {}, optional={"effectiveDateTime": DATES, "issued": DATES, "status": st.just("draft")}
)
RECORDS = st.lists(st.tuples(st.sampled_from(RESOURCES), CHANGES), max_size=8)


def _seen(loaded: Library, resources: list[dict[str, Any]]) -> dict[str, Any]:
    results = loaded.evaluate(
        None, retriever=Record(resources), patient=PATIENT, parameters=PARAMETERS, now=NOW
    )
    return {
        name: (result.value, result.types, [id(r) for r in result.resources], result.error is None)
        for name, result in results.items()
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(RECORDS)
def test_values_types_resources_and_failures_are_the_same(plain: Library, rows: list[Any]) -> None:
    resources = [resource | changes for resource, changes in rows]
    assert _seen(test_fhir.library(), resources) == _seen(plain, resources)
