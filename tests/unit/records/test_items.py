"""Items: what medications, orders, deliveries and devices in use refer to, as a concept of their own (§2.8)."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.records.bundle import read_bundle
from cds_service.records.normalise import normalise
from cds_service.terminology import systems

from .helpers import AS_OF, MAN, MAPPINGS, SITE, Json, concept, normalised, only, tags

SUBJECT = {"reference": "Patient/p"}
UNREADABLE = {"system": systems.READING_PROBLEM, "code": "ambiguous-code"}
AZATHIOPRINE = concept("1256", systems.RXNORM)
NAMED = {"coding": [*AZATHIOPRINE["coding"], {"system": systems.DRUG_NAME, "code": "azatioprin"}]}
TEXT_MATCH, NEGATED, FORM = systems.TEXT_MATCH, systems.TEXT_MATCH_NEGATED, systems.DRUG_FORM
KINDS = ["MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense"]


def drug(kind: str = "MedicationRequest", **elements: Any) -> Json:
    return {"resourceType": kind, "id": "m", "subject": SUBJECT, **elements}


def of_reference(reference: Any, **elements: Any) -> Json:
    return drug(medicationReference=reference, **elements)


def medication(**elements: Any) -> Json:
    return {"resourceType": "Medication", "id": "x", **elements}


def codings(resource: Json, system: str, element: str = "medicationCodeableConcept") -> set[str]:
    return {c["code"] for c in resource[element].get("coding", ()) if c.get("system") == system}


def unreadable(found: Json) -> bool:
    return UNREADABLE in found.get("coding", ())


TO_X = {"reference": "Medication/x"}


# --- medications -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_gives_the_medication_s_concept(kind: str) -> None:
    received = drug(kind, medicationReference={**TO_X, "display": "Riluzol"})
    record = normalised(received, medication(code=AZATHIOPRINE))
    (found,) = record.of_type(kind)
    assert found["medicationCodeableConcept"] == NAMED
    assert "medicationReference" not in found
    assert record.original(found) is received
    assert tags(found) == {"reference"}


def test_a_coded_drug_stays_the_same_object() -> None:
    record = normalised(
        drug(medicationCodeableConcept={**concept("35623", systems.RXNORM), "text": "Rilutek"})
    )
    (found,) = record.of_type("MedicationRequest")
    assert record.original(found) is found


@pytest.mark.parametrize(
    ("drugs", "name"),
    [
        ([concept("1256", systems.RXNORM), concept("L04AX01", systems.ATC)], "azatioprin"),
        ([{"text": "Azathioprine 50 mg tablet"}, {"text": "Azatioprina 50 mg"}], "azatioprin"),
        ([concept("3008", systems.RXNORM), concept("L04AD01", systems.ATC), {"text": "Ciclosporina"}], "ciclosporin"),
        ([concept("L01BA01", systems.ATC), concept("L04AX03", systems.ATC), {"text": "Metotrexato"}], "metotrexat"),
        ([concept("42316", systems.RXNORM), {"text": "Tacrolimo 1 mg"}], "tacrolim"),
        ([concept("68149", systems.RXNORM), {"text": "Micofenolato de mofetila"}], "micofenolat"),
        ([concept("5492", systems.RXNORM), {"text": "hidrocortisona"}], "idrocortison"),
        ([concept("10759", systems.RXNORM), {"text": "Triancinolona"}, {"text": "triamcinolona"}], "triancinolon"),
        ([{"text": "fumarato de dimetila"}, concept("1373478", systems.RXNORM)], "dimetil fumarat"),
    ],
)  # fmt: skip
def test_a_drug_has_one_name_in_every_code_and_language(drugs: list[Json], name: str) -> None:
    for given in drugs:
        found = only(drug(medicationCodeableConcept=given))
        assert name in codings(found, systems.DRUG_NAME), given


def test_what_is_no_element_of_r4_is_not_the_drug() -> None:
    assert unreadable(only(drug(medication={"concept": AZATHIOPRINE}))["medicationCodeableConcept"])


@pytest.mark.parametrize("system", ["data-absent-reason", "v3-NullFlavor"])
def test_the_words_of_missing_data_say_nothing(system: str) -> None:
    missing = {
        "system": f"http://terminology.hl7.org/CodeSystem/{system}",
        "code": "unknown",
        "display": "Unknown",
    }
    assert unreadable(
        only(drug(medicationCodeableConcept={"coding": [missing]}))["medicationCodeableConcept"]
    )
    told = only(drug(medicationCodeableConcept={"coding": [missing], "text": "Dipirona"}))
    assert not unreadable(told["medicationCodeableConcept"])


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Medication/x/_history/2"},
        {"reference": "https://ehr.example/fhir/Medication/x"},
        {"reference": "urn:uuid:0b7b6c6e-7a1c-4b0f-9a60-1c0d4f2f6d11"},
    ],
)
def test_references_of_any_form_are_followed(reference: Json) -> None:
    urls = {"x": reference["reference"] if reference["reference"].startswith("urn") else None}
    resources = [MAN, of_reference(reference), medication(code=AZATHIOPRINE)]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": r, **({"fullUrl": urls["x"]} if r["id"] in urls and urls["x"] else {})}
            for r in resources
        ],
    }
    record = normalise(read_bundle(bundle), MAPPINGS, timezone=SITE, as_of=AS_OF)
    assert record.of_type("MedicationRequest")[0]["medicationCodeableConcept"] == NAMED


def test_ingredients_stand_beside_the_code() -> None:
    composed = medication(
        code={"coding": [{"system": "urn:site", "code": "7"}], "text": "Mistura"},
        ingredient=[
            {"itemCodeableConcept": concept("6851", systems.RXNORM)},
            {"itemCodeableConcept": {"text": "Azatioprina"}},
            {"itemReference": {"reference": "Substance/s"}},
            {"itemReference": {"reference": "Substance/none", "display": "Prednisona"}},
        ],
    )
    substance = {"resourceType": "Substance", "id": "s", "code": concept("42316", systems.RXNORM)}
    found = only(of_reference(TO_X), composed, substance)
    assert codings(found, systems.RXNORM) == {"6851", "42316"}
    assert codings(found, TEXT_MATCH) == {"immunosuppressant", "glucocorticoid"}
    assert found["medicationCodeableConcept"]["text"] == "Mistura"


def test_contained_medications_and_their_ingredients_are_found() -> None:
    request = of_reference(
        {"reference": "#x"},
        contained=[
            {"resourceType": "Substance", "id": "s", "code": AZATHIOPRINE},
            medication(ingredient=[{"itemReference": {"reference": "#s"}}]),
        ],
    )
    record = normalised(request)
    (found,) = record.of_type("MedicationRequest")
    assert codings(found, systems.RXNORM) == {"1256"}
    assert record.original(found) is request


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Medication/none", "display": "Azatioprina 50 mg"},
        {"display": "Azatioprina 50 mg"},
        {"reference": "https://other.example/Medication/none", "display": "Azatioprina 50 mg"},
        {"reference": "Device/x", "display": "Azatioprina 50 mg"},
    ],
)
def test_a_reference_that_leads_nowhere_gives_its_display(reference: Json) -> None:
    found = only(of_reference(reference))
    assert found["medicationCodeableConcept"]["text"] == "Azatioprina 50 mg"
    assert codings(found, TEXT_MATCH) == {"immunosuppressant"}


@pytest.mark.parametrize(
    ("elements", "others"),
    [
        ({"medicationReference": {"reference": "Medication/none"}}, []),
        ({"medicationReference": {"reference": "Medication/none", "display": "--- 7"}}, []),
        ({"medicationReference": {"reference": "#none"}}, []),
        ({}, []),
        ({"medicationCodeableConcept": {}}, []),
        ({"medicationCodeableConcept": {"text": "?"}}, []),
        ({"medicationCodeableConcept": concept("99", "urn:site")}, []),
        ({"medicationCodeableConcept": concept("1191", systems.RXNORM)}, []),
        ({"medicationReference": TO_X}, [medication()]),
        ({"medicationReference": TO_X}, [medication(code=concept("99", "urn:site"))]),
        ({"medicationReference": TO_X}, [medication(code=AZATHIOPRINE, status="entered-in-error")]),
    ],
)
def test_what_cannot_be_read_says_so(elements: Json, others: list[Json]) -> None:
    found = only(drug(**elements), *others)
    assert unreadable(found["medicationCodeableConcept"])


@pytest.mark.parametrize(
    "given",
    [
        {"text": "Dipirona 500 mg"},
        concept("1191", systems.RXNORM, display="aspirin"),
        concept("35623", systems.RXNORM),
        {"coding": [{"display": "Dipirona"}]},
    ],
)
def test_what_can_be_read_is_never_unreadable(given: Json) -> None:
    assert not unreadable(only(drug(medicationCodeableConcept=given))["medicationCodeableConcept"])


def test_a_concept_beside_a_reference_keeps_both() -> None:
    given = drug(medicationCodeableConcept={"text": "Imuran"}, medicationReference=TO_X)
    found = only(given, medication(code=AZATHIOPRINE))
    assert codings(found, systems.RXNORM) == {"1256"}
    assert found["medicationCodeableConcept"]["text"] == "Imuran"


def test_the_doubts_of_a_medication_are_those_of_what_refers_to_it() -> None:
    doubtful = medication(code=AZATHIOPRINE, modifierExtension=[{"url": "urn:x"}])
    assert "unknown-modifier" in tags(only(of_reference(TO_X), doubtful))


# --- their words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Azatioprina 50 mg", {"immunosuppressant"}),
        ("RITUXIMABE 500mg/50mL", {"immunosuppressant"}),
        ("rituximab-abbs", {"immunosuppressant"}),
        ("Etanercepte", {"immunosuppressant"}),
        ("tofacitinibe", {"immunosuppressant"}),
        ("fingolimode 0,5 mg", {"immunosuppressant"}),
        ("Tacrolimo", {"immunosuppressant"}),
        ("ciclosporina", {"immunosuppressant"}),
        ("leflunomida", {"immunosuppressant"}),
        ("Metotrexato", {"immunosuppressant"}),
        ("Cyclosporine, modified", {"immunosuppressant"}),
        ("Ácido micofenólico", {"immunosuppressant"}),
        ("Certolizumabe pegol", {"immunosuppressant"}),
        ("muromonab-CD3", {"immunosuppressant"}),
        ("Imunossupressor", {"immunosuppressant"}),
        ("Prednisona 20 mg", {"glucocorticoid"}),
        ("Dexametasona", {"glucocorticoid"}),
        ("deflazacorte", {"glucocorticoid"}),
        ("corticoide", {"glucocorticoid"}),
        ("Corticosteroid therapy", {"glucocorticoid"}),
        ("tisagenlecleucel", {"cell-therapy"}),
        ("Remestemcel-L", {"cell-therapy"}),
        ("Células-tronco mesenquimais", {"cell-therapy"}),
        ("Riluzol 50 mg", set()),
        ("Edaravone", set()),
        ("Tofersen", set()),
        ("Hidroxicloroquina", set()),
        ("hydroxychloroquine", set()),
        ("Sulfassalazina", set()),
        ("fludrocortisona", set()),
        ("fludrocortisone", set()),
        ("Fluticasona", set()),
        ("Imunoglobulina humana", set()),
        ("Dipirona 500 mg", set()),
        ("esclerose lateral amiotrófica", set()),
        ("paraprednisona", set()),
    ],
)
def test_drug_texts(text: str, found: set[str]) -> None:
    read = only(drug(medicationCodeableConcept={"text": text}))
    assert codings(read, TEXT_MATCH) == found
    assert codings(read, NEGATED) == set()


def test_a_denied_drug_is_negated() -> None:
    read = only(drug(medicationCodeableConcept={"text": "Nega azatioprina"}))
    assert (codings(read, TEXT_MATCH), codings(read, NEGATED)) == (set(), {"immunosuppressant"})


def test_a_known_code_silences_the_text_but_not_the_form() -> None:
    given = {**concept("42316", systems.RXNORM), "text": "Tacrolimo 0,1% pomada"}
    read = only(drug(medicationCodeableConcept=given))
    assert (codings(read, TEXT_MATCH), codings(read, FORM)) == (set(), {"non-systemic"})


def test_drugs_are_no_words_of_conditions() -> None:
    record = normalised(
        {
            "resourceType": "Condition",
            "id": "c",
            "subject": SUBJECT,
            "code": {"text": "corticosteroid-induced myopathy after azathioprine"},
        }
    )
    (found,) = record.of_type("Condition")
    assert record.original(found) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Betametasona creme", {"non-systemic"}),
        ("dexamethasone eye drops", {"non-systemic"}),
        ("Prednisolona colírio 1%", {"non-systemic"}),
        ("hydrocortisone topical ointment", {"non-systemic"}),
        ("beclometasona, uso inalatório", {"non-systemic", "airway-or-joint"}),
        ("triancinolona intra-articular", {"non-systemic", "airway-or-joint"}),
        ("Prednisona 20 mg comprimido", {"systemic"}),
        ("metotrexato 25 mg/mL injetável SC", {"systemic"}),
        ("budesonide oral inhalation powder", {"non-systemic", "airway-or-joint"}),
        ("hydrocortisone rectal foam", {"rectal", "foam"}),
        ("hidrocortisona enema", {"rectal"}),
        ("Prednisona 20 mg", set()),
        ("sem creme", set()),
    ],
)
def test_forms_of_drugs_and_routes(text: str, found: set[str]) -> None:
    read = only(
        drug(
            medicationCodeableConcept=concept("8640", systems.RXNORM, display=text),
            dosageInstruction=[{"route": {"text": text}}, {"text": "nothing"}],
        )
    )
    assert codings(read, FORM) == found
    assert codings(read["dosageInstruction"][0], FORM, "route") == found if found else True


def test_the_form_of_the_medication_and_the_route_of_a_single_dosage_are_read() -> None:
    given = drug("MedicationAdministration", medicationReference=TO_X, dosage={"route": {"text": "Via oral"}})
    found = only(
        given, medication(code=concept("42316", systems.RXNORM), form=concept("1", "urn:f", display="Creme"))
    )
    assert codings(found, FORM) == {"non-systemic"}
    assert codings(found["dosage"], FORM, "route") == {"systemic"}


# --- devices in use, orders, deliveries ----------------------------------------------------------------------------


def use(reference: Any, **elements: Any) -> Json:
    return {
        "resourceType": "DeviceUseStatement",
        "id": "u",
        "subject": SUBJECT,
        "device": reference,
        **elements,
    }


def test_a_device_that_resolves_stays() -> None:
    device = {"resourceType": "Device", "id": "d", "type": concept("702173003", systems.SNOMED)}
    record = normalised(use({"reference": "Device/d"}), device)
    (found,) = record.of_type("DeviceUseStatement")
    assert record.original(found) is found
    assert [d["id"] for d in record.of_type("Device")] == ["d"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Device/none", "display": "BiPAP"}, {"text": "BiPAP"}),
        ({"display": "BiPAP"}, {"text": "BiPAP"}),
        ({"reference": "Device/none"}, {"coding": [UNREADABLE]}),
        ({"reference": "#none"}, {"coding": [UNREADABLE]}),
        ({"reference": "Device/wrong", "display": "BiPAP"}, {"text": "BiPAP"}),
        (None, {"coding": [UNREADABLE]}),
    ],
)
def test_a_device_that_does_not_resolve_gets_a_stand_in(reference: Any, expected: Json) -> None:
    wrong = {
        "resourceType": "Device",
        "id": "wrong",
        "status": "entered-in-error",
        "type": concept("702173003", systems.SNOMED),
    }
    received = use(reference)
    record = normalised(received, wrong)
    (found,) = record.of_type("DeviceUseStatement")
    (device,) = (d for d in record.of_type("Device") if d["id"] != "wrong")
    assert found["device"]["reference"] == f"Device/{device['id']}"
    assert device["type"].get("text") == expected.get("text")
    assert unreadable(device["type"]) == unreadable(expected)
    if "text" in expected:
        assert codings(device, TEXT_MATCH, "type") == {"niv"}
    assert record.original(found) is received
    assert record.original(device) is received


DEVICE = {"resourceType": "Device", "id": "d", "deviceName": [{"name": "BiPAP", "type": "other"}]}
FEED = {"resourceType": "Medication", "id": "f", "code": {"text": "Dieta"}}


def order(**elements: Any) -> Json:
    return {"resourceType": "DeviceRequest", "id": "r", "subject": SUBJECT, **elements}


def delivery(**item: Any) -> Json:
    return {"resourceType": "SupplyDelivery", "id": "s", "patient": SUBJECT, "suppliedItem": item}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Device/d"}, {"text": "BiPAP"}),
        ({"reference": "Device/none", "display": "BiPAP"}, {"text": "BiPAP"}),
        ({"reference": "Device/none"}, {"coding": [UNREADABLE]}),
        (None, {"coding": [UNREADABLE]}),
    ],
)
def test_orders_and_deliveries_carry_a_concept(reference: Any, expected: Json) -> None:
    received = (
        order(**({} if reference is None else {"codeReference": reference})),
        delivery(**({} if reference is None else {"itemReference": reference})),
    )
    record = normalised(*received, DEVICE)
    (ordered,) = record.of_type("DeviceRequest")
    (delivered,) = record.of_type("SupplyDelivery")
    for holder, key in (
        (ordered, "codeCodeableConcept"),
        (delivered["suppliedItem"], "itemCodeableConcept"),
    ):
        assert holder[key].get("text") == expected.get("text")
        assert unreadable(holder[key]) == unreadable(expected)
        assert codings(holder, TEXT_MATCH, key) == ({"niv"} if "text" in expected else set())
    assert "codeReference" not in ordered
    assert "itemReference" not in delivered["suppliedItem"]
    assert [record.original(ordered), record.original(delivered)] == list(received)


def test_a_delivery_may_refer_to_a_medication() -> None:
    found = only(delivery(itemReference={"reference": "https://ehr.example/Medication/f"}), FEED)
    assert found["suppliedItem"]["itemCodeableConcept"]["text"] == "Dieta"


def test_coded_orders_and_deliveries_stay_the_same_objects() -> None:
    coded = concept("702173003", systems.SNOMED)
    record = normalised(order(codeCodeableConcept=coded), delivery(itemCodeableConcept=coded))
    for kind in ("DeviceRequest", "SupplyDelivery"):
        (found,) = record.of_type(kind)
        assert record.original(found) is found


def test_a_code_of_a_set_beside_the_table_can_be_read_and_silences_nothing() -> None:
    methadone = concept("6813", systems.RXNORM)
    found = only(drug(medicationCodeableConcept=methadone))["medicationCodeableConcept"]
    assert not unreadable(found)
    said = only(drug(medicationCodeableConcept={**methadone, "text": "Azatioprina"}))
    assert codings(said, TEXT_MATCH) == {"immunosuppressant"}
