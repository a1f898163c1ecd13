"""FHIRHelpers' functions run natively give what the library's own definitions give: values and failures."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.elm import DateTime, Interval, Library, Quantity, load_library
from cds_service.elm.operators import fhirhelpers, functions
from tests.engine.operator_table import DATA
from tests.engine.test_fhir import NOW, PATIENT, Record, Sets, concept

HELPERS = (files("cds_service.trials") / "FHIRHelpers.elm.json").read_bytes()


def load(helpers: bytes = HELPERS) -> Library:
    sources = [(DATA / "fhir" / "Helpers.elm.json").read_bytes(), helpers]
    return load_library(sources, main="Helpers", terminology=Sets())


@cache
def native() -> Library:
    return load()


@pytest.fixture(scope="module")
def own() -> Library:
    """The same, with FHIRHelpers run from its ELM."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functions, "_is_accessor", lambda definition: False)
        patch.setattr(fhirhelpers, "native", lambda *_: None)
        patch.setattr(fhirhelpers, "codings_of", lambda *_: None)
        return load()


def seen(library: Library, observations: Sequence[Mapping[str, Any]], **patient: Any) -> dict[str, Any]:
    results = library.evaluate(
        None,
        retriever=Record([{"resourceType": "Observation", **each} for each in observations]),
        patient=PATIENT | patient,
        parameters={},
        now=NOW,
    )
    return {name: "failed" if result.error else result.value for name, result in results.items()}


# --- Elements, valid and broken ---

BROKEN = st.sampled_from([7, "x", True, [], {}, [{}], 1.5, ""])
SHADOW = st.sampled_from([{"id": "a"}, {"extension": [{"url": "urn:x", "valueString": "y"}]}, {}])


def element(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of the members, each usually sound, with an id or extensions, or broken."""
    parts = {name: st.one_of(strategy, strategy, strategy, BROKEN) for name, strategy in members.items()}
    shadows = {f"_{name}": SHADOW for name in members}
    whole = st.fixed_dictionaries({}, optional=parts)
    return st.one_of(whole, whole, whole, st.fixed_dictionaries({}, optional={**parts, **shadows}))


QUANTITY = element(
    value=st.sampled_from([5, 5.0, 0, -1.25, 1e-9, 12345678901234567890]),
    comparator=st.sampled_from(["<", "<=", ">=", ">", "ad"]),
    unit=st.sampled_from(["mg", "years", "1", "d"]),
    code=st.sampled_from(["mg", "g", "a", "mo", "wk", "d", "h", "min", "s", "ms", "{x}"]),
    system=st.sampled_from(
        ["http://unitsofmeasure.org", "http://hl7.org/fhirpath/CodeSystem/calendar-units", "urn:else"]
    ),
)
SOUND = st.builds(
    lambda value, code: {"value": value, "code": code, "system": "http://unitsofmeasure.org"},
    st.sampled_from([1, 2.5, 10]),
    st.sampled_from(["mg", "g", "s"]),
)
EITHER = st.one_of(SOUND, QUANTITY)
MOMENT = st.sampled_from(
    ["2026", "2026-05", "2026-05-01", "2026-06-01T10:00:00-03:00", "2026-06-01T13:00:00.123Z", "2026-13"]
)
CODING = element(
    code=st.sampled_from(["L04AX01", "x"]),
    system=st.sampled_from(["http://www.whocc.no/atc", "urn:else"]),
    version=st.just("1"),
    display=st.just("Azathioprine"),
)
VALUES = st.one_of(
    st.builds(lambda value: {"valueQuantity": value}, EITHER),
    st.builds(lambda value: {"valueRange": value}, element(low=EITHER, high=EITHER)),
    st.builds(lambda value: {"valueRatio": value}, element(numerator=EITHER, denominator=EITHER)),
    st.builds(lambda value: {"valuePeriod": value}, element(start=MOMENT, end=MOMENT)),
    st.builds(lambda value: {"valueDateTime": value}, st.one_of(MOMENT, BROKEN)),
    st.builds(lambda value: {"valueString": value}, st.one_of(st.just("clear"), BROKEN)),
    st.builds(lambda value: {"valueBoolean": value}, st.one_of(st.booleans(), BROKEN)),
    st.builds(lambda value: {"valueInteger": value}, st.one_of(st.just(3), BROKEN)),
    st.builds(lambda value: {"valueTime": value}, st.one_of(st.sampled_from(["10:00:00", "10"]), BROKEN)),
    st.builds(lambda value: {"valueCodeableConcept": value}, element(coding=st.lists(CODING, max_size=2))),
    st.builds(lambda value: {"_valueString": value}, SHADOW),
)
CODES = element(
    coding=st.lists(st.one_of(CODING, CODING, st.none()), max_size=3),
    text=st.just("some text"),
)
OBSERVATIONS = st.lists(
    st.tuples(VALUES, element(code=CODES, issued=MOMENT, status=st.just("final"), id=st.just("o"))).map(
        lambda pair: pair[0] | pair[1]
    ),
    max_size=2,
)


ASKED = ("In value set", "Code in value set", "Equivalent", "Code equivalent")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(OBSERVATIONS, st.one_of(MOMENT, BROKEN))
def test_values_and_failures_are_those_of_the_definitions(
    own: Library, observations: list[Any], birth: Any
) -> None:
    found = seen(native(), copy.deepcopy(observations), birthDate=birth)
    for name, value in seen(own, observations, birthDate=birth).items():
        # Asked about codes, the codings alone are looked at, and no further than needed: broken ones may go unseen.
        if name not in ASKED or value != "failed":
            assert found[name] == value, name


# --- What they give ---

MG = {"code": "mg", "system": "http://unitsofmeasure.org"}
GIVEN = [
    ("ToQuantity", {"valueQuantity": {"value": 5, **MG}}, Quantity(5, "mg")),
    ("ToQuantity", {"valueQuantity": {"value": 5, "code": "a"}}, Quantity(5, "year")),
    ("ToQuantity", {"valueQuantity": {"value": 5, "unit": "mg"}}, Quantity(5, "mg")),
    ("ToQuantity", {"valueQuantity": {"value": 5}}, Quantity(5, "1")),
    ("ToQuantity", {"valueQuantity": {"code": "mg", "comparator": "<"}}, None),
    ("ToQuantity", {"valueQuantity": {"value": 5, "comparator": "<", **MG}}, "failed"),
    ("ToQuantity", {"valueQuantity": {"value": 5, "system": "urn:else"}}, "failed"),
    ("ToQuantityIgnoringComparator", {"valueQuantity": {"value": 5, "comparator": "<", **MG}}, Quantity(5, "mg")),
    ("ToInterval of Quantity", {"valueQuantity": {"value": 5, "comparator": "<", **MG}},
     Interval(None, Quantity(5, "mg"), True, False)),
    ("ToInterval of Quantity", {"valueQuantity": {"value": 5, "comparator": ">", **MG}},
     Interval(Quantity(5, "mg"), None, False, True)),
    ("ToInterval of Quantity", {"valueQuantity": {"value": 5, **MG}}, Interval(Quantity(5, "mg"), Quantity(5, "mg"))),
    ("ToInterval of Range", {"valueRange": {"low": {"value": 9, **MG}, "high": {"value": 1, **MG}}}, "failed"),
    ("ToInterval of Range", {"valueRange": {"high": {"value": 1, **MG}}}, Interval(None, Quantity(1, "mg"))),
    ("ToInterval of Period", {"valuePeriod": {"start": "2026"}}, Interval(DateTime.parse("2026", -180), None)),
    ("ToInterval of Period", {"valuePeriod": {"end": "2026"}},
     Interval(None, DateTime.parse("2026", -180), False, True)),
    ("Quantities of all", {"valueQuantity": {"value": 5, **MG}}, [Quantity(5, "mg")]),
]  # fmt: skip


@pytest.mark.parametrize(("define", "observation", "value"), GIVEN)
def test_a_conversion_gives(define: str, observation: dict[str, Any], value: Any) -> None:
    assert seen(native(), [observation])[define] == value


def test_a_definition_that_reads_otherwise_is_run_as_it_reads() -> None:
    """FHIRHelpers 4.0.1 was published with several bodies; only the one that is known is replaced."""
    parsed = orjson.loads(HELPERS)
    for node in parsed["library"]["statements"]["def"]:
        if node["name"] == "ToCalendarUnit":  # a callee of ToQuantity
            node["expression"] = {
                "type": "Literal",
                "valueType": "{urn:hl7-org:elm-types:r1}String",
                "value": "?",
            }
        if node["name"] == "ToConcept":
            node["expression"] = {"type": "Null"}
    other = load(orjson.dumps(parsed))
    code = concept("http://www.whocc.no/atc", "L04AX01")
    found = seen(other, [{"valueQuantity": {"value": 5, **MG}, "code": code}])
    assert found["ToQuantity"] == Quantity(5, "?")
    assert found["ToConcept"] is None
    assert found["In value set"] is False
    assert found["ToCode"] is not None


def test_conversions_are_native_for_the_library_that_is_shipped() -> None:
    from cds_service.elm.library import read_unit

    unit, _ = read_unit(HELPERS)
    for (name, operand), (_, _, digest) in fhirhelpers._CONVERSIONS.items():
        assert fhirhelpers._digest(unit, name, operand) == digest, (name, operand)
