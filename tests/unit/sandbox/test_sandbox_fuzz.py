"""Whatever is asked of or sent to the sandbox: an answer in FHIR, never an exception."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from flask.testing import FlaskClient
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cds_service.sandbox.parameters import PARAMETERS
from tests.unit.sandbox.wards import FHIR, client, search, vignette

NAMES = sorted(
    {name for table in PARAMETERS.values() for name in table}
    | {"_count", "_sort", "_include", "_page", "_tag"}
)
TEXT = st.text(max_size=20)
VALUES = st.one_of(
    TEXT,
    st.sampled_from(["|", ",", "ge2026", "Patient/ann", "a|b", "\\,", "-date", "9" * 30, "0001", "9999"]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "code", "reference", "start"]), inner)
    ),
    max_leaves=8,
)
ELEMENTS = (
    "code",
    "subject",
    "status",
    "category",
    "effectiveDateTime",
    "effectivePeriod",
    "valueCodeableConcept",
    "meta",
)


@pytest.fixture(scope="module")
def http() -> FlaskClient:
    return client()


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(PARAMETERS)),
    pairs=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(["", ":missing", ":not", ":x"]), VALUES), max_size=3
    ),
)
def test_any_query_is_answered_or_refused(
    http: FlaskClient, kind: str, pairs: list[tuple[str, str, str]]
) -> None:
    query = urlencode([(name + modifier, value) for name, modifier, value in pairs])
    answer = http.get(f"{FHIR}/{kind}?{query}")
    assert answer.status_code in (200, 400)
    assert answer.get_json()["resourceType"] == (
        "Bundle" if answer.status_code == 200 else "OperationOutcome"
    )


@settings(max_examples=80, deadline=None)
@given(element=st.sampled_from(ELEMENTS), value=JSON)
@example(element="code", value=-(2**63) - 1)
@example(element="status", value="\ud800")
def test_an_oddly_shaped_resource_breaks_no_search(element: str, value: object) -> None:
    odd = {"resourceType": "Observation", "id": "odd", element: value}
    http = client([vignette("ann", odd)])
    for query in (
        "code=a",
        "patient=ann",
        "status=final",
        "date=2026",
        "value-concept=a",
        "_sort=date",
        "_sort=-code",
        "_tag=a",
    ):
        assert http.get(f"{FHIR}/Observation?{query}").status_code == 200
    assert http.get(f"{FHIR}/Patient/ann/$everything").status_code == 200


@settings(max_examples=60, deadline=None)
@given(body=st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_body_is_refused_in_fhir(http: FlaskClient, body: bytes) -> None:
    answer = http.post(f"{FHIR}/ServiceRequest", data=body, content_type="application/fhir+json")
    assert answer.status_code in (400, 422)
    OperationOutcome.model_validate_json(answer.data)


@pytest.mark.parametrize("depth", [50, 500, 5_000, 100_000])
def test_deep_nesting_is_refused_or_stored_but_never_breaks(depth: int) -> None:
    http = client()
    item = '{"linkId": "a", "item": [' * depth + "]}" * depth
    body = '{"resourceType": "QuestionnaireResponse", "status": "completed", "subject": {"reference": "Patient/ann"}, '
    answer = http.post(
        f"{FHIR}/QuestionnaireResponse",
        data=f'{body}"item": [{item}]}}',
        content_type="application/fhir+json",
    )
    assert answer.status_code in (201, 400, 413, 422)
    assert search(http, "QuestionnaireResponse?patient=ann")["total"] == int(answer.status_code == 201)
