"""The site of docs/concept-maps.md: its ConceptMaps as the page shows them, and a chart written in its codes."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

from tests.contract.hook_requests import vignette_bundle

LAB, RESULTS, HOSPITAL = "2.16.76.1.99.1", "urn:oid:2.16.76.1.99.2", "https://hospital.example/codes"
_PAGE = Path(__file__).parents[2] / "docs" / "concept-maps.md"
_FILE = re.compile(
    r"^`site-maps/(?P<name>[a-z-]+\.json)`\n```json\n(?P<content>.*?)\n```$", re.MULTILINE | re.DOTALL
)
# What the hospital writes instead of a vignette's LOINC codes. The laboratory leaves the prefix of its OID out.
_CODES: dict[str, dict[str, str]] = {
    "1742-6": {"system": LAB, "code": "TGP"},
    "1920-8": {"system": f"urn:oid:{LAB}", "code": "TGO"},
    "2160-0": {"code": "CREAT"},
    "5196-1": {"system": f"urn:oid:{LAB}", "code": "AGHBS"},
    "el-escorial-category": {"system": HOSPITAL, "code": "EL-ESC"},
}
LOCAL = {"EX06-AstAlt", "EX07-Creatinine", "EX08a-HepatitisB", "EX08b-HepatitisC", "IN02-ElEscorial"}


def write_site_maps(folder: Path) -> Path:
    """The page's example, file by file; the folder."""
    folder.mkdir(exist_ok=True)
    for found in _FILE.finditer(_PAGE.read_text("utf-8")):
        (folder / found["name"]).write_text(found["content"], "utf-8")
    return folder


def local_chart() -> dict[str, Any]:
    """AV-01 as this hospital codes it: of `LOCAL`'s criteria nothing can be read without its maps."""
    chart = copy.deepcopy(vignette_bundle("AV-01"))
    for entry in chart["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] == "Observation":
            _localise(resource, resource["code"]["coding"][0]["code"])
    return chart


def _localise(observation: dict[str, Any], code: str) -> None:
    if code in _CODES:
        observation["code"] = {"coding": [dict(_CODES[code])]}
        observation["category"] = [{"text": "exame"}]
    if code in ("1742-6", "1920-8"):
        for quantity in (observation["valueQuantity"], observation["referenceRange"][0]["high"]):
            for key in ("system", "code"):
                quantity.pop(key, None)
            quantity["unit"] = "Unidades por litro"
    if code in ("5196-1", "13952-7"):
        observation["valueCodeableConcept"] = {"coding": [{"system": RESULTS, "code": "NR"}]}
    if code == "13955-0":
        del observation["valueCodeableConcept"]
        observation["valueString"] = "Sem anticorpos"
    if code == "el-escorial-category":
        observation["valueCodeableConcept"] = {"coding": [{"system": HOSPITAL, "code": "EE-DEF"}]}
