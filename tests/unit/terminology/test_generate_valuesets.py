"""The generator: deterministic, reversible, and strict about what FHIR can't express."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.terminology import systems
from cds_service.terminology.value_sets import ValueSets
from tools import generate_valuesets as generator
from tools.generate_valuesets import Row, TableError

HEADER = ",".join(generator.COLUMNS)


def row(
    value_set: str,
    code: str,
    system: str = systems.ICD10CM,
    criterion: str = "EX99",
    status: str = "VERIFIED",
) -> Row:
    return Row(criterion, value_set, system, code, f"display of {code}", status, "a source")


def sets_of(rows: list[Row], code: str, system: str = systems.ICD10CM) -> frozenset[str]:
    return ValueSets([*generator.value_sets(rows)]).sets_of(system, code)


def test_the_committed_files_are_what_their_own_rows_generate() -> None:
    rows = generator.rows_of_value_sets(generator.REPOSITORY / "valuesets")
    own = {entry[0] for entry in (*generator.SUBSETS, *generator.ADDED)}
    table = [row for row in rows if row.value_set not in own]
    assert len(table) == 2195
    assert sum(row.status == "UNVERIFIED" for row in table) == 29
    assert generator.differences(generator.generate(rows), generator.REPOSITORY) == []


def test_the_project_s_own_sets_come_from_the_table_or_from_the_rows_added() -> None:
    rows = generator.rows_of_value_sets(generator.REPOSITORY / "valuesets")
    own = {entry[0] for entry in (*generator.SUBSETS, *generator.ADDED)}
    table = [row for row in rows if row.value_set not in own]
    made = [*generator.subsets(table), *generator.added()]
    assert sorted(map(str, made)) == sorted(str(row) for row in rows if row.value_set in own)
    assert {row.value_set for row in made} == own


def test_sets_beside_the_table_are_marked_and_silence_no_text() -> None:
    added = [*generator.added()]
    resources = [*generator.value_sets([row("SomeDx", "R99"), *added])]
    marked = {name for name, resource in resources if "extension" in resource}
    assert marked == {r.value_set for r in added}
    sets = ValueSets(resources)
    assert sets.sets_of(systems.ICD10CM, "R78.2") == {"SubstanceFindingHint"}
    assert not sets.silences(systems.ICD10CM, "R78.2")
    assert sets.silences(systems.ICD10CM, "R99")
    assert not sets.silences(systems.ICD10CM, "Q99")
    assert not sets.silences(None, "R99")


def test_the_order_of_rows_does_not_matter() -> None:
    rows = generator.rows_of_value_sets(generator.REPOSITORY / "valuesets")
    assert generator.generate(list(reversed(rows))) == generator.generate(rows)


@pytest.mark.parametrize(
    ("names", "winner"),
    [
        (("SomeDx", "SomeReviewDx"), "SomeReviewDx"),
        (("SomeDx", "SomeAmbiguous"), "SomeAmbiguous"),
        (("SomeDx", "SomeExclude"), "SomeExclude"),
        (("SomeReviewDx", "SomeDecoysDoNotUse"), "SomeDecoysDoNotUse"),
        (("SomeHints", "SomeAllowList"), "SomeAllowList"),
    ],
)
def test_at_equal_length_the_stronger_set_wins(names: tuple[str, str], winner: str) -> None:
    rows = [row(name, "A10") for name in names]
    assert sets_of(rows, "A10.1") == {winner}
    assert sets_of([row(name, "10-9", systems.LOINC) for name in names], "10-9", systems.LOINC) == {winner}


def test_positive_sets_of_equal_length_share_a_code() -> None:
    assert sets_of([row("OneDx", "A10"), row("OtherDx", "A10")], "A10") == {"OneDx", "OtherDx"}


def test_the_longest_prefix_wins_whatever_its_set_is() -> None:
    rows = [row("SomeExclude", "A10"), row("SomeDx", "A10.2")]
    assert sets_of(rows, "A10.25") == {"SomeDx"}
    assert sets_of(rows, "A10.3") == {"SomeExclude"}


def test_criteria_are_independent() -> None:
    rows = [row("SomeExclude", "A10", criterion="EX01"), row("SomeDx", "A10", criterion="EX02")]
    assert sets_of(rows, "A10") == {"SomeExclude", "SomeDx"}


def test_a_code_below_an_excluded_one_is_refused() -> None:
    rows = [row("SomeDx", "A10"), row("SomeExclude", "A10.1"), row("SomeDx", "A10.12")]
    with pytest.raises(TableError, match=r"A1012 lies below A10\.1"):
        generator.generate(rows)


def test_do_not_ship_rows_never_are() -> None:
    assert (
        generator.shippable([row("TracheostomyCptDoNotShip", "31600", "http://www.ama-assn.org/go/cpt")])
        == []
    )


@pytest.mark.parametrize(
    "bad",
    [
        row("SomeDx", "1742-5", systems.LOINC),
        row("SomeDx", "86044006", systems.SNOMED),
        row("SomeDx", ""),
        row("SomeDx", "A10", status="MAYBE"),
    ],
)
def test_a_bad_row_is_refused(bad: Row) -> None:
    with pytest.raises(TableError, match="SomeDx"):
        generator.shippable([bad])


def test_a_left_out_system_leaves_an_empty_set_behind() -> None:
    files = generator.generate([row("SomeDx", "86044005", systems.SNOMED)], without=["snomed"])
    content = files["valuesets/SomeDx.json"].decode()
    assert "86044005" not in content
    assert "compose" not in content


def test_the_command_writes_checks_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "codes.csv"
    table.write_text(
        f"{HEADER}\nEX99,SomeDx,{systems.ICD10CM},A10,A display,VERIFIED,a source\n", encoding="utf-8"
    )
    command = [str(table), "--out", str(tmp_path)]
    assert generator.main([*command, "--check"]) == 1
    assert generator.main(command) == 0
    assert generator.main([*command, "--check"]) == 0
    (tmp_path / "valuesets" / "Stale.json").write_text("{}", encoding="utf-8")
    assert generator.main([*command, "--check"]) == 1
    assert "Stale.json is not generated any more" in capsys.readouterr().err
    assert generator.main(command) == 0
    assert not (tmp_path / "valuesets" / "Stale.json").exists()
    assert generator.main([*command, "--without", "nothing"]) == 2
    table.write_text("a,b\n", encoding="utf-8")
    assert generator.main(command) == 2
    assert generator.main([str(tmp_path / "none.csv")]) == 2


@pytest.mark.parametrize(
    ("name", "portuguese"),
    [
        ("rituximab", "rituximabe"),
        ("etanercept", "etanercepte"),
        ("tofacitinib", "tofacitinibe"),
        ("fingolimod", "fingolimode"),
        ("tacrolimus", "tacrolimo"),
        ("azathioprine", "azathioprina"),
        ("prednisone", "prednisona"),
        ("cyclophosphamide", "cyclophosphamida"),
        ("methotrexate", "methotrexato"),
        ("certolizumab pegol", "certolizumabe pegol"),
        ("anakinra", "anakinra"),
    ],
)
def test_portuguese_endings(name: str, portuguese: str) -> None:
    assert generator.portuguese(name) == portuguese


def test_the_drug_lexicon_names_ingredients_not_groups() -> None:
    rows = [
        row("ImmunosuppressantAtc", "L04A", systems.ATC),
        row("ImmunosuppressantAtc", "L04AX01", systems.ATC),
        row("SystemicGlucocorticoid", "8640", systems.RXNORM),
        row("AlsDrugsNeverExclude", "35623", systems.RXNORM),
    ]
    terms = generator.drug_lexicon(rows)["terms"]
    assert "display of l04ax01" in terms["immunosuppressant"]["phrases"]
    assert "display of l04a" not in terms["immunosuppressant"]["phrases"]
    assert "display of 8640" in terms["glucocorticoid"]["phrases"]
    assert not any("35623" in phrase for term in terms.values() for phrase in term["phrases"])


def test_the_committed_lexicon_names_no_drug_that_never_excludes() -> None:
    rows = generator.rows_of_value_sets(generator.REPOSITORY / "valuesets")
    terms = generator.drug_lexicon(rows)["terms"]
    listed = {phrase for term in ("immunosuppressant", "glucocorticoid") for phrase in terms[term]["phrases"]}
    allowed = {
        generator.normalise_text(r.display)
        for r in rows
        if r.value_set in ("AlsDrugsNeverExclude", "ImmunosuppressantNonSystemicExclude")
    }
    # Drugs that the table takes away only as ointment or eye drops: their form decides.
    assert listed & allowed == {"tacrolimus", "ciclosporin", "ruxolitinib"}
