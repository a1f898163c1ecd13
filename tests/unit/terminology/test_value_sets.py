"""Value sets: membership by exact code and by prefix, precedence, and the shape of the committed files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from fhir.resources.R4B.conceptmap import ConceptMap
from fhir.resources.R4B.valueset import ValueSet

from cds_service.errors import AuthoringError
from cds_service.terminology import systems
from cds_service.terminology.check_digits import has_valid_check_digit
from cds_service.terminology.value_sets import ValueSets, load_value_sets, value_set_url

VALUE_SETS = load_value_sets()


def committed(package: str, *folders: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in files(package).joinpath(*folders).iterdir():
        if entry.name.endswith(".json"):
            yield entry.name, json.loads(entry.read_text(encoding="utf-8"))


COMMITTED_SETS = dict(committed("valuesets"))
COMMITTED_MAPS = dict(committed("fhir_mappings", "concept_maps"))


@pytest.mark.parametrize(
    ("system", "code", "names"),
    [
        (systems.SNOMED, "86044005", {"AlsConfirmedDx"}),
        (systems.SNOMED, "860440050", set()),
        (systems.ICD10CM, "G12.21", {"AlsConfirmedDx", "AlsSymptomAllowList"}),
        (systems.ICD10CM, "g1221", {"AlsConfirmedDx", "AlsSymptomAllowList"}),
        (systems.ICD10CM, "G12.2", {"AlsPossibleBroaderDx"}),
        (systems.ICD10CM, "G12.23", {"AlsPossibleBroaderDx"}),
        (systems.ICD10CM, "G12", set()),
        (systems.ICD10, "G12.2", {"AlsPossibleBroaderDx"}),
        (systems.ICD10, "G122", {"AlsPossibleBroaderDx"}),
        (systems.ICD9CM, "335.20", {"AlsConfirmedDx"}),
        (systems.ICD10CM, "S72.001A", {"HipFractureDx"}),
        # The longest prefix wins within a criterion ...
        (systems.ICD10CM, "F10.20", {"SubstanceUseDisorderDx"}),
        (systems.ICD10CM, "F10.21", {"SubstanceUseRemission"}),
        (systems.ICD10CM, "O99.03", {"PregnancyEndedReview"}),
        (systems.ICD10CM, "Z90.7", {"NotChildbearingReview"}),
        (systems.ICD10CM, "Z90.710", {"NotChildbearing"}),
        (systems.ICD10CM, "Z90.712", {"NotChildbearingExclude"}),
        (systems.ICD10CM, "D81.810", {"ImmunodeficiencyExclude"}),
        (systems.ICD10CM, "D81.818", {"ImmunodeficiencyReviewDx"}),
        # ... and different criteria are independent.
        (systems.ICD10, "G04.1", {"HtlvInfectionDx", "OtherNeuroMajorDx"}),
        (systems.ATC, "L04AX01", {"ImmunosuppressantAtc"}),
        (systems.ICD10PCS, "0B110F4", {"TracheostomyProcedure"}),
        (systems.ICD10PCS, "0B110F4X", set()),
        (systems.LOINC, "1742-6", {"AltActivity", "SuggestedOrder"}),
        (systems.LOINC, "1742", set()),
        ("http://example.org/other", "86044005", set()),
        (None, "86044005", set()),
        (systems.SNOMED, "", set()),
    ],
)
def test_sets_of_a_code(system: str | None, code: str, names: set[str]) -> None:
    assert VALUE_SETS.sets_of(system, code) == names


def test_an_endless_code_is_found_by_its_beginning_and_is_not_kept() -> None:
    """Codes come from requests: neither time nor memory may grow with what somebody writes into one."""
    for system, names in (
        (systems.ICD10CM, {"AlsConfirmedDx", "AlsSymptomAllowList"}),
        (systems.SNOMED, set()),
    ):
        code = "G12.21" + "x" * 1_000_000
        held = sys.getrefcount(code)
        assert VALUE_SETS.sets_of(system, code) == names
        assert VALUE_SETS.silences(system, code) is bool(names)
        assert not VALUE_SETS.in_value_set(None, code, value_set_url("HbvVaccine"))
        assert sys.getrefcount(code) == held


def test_a_set_is_asked_for_by_its_url_with_or_without_version() -> None:
    url = value_set_url("AltActivity")
    assert VALUE_SETS.has_value_set(url)
    assert VALUE_SETS.has_value_set(f"{url}|1.0.0")
    assert not VALUE_SETS.has_value_set(value_set_url("NoSuchSet"))
    assert VALUE_SETS.in_value_set(systems.LOINC, "1742-6", f"{url}|1.0.0")
    assert not VALUE_SETS.in_value_set(systems.LOINC, "2160-0", url)
    assert not VALUE_SETS.in_value_set(systems.LOINC, "1742-6", value_set_url("NoSuchSet"))


def test_without_a_system_any_system_s_code_counts() -> None:
    assert VALUE_SETS.in_value_set(None, "1742-6", value_set_url("AltActivity"))
    assert not VALUE_SETS.in_value_set(None, "2160-0", value_set_url("AltActivity"))


def test_expansion_lists_the_codes_of_the_file() -> None:
    codes = {(code.system, code.code) for code in VALUE_SETS.expand(value_set_url("AlsfrsRTotal"))}
    assert codes == {(systems.LOINC, "82953-1")}
    assert list(VALUE_SETS.expand(value_set_url("NoSuchSet"))) == []


def test_unverified_codes_are_marked() -> None:
    assert VALUE_SETS.is_unverified(systems.LOINC, "82942-4")
    assert VALUE_SETS.is_unverified(systems.RXNORM, "614391")
    assert not VALUE_SETS.is_unverified(systems.LOINC, "82940-8")
    assert not VALUE_SETS.is_unverified(None, "82942-4")


def test_no_negative_fixture_shares_a_code_with_another_set_of_its_criterion() -> None:
    for resource in COMMITTED_SETS.values():
        name = resource["name"]
        if not name.endswith(("Exclude", "DecoysDoNotUse", "DoNotUse")):
            continue
        for include in resource["compose"]["include"]:
            for concept in include.get("concept", ()):
                for other in VALUE_SETS.sets_of(include["system"], concept["code"]) - {name}:
                    assert criterion_of(other) != criterion_of(name), (name, other, concept["code"])


def criterion_of(name: str) -> str:
    code: str = COMMITTED_SETS[f"{name}.json"]["useContext"][0]["valueCodeableConcept"]["coding"][0]["code"]
    return code


@pytest.mark.parametrize("name", sorted(COMMITTED_SETS))
def test_a_committed_value_set_is_proper_fhir_and_complete(name: str) -> None:
    resource = COMMITTED_SETS[name]
    ValueSet.model_validate(resource)
    assert name == f"{resource['name']}.json"
    assert not resource["name"].endswith("DoNotShip")
    assert resource["url"] == value_set_url(resource["name"])
    for key in ("version", "publisher", "copyright", "useContext"):
        assert resource[key], key
    for include in resource["compose"]["include"]:
        for concept in include.get("concept", ()):
            assert has_valid_check_digit(include["system"], concept["code"]), concept
            assert concept["display"]
            assert any(e["url"] == systems.EXT_CODE_SOURCE and e["valueString"] for e in concept["extension"])


@pytest.mark.parametrize("name", sorted(COMMITTED_MAPS))
def test_a_committed_concept_map_is_proper_fhir(name: str) -> None:
    resource = COMMITTED_MAPS[name]
    ConceptMap.model_validate(resource)
    assert name == f"{resource['id']}.json"
    assert resource["version"]


def test_every_prefix_code_is_also_listed() -> None:
    for resource in COMMITTED_SETS.values():
        includes = resource["compose"]["include"]
        listed = {(i["system"], c["code"]) for i in includes for c in i.get("concept", ())}
        filters = {(i["system"], f["value"]) for i in includes for f in i.get("filter", ())}
        assert {key for key in filters if key[0] in systems.PREFIX_SYSTEMS} <= listed


def made(**compose: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": "http://example.org/vs", "name": "Vs", "compose": compose}


def is_a(code: str, system: str = systems.ICD10CM) -> dict[str, Any]:
    return {"system": system, "filter": [{"property": "concept", "op": "is-a", "value": code}]}


@pytest.mark.parametrize(
    ("code", "held"),
    [("A10", True), ("A10.1", False), ("A10.11", False), ("A10.12", True), ("A10.129", True), ("A11", False)],
)
def test_the_longest_include_or_exclude_decides(code: str, held: bool) -> None:
    compose = made(include=[is_a("A10"), is_a("A10.12")], exclude=[is_a("A10.1")])
    assert (ValueSets([("x", compose)]).sets_of(systems.ICD10CM, code) == {"Vs"}) is held


def test_at_equal_length_the_exclude_wins() -> None:
    value_sets = ValueSets([("x", made(include=[is_a("A10")], exclude=[is_a("A10")]))])
    assert value_sets.sets_of(systems.ICD10CM, "A10.1") == set()


def test_an_is_a_filter_on_snomed_is_left_to_terminology_servers() -> None:
    value_sets = ValueSets([("x", made(include=[is_a("86044005", systems.SNOMED)]))])
    assert value_sets.sets_of(systems.SNOMED, "86044005") == set()


@pytest.mark.parametrize(
    "resource",
    [
        [],
        {"resourceType": "CodeSystem"},
        {"resourceType": "ValueSet", "url": "http://example.org/vs"},
        made(include=[{"system": systems.LOINC}]),
        made(include=[{"system": systems.LOINC, "concept": [{"display": "no code"}]}]),
        made(include=[{"valueSet": ["http://example.org/other"]}]),
        made(
            include=[
                {"system": systems.LOINC, "filter": [{"property": "STATUS", "op": "=", "value": "ACTIVE"}]}
            ]
        ),
        made(include=5),
    ],
)
def test_a_file_of_another_shape_is_named(resource: Any) -> None:
    with pytest.raises(AuthoringError, match=r"bad\.json"):
        ValueSets([("bad.json", resource)])


def test_a_set_defined_twice_is_refused() -> None:
    with pytest.raises(AuthoringError, match="twice"):
        ValueSets([("a.json", made()), ("b.json", made())])


@pytest.mark.parametrize(
    ("part", "wholes"),
    [
        ("AutoimmuneBoundaryDx", {"AutoimmuneDx"}),
        ("DrugInducedLupusDx", {"AutoimmuneDx"}),
        ("AllogeneicTransplantHint", {"CellTherapyProcedure", "CellTherapyHistory"}),
        ("HealedFractureAmbiguous", {"HipFractureAmbiguous"}),
    ],
)
def test_a_part_holds_no_code_that_its_whole_lacks(part: str, wholes: set[str]) -> None:
    codes = VALUE_SETS.expand(value_set_url(part))
    assert codes
    for code in codes:
        found = VALUE_SETS.sets_of(code.system, code.code)
        assert part in found
        assert found & wholes, code
