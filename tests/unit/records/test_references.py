"""Literal references: what names a resource of the record, and what another server's."""

from __future__ import annotations

import pytest

from cds_service.records.references import References, base_of, last_segments

EHR = "https://ehr.example/fhir"
UUID = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


def record(*named: tuple[str | None, str], servers: tuple[str, ...] = (EHR,)) -> References:
    """What one server gave: (fullUrl, Type/id) pairs."""
    split = [(url, dict(zip(("resourceType", "id"), name.split("/"), strict=True))) for url, name in named]
    return References.of(split, servers, patient="Patient/p")


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ("Medication/x", "Medication/x"),
        ("Medication/x/_history/3", "Medication/x"),
        ("/Medication/x", "Medication/x"),
        ("Medication/x/", "Medication/x"),
        (f"{EHR}/Medication/x", "Medication/x"),
        (f"{EHR}/Medication/x/_history/3", "Medication/x"),
        ("http://ehr.example/fhir/Medication/x", "Medication/x"),
        ("https://EHR.example:443/fhir/Medication/x", "Medication/x"),
        ("https://ehr.example/fhir//Medication/x", "Medication/x"),
        ("https://ehr.example/FHIR/Medication/x", None),
        ("https://ehr.example:8443/fhir/Medication/x", None),
        ("https://ehr.example/fhir/tenant/Medication/x", None),
        ("https://other.example/fhir/Medication/x", None),
        ("fhir/Medication/x", None),
        ("#med", "#med"),
        ("#", "#"),
        ("", None),
        (None, None),
        (5, None),
        ("x", None),
        ("medication/x", None),
        ("Medication/", None),
        ("Medication/x y", None),
        ("Medication?identifier=1", None),
        ("https://ehr.example/fhir/Medication?_id=x", None),
        (f"urn:uuid:{UUID}", None),
        # Whoever gave all this gave it for this patient: his id is meant, whatever the address before it.
        ("https://proxy.example/Patient/p", "Patient/p"),
        ("https://proxy.example/Patient/q", None),
    ],
)
@pytest.mark.parametrize(
    "listed", [(), ((None, "Medication/x"),), ((f"{EHR}/Medication/x", "Medication/x"),)]
)
def test_what_a_reference_names_on_the_server_that_gave_the_record(
    reference: object, named: str | None, listed: tuple[tuple[str | None, str], ...]
) -> None:
    assert record(*listed).relative(reference) == named


def test_a_server_calls_itself_as_it_lists_what_belongs_to_patients() -> None:
    inside = "http://10.0.0.5:8080/internal"
    known = record((f"{inside}/Condition/c", "Condition/c"))
    assert known.relative(f"{inside}/Medication/x") == "Medication/x"
    assert known.relative(f"{EHR}/Medication/x") == "Medication/x"
    # An included study may stand anywhere: its address teaches nothing about the server.
    registry = "https://registry.example"
    known = record((f"{registry}/ResearchStudy/s", "ResearchStudy/s"))
    assert known.relative(f"{registry}/ResearchStudy/other") is None


def test_another_server_s_resource_is_known_by_another_id() -> None:
    far, near = "https://registry.example/ResearchStudy/s", f"{EHR}/ResearchStudy/s"
    for listed in ([far, near], [near, far], [far]):
        known = record(*((url, "ResearchStudy/s") for url in listed))
        assert known.relative(far) == "ResearchStudy/s.2" == known.name_of(far, "ResearchStudy/s")
        assert known.relative(near) == "ResearchStudy/s" == known.name_of(near, "ResearchStudy/s")
        assert known.relative("ResearchStudy/s") == "ResearchStudy/s"
        assert (
            known.relative("ResearchStudy/s", known.foreign_base(far, "ResearchStudy/s"))
            == "ResearchStudy/s.2"
        )


def test_a_patient_s_address_teaches_how_the_server_calls_itself() -> None:
    known = record(("http://10.0.0.5/Patient/p", "Patient/p"))
    assert known.relative("http://10.0.0.5/Medication/x") == "Medication/x"


def test_one_full_url_on_several_entries_renames_none() -> None:
    url = f"urn:uuid:{UUID}"
    known = record((url, "Medication/x"), (url, "Device/d"))
    assert [known.name_of(url, name) for name in ("Medication/x", "Device/d")] == ["Medication/x", "Device/d"]


def test_urns_lead_to_the_entry_that_has_them() -> None:
    known = record((f"urn:uuid:{UUID}", "Medication/x"), ("urn:oid:1.2.3", "Device/d"), ("odd", "Device/e"))
    assert known.relative(f"urn:uuid:{UUID}") == "Medication/x"
    assert known.relative(f"URN:UUID:{UUID.upper()}") == "Medication/x"
    assert known.relative("urn:oid:1.2.3") == "Device/d"
    assert known.relative("odd") == "Device/e"
    assert known.relative("urn:oid:1.2.4") is None


def test_a_uuid_that_is_an_id_is_a_urn_of_it() -> None:
    known = record((f"{EHR}/Medication/{UUID}", f"Medication/{UUID}"))
    assert known.relative(f"urn:uuid:{UUID}") == f"Medication/{UUID}"


def test_where_nothing_tells_whose_the_record_is_the_last_two_segments_count() -> None:
    unknown = References.between([(None, "Medication", "x")], (), patient="Patient/p", one_server=False)
    assert unknown.relative("https://any.example/Medication/x") == "Medication/x"
    listed = [("https://a.example/Medication/x", "Medication", "x")]
    known = References.between(listed, (), patient="Patient/p", one_server=False)
    assert known.relative("https://any.example/Medication/x") is None
    assert known.relative("https://a.example/Medication/x") == "Medication/x"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (f"{EHR}/Medication/x", "ehr.example/fhir/"),
        ("http://ehr.example:80/Medication/x/_history/1", "ehr.example/"),
        (f"{EHR}/Medication/y", None),
        (f"urn:uuid:{UUID}", None),
        ("Medication/x", None),
        ("ftp://ehr.example/Medication/x", None),
        (None, None),
    ],
)
def test_the_base_of_a_full_url(url: str | None, base: str | None) -> None:
    assert base_of(url, "Medication/x") == base


def test_the_last_segments_of_a_reference() -> None:
    assert last_segments("https://a.example/b/Patient/p/_history/2") == "Patient/p"
    assert last_segments("Patient/p") == "Patient/p"
    assert last_segments("p") is None
