"""The client against the official translator: real translations, real errors, and the committed ELM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import TranslationError
from cds_service.translation import STAMP, TRANSLATOR_VERSION, digest, normalised, translate, translate_folder
from tests.support.translator import fhir_helpers

pytestmark = pytest.mark.java

TRIALS = Path(__file__).resolve().parents[2] / "cds_service" / "trials"
COMMON = TRIALS / "common"
FOLDERS = sorted({path.parent for path in TRIALS.glob("*/*.cql")})

HEADER = "using FHIR version '4.0.1'\ninclude FHIRHelpers version '4.0.1'\n"
BASE = f"library Base version '1.0.0'\n{HEADER}context Patient\ndefine Adult: AgeInYears() >= 18\n"
USER = f"library User\n{HEADER}include Base version '1.0.0'\ncontext Patient\ndefine \"Ação\": Base.Adult // ≥ 18\n"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _defines(elm: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {define["name"]: define for define in elm["library"]["statements"]["def"]}


def test_one_library_is_translated_with_locators_and_result_types(translator_url: str) -> None:
    elm = translate({"Base.cql": BASE}, translator_url)["Base.cql"]
    adult = _defines(elm)["Adult"]
    assert adult["locator"] == "5:1-5:32"
    assert adult["resultTypeName"] == "{urn:hl7-org:elm-types:r1}Boolean"
    assert elm["library"]["identifier"]["version"] == "1.0.0"


def test_libraries_that_include_each_other_go_together(translator_url: str) -> None:
    translated = translate({"User.cql": USER, "Base.cql": BASE}, translator_url)
    expression = _defines(translated["User.cql"])["Ação"]["expression"]
    assert (expression["libraryName"], expression["name"]) == ("Base", "Adult")
    assert list(_defines(translated["Base.cql"])) == ["Patient", "Adult"]


def test_overloads_keep_their_signatures_and_lists_are_not_demoted(translator_url: str) -> None:
    overloaded = (
        "library O\ndefine function F(a Integer): a\ndefine function F(a String): a\ndefine X: F('s')\n"
    )
    signature = _defines(translate({"O.cql": overloaded}, translator_url)["O.cql"])["X"]["expression"][
        "signature"
    ]
    assert [entry["name"] for entry in signature] == ["{urn:hl7-org:elm-types:r1}String"]
    demoted = "library D\ndefine X: { 1 } + 1\n"
    with pytest.raises(TranslationError, match=r"D\.cql:2:11: Could not resolve call to operator Add"):
        translate({"D.cql": demoted}, translator_url)


def test_errors_of_a_single_library_carry_line_and_column(translator_url: str) -> None:
    broken = BASE + "define Wrong: Adlt\ndefine Sum: 1 + 'a'\n"
    with pytest.raises(TranslationError) as raised:
        translate({"Base.cql": broken}, translator_url)
    head, *lines = str(raised.value).splitlines()
    assert head == "The translator found 2 errors in the CQL:"
    assert lines[0] == "  Base.cql:6:15: Could not resolve identifier Adlt in the current library."
    assert lines[1].startswith("  Base.cql:7:13: Could not resolve call to operator Add")


def test_a_syntax_error_is_found(translator_url: str) -> None:
    with pytest.raises(TranslationError, match=r"S\.cql:3:0: Syntax error at <EOF>"):
        translate({"S.cql": "library S\ndefine X: (1 +\n"}, translator_url)


def test_errors_of_every_part_are_read_and_named_by_their_file(translator_url: str) -> None:
    base, user = BASE + "define Bad: Nothing\n", USER + "define Worse: Base.Missing\n"
    with pytest.raises(TranslationError) as raised:
        translate({"b.cql": base, "u.cql": user}, translator_url)
    told = str(raised.value)
    assert told.count("b.cql:6:13: Could not resolve identifier Nothing") == 1
    assert "u.cql:7:20: Could not resolve identifier Missing in library Base." in told


def test_a_missing_include_is_an_error(translator_url: str) -> None:
    with pytest.raises(TranslationError, match=r"User\.cql:4:1: Could not load source for library Base"):
        translate({"User.cql": USER}, translator_url)


def test_nothing_is_written_for_a_folder_with_an_error(translator_url: str, tmp_path: Path) -> None:
    (tmp_path / "Base.cql").write_text(BASE, encoding="utf-8")
    (tmp_path / "User.cql").write_text(USER + "define Bad: Nothing\n", encoding="utf-8")
    with pytest.raises(TranslationError):
        translate_folder(tmp_path, translator_url)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Base.cql", "User.cql"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_committed_elm_is_what_the_translator_makes_of_the_cql(folder: Path, translator_url: str) -> None:
    everything = {
        p.name: p.read_text(encoding="utf-8") for p in (*COMMON.glob("*.cql"), *folder.glob("*.cql"))
    }
    translated = translate(everything, translator_url)
    files = sorted(folder.glob("*.cql"))
    assert files
    for cql in files:
        committed = _read(cql.with_suffix(".elm.json"))
        assert committed[STAMP] == {"cql": digest(cql.read_bytes()), "translator": TRANSLATOR_VERSION}
        assert normalised(committed["library"]) == normalised(translated[cql.name]["library"]), cql.name


def test_the_committed_fhirhelpers_is_what_the_translator_ships(translator_url: str) -> None:
    cql = fhir_helpers()
    committed = _read(TRIALS / "FHIRHelpers.elm.json")
    fresh = translate({"FHIRHelpers.cql": cql.decode()}, translator_url)["FHIRHelpers.cql"]
    assert committed[STAMP]["cql"] == digest(cql)
    assert committed[STAMP]["translator"] == TRANSLATOR_VERSION
    assert normalised(committed["library"]) == normalised(fresh["library"])
