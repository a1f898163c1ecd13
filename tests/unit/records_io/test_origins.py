"""Which URLs are one server's: every odd way to write a URL is normalised or refused, and never misread."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.records.addresses import LOOPBACK, reach_of
from cds_service.records.origins import allowed_server, on_server, parse_url


def allowed(server: str, listed: tuple[str, ...]) -> bool:
    return allowed_server(server, listed) is not None


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
        ("http://[::ffff:7f00:1]/fhir", True),
        ("http://2130706433/fhir", False),
        ("http://0x7f.1/fhir", False),
        ("http://0177.0.0.1/fhir", False),
        ("http://127.1/fhir", False),
        ("http://127.0.0.1./fhir", True),
        ("http://0/fhir", False),
        ("http://[::]/fhir", False),
        ("http://localhost.evil.example/fhir", False),
        ("http://localhost%2eevil.example/fhir", False),
        ("http://localhost%00.evil.example/fhir", False),
    ],
)
def test_without_a_list_loopback_is_allowed(server: str, expected: bool) -> None:
    assert allowed(server, ()) is expected


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
        ("HTTPS://ehr.example.org/r4", True),
        ("https://ehr.example.org./r4", True),
        ("https://ehr.example.org:0443/r4", True),
        ("https://ehr.example.org:/r4", True),
        ("https://ehr.example.org//r4//tenant-1/", True),
        ("https://ehr.example.org:80/r4", False),
        ("https://ehr.example.org:0/r4", False),
        ("https://ehr.example.org:65536/r4", False),
        ("https://ehr.example.org:-443/r4", False),
        ("https://ehr.example.org..:443/r4", False),
        ("https://ehr.example.org:443:443/r4", False),
        ("https://ehr.example.org@evil.example/r4", False),
        ("https://@ehr.example.org/r4", False),
        ("https://evil.example\\@ehr.example.org/r4", False),
        ("https://evil.example#@ehr.example.org/r4", False),
        ("https://evil.example?@ehr.example.org/r4", False),
        ("https://ehr.example.org/r4?", False),
        ("https://ehr.example.org/r4#", False),
        ("https://ehr.example.org/r4/..", False),
        ("https://ehr.example.org/r4/.%2E/x", False),
        ("https://ehr.example.org/r4/%252e%252e/x", False),
        ("https://ehr.example.org/r4/..;a=b/x", False),
        ("https://ehr.example.org/r4/%2e%2e%3b/x", False),
        ("https://ehr.example.org/r4/..%2fx", False),
        ("https://ehr.example.org/r4/..%5cx", False),
        ("https://ehr.example.org/r4/..\\x", False),
        ("https://ehr.example.org/r4/%00", False),
        ("https://ehr.example.org/r4/%zz", False),
        ("https://ehr.example.org%2fr4", False),
        ("https:ehr.example.org/r4", False),
        ("https:/ehr.example.org/r4", False),
        ("https:///ehr.example.org/r4", False),
        ("//ehr.example.org/r4", False),
        ("https://ehr.example.org\t/r4", False),
        ("https://ehr.example.org/r4\n", False),
        ("https://ehr.exam\u00adple.org/r4", False),
        ("https://ehr\u3002example.org/r4", False),
        ("https://\u0435hr.example.org/r4", False),
        ("https://xn--hr-8cd.example.org/r4", False),
        ("https://ehr.\u212axample.org/r4", False),
        ("https://ehr\u2024example.org/r4", False),
        ("http://[::ffff:10.0.0.5]:8080/fhir", False),
        ("http://167772165:8080/fhir", False),
        ("http://0x0a000005:8080/fhir", False),
        ("http://10.5:8080/fhir", False),
        ("http://[fe80::1%25eth0]:8080/fhir", False),
        ("http://[::1%eth0]:8080/fhir", False),
        ("http://[::1/fhir", False),
        ("http://[v1.x]/fhir", False),
    ],
)
def test_with_a_list_only_what_stands_on_it(server: str, expected: bool) -> None:
    assert allowed(server, LISTED) is expected


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        ("HTTPS://EHR.Example.Org:443/r4/", "https://ehr.example.org/r4"),
        ("https://ehr.example.org.//r4//tenant-1//", "https://ehr.example.org/r4/tenant-1"),
        ("http://10.0.0.5:08080/fhir", "http://10.0.0.5:8080/fhir"),
    ],
)
def test_what_is_asked_is_put_together_from_the_parts_that_were_compared(server: str, asked: str) -> None:
    found = allowed_server(server, LISTED)
    assert found is not None
    assert found.base_url == asked


def test_a_server_brings_the_addresses_that_it_may_have() -> None:
    networks = ("10.20.0.0/16",)
    named = allowed_server(LISTED[0], LISTED, networks)
    literal = allowed_server(LISTED[1], LISTED, networks)
    default = allowed_server("http://127.0.0.1:8080/fhir", ())
    assert named is not None
    assert named.reach == reach_of("ehr.example.org", networks)
    assert literal is not None
    assert literal.reach == reach_of("10.0.0.5")
    assert default is not None
    assert default.reach == LOOPBACK


@pytest.mark.parametrize("url", ["https://[2001:DB8:0::5]:443/r4", "https://[2001:db8::5]/r4/"])
def test_an_ipv6_address_has_one_notation(url: str) -> None:
    assert str(parse_url(url)) == "https://[2001:db8::5]/r4"


@pytest.mark.parametrize(
    "url", ["", "x", "https://user:secret@ehr.example.org/r4", "https://ehr.example.org/%2e%2e"]
)
def test_what_is_said_of_a_url_repeats_nothing_of_it(url: str) -> None:
    with pytest.raises(ValueError, match="is wanted") as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_makes_a_link_that_leaves_the_server(before: str, after: str) -> None:
    for link in (
        before,
        before + after,
        f"{BASE}{before}",
        f"https://{before}/r4{after}",
        f"//{before}@{after}",
    ):
        url = on_server(BASE, link)
        if url is not None:
            assert url.startswith(BASE)
            assert urlsplit(url).netloc == "ehr.example.org"
            assert parse_url(url.partition("?")[0]).segments[0] == "r4"


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
        ("Condition;jsessionid=1?page=2", f"{BASE}/Condition;jsessionid=1?page=2"),
        ("Condition?page=2#top", f"{BASE}/Condition?page=2"),
        (
            "Condition?code=http://loinc.org|1-8&x=../..",
            f"{BASE}/Condition?code=http://loinc.org|1-8&x=../..",
        ),
        ("https://ehr.example.org./r4/x", f"{BASE}/x"),
        ("//ehr.example.org/r4/x", f"{BASE}/x"),
        ("https://ehr.example.org//r4///x//?page=2", f"{BASE}/x/?page=2"),
        ("https:////r4/x", f"{BASE}/x"),
        ("//evil.example/r4/x", None),
        ("///evil.example/r4/x", None),
        ("\\\\evil.example/r4/x", None),
        ("https:evil.example/r4/x", f"{BASE}/evil.example/r4/x"),
        ("https://ehr.example.org@evil.example/r4", None),
        ("https://evil.example/https://ehr.example.org/r4", None),
        ("https://ehr.example.org/r4/../admin", None),
        ("..;/admin", None),
        ("%2e%2e/admin", None),
        ("x/..%2f..%2fadmin", None),
        ("https://ehr.example.org/r4 /x", None),
        (" https://ehr.example.org/r4/x", None),
        ("https://ehr.example.org/r4/x\r\nHost: evil.example", None),
        ("javascript:alert(1)", None),
        ("data:,x", None),
    ],
)
def test_links_stay_on_the_server(link: str, expected: str | None) -> None:
    assert on_server(BASE, link) == expected
