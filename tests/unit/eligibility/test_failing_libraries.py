"""A trial whose library is wrong: what can't be read stops the start, what fails at run time leaves the rest."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cds_service.cli.commands import run
from cds_service.eligibility.assessment import Assessment
from cds_service.records.bundle import read_bundle
from cds_service.screening import Screener
from tests import builders
from tests.unit.eligibility.test_assess import AS_OF, verdicts
from tests.unit.elm.nodes import SYSTEM, integer

PACKAGE = files("cds_service.trials") / "nct02917681"
TODAY = {"type": "Today"}


def number(value: Any) -> dict[str, Any]:
    """A number that is known only when the define is evaluated."""
    return {
        "type": "If",
        "condition": {"type": "IsNull", "operand": TODAY},
        "then": integer(0),
        "else": value,
    }


FAILING = {
    "two where one is expected": {"type": "SingletonFrom", "operand": {"type": "List", "element": [number(integer(1)), number(integer(2))]}},
    "data of another shape": {"type": "Property", "path": "display", "source": {"type": "As", "operand": number(integer(1)), "asType": SYSTEM + "Any"}},
    "an expansion without end": {"type": "Expand", "operand": [{"type": "Interval", "low": number(integer(1)), "high": integer(2**31 - 1)}, {"type": "Null"}]},
}  # fmt: skip


def package(folder: Path, define: str, expression: Any) -> Path:
    """The trial under another id, with one define that is another expression."""
    target = folder / "failing"
    shutil.copytree(str(PACKAGE), target)
    toml = target / "trial.toml"
    toml.write_text(toml.read_text("utf-8").replace('id = "nct02917681"', 'id = "failing"', 1), "utf-8")
    path = target / "NCT02917681.elm.json"
    elm = json.loads(path.read_text("utf-8"))
    (node,) = [each for each in elm["library"]["statements"]["def"] if each["name"] == define]
    status = {"type": "Case", "caseItem": [{"when": {"type": "IsNull", "operand": expression}, "then": {"type": "Null"}}], "else": {"type": "Null"}}  # fmt: skip
    node["expression"] = status
    path.write_text(json.dumps(elm), "utf-8")
    return target


@pytest.mark.parametrize("case", FAILING)
def test_a_define_that_fails_makes_its_criterion_unknown_and_leaves_the_others(
    tmp_path: Path, case: str
) -> None:
    package(tmp_path, "IN01-Age", FAILING[case])
    screener = Screener.load(trials_dir=tmp_path)
    sound, failing = screener.screen(read_bundle(builders.b0()), None, AS_OF)
    assert isinstance(failing, Assessment)
    assert failing.trial.id == "failing"
    before, after = verdicts(sound), verdicts(failing)
    same = {"IN01-Age", "H2-Age"}  # the headline's row repeats the criterion's
    assert before["IN01-Age"].status == "met"
    assert (after["IN01-Age"].status, after["IN01-Age"].reasons) == ("unknown", ("not-computed",))
    assert {c: v.status for c, v in after.items() if c not in same} == {c: v.status for c, v in before.items() if c not in same}  # fmt: skip
    (error,) = failing.failures
    assert (error.library, error.define) == ("NCT02917681", "IN01-Age")


BROKEN = {
    "a truncated file": (lambda text: text[:-40], r"failing/NCT02917681.elm.json: not an ELM library: the JSON can't be read"),
    "an empty file": (lambda text: "", "failing/NCT02917681.elm.json: not an ELM library: the source is empty"),
    "CQL instead": (lambda text: "library X version '1'\n", "failing/NCT02917681.elm.json: not an ELM library: this is CQL; translate it first"),
    "an operator that is unknown": (lambda text: text.replace('"type":"Exists"', '"type":"Exits"', 1), "failing: ELM node type 'Exits' is not supported (library NCT02917681, define "),
    "a reference to nothing": (lambda text: text.replace('"type":"ExpressionRef"', '"type":"ConceptRef"', 1), 'failing: there is no concept "'),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_library_stops_the_start_with_what_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], case: str
) -> None:
    change, told = BROKEN[case]
    path = package(tmp_path / "mine", "IN01-Age", integer(1)) / "NCT02917681.elm.json"
    text = json.dumps(json.loads(path.read_text("utf-8")), separators=(",", ":"))
    path.write_text(change(text), "utf-8")
    assert path.read_text("utf-8") != text
    (tmp_path / "site.toml").write_text('[service]\ntrials_dir = "mine"\n')
    monkeypatch.chdir(tmp_path)
    for command in (["trial", "check"], ["serve"]):
        assert run([*command, "--config", "site.toml"]) == 2
        out, err = capsysbinary.readouterr()
        assert out == b""
        assert told.encode() in err
        assert b"Traceback" not in err
