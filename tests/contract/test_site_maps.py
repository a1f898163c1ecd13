"""A site's own ConceptMaps, end to end: by prefetch, by search of codes, by `assess`; and what tells of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.cli.commands import run
from cds_service.screening import Screener
from tests.contract.conftest import Make, making_apps
from tests.contract.hook_requests import (
    SERVICE,
    hook_request,
    prefetch_of,
    resources,
    searchset,
    vignette_bundle,
)
from tests.support.site_maps import LOCAL, local_chart, write_site_maps
from tests.unit.records_io.scripted_server import Answer, Script, outcome, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site_maps(tmp_path_factory.mktemp("site") / "site-maps")


@pytest.fixture(scope="module")
def of_the_site(folder: Path) -> Screener:
    return Screener.load(concept_maps_dir=folder)


@pytest.fixture
def make_local(of_the_site: Screener, tmp_path: Path) -> Iterator[Make]:
    with making_apps(of_the_site, tmp_path) as make:
        yield make


def verdicts(assessment: dict[str, Any]) -> dict[str, str]:
    return {criterion["id"]: criterion["status"] for criterion in assessment["criteria"]}


def test_a_chart_in_local_codes_is_read_as_the_same_chart(make_app: Make, make_local: Make) -> None:
    plain, local = make_app().test_client(), make_local().test_client()
    expected = verdicts(plain.post("/assessments", json=vignette_bundle("AV-01")).get_json())
    without = verdicts(plain.post("/assessments", json=local_chart()).get_json())
    assert {criterion for criterion in expected if without[criterion] != expected[criterion]} == LOCAL
    assert all(without[criterion] == "unknown" for criterion in LOCAL)
    assert verdicts(local.post("/assessments", json=local_chart()).get_json()) == expected


def test_the_evidence_shows_what_the_laboratory_wrote(make_local: Make) -> None:
    found = make_local().test_client().post("/assessments", json=local_chart()).get_json()
    evidence = {c["id"]: c["evidence"] for c in found["criteria"]}
    assert "TGP" in [item["display"] for item in evidence["EX06-AstAlt"]]
    assert {item["value"] for item in evidence["EX06-AstAlt"]} == {
        "28 Unidades por litro",
        "31 Unidades por litro",
    }
    assert [item["display"] for item in evidence["EX07-Creatinine"]] == ["CREAT"]
    assert "Sem anticorpos" in [item["value"] for item in evidence["EX08b-HepatitisC"]]
    assert [item["value"] for item in evidence["IN02-ElEscorial"]] == ["EE-DEF"]


def test_provenance_names_the_maps_only_where_there_are_some(
    make_app: Make, make_local: Make, of_the_site: Screener
) -> None:
    by_site = make_local().test_client().post("/assessments", json=local_chart()).get_json()["provenance"]
    without = make_app().test_client().post("/assessments", json=local_chart()).get_json()["provenance"]
    assert by_site["conceptMaps"] == f"sha256:{of_the_site.mappings.concept_maps.site_sha256}"
    assert "conceptMaps" not in without


def test_the_hook_reads_local_codes_of_prefetch(make_local: Make, of_the_site: Screener) -> None:
    chart = local_chart()
    body = hook_request("av-01-joao", prefetch=prefetch_of(chart, of_the_site.wanted().types))
    (card,) = make_local().test_client().post(SERVICE, json=body).get_json()["cards"]
    assert card["extension"]["org.cds-service.assessment"]["status"] == "eligible-pending-review"


def test_local_codes_are_asked_for_where_a_server_wants_codes(make_local: Make) -> None:
    app = make_local(service__observations="codes")
    with serving(by_code_only(local_chart())) as server:
        body = hook_request("av-01-joao", fhirServer=server.base)
        (card,) = app.test_client().post(SERVICE, json=body).get_json()["cards"]
        asked = {
            code
            for request in server.asked("Observation")
            for code in request.query.get("code", "").split(",")
        }
    assert {"TGP", "TGO", "CREAT", "AGHBS", "EL-ESC", "1742-6", "8302-2"} <= asked
    assert "EE-DEF" not in asked
    assert card["extension"]["org.cds-service.assessment"]["status"] == "eligible-pending-review"


def by_code_only(chart: dict[str, Any]) -> Script:
    """A server that finds Observations by their codes, by no category, and refuses to give all."""
    script: Script = {}
    for resource in resources(chart):
        if resource["resourceType"] == "Patient":
            script[f"Patient/{resource['id']}"] = resource
        elif resource["resourceType"] != "Observation":
            script.setdefault(resource["resourceType"], searchset())["entry"].append({"resource": resource})
    for page in script.values():
        page.pop("total", None)
    observations = [each for each in resources(chart) if each["resourceType"] == "Observation"]

    def answer(query: dict[str, str]) -> Any:
        if "category" in query:
            return searchset()
        codes = set(query.get("code", "").split(","))
        if codes == {""}:
            return Answer(outcome(), 400)
        return searchset(*(o for o in observations if codes & {c["code"] for c in o["code"]["coding"]}))

    return script | {"Observation": answer}


def test_assess_reads_local_codes_by_the_configuration(
    tmp_path: Path, folder: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chart.json").write_text(json.dumps(local_chart()), "utf-8")
    (tmp_path / "site.toml").write_text(f'[service]\nconcept_maps_dir = "{folder}"\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    options = ["--as-of", "2026-06-15", "--format", "json", "--config", "site.toml"]
    assert run(["assess", "chart.json", *options]) == 0
    assessment = json.loads(capsysbinary.readouterr().out)
    assert assessment["status"] == "eligible-pending-review"
    assert "conceptMaps" in assessment["provenance"]


def test_a_mistake_stops_the_start_with_file_and_place(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_site_maps(tmp_path / "site-maps") / "laboratory.json"
    file.write_text(file.read_text("utf-8").replace("1742-6", "1742-7"), "utf-8")
    (tmp_path / "site.toml").write_text('[service]\nconcept_maps_dir = "site-maps"\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    for command in (["serve"], ["assess", "-"], ["trial", "check"]):
        assert run([*command, "--config", "site.toml"]) == 2
        told = capsysbinary.readouterr().err.decode()
        assert "laboratory.json: group[0].element[0] (TGP).target[0]: 1742-7 has a wrong check digit" in told
        assert "Traceback" not in told
