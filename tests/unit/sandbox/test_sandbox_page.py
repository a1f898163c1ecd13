"""The page's own endpoints: its files under a strict policy, its configuration, assessments in words, the reset."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.unit.rendering.test_rendering import assessment
from tests.unit.sandbox.wards import client


def test_the_page_and_every_file_it_names_are_served_under_a_strict_policy() -> None:
    http = client()
    page = http.get("/sandbox/")
    assert page.status_code == 200
    named = re.findall(r'(?:href|src)="(static/[^"]+)"', page.text)
    assert {"static/main.js", "static/sandbox.css", "static/report.css", "static/icon.svg"} <= set(named)
    for name in [*named, *imports(http)]:
        answer = http.get(f"/sandbox/{name}")
        assert answer.status_code == 200, name
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert http.get("/sandbox/static/main.js").mimetype == "text/javascript"


def imports(http: Any) -> set[str]:
    """Every module that a script of the page imports, from main.js on."""
    found: set[str] = set()
    wanted = {"main.js"}
    while wanted:
        name = wanted.pop()
        found.add(f"static/{name}")
        text = http.get(f"/sandbox/static/{name}").text
        wanted |= {n for n in re.findall(r'from "\./([\w.]+)"', text) if f"static/{n}" not in found}
    return found


@pytest.mark.parametrize("name", ["nothing.js", "..%2fehr.py", "%2e%2e/mount.py", "../mount.py"])
def test_no_other_file_is_served(name: str) -> None:
    assert client().get(f"/sandbox/static/{name}").status_code == 404


def test_the_bare_addresses_lead_to_the_page() -> None:
    http = client()
    assert http.get("/").headers["Location"] == "/sandbox/"
    answer = http.get("/sandbox")
    assert answer.status_code == 308
    assert answer.headers["Location"].endswith("/sandbox/")


def test_the_configuration_names_day_user_trials_and_patients() -> None:
    config = client().get("/sandbox/config.json").get_json()
    assert config["asOf"] == "2026-06-15"
    assert config["user"] == "Practitioner/sandbox-clinician"
    assert config["trials"] == [
        {
            "id": "demo",
            "nct": "NCT00000000",
            "title": "A trial of nothing",
            "service": "trial-demo",
            "questionnaire": "attestation-demo",
        }
    ]
    assert [patient["id"] for patient in config["patients"]] == ["ann", "bea"]
    assert config["codeNames"]["http://loinc.org|1742-6"].startswith("Alanine aminotransferase")


def test_an_assessment_in_words_for_the_page_and_for_paper() -> None:
    http = client()
    fragment = http.post("/sandbox/report", json=[assessment().to_json()])
    assert fragment.status_code == 200
    assert fragment.text.startswith('<article class="assessment"')
    assert "Two infections" in fragment.text
    assert "sandbox" in fragment.headers["Content-Security-Policy"]
    printed = http.post("/sandbox/report", data={"assessments": json.dumps(assessment().to_json())})
    assert printed.text.startswith("<!doctype html>")
    assert re.search(r"style-src 'sha256-[\w+/=]+'", printed.headers["Content-Security-Policy"])


@pytest.mark.parametrize("body", [b"{", b"1", b"[1]", b"{}", b'{"trial": []}'])
def test_what_is_no_assessment_is_refused_in_one_sentence(body: bytes) -> None:
    answer = client().post("/sandbox/report", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.mimetype == "text/plain"
    assert "Traceback" not in answer.text


def test_too_long_an_assessment_is_refused() -> None:
    http = client()
    assert (
        http.post("/sandbox/report", data=b" " * 2_000_001, content_type="application/json").status_code
        == 413
    )
    assert http.post("/sandbox/report", data={"assessments": "x" * 2_000_001}).status_code == 413


def test_a_foreign_page_cannot_reset_the_demo_with_a_form() -> None:
    assert client().post("/sandbox/reset", data={"x": "1"}).status_code == 415
