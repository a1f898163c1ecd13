"""Texts on the lexicon: whole words, guards, fillers, punctuation (clinical specification §2.2, §2.9)."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.errors import AuthoringError
from cds_service.records.text import Lexicon
from cds_service.terminology import systems

from .helpers import MAPPINGS, Json, condition, only

ALS = "esclerose lateral amiotrófica"


def read(text: str) -> tuple[set[str], set[str]]:
    matches = MAPPINGS.lexicon.read([text])
    return set(matches.found), set(matches.negated)


def test_reading_a_text_takes_time_in_proportion_to_its_length() -> None:
    """A million words are read in a second or two; were each word to cost more than the one before, in an hour."""
    assert read("é " * 1_000_000 + ALS) == ({"als"}, set())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Esclerose Lateral Amiotrófica", {"als"}),
        ("ESCLEROSE LATERAL AMIOTROFICA", {"als"}),
        ("Esclerose-lateral; amiotrófica", {"als"}),
        ("Esclerose lateral amiotrófica familiar", {"als"}),
        ("Amyotrophic lateral sclerosis type 99", {"als"}),
        ("Lou Gehrig disease", {"als"}),
        ("Lou Gehrig's disease", {"als"}),
        ("Doença do neurônio motor", {"als"}),
        ("suspected motor neuron disease?", {"als"}),
        ("ELA", {"als"}),
        (" ELA ", {"als"}),
        ("ela", set()),
        ("Ela", set()),
        ("ELA provável", set()),
        ("ELA.", set()),
        ("ela refere fraqueza", set()),
        ("esclerose lateral", set()),
        ("esclerose multipla lateral amiotrofica", {"autoimmune", "neuro"}),
        ("paraesclerose lateral amiotrofica", set()),
        ("Traqueostomia", {"tracheostomy"}),
        ("Presence of tracheostomy", {"tracheostomy"}),
        ("traqueostomizado", {"tracheostomy"}),
        ("pretraqueostomia", set()),
        ("Laringectomia total", {"laryngectomy"}),
        ("Decanulação de traqueostomia", {"tracheostomy-closure"}),
        ("Tracheostomy closure", {"tracheostomy-closure"}),
        ("traqueostomia 2019, decanulado 2020", {"tracheostomy-closure"}),
        ("diaphragm pacer", {"diaphragm-pacing"}),
        ("Diaphragm pacing system", {"diaphragm-pacing"}),
        ("pregnant, diaphragm failure", set()),
        ("Síndrome de Wolff-Parkinson-White", set()),
        ("Doença de Parkinson", {"neuro"}),
        ("Parkinson e Wolff-Parkinson-White", {"neuro"}),
        ("hearing aids", set()),
        ("AIDS", {"hiv"}),
        ("fratura do colo do fêmur", {"hip-fracture"}),
        ("hepatite B crônica", {"hepatitis-b"}),
        ("Fractured neck of femur", {"hip-fracture"}),
        ("fracture of neck of left femur", {"hip-fracture"}),
        ("fratura de punho", set()),
        ("artroplastia total do quadril", {"hip-surgery"}),
        ("Escoliose torácica", {"scoliosis"}),
        ("Seizures, scoliosis, macrocephaly syndrome", set()),
        ("Irradiação corporal total", {"whole-body-irradiation"}),
        ("PET-CT de corpo inteiro", set()),
        ("radioterapia de mama", {"radiotherapy"}),
        ("non-Hodgkin lymphoma", {"lymphoma"}),
        ("Lymphocytosis", set()),
        ("leukemoid reaction", set()),
        ("Leucemia mieloide crônica", {"leukemia", "myeloproliferation"}),
        ("Síndrome mielodisplásica", {"myelodysplasia"}),
        ("MDS", set()),
        ("CAR-T", {"cell-therapy"}),
        ("Autologous donor, stem cells", set()),
        ("", set()),
        ("...", set()),
    ],
)
def test_what_a_text_says(text: str, found: set[str]) -> None:
    assert read(text) == (found, set())


@pytest.mark.parametrize(
    "text",
    [
        f"Nega {ALS}",
        f"nega ter? nega {ALS}",
        f"Sem {ALS}",
        f"Não tem {ALS}",
        f"Sem história de {ALS}",
        f"Sem evidência de {ALS}",
        f"nega diagnóstico de {ALS}",
        f"nega história de diagnóstico de {ALS}",
        f"Mãe com {ALS}",
        f"Pai teve {ALS}",
        f"irmã tem {ALS}",
        f"História familiar de {ALS}",
        f"Antecedente familiar de {ALS}",
        f"rastreamento para {ALS}",
        f"Negativo para {ALS}",
        f"descartado {ALS}",
        "No history of amyotrophic lateral sclerosis",
        "no evidence of amyotrophic lateral sclerosis",
        "Denies amyotrophic lateral sclerosis",
        "Family history of amyotrophic lateral sclerosis",
        "Ruled out amyotrophic lateral sclerosis",
        "screening for amyotrophic lateral sclerosis",
        "without amyotrophic lateral sclerosis",
        f"{ALS} negativo",
        f"{ALS} descartado",
        f"{ALS} não-reagente",
        "amyotrophic lateral sclerosis ruled out",
        "Amyotrophic lateral sclerosis negative",
    ],
)
def test_a_guarded_match_is_negated(text: str) -> None:
    assert read(text) == (set(), {"als"})


@pytest.mark.parametrize(
    "text",
    [
        f"nega febre, {ALS}",
        f"Nega: {ALS}",
        f"nega, de {ALS}",
        f"nega de, {ALS}",
        f"Mãe hígida. {ALS}",
        f"mãe refere {ALS}",
        f"nega dispneia {ALS}",
        f"familiar {ALS}",
        f"no {ALS}",
        "no amyotrophic lateral sclerosis",
        f"? {ALS}",
        f"{ALS}?",
        f"{ALS}, negativo para HIV",
        f"{ALS}: descartado",
        f"{ALS} definitivo negativo",
        f"semana {ALS}",
        f"Nega {ALS}. Tem {ALS}",
    ],
)
def test_what_is_no_guard(text: str) -> None:
    assert "als" in read(text)[0]


def test_one_text_that_is_not_negated_outweighs_another() -> None:
    matches = MAPPINGS.lexicon.read([f"Nega {ALS}", ALS])
    assert (matches.found, matches.negated) == ({"als"}, frozenset())


# --- on resources ---


def text_codes(resource: Json, element: str = "code") -> set[tuple[str, str]]:
    names = {systems.TEXT_MATCH: "found", systems.TEXT_MATCH_NEGATED: "negated"}
    codings = resource.get(element, {}).get("coding", ())
    return {(names[c["system"]], c["code"]) for c in codings if c.get("system") in names}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ({"text": ALS}, {("found", "als")}),
        ({"text": f"Nega {ALS}"}, {("negated", "als")}),
        # Codings of systems or codes that no set knows leave the text open, and their display is read too.
        ({"coding": [{"system": "urn:local", "code": "1"}], "text": ALS}, {("found", "als")}),
        ({"coding": [{"system": systems.SNOMED, "code": "999999999", "display": ALS}]}, {("found", "als")}),
        ({"coding": [{"display": ALS}]}, {("found", "als")}),
        # A code that any set holds, an Exclude set included, silences it.
        ({"coding": [{"system": systems.ICD10, "code": "G12.2"}], "text": ALS}, set()),
        ({"coding": [{"system": systems.ICD10CM, "code": "F17.210", "display": ALS}], "text": ALS}, set()),
        ({"coding": [{"system": "urn:oid:2.16.840.1.113883.6.3", "code": "G12.2"}], "text": ALS}, set()),
        ({"text": "hipertensão"}, set()),
        ({}, set()),
        (None, set()),
        (ALS, {("found", "als")}),
        ([{"text": ALS}], {("found", "als")}),
        (5, set()),
    ],
)
def test_when_a_condition_s_text_is_read(code: Any, expected: set[tuple[str, str]]) -> None:
    assert text_codes(only(condition(code=code))) == expected


@pytest.mark.parametrize(
    ("resource", "element"),
    [
        (
            {
                "resourceType": "Procedure",
                "subject": {"reference": "Patient/p"},
                "code": {"text": "Traqueostomia"},
            },
            "code",
        ),
        ({"resourceType": "Device", "type": {"text": "Cânula de traqueostomia"}}, "type"),
        ({"resourceType": "Device", "deviceName": [{"name": "Tracheostomy tube", "type": "other"}]}, "type"),
    ],
)
def test_texts_of_procedures_and_devices_are_read(resource: Json, element: str) -> None:
    assert text_codes(only({**resource, "id": "x"}), element) == {("found", "tracheostomy")}


def test_the_original_stays_without_the_coding() -> None:
    given = condition(code={"text": ALS})
    assert text_codes(only(given))
    assert given["code"] == {"text": ALS}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"terms": {}, "guards_before": [], "fillers": []},
        {
            "terms": {"als": {"phrases": ["Não Normal"]}},
            "guards_before": [],
            "fillers": [],
            "guards_after": [],
        },
        {"terms": [], "guards_before": [], "fillers": [], "guards_after": []},
    ],
)
def test_a_lexicon_of_another_shape_is_named(data: Any) -> None:
    with pytest.raises(AuthoringError, match=r"lexicon\.json"):
        Lexicon(data)


def test_a_guard_ends_in_a_whole_word() -> None:
    data = {"terms": {}, "guards_before": ["neg*"], "fillers": [], "guards_after": []}
    with pytest.raises(AuthoringError, match="open word"):
        Lexicon(data)
