"""Which servers and links are allowed."""

from __future__ import annotations

import pytest

from cds_service.records.fhir_transport import allowed_server, is_loopback, on_server


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("2130706433", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback(host: str | None, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("http://127.0.0.1:8080/fhir", True),
        ("http://localhost/fhir", True),
        ("https://[::1]:8080/fhir", True),
        ("http://192.168.0.1/fhir", False),
        ("http://169.254.169.254/latest", False),
        ("http://localhost:x/fhir", False),
        ("ftp://localhost/fhir", False),
        ("http://localhost@evil.example/fhir", False),
        ("http://evil.example#@localhost/fhir", False),
        ("http://localhost/fhir?x=1", False),
        ("http://localhost/../fhir", False),
        ("http://localhost\\@evil.example/fhir", False),
        ("http:///fhir", False),
    ],
)
def test_without_a_list_loopback_is_allowed(server: str, expected: bool) -> None:
    assert allowed_server(server, ()) is expected


LISTED = ("https://ehr.example.org/r4", "http://10.0.0.5:8080/fhir")


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("https://ehr.example.org/r4", True),
        ("https://ehr.example.org:443/r4", True),
        ("https://EHR.example.org/r4/", True),
        ("https://ehr.example.org/r4/tenant-1", True),
        ("http://10.0.0.5:8080/fhir", True),
        ("http://ehr.example.org/r4", False),
        ("https://ehr.example.org/R4", False),
        ("https://ehr.example.org/r45", False),
        ("https://ehr.example.org/", False),
        ("https://ehr.example.org/r4/%2e%2e/x", False),
        ("https://sub.ehr.example.org/r4", False),
        ("http://10.0.0.5/fhir", False),
        ("http://localhost/fhir", False),
    ],
)
def test_with_a_list_only_what_stands_on_it(server: str, expected: bool) -> None:
    assert allowed_server(server, LISTED) is expected


BASE = "https://ehr.example.org/r4"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("Condition?page=2", f"{BASE}/Condition?page=2"),
        ("?_getpages=1", f"{BASE}/?_getpages=1"),
        ("/r4/Condition?page=2", f"{BASE}/Condition?page=2"),
        (f"{BASE}?_getpages=1", f"{BASE}?_getpages=1"),
        ("https://EHR.EXAMPLE.ORG:443/r4/x", f"{BASE}/x"),
        ("/admin", None),
        ("../admin", None),
        ("http://ehr.example.org/r4/x", None),
        ("https://evil.example/r4/x", None),
        ("https://ehr.example.org:8443/r4/x", None),
        ("https://ehr.example.org:x/r4", None),
    ],
)
def test_links_stay_on_the_server(link: str, expected: str | None) -> None:
    assert on_server(BASE, link) == expected
