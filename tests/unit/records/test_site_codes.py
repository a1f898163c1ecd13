"""How a site's own codes are found in resources: by any spelling of their system, or without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.records.mappings import Mappings, load_mappings
from cds_service.records.shapes import Tidying, tidy
from cds_service.terminology import systems
from cds_service.terminology.value_sets import load_value_sets
from tests.unit.records.helpers import SITE

OID = "2.16.76.1.99.1"
LOINC_OID = "urn:oid:2.16.840.1.113883.6.1"


def mappings(folder: Path, source: str | None, **aliases: str) -> Mappings:
    group: dict[str, Any] = {
        "source": source,
        "target": systems.LOINC,
        "element": [_element("TGP", "1742-6")],
    }
    if source is None:
        del group["source"]
    _write(folder, "local-lab-to-loinc", group)
    if aliases:
        elements = [_element(name.replace("_", ":"), target) for name, target in aliases.items()]
        _write(
            folder,
            "system-aliases",
            {"source": systems.SYSTEM_ALIAS, "target": systems.CODE_SYSTEM, "element": elements},
        )
    return load_mappings(load_value_sets(), extra_dir=folder)


def _element(code: str, target: str) -> dict[str, Any]:
    return {"code": code, "target": [{"code": target, "equivalence": "equivalent"}]}


def _write(folder: Path, map_id: str, group: dict[str, Any]) -> None:
    content = {"resourceType": "ConceptMap", "id": map_id, "group": [group]}
    (folder / f"{map_id}.json").write_text(json.dumps(content), encoding="utf-8")


def added(known: Mappings, **coding: Any) -> list[dict[str, str]]:
    """The codings that come to stand beside this one."""
    observation = {"resourceType": "Observation", "id": "o", "code": {"coding": [coding]}}
    found: list[dict[str, str]] = tidy(observation, Tidying(known.systems, known.local, SITE))["code"][
        "coding"
    ]
    return found[1:]


ALT = [{"system": systems.LOINC, "code": "1742-6"}]


@pytest.mark.parametrize("source", [f"urn:oid:{OID}", OID])
@pytest.mark.parametrize("system", [f"urn:oid:{OID}", OID, f"oid:{OID}"])
def test_an_oid_in_any_spelling(tmp_path: Path, source: str, system: str) -> None:
    assert added(mappings(tmp_path, source), system=system, code="TGP") == ALT


def test_a_code_without_system_only_where_the_map_says_so(tmp_path: Path) -> None:
    bare = mappings(tmp_path, None)
    assert added(bare, code="TGP") == ALT
    assert added(bare, code="TGP", display="ALT") == ALT
    assert added(bare, system="urn:x", code="TGP") == []
    assert added(mappings(tmp_path, "urn:x"), code="TGP") == []


def test_the_map_s_system_may_have_an_alias_of_its_own(tmp_path: Path) -> None:
    """The walk has put the canonical URI in place of an alias before it looks for local codes."""
    assert added(mappings(tmp_path, LOINC_OID), system=LOINC_OID, code="TGP") == ALT
    known = mappings(tmp_path, "urn:lab", urn_old="urn:lab")
    assert added(known, system="urn:old", code="TGP") == ALT


def test_an_alias_of_an_alias_leads_on(tmp_path: Path) -> None:
    known = mappings(tmp_path, "urn:lab", urn_one=LOINC_OID, urn_a="urn:b", urn_b="urn:a")
    assert known.systems.canonical("urn:one") == systems.LOINC
    assert {known.systems.canonical("urn:a"), known.systems.canonical("urn:b")} <= {"urn:a", "urn:b"}


def test_blanks_around_a_code_do_not_hide_it(tmp_path: Path) -> None:
    assert added(mappings(tmp_path, "urn:lab"), system="urn:lab", code=" TGP ") == ALT


@pytest.mark.parametrize(
    "spelled", ["https://loinc.org", "http://www.loinc.org/", "HTTP://LOINC.ORG", LOINC_OID]
)
def test_however_a_site_spells_a_known_system_its_uri_stays(tmp_path: Path, spelled: str) -> None:
    """As a source or as what an alias leads to: else no code of that system would be found any more."""
    known = mappings(tmp_path, spelled, urn_old=spelled)
    assert {known.systems.canonical(each) for each in ("urn:old", spelled, systems.LOINC)} == {systems.LOINC}
    assert added(known, system=systems.LOINC, code="TGP") == ALT
