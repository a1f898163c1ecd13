"""Without configured clients: this machine only, whatever a proxy or a browser on it passes on."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.settings import ClientSettings
from tests.contract.conftest import Make
from tests.contract.hook_requests import SERVICE, hook_request, person
from tests.support.client_keys import ec_key, jwk_of, jwk_set

LETTING_IN = [
    "localhost",
    "LOCALHOST:8000",
    "localhost.",
    "127.0.0.1:8000",
    "127.1.2.3",
    "[::1]:8000",
    "[::1]",
]
FORWARDING = [
    "Forwarded",
    "X-Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-Prefix",
    "X-Forwarded-By",
    "X-Forwarded-Client-Cert",
    "X-Original-Forwarded-For",
    "X-Original-Host",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Real-IP",
    "X-Remote-Addr",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-ProxyUser-Ip",
    "X-Originating-IP",
    "X-Host",
    "X-HTTP-Host-Override",
    "X-Envoy-External-Address",
    "X-Azure-ClientIP",
    "X-Amzn-Trace-Id",
    "X-Cloud-Trace-Context",
    "X-AppEngine-User-IP",
    "CF-Connecting-IP",
    "CF-Ray",
    "CDN-Loop",
    "True-Client-IP",
    "Fastly-Client-IP",
    "Fly-Client-IP",
    "Client-IP",
    "Via",
    "X-Via",
    "X-Varnish",
    "X-Forward-For",
    "X-Scheme",
    "X-URL-Scheme",
    "X-ARR-SSL",
    "Front-End-Https",
    "Remote-Addr",
    "X-Coming-From",
    "x_forwarded_for",
    "x-FORWARDED-for",
]
ELSEWHERE = [
    "",
    "cds.example.org",
    "localhost.evil.example",
    "evil.localhost",
    "127.0.0.1.evil.example",
    "192.168.1.5:8000",
    "0.0.0.0:8000",
    "[::]:8000",
    "2130706433",
    "0x7f.1",
    "127.1",
    "localhost@evil.example",
    "evil.example@localhost",
    "localhost/evil.example",
    "localhost,evil.example",
    "localhost, localhost",
    "localhost evil.example",
    "localhost:8000:evil.example",
    "localhost:port",
    "::1",
    "l\u00f6calhost",
    "localhost\t",
]


def refused(response: Any) -> None:
    assert response.status_code == 403
    assert response.content_type == "application/fhir+json"
    (issue,) = response.get_json()["issue"]
    assert "this machine only" in issue["diagnostics"]
    assert "[[clients]]" in issue["diagnostics"]


@pytest.mark.parametrize("host", LETTING_IN)
def test_this_machine_is_let_in(client: FlaskClient, host: str) -> None:
    assert client.get("/cds-services", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("name", FORWARDING)
def test_what_was_forwarded_is_refused(client: FlaskClient, name: str) -> None:
    for value in ("127.0.0.1", "localhost", ""):
        refused(client.get("/cds-services", headers={name: value}))
    refused(client.post(SERVICE, json=hook_request(), headers={name: "127.0.0.1"}))


@pytest.mark.parametrize("host", ELSEWHERE)
def test_a_name_that_is_not_this_machines_is_refused(client: FlaskClient, host: str) -> None:
    """A page whose name was made to lead here (DNS rebinding) still says its own name."""
    refused(client.get("/cds-services", environ_overrides={"HTTP_HOST": host}))
    refused(client.post(SERVICE, json=hook_request(), environ_overrides={"HTTP_HOST": host}))


def test_a_request_with_a_url_as_its_target_is_refused(client: FlaskClient) -> None:
    for target in ("http://evil.example/cds-services", "HTTP://localhost/cds-services"):
        refused(client.get("/cds-services", environ_overrides={"RAW_URI": target}))
    assert client.get("/cds-services", environ_overrides={"RAW_URI": "/x?y=http://z"}).status_code == 200


@pytest.mark.parametrize("address", ["192.168.1.7", "10.0.0.1", "203.0.113.1", "fe80::1", "::ffff:10.0.0.1"])
def test_another_machine_is_refused(client: FlaskClient, address: str) -> None:
    refused(client.get("/cds-services", environ_overrides={"REMOTE_ADDR": address}))


def test_what_browsers_and_ehrs_send_is_let_in(client: FlaskClient) -> None:
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, br",
        "Accept-Language": "pt-BR",
        "Connection": "keep-alive",
        "Origin": "https://sandbox.cds-hooks.org",
        "Referer": "https://sandbox.cds-hooks.org/",
        "Sec-Fetch-Mode": "cors",
        "User-Agent": "Mozilla/5.0",
        "X-Request-Id": "1",
        "X-Correlation-Id": "1",
        "X-Requested-With": "XMLHttpRequest",
        "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    body = hook_request(prefetch={"patient": person(), "condition": None})
    assert client.post(SERVICE, json=body, headers=headers).status_code == 200


def test_the_start_says_who_is_answered(make_app: Make, tmp_path: Any) -> None:
    log: list[dict[str, Any]] = []
    make_app(log)
    (said,) = [line for line in log if line["event"] == "loopback-only"]
    assert "this machine only" in said["reason"]
    assert "[[clients]]" in said["reason"]
    keys = tmp_path / "jwks.json"
    keys.write_bytes(jwk_set(jwk_of(ec_key(), "a", alg="ES384")))
    log.clear()
    client = ClientSettings("a", "https://ehr.example.org", jwks_file=keys)
    app = make_app(log, base_url="https://cds.example.org", clients=(client,))
    assert not [line for line in log if line["event"] == "loopback-only"]
    outside = {"Host": "cds.example.org", "X-Forwarded-For": "203.0.113.1", "Via": "1.1 proxy"}
    assert app.test_client().get("/cds-services", headers=outside).status_code == 200
