"""What the sandbox's FHIR server does wrong for whoever's token asks for it, and for nobody else."""

from __future__ import annotations

import time

import pytest
from flask.testing import FlaskClient

from cds_service.sandbox import trouble
from tests.unit.sandbox.wards import FHIR, client, search


def asking(how: str, kind: str = "Observation") -> dict[str, str]:
    return {"Authorization": f"Bearer trouble.{how}.{kind}"}


@pytest.mark.parametrize(
    ("how", "status", "code"), [("refused", 403, "forbidden"), ("fails", 500, "exception")]
)
def test_a_type_is_refused_or_fails_where_the_token_says_so(how: str, status: int, code: str) -> None:
    http = client()
    for path in ("Observation?patient=ann", "Observation/ann-obs-1"):
        answer = http.get(f"{FHIR}/{path}", headers=asking(how))
        assert answer.status_code == status
        assert answer.get_json()["issue"][0]["code"] == code
    assert untroubled(http, asking(how))


def untroubled(http: FlaskClient, headers: dict[str, str]) -> bool:
    """Whether everything else is as ever, with the token and without."""
    others = ("Patient/ann", "Condition?patient=ann", "metadata", "Patient/ann/$everything")
    return (
        all(http.get(f"{FHIR}/{path}", headers=headers).status_code == 200 for path in others)
        and search(http, "Observation?patient=ann")["total"] == 7
    )


def test_a_part_comes_with_a_link_to_a_page_that_is_lost() -> None:
    http = client()
    found = http.get(f"{FHIR}/Observation?patient=ann", headers=asking("part")).get_json()
    assert found["total"] == 7
    assert len(found["entry"]) == 3
    (link,) = [link["url"] for link in found["link"] if link["relation"] == "next"]
    assert http.get(link, headers=asking("part")).status_code == 400
    nothing = http.get(f"{FHIR}/Observation?patient=nobody", headers=asking("part")).get_json()
    assert not any(link["relation"] == "next" for link in nothing["link"])
    assert untroubled(http, asking("part"))


def test_a_slow_type_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    http = client()
    assert http.get(f"{FHIR}/Observation?patient=ann", headers=asking("slow")).get_json()["total"] == 7
    assert slept == [trouble.SLOW_SECONDS]
    assert untroubled(http, asking("slow"))
    assert slept == [trouble.SLOW_SECONDS]


@pytest.mark.parametrize(
    "token",
    [
        "trouble.fails",
        "trouble.fails.",
        "trouble.burns.Observation",
        "trouble.fails.Observation.x",
        "fails.Observation",
    ],
)
def test_any_other_token_is_no_trouble(token: str) -> None:
    answer = client().get(f"{FHIR}/Observation?patient=ann", headers={"Authorization": f"Bearer {token}"})
    assert answer.get_json()["total"] == 7
