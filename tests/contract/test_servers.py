"""`fhirServer`: only the caller's own, only where its name may lead, and nothing leaves it afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.cli.serving import demo_app
from cds_service.errors import ConfigurationError
from cds_service.hooks.service import Service
from cds_service.records.fhir_transport import Transport
from cds_service.settings import ClientSettings, load_settings
from tests.contract.conftest import Make
from tests.contract.hook_requests import SERVICE, als, hook_request, person
from tests.support.certificates import authority
from tests.support.client_keys import ec_key, jwk_of, jwk_set
from tests.unit.records_io.scripted_server import NAME, Answer, Names, bundle, named, serving

BASE = "https://cds.example.org"
SECRET = "token-canary"
ABSENT = {
    "fhirAuthorization": {"access_token": SECRET, "token_type": "Bearer", "expires_in": 300, "scope": ""}
}


def resolving(client: FlaskClient, names: Names, **options: Any) -> None:
    """Has the application's names resolved by the test's."""
    service: Service = client.application.extensions["cds_service"]
    service.transport.close()
    object.__setattr__(service, "transport", Transport(resolve=names, **options))


class Hospitals:
    """An application with one CDS client per keyword, whose settings are the keyword's value."""

    def __init__(self, make_app: Make, folder: Path, **clients: dict[str, Any]) -> None:
        self.log: list[dict[str, Any]] = []
        settings = []
        for name, given in clients.items():
            path = folder / f"{name}.json"
            path.write_bytes(jwk_set(jwk_of(ec_key(name), name, alg="ES384")))
            settings.append(
                ClientSettings(name=name, issuer=f"https://{name}.example", jwks_file=path, **given)
            )
        self.client = make_app(self.log, base_url=BASE, clients=tuple(settings)).test_client()

    def call(self, name: str, server: str, **more: Any) -> TestResponse:
        """A call of that client that names a FHIR server, with a token for it."""
        now = int(time.time())
        claims = {"iss": f"https://{name}.example", "aud": BASE + SERVICE, "exp": now + 300, "iat": now}
        bearer = jwt.encode({**claims, "jti": str(uuid4())}, ec_key(name), "ES384", headers={"kid": name})
        body = hook_request(fhirServer=server, **{**ABSENT, **more})
        return self.client.post(SERVICE, json=body, headers={"Authorization": f"Bearer {bearer}"})


def chart(**more: Any) -> dict[str, Any]:
    return {"Patient/1": person(), "Condition": bundle(als()), **more}


def refused(response: TestResponse) -> str:
    """What a 403 says, which names neither the server nor the token."""
    assert response.status_code == 403
    outcome = response.get_json()
    assert outcome["resourceType"] == "OperationOutcome"
    (issue,) = outcome["issue"]
    assert issue["code"] == "forbidden"
    assert SECRET not in response.text
    return str(issue["diagnostics"])


@pytest.mark.proves("cds-hooks_2.0@60")
def test_a_client_has_its_own_servers_read_and_no_other_clients(make_app: Make, tmp_path: Path) -> None:
    with serving(chart()) as first, serving(chart()) as second:
        hospitals = Hospitals(
            make_app,
            tmp_path,
            a={"fhir_servers": (first.base,)},
            b={"fhir_servers": (second.base,)},
            c={},
        )
        full = {"prefetch": {"patient": person(), "condition": None}}
        for name, server in (("a", second), ("b", first), ("c", first), ("c", second)):
            words = refused(hospitals.call(name, server.base, **full))
            assert "fhir_servers" in words
            assert server.base not in words
        assert first.requests == second.requests == []
        assert hospitals.call("a", first.base).status_code == 200
        assert hospitals.call("b", second.base).status_code == 200
        assert len(first.requests) > 2
        assert len(second.requests) == len(first.requests)


@pytest.mark.proves("checklist:16", "cds-hooks_2.0@61")
def test_the_token_goes_on_every_request_to_that_server_and_nowhere_else(
    make_app: Make, tmp_path: Path
) -> None:
    """Whatever an answer of the server points to: the second server must not even be connected to."""
    script: dict[str, Any] = {}
    with serving(chart()) as other, serving(script) as server:
        lead = {"Location": f"{other.base}/Patient/1", "Content-Location": f"{other.base}/Patient/1"}
        told = {
            **lead,
            "Link": f"<{other.base}/Condition>; rel=next",
            "Refresh": f"0; url={other.base}",
            "Set-Cookie": "session=1; Domain=127.0.0.1; Path=/",
        }
        practitioner = {"reference": f"{other.base}/Practitioner/1"}
        pages = bundle(als(asserter=practitioner), next_url=f"{other.base}/Condition?page=2")
        pages["entry"][0]["fullUrl"] = f"{other.base}/Condition/c1"
        pages["link"].insert(0, {"relation": "self", "url": f"{other.base}/Condition"})
        managed = person(managingOrganization={"reference": f"{other.base}/Organization/1"})
        script |= {
            "Patient/1": Answer(managed, headers=told),
            "Condition": Answer(pages, headers=told),
            "Observation": Answer("", 307, lead),
            "Procedure": Answer("", 301, lead),
            "MedicationRequest": Answer("", 303, lead),
            "Consent": Answer("", 201, lead),
            "Device": Answer(bundle(), headers=lead),
        }
        hospitals = Hospitals(make_app, tmp_path, a={"fhir_servers": (server.base,)})
        assert hospitals.call("a", server.base).status_code == 200
        assert other.requests == []
        assert len(server.requests) > 5
        assert {request.headers.get("Authorization") for request in server.requests} == {f"Bearer {SECRET}"}
        assert not any("Cookie" in request.headers for request in server.requests)
    assert SECRET not in str(hospitals.log)


def test_what_is_asked_is_the_listed_server_however_the_call_writes_it(
    make_app: Make, tmp_path: Path
) -> None:
    with serving(chart()) as server:
        hospitals = Hospitals(make_app, tmp_path, a={"fhir_servers": (server.base,)})
        plain = server.base.removeprefix("http")
        for way in (f"HTTP{plain}", f"http{plain}/", f"http{plain.replace('/fhir', '//fhir//')}"):
            server.requests.clear()
            assert hospitals.call("a", way).status_code == 200
            assert {"Patient/1", "Condition"} < {request.path for request in server.requests}


ODD = [
    "{scheme}://user@{host}/fhir",
    "{scheme}://{host}@evil.example/fhir",
    "{scheme}://{host}/fhir/../other",
    "{scheme}://{host}/fhir/%2e%2e/other",
    "{scheme}://{host}/fhir/..;/other",
    "{scheme}://{host}/fhir%2f..%2fother",
    "{scheme}://{host}\\@evil.example/fhir",
    "{scheme}://{host}/fhir?x=/fhir",
    "{scheme}://{host}/fhir#",
    "{scheme}://evil.example#@{host}/fhir",
    "{scheme}://{host}.evil.example/fhir",
    "{scheme}://127.1:{port}/fhir",
    "{scheme}://2130706433:{port}/fhir",
    "{scheme}://0x7f.1:{port}/fhir",
    "{scheme}://0177.0.0.1:{port}/fhir",
    "{scheme}://[::ffff:7f00:1]:{port}/fhir",
    "{scheme}://[::ffff:127.0.0.1]:{port}/fhir",
    "{scheme}://[::1%25lo]:{port}/fhir",
    "{scheme}://localhost:{port}/fhir",
    "{scheme}://127\u30020.0.1:{port}/fhir",
    "{scheme}://\u2460\u2461\u2466.0.0.1:{port}/fhir",
    "https://{host}/fhir",
    "{scheme}://{host}",
    "{scheme}://{host}/FHIR",
    "{scheme}://127.0.0.1/fhir",
]


@pytest.mark.parametrize("odd", ODD)
def test_a_url_that_is_not_plainly_the_listed_servers_is_refused_and_nothing_fetched(
    make_app: Make, tmp_path: Path, odd: str
) -> None:
    with serving(chart()) as server:
        parts = urlsplit(server.base)
        hospitals = Hospitals(make_app, tmp_path, a={"fhir_servers": (server.base,)})
        refused(hospitals.call("a", odd.format(scheme=parts.scheme, host=parts.netloc, port=parts.port)))
        assert server.requests == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://127.0.0.1/",
        "127.0.0.1/fhir",
        "http://",
        "http:///fhir",
        "http://a b/",
        "x" * 9000,
        "http://a/" + "x" * 9000,
    ],
)
def test_what_is_no_url_of_a_server_is_a_bad_request(make_app: Make, tmp_path: Path, text: str) -> None:
    response = Hospitals(make_app, tmp_path, a={"fhir_servers": ("http://127.0.0.1/fhir",)}).call("a", text)
    assert response.status_code == 400
    assert response.get_json()["issue"][0]["expression"] == ["fhirServer"]


PRIVATE = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1",
           "fd00::1", "fe80::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "224.0.0.1"]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_listed_name_that_leads_to_a_private_address_is_not_read(
    make_app: Make, tmp_path: Path, address: str
) -> None:
    with serving(chart()) as server:
        hospitals = Hospitals(make_app, tmp_path, a={"fhir_servers": (named(server),)})
        resolving(hospitals.client, Names([address]))
        response = hospitals.call("a", named(server))
        assert server.requests == []
    assert response.status_code == 412
    assert "address not allowed" in response.text
    assert address not in response.text
    assert address not in str(hospitals.log)
    assert NAME not in response.text + str(hospitals.log)


def test_a_listed_name_leads_to_the_private_networks_of_its_client_only(
    make_app: Make, tmp_path: Path
) -> None:
    with serving(chart()) as server:
        listed = {"fhir_servers": (named(server),)}
        hospitals = Hospitals(
            make_app,
            tmp_path,
            a={**listed, "private_networks": ("127.0.0.0/8",)},
            b={**listed, "private_networks": ("10.0.0.0/8",)},
            c=listed,
        )
        resolving(hospitals.client, Names(["127.0.0.1"]))
        assert hospitals.call("a", named(server)).status_code == 200
        seen = len(server.requests)
        assert seen > 2
        # Not even by the connection that stands open from the first client's call.
        assert hospitals.call("b", named(server)).status_code == 412
        assert hospitals.call("c", named(server)).status_code == 412
        assert len(server.requests) == seen


def test_a_name_that_leads_elsewhere_during_a_call_gains_nothing(make_app: Make, tmp_path: Path) -> None:
    """Rebinding: the address is judged on the connection that is made, not before it."""
    closing = {key: Answer(value, headers={"Connection": "close"}) for key, value in chart().items()}
    with serving(closing) as server:
        given = {"fhir_servers": (named(server),), "private_networks": ("127.0.0.2/32",)}
        hospitals = Hospitals(make_app, tmp_path, a=given)
        resolving(hospitals.client, Names(["127.0.0.2"], ["127.0.0.1"]))
        assert hospitals.call("a", named(server)).status_code == 412
        assert server.requests == []


@pytest.mark.proves("checklist:14")
def test_https_is_wanted_unless_the_list_says_http(make_app: Make, tmp_path: Path) -> None:
    trusted = authority(tmp_path)
    with serving(chart(), tls=trusted.server(NAME)) as server:
        given = {"fhir_servers": (named(server),), "private_networks": ("127.0.0.1/32",)}
        hospitals = Hospitals(make_app, tmp_path, a=given)
        resolving(hospitals.client, Names(["127.0.0.1"]), ca_file=trusted.file)
        refused(hospitals.call("a", named(server).replace("https:", "http:")))
        assert hospitals.call("a", named(server)).status_code == 200
        seen = len(server.requests)
        resolving(hospitals.client, Names(["127.0.0.1"]))  # an authority that nobody named
        assert hospitals.call("a", named(server)).status_code == 412
        assert len(server.requests) == seen


def test_a_list_that_can_not_be_compared_stops_the_start(make_app: Make, tmp_path: Path) -> None:
    for server in ("http://0x7f.1/fhir", "https://ehr.example.org/../r4", "https://\u00e4rzte.example/r4"):
        with pytest.raises(ConfigurationError, match=r"clients \(a\): fhir_servers, entry 2: .* is wanted"):
            Hospitals(make_app, tmp_path, a={"fhir_servers": ("https://ehr.example.org/r4", server)})
        with pytest.raises(ConfigurationError, match=r"service\.fhir_servers, entry 1"):
            make_app(service__fhir_servers=(server,))


def test_private_networks_of_the_service_are_refused_beside_clients(tmp_path: Path) -> None:
    config = tmp_path / "cds-service.toml"
    config.write_text(
        '[service]\nprivate_networks = ["10.0.0.0/8"]\n[[clients]]\nname = "a"\nissuer = "https://a"\njwks_file = "x"\n'
    )
    with pytest.raises(ConfigurationError, match=r"service\.private_networks"):
        load_settings(config, {})


def test_an_authority_file_that_is_none_stops_the_start(tmp_path: Path) -> None:
    config = tmp_path / "cds-service.toml"
    config.write_text('[service]\nca_file = "authority.pem"\n')
    for content in (None, "", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"):
        if content is not None:
            (tmp_path / "authority.pem").write_text(content)
        with pytest.raises(ConfigurationError, match="PEM"):
            load_settings(config, {})
    made = authority(tmp_path)
    assert load_settings(config, {}).service.ca_file == made.file


def call(client: FlaskClient, server: str, headers: dict[str, str] | None = None) -> TestResponse:
    return client.post(SERVICE, json=hook_request(fhirServer=server), headers=headers)


def test_without_clients_loopback_addresses_are_read_and_names_are_judged_too(make_app: Make) -> None:
    with serving(chart()) as server:
        client = make_app().test_client()
        for host in ("127.0.0.1", "localhost"):
            assert call(client, named(server, host)).status_code == 200
        refused(call(client, named(server)))
        resolving(client, Names(["10.0.0.5"]))
        assert call(client, named(server, "localhost")).status_code == 412
        listed = make_app(service__fhir_servers=(named(server),)).test_client()
        resolving(listed, Names(["127.0.0.1"]))
        assert call(listed, named(server)).status_code == 412
        near = make_app(service__fhir_servers=(named(server),), service__private_networks=("127.0.0.0/8",))
        client = near.test_client()
        resolving(client, Names(["127.0.0.1"]))
        assert call(client, named(server)).status_code == 200
        refused(call(client, server.base))


@contextmanager
def demo_asking(folder: Path) -> Iterator[tuple[FlaskClient, list[str]]]:
    """A client of the demo, and the addresses that the demo asks; none of them answers."""
    client = demo_app(folder, base_url="http://127.0.0.1:8000").test_client()
    service: Service = client.application.extensions["cds_service"]
    asked: list[str] = []

    def note(url: str, *_: Any) -> bytes:
        asked.append(url)
        raise RuntimeError

    service.transport.get = note  # type: ignore[method-assign]
    yield client, asked
    service.transport.close()
    service.store.close()


def test_the_demos_own_server_is_read_by_either_name_of_this_machine(tmp_path: Path) -> None:
    with demo_asking(tmp_path) as (client, asked):
        for host in ("127.0.0.1", "localhost"):
            call(client, f"http://{host}:8000/sandbox/fhir")
        assert asked
        assert all(
            url.startswith("http://127.0.0.1:8000/sandbox/fhir/Patient/1")
            for url in asked
            if "Patient/" in url
        )


PAGES = [
    {"Origin": "https://evil.example"},
    {"Origin": "https://sandbox.cds-hooks.org"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "chrome-extension://abcdefgh"},
    {"Origin": "http://localhost, https://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_another_origin_has_no_patient_read_while_no_client_is_configured(
    make_app: Make, page: dict[str, str]
) -> None:
    """It is a browser on this machine that asks, but whose page it is, no one knows."""
    with serving(chart()) as server:
        client = make_app().test_client()
        listed = make_app(service__fhir_servers=(server.base,)).test_client()
        for asked in (client, listed):
            assert "[[clients]]" in refused(call(asked, server.base, page))
        assert server.requests == []
        own = {"prefetch": {"patient": person(), "condition": None}}
        assert client.post(SERVICE, json=hook_request(**own), headers=page).status_code == 200


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://[::1]:8000"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_page_of_this_machine_and_a_program_have_it_read(make_app: Make, page: dict[str, str]) -> None:
    with serving(chart()) as server:
        assert call(make_app().test_client(), server.base, page).status_code == 200


def test_the_public_sandbox_reads_the_demos_synthetic_patients(tmp_path: Path) -> None:
    with demo_asking(tmp_path) as (client, asked):
        page = {"Origin": "https://sandbox.cds-hooks.org", "Sec-Fetch-Site": "cross-site"}
        call(client, "http://127.0.0.1:8000/sandbox/fhir", page)
        assert asked
        refused(call(client, "http://127.0.0.1:8080/fhir", page))
        refused(call(client, "http://127.0.0.1:8000/sandbox/fhirs", page))


def test_with_clients_a_page_is_what_its_token_says(make_app: Make, tmp_path: Path) -> None:
    """A browser-based CDS client signs its calls; a token can't be had by another page."""
    with serving(chart()) as server:
        hospitals = Hospitals(make_app, tmp_path, a={"fhir_servers": (server.base,)})
        hospitals.client.environ_base["HTTP_ORIGIN"] = "https://sandbox.cds-hooks.org"
        assert hospitals.call("a", server.base).status_code == 200
