"""`doctor`: what it finds and says, that looking changes nothing, and that a client made by it is let in."""

from __future__ import annotations

import json
import os
import shlex
import socket
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from sqlalchemy import create_engine, text

from cds_service.app import create_app, load_screener, metrics_token
from cds_service.cli import checks, server_checks
from cds_service.cli.commands import run
from cds_service.errors import ConfigurationError
from cds_service.logs import silent
from cds_service.screening import Screener
from cds_service.settings import Settings, load_settings
from cds_service.storage import Pseudonyms, Store
from tests.support.answers import free_port
from tests.support.certificates import authority
from tests.support.client_keys import ec_key, jwk_of, jwk_set, rsa_key
from tests.support.site_maps import write_site_maps
from tests.unit.records_io.scripted_server import Answer, counted, serving

R4 = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
BASE = "https://cds.example.org"
# Found in nothing that is shown.
SECRETS = ("s3cr3t-password", "s3cr3t-token", "PRIVATE KEY")


@pytest.fixture(scope="module")
def loaded() -> Screener:
    return load_screener(Settings())


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: Screener) -> None:
    """An empty working folder, no settings from the environment, and the trials loaded once."""

    def load(settings: Settings) -> Screener:
        return load_screener(settings) if settings.service.trials_dir else loaded

    monkeypatch.setattr(checks, "load_screener", load)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CDS_")]:
        monkeypatch.delenv(name)


Ends = Callable[..., tuple[str, str]]


@pytest.fixture
def ends(capsysbinary: pytest.CaptureFixture[bytes]) -> Ends:
    def ends(arguments: Sequence[str], code: int) -> tuple[str, str]:
        ended = run(["doctor", *arguments])
        out, err = (shown.decode() for shown in capsysbinary.readouterr())
        assert ended == code, out + err
        assert "Traceback" not in err
        assert not any(secret in out + err for secret in SECRETS)
        return out, err

    return ends


Found = Callable[..., dict[str, list[dict[str, Any]]]]


@pytest.fixture
def found(ends: Ends) -> Found:
    """The checks of a configuration by subject; `failing`: the subjects whose checks must fail, and no other's."""

    def found(
        config: str = "", *options: str, failing: Sequence[str] = ()
    ) -> dict[str, list[dict[str, Any]]]:
        Path("cds-service.toml").write_text(config, encoding="utf-8")
        out, _ = ends(["--format", "json", *options], 1 if failing else 0)
        shown = json.loads(out)
        assert shown["ok"] is not bool(failing)
        by_subject: dict[str, list[dict[str, Any]]] = {}
        for check in shown["checks"]:
            assert check["state"] == "ok" or check["remedy"]
            by_subject.setdefault(check["subject"], []).append(check)
        assert [c["subject"] for c in shown["checks"] if c["state"] == "failed"] == list(failing), out
        return by_subject

    return found


def client(**more: Any) -> str:
    """A configuration with one client."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in more.items()]
    return "\n".join(
        [
            "[service]",
            f'base_url = "{BASE}"',
            "[[clients]]",
            'name = "a"',
            'issuer = "https://a.example"',
            *lines,
        ]
    )


def test_without_a_configuration_the_defaults_are_explained(found: Found, ends: Ends, tmp_path: Path) -> None:
    out, err = ends([], 0)
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("ok       configuration ")
    assert lines[0].endswith(" no cds-service.toml: every setting has its default")
    assert any(line.startswith("warning  audit sink") for line in lines)
    assert any(line.strip().startswith("→ set audit.sink") for line in lines)
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"
    assert found()["service address"][0]["state"] == "warning"


@pytest.mark.parametrize("config", ["nonsense = 1", "[[clients]]\nname = 'a'", "not toml"])
def test_a_configuration_that_can_not_be_read_ends_with_2(ends: Ends, config: str) -> None:
    Path("cds-service.toml").write_text(config, encoding="utf-8")
    out, err = ends([], 2)
    assert out == ""
    assert err.startswith("cds-service: cds-service.toml")


def test_a_client_is_explained_in_words(found: Found) -> None:
    Path("keys.json").write_bytes(jwk_set(jwk_of(ec_key(), "one"), jwk_of(rsa_key(), "two", alg="RS384")))
    config = client(
        jwks_file="keys.json",
        jku=["https://a.example/jwks"],
        tenants=["t1", "t2"],
        audiences=["by-hand"],
        fhir_servers=["https://a.example/r4"],
    )
    shown = found(config, "--offline")
    assert shown["service address"][0]["found"] == BASE
    (words,) = shown["client a"]
    assert "iss https://a.example" in words["found"]
    assert "tenant one of t1, t2" in words["found"]
    assert "CDS Hooks 2.0" in words["found"]
    (keys,) = shown["client a: keys"]
    assert keys["found"].endswith("keys.json: one: ES384 (P-384); two: RS384 (RSA, 2048 bits)")
    assert shown["client a: jku"][0]["found"] == "none, or https://a.example/jwks"
    audiences = [check["found"].partition(" ")[0] for check in shown["client a: audience"]]
    services = [f"{BASE}/cds-services/trial-{name}" for name in ("nct02917681", "eligibility")]
    assert audiences == [*services, f"{BASE}/assessments", "by-hand"]
    assert f"{services[0]}/feedback" in shown["client a: audience"][0]["found"]
    assert shown["client a: FHIR server"][0]["found"] == "https://a.example/r4, not asked (--offline)"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "the file can't be read"),
        (b"{}", "JWK Set"),
        (jwk_set(jwk_of(rsa_key(1024), "weak")), "key 'weak' must have an RSA modulus of 2048"),
        (jwk_set(jwk_of(ec_key(), "k", alg="HS256")), "key 'k' has an alg"),
    ],
)
def test_keys_that_can_not_be_used_fail(found: Found, content: bytes | None, words: str) -> None:
    if content is not None:
        Path("keys.json").write_bytes(content)
    (check,) = found(client(jwks_file="keys.json"), failing=["client a: keys"])["client a: keys"]
    assert words in check["found"]


def test_published_keys_are_asked_for_unless_offline(found: Found) -> None:
    good, odd = jwk_of(ec_key(), "one"), {"kty": "AKP", "kid": "new"}
    script: dict[str, Any] = {"jwks": json.loads(jwk_set(good))}
    with serving(script) as server:
        config = client(jwks_url=f"{server.base}/jwks")
        (check,) = found(config, "--offline")["client a: keys"]
        assert server.requests == []
        assert check["found"].endswith("not asked (--offline)")
        shown = found(config)
        assert shown["client a: keys"][0]["found"] == f"{server.base}/jwks: one: ES384 (P-384)"
        assert shown["client a: jku"][0]["found"] == f"none, or {server.base}/jwks"
        script["jwks"] = json.loads(jwk_set(good, odd))
        (check,) = found(config)["client a: keys"]
        assert (check["state"], "key 'new'" in check["found"]) == ("warning", True)
        script["jwks"] = json.loads(jwk_set(odd))
        found(config, failing=["client a: keys"])
        script["jwks"] = Answer(status=302, headers={"Location": "/fhir/other"})
        (check,) = found(config, failing=["client a: keys"])["client a: keys"]
        assert "HTTP 302" in check["found"]
    (check,) = found(client(jwks_url="http://a.example/jwks"), failing=["client a: keys"])["client a: keys"]
    assert "not https" in check["found"]


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (R4, "warning", "plain http answers, FHIR R4"),
        (Answer(status=401), "warning", "nobody without a token"),
        ({**R4, "fhirVersion": "5.0.0"}, "failed", "not a server of FHIR R4"),
        ({**R4, "fhirVersion": 4}, "failed", "not a server of FHIR R4"),
        ({"resourceType": "Bundle"}, "failed", "no CapabilityStatement"),
        (Answer("<html>"), "failed", "no CapabilityStatement"),
        (Answer(status=500), "failed", "HTTP 500"),
        (Answer(status=302, headers={"Location": "/elsewhere"}), "failed", "redirect"),
    ],
)
def test_a_fhir_server_is_asked_for_its_capabilities_without_a_token(
    found: Found, monkeypatch: pytest.MonkeyPatch, answer: Any, state: str, words: str
) -> None:
    monkeypatch.setattr(server_checks, "secure", lambda _: False)
    with serving({"metadata": answer}) as server:
        config = f'[service]\nfhir_servers = ["{server.base}"]'
        (check,) = found(config, failing=["FHIR server"] if state == "failed" else [])["FHIR server"]
        assert (check["state"], words in check["found"]) == (state, True), check
        assert "Authorization" not in server.asked("metadata")[0].headers


def test_a_server_of_this_machine_needs_no_https(found: Found) -> None:
    with serving({"metadata": R4}) as server:
        (check,) = found(f'[service]\nfhir_servers = ["{server.base}"]')["FHIR server"]
    assert check == {"subject": "FHIR server", "state": "ok", "found": f"{server.base} answers, FHIR R4"}


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("10.1.2.3", "a private address"),
        ("127.0.0.1", "this machine"),
        ("169.254.169.254", "a link-local address"),
    ],
)
def test_a_name_that_leads_where_the_service_does_not_go_fails(
    found: Found, monkeypatch: pytest.MonkeyPatch, address: str, kind: str
) -> None:
    monkeypatch.setattr(server_checks, "resolve", lambda _h, port: [(socket.AF_INET, (address, port))])
    Path("keys.json").write_bytes(jwk_set(jwk_of(ec_key(), "one")))
    config = client(jwks_file="keys.json", fhir_servers=["https://ehr.example.org/r4"])
    subject = "client a: FHIR server"
    (check,) = found(config, failing=[subject])[subject]
    assert f"leads to {kind} ({address})" in check["found"]
    assert "private_networks" in check["remedy"]


def test_nobody_there_and_no_servers_at_all_are_told(found: Found) -> None:
    Path("keys.json").write_bytes(jwk_set(jwk_of(ec_key(), "one")))
    subject = "client a: FHIR server"
    (check,) = found(client(jwks_file="keys.json"))[subject]
    assert (check["state"], "prefetch" in check["remedy"]) == ("warning", True)
    gone = f"http://127.0.0.1:{free_port()}/fhir"
    found(client(jwks_file="keys.json", fhir_servers=[gone]), failing=[subject])


def test_a_server_of_an_authority_that_nobody_named_says_where_to_name_it(
    found: Found, tmp_path: Path
) -> None:
    with serving({"metadata": R4}, tls=authority(tmp_path).server("localhost")) as server:
        config = f'[service]\nfhir_servers = ["https://localhost:{urlsplit(server.base).port}/fhir"]'
        (check,) = found(config, failing=["FHIR server"])["FHIR server"]
    assert check["found"].endswith(": certificate")
    assert "service.ca_file" in check["remedy"]


def test_files_that_others_can_open_fail(found: Found, tmp_path: Path) -> None:
    config = (
        '[service]\nmetrics_token_file = "metrics"\n[audit]\nsink = "file:audit.ndjson"\n'
        '[feedback]\npseudonym_key_file = "key"'
    )
    Pseudonyms.load(tmp_path / "key")
    for name in ("metrics", "audit.ndjson"):
        (tmp_path / name).write_text("s3cr3t-token-of-some-length")
        (tmp_path / name).chmod(0o600)
    shown = found(config)
    subjects = ["pseudonym key", "audit sink", "metrics token"]
    assert [shown[subject][0]["state"] for subject in subjects] == ["ok"] * 3
    for path in ("key", "metrics", "audit.ndjson"):
        (tmp_path / path).chmod(0o644)
    shown = found(config, failing=subjects)
    assert all("run `chmod" in shown[subject][0]["remedy"] for subject in subjects)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o644, "looking changes nothing"


def test_places_that_can_not_be_written_and_files_that_are_not_there_fail(found: Found) -> None:
    config = (
        '[service]\ndatabase_url = "sqlite:///nowhere/x.db"\nmetrics_token_file = "none"\n'
        '[audit]\nsink = "file:nowhere/audit"\n[feedback]\npseudonym_key_file = "nowhere/key"'
    )
    found(config, failing=["database", "pseudonym key", "audit sink", "metrics token"])
    found('[audit]\nsink = "file:."', failing=["audit sink"])


def token_file(content: str) -> None:
    Path("token").touch(0o600)
    Path("token").write_text(content)


def test_a_token_that_the_start_would_refuse_fails(found: Found) -> None:
    config = '[service]\nmetrics_token_file = "token"\n'
    for content in ("", "two s3cr3t-token", "tökén-s3cr3t-token", "short"):
        token_file(content)
        found(config, failing=["metrics token"])
        with pytest.raises(ConfigurationError):
            metrics_token(Path("token"))
    token_file("s3cr3t-token-of-some-length")
    assert found(config)["metrics token"][0]["state"] == "ok"


def test_an_audit_server_needs_its_token_and_a_folder_of_its_own(found: Found) -> None:
    config = '[audit]\nsink = "{}"\ntoken_file = "token"\nspool_dir = "a/spool"'
    sink = config.format("https://audit.example.org/fhir")
    for content in ("", "two s3cr3t-token"):
        found(sink, "--offline", failing=["audit sink"])
        token_file(content)
    token_file("s3cr3t-token")
    shown = found(sink, "--offline")
    assert shown["audit sink"][0]["state"] == "ok"
    assert "not asked" in shown["audit sink: server"][0]["found"]
    plain = config.format("http://audit.example.org/fhir")
    assert "unencrypted" in found(plain, "--offline", failing=["audit sink"])["audit sink"][0]["found"]
    assert not Path("a").exists(), "looking changes nothing"
    Path("a/spool").mkdir(parents=True)
    Path("a/spool").chmod(0o755)
    assert "chmod 700" in found(sink, "--offline", failing=["audit sink"])["audit sink"][0]["remedy"]
    Path("a/spool").chmod(0o700)
    found(sink, "--offline")


def test_an_audit_server_is_asked_without_its_token(found: Found) -> None:
    token_file("s3cr3t-token")
    config = '[audit]\nsink = "{}"\ntoken_file = "token"'
    with serving({"metadata": counted(R4, Answer(status=404))}) as server:
        (asked,) = found(config.format(server.base))["audit sink: server"]
        assert asked["state"] == "ok"
        assert "Authorization" not in server.requests[0].headers
        (asked,) = found(config.format(server.base))["audit sink: server"]
        assert asked["state"] == "warning", "it may take events and show nothing"
    (asked,) = found(config.format(f"http://127.0.0.1:{free_port()}/fhir"))["audit sink: server"]
    assert (asked["state"], "events wait" in asked["remedy"]) == ("warning", True)


def test_what_others_wrote_does_not_steer_the_terminal(ends: Ends) -> None:
    Path("keys.json").write_bytes(jwk_set(jwk_of(ec_key(), "\x1b[2Jone\nok")))
    Path("cds-service.toml").write_text(client(jwks_file="keys.json"))
    out, _ = ends(["--offline"], 0)
    assert "\x1b" not in out
    assert "\ufffd[2Jone\ufffdok: ES384" in out


@pytest.mark.parametrize(
    ("sink", "state"),
    [("http://audit.example.org/fhir", "warning"), ("http://127.0.0.1:8080/fhir", "ok")],
)
def test_what_names_patients_should_not_travel_in_the_open(found: Found, sink: str, state: str) -> None:
    assert found(f'[audit]\nsink = "{sink}"', "--offline")["audit sink: server"][0]["state"] == state


def test_a_database_is_looked_at_and_left_as_it_is(found: Found, tmp_path: Path) -> None:
    file = tmp_path / "cds-service.db"
    Store(f"sqlite:///{file}").close()
    before = file.read_bytes()
    assert found()["database"][0]["found"] == "sqlite cds-service.db answers"
    assert file.read_bytes() == before
    with (engine := create_engine(f"sqlite:///{file}")).begin() as connection:
        connection.execute(text("UPDATE about SET value = '9999' WHERE name = 'schema'"))
    engine.dispose()
    (check,) = found(failing=["database"])["database"]
    assert "later version" in check["found"]


def test_a_database_of_another_key_fails(found: Found, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'cds-service.db'}")
    store.hold_key(Pseudonyms(b"x" * 32).check())
    store.close()
    Pseudonyms.load(tmp_path / "pseudonym.key")
    (check,) = found(failing=["database"])["database"]
    assert "another pseudonym key" in check["found"]


def test_a_database_whose_key_is_gone_fails(found: Found, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'cds-service.db'}")
    store.hold_key(Pseudonyms(b"x" * 32).check())
    store.close()
    (check,) = found(failing=["database"])["database"]
    assert "pseudonym key that is not there" in check["found"]
    assert not (tmp_path / "pseudonym.key").exists()


def test_a_database_that_can_not_be_written_fails(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("cds-service.db").touch()
    monkeypatch.setattr("cds_service.cli.checks.os.access", lambda path, _mode: not str(path).endswith(".db"))
    assert "can't be written" in found(failing=["database"])["database"][0]["found"]


def test_a_file_that_is_no_database_fails(found: Found) -> None:
    Path("cds-service.db").write_bytes(b"x" * 5000)
    assert "does not answer" in found(failing=["database"])["database"][0]["found"]


def test_a_database_server_is_asked_unless_offline_and_its_password_is_not_shown(found: Found) -> None:
    config = f'[service]\ndatabase_url = "postgresql://cds:s3cr3t-password@127.0.0.1:{free_port()}/cds"'
    (check,) = found(config, failing=["database"])["database"]
    assert check["found"] == "postgresql 127.0.0.1 cds does not answer"
    assert found(config, "--offline")["database"][0]["state"] == "ok"


def test_a_database_that_the_service_does_not_know_fails_without_being_asked(found: Found) -> None:
    found('[service]\ndatabase_url = "mysql://127.0.0.1/x"', "--offline", failing=["database"])


def test_trials_that_can_not_be_loaded_fail(found: Found, tmp_path: Path) -> None:
    (tmp_path / "trials" / "broken").mkdir(parents=True)
    (tmp_path / "trials" / "broken" / "trial.toml").write_text("id = 1")
    Path("keys.json").write_bytes(jwk_set(jwk_of(ec_key(), "one")))
    config = client(jwks_file="keys.json").replace("[service]", '[service]\ntrials_dir = "trials"')
    shown = found(config, failing=["trials"])
    assert "broken" in shown["trials"][0]["found"]
    assert len(shown["client a: audience"]) == 2


def test_every_mistake_of_the_site_s_concept_maps_is_a_check_that_failed(
    found: Found, tmp_path: Path
) -> None:
    file = write_site_maps(tmp_path / "site-maps") / "laboratory.json"
    file.write_text(file.read_text("utf-8").replace("1742-6", "1742-7").replace("1920-8", "1920-9"), "utf-8")
    (tmp_path / "site-maps" / "more.json").write_text("{")
    checks = found('[service]\nconcept_maps_dir = "site-maps"\n', failing=["concept maps"] * 3)[
        "concept maps"
    ]
    assert [
        "(TGP)" in checks[0]["found"],
        "(TGO)" in checks[1]["found"],
        "not JSON" in checks[2]["found"],
    ] == [True] * 3


def test_what_the_site_s_concept_maps_lead_to_is_shown(found: Found, tmp_path: Path) -> None:
    write_site_maps(tmp_path / "site-maps")
    checks = found('[service]\nconcept_maps_dir = "site-maps"\n')["concept maps"]
    shown = [check["found"].rpartition("/")[2] for check in checks]
    assert shown == [
        "el-escorial.json: el-escorial-local, 3 codes",
        "laboratory.json: local-lab-to-loinc, 4 codes",
        "results.json: qualitative-result, 3 codes",
        "units.json: units-to-ucum, 1 code",
    ]


def test_a_folder_without_concept_maps_is_a_warning(found: Found, tmp_path: Path) -> None:
    (tmp_path / "site-maps").mkdir()
    (check,) = found('[service]\nconcept_maps_dir = "site-maps"\n')["concept maps"]
    assert check["state"] == "warning"


def test_a_service_address_without_https_fails(found: Found) -> None:
    Path("keys.json").write_bytes(jwk_set(jwk_of(ec_key(), "one")))
    config = client(jwks_file="keys.json").replace("https://cds", "http://cds")
    (check,) = found(config, failing=["service address"])["service address"]
    assert "must be https" in check["found"]


# --- a client to try


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_client_made_here_is_let_in(ends: Ends, found: Found, loaded: Screener, algorithm: str) -> None:
    lines, told = ends(["--new-client", "try-1", "--folder", "keys", "--algorithm", algorithm], 0)
    private, public = Path("keys/try-1.key.pem"), Path("keys/try-1.jwks.json")
    assert private.stat().st_mode & 0o777 == 0o600
    assert str(private) in told
    (key,) = json.loads(public.read_text())["keys"]
    assert not {"d", "p", "q"} & key.keys()
    assert tomllib.loads(lines)["clients"][0]["jwks_file"] == "keys/try-1.jwks.json"
    shown = found(f'[service]\nbase_url = "http://127.0.0.1:8000"\n{lines}')
    assert f"{key['kid']}: {algorithm}" in shown["client try-1: keys"][0]["found"]

    audience = "http://127.0.0.1:8000/cds-services/trial-eligibility"
    options = ["--audience", audience, "--folder", "keys"]
    token, told = ends(["--token", "try-1", *options, "--tenant", "t", "--expires", "60"], 0)
    assert told == ""
    assert len(token.split()) == 1
    claims = jwt.decode(token.strip(), options={"verify_signature": False})
    assert (claims["exp"] - claims["iat"], claims["tenant"], claims["aud"]) == (60, "t", audience)
    app = create_app(load_settings(), screener=loaded, log=silent)
    call = {
        "hook": "patient-view",
        "hookInstance": "4a1b2c3d-0000-4000-8000-000000000004",
        "context": {"userId": "Practitioner/1", "patientId": "1"},
        "prefetch": {"patient": {"resourceType": "Patient", "id": "1"}, "condition": None},
    }
    web = app.test_client()
    path = "/cds-services/trial-eligibility"
    headers = {"Authorization": f"Bearer {token.strip()}"}
    assert web.post(path, json=call, headers=headers).status_code == 200
    assert web.post(path, json=call, headers=headers).status_code == 401
    other, _ = ends(["--token", "try-1", *options, "--issuer", "https://evil.example"], 0)
    assert web.post(path, json=call, headers={"Authorization": f"Bearer {other.strip()}"}).status_code == 401
    service = app.extensions["cds_service"]
    service.store.close()
    service.transport.close()


def test_the_command_for_a_token_can_be_pasted(ends: Ends) -> None:
    _, told = ends(["--new-client", "a", "--folder", "my keys", "--issuer", "https://a.example/?b&c"], 0)
    name, command, *arguments = shlex.split(told[told.rindex("cds-service doctor") :].replace("<URL>", "x"))
    assert (name, command) == ("cds-service", "doctor")
    token, _ = ends(arguments, 0)
    assert jwt.decode(token.strip(), options={"verify_signature": False})["iss"] == "https://a.example/?b&c"


def test_a_key_is_never_written_over(ends: Ends) -> None:
    ends(["--new-client", "a"], 0)
    kept = {path.name: path.read_bytes() for path in Path().iterdir()}
    out, err = ends(["--new-client", "a"], 2)
    assert out == ""
    assert "a.key.pem exists" in err
    Path("a.key.pem").unlink()
    _, err = ends(["--new-client", "a"], 2)
    assert "a.jwks.json exists" in err
    assert {path.name for path in Path().iterdir()} == {"a.jwks.json"}, "no half of a client stays"
    assert Path("a.jwks.json").read_bytes() == kept["a.jwks.json"]


def test_the_lines_name_the_keys_as_the_configuration_file_sees_them(ends: Ends, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "site.toml").write_text("")
    config = ["--config", "etc/site.toml"]
    below, _ = ends(["--new-client", "a", "--folder", "etc/keys", *config], 0)
    assert tomllib.loads(below)["clients"][0]["jwks_file"] == "keys/a.jwks.json"
    beside, _ = ends(["--new-client", "b", "--issuer", 'https://b.example/"x"', *config], 0)
    made = tomllib.loads(beside)["clients"][0]
    assert made["jwks_file"] == str(tmp_path / "b.jwks.json")
    assert made["issuer"] == 'https://b.example/"x"'
    odd, _ = ends(["--new-client", "c", "--folder", "\N{GRINNING FACE}", "--issuer", "a\x7fb", *config], 0)
    made = tomllib.loads(odd)["clients"][0]
    assert (Path(made["jwks_file"]).parent.name, made["issuer"]) == ("\N{GRINNING FACE}", "a\x7fb")


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".a", "a b", "-a", "a" * 65, "ä"])
def test_a_name_that_is_no_files_is_refused(ends: Ends, name: str) -> None:
    for option in ("--new-client", "--token"):
        _, err = ends([f"{option}={name}", "--audience", "x"], 2)
        assert "name must be" in err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--token", "a"], "--audience"),
        (["--token", "a", "--new-client", "a", "--audience", "x"], "Either"),
        (["--token", "a", "--audience", "x"], "can't be read"),
        (["--token", "bad", "--audience", "x"], "is not a private key"),
        (["--token", "public", "--audience", "x"], "is not a private key"),
        (["--token", "a", "--audience", "x", "--expires", "3601"], "3600"),
        (["--new-client", "a", "--algorithm", "HS256"], "HS256"),
        (["--new-client", "a", "--folder", "bad.key.pem"], "can't be written"),
    ],
)
def test_what_can_not_be_made_is_one_sentence(ends: Ends, arguments: list[str], words: str) -> None:
    Path("bad.key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    Path("public.key.pem").write_bytes(b"")
    out, err = ends(arguments, 2)
    assert out == ""
    assert words in err
    assert err.count("\n") == 1
