"""The command line: what it reads, what it prints, how it ends, and that nothing ends in a traceback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cds_service.app import load_screener
from cds_service.cli import assessing, commands, ends, trials
from cds_service.cli.commands import run
from cds_service.errors import (
    AuthoringError,
    CdsServiceError,
    ConfigurationError,
    EvaluationError,
    ForbiddenError,
    InputError,
    NotFoundError,
    TranslationError,
    UnobtainableError,
)
from cds_service.rendering.explanation import marks_for
from cds_service.screening import Screener
from cds_service.settings import Settings
from tests.support.answers import Answer, answering, free_port
from tests.support.certificates import authority
from tests.unit.records_io.scripted_server import Answer as Scripted
from tests.unit.records_io.scripted_server import bundle, observation, patient, serving

TRIAL = "nct02917681"
TRIALS = Path(__file__).resolve().parents[2] / "cds_service" / "trials"
VIGNETTES = TRIALS / TRIAL / "vignettes"
AS_OF = "2026-06-15"


@pytest.fixture(scope="module")
def loaded() -> Screener:
    """What every command loads without any setting; loaded once for this file."""
    return load_screener(Settings())


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: Screener) -> None:
    """An empty working folder, and no settings from the environment."""

    def load(settings: Settings) -> Screener:
        return loaded if settings == Settings() else load_screener(settings)

    monkeypatch.setattr(assessing, "load_screener", load)
    monkeypatch.setattr(trials, "load_screener", load)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CDS_")]:
        monkeypatch.delenv(name)


def _bundle(name: str = "AV-01") -> dict[str, Any]:
    bundle = json.loads((VIGNETTES / f"{name}.json").read_text(encoding="utf-8"))["bundle"]
    assert isinstance(bundle, dict)
    return bundle


@pytest.fixture
def bundle_file(tmp_path: Path) -> str:
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(_bundle()), encoding="utf-8")
    return str(path)


def _ends(arguments: Sequence[str], code: int, capsysbinary: pytest.CaptureFixture[bytes]) -> tuple[str, str]:
    """Standard output and error of a command line that must end with `code`."""
    ended = run(arguments)
    out, err = (text.decode() for text in capsysbinary.readouterr())
    assert ended == code, err
    assert "Traceback" not in err
    return out, err


def _refused(arguments: Sequence[str], code: int, capsysbinary: pytest.CaptureFixture[bytes]) -> str:
    """The one sentence on standard error of a command line that says nothing else."""
    out, err = _ends(arguments, code, capsysbinary)
    assert out == ""
    assert err.startswith("cds-service: ")
    assert err.count("\n") == 1
    return err


def test_json_of_one_trial_is_one_object(
    bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    out, err = _ends(["assess", bundle_file, "--as-of", AS_OF, "--format", "json"], 0, capsysbinary)
    assessment = json.loads(out)
    assert err == ""
    assert assessment["trial"]["id"] == TRIAL
    assert assessment["asOf"] == AS_OF
    assert len(assessment["criteria"]) == 43
    assert out.endswith("}\n")


def test_standard_input_says_the_same_as_the_file(
    bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--as-of", AS_OF, "--format", "json", "--trial", TRIAL]
    by_file, _ = _ends(["assess", bundle_file, *options], 0, capsysbinary)
    given = io.TextIOWrapper(io.BytesIO(json.dumps(_bundle()).encode()))
    monkeypatch.setattr(sys, "stdin", given)
    by_input, _ = _ends(["assess", "-", *options], 0, capsysbinary)
    assert by_input == by_file


def test_text_names_status_and_every_row(
    bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    out, _ = _ends(["assess", bundle_file, "--as-of", AS_OF], 0, capsysbinary)
    for row in [f"IN{n:02}" for n in range(1, 9)] + [f"EX{n:02}" for n in range(1, 17)]:
        assert row in out
    assert "amyotrophic" in out.lower()


def test_an_explanation_names_verdict_evidence_and_code(
    bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    arguments = ["assess", bundle_file, "--as-of", AS_OF, "--explain", "in03", "--explain", "H1-Condition"]
    out, err = _ends(arguments, 0, capsysbinary)
    assert err == ""
    assert out.index("H1-Condition\n====") < out.index("IN03-AlsfrsR\n====")
    assert "alsfrsMin = 30 (trial.toml)" in out
    assert "◀ Amyotrophic lateral sclerosis, 2025-02, active [Condition/av-01-joao-als]; SNOMED" in out
    assert "CT 86044005" in out
    assert "EX01-PriorCellTherapy" not in out
    full, _ = _ends([*arguments, "--explain-full"], 0, capsysbinary)
    assert len(full) > len(out)


def test_an_explanation_in_ascii_where_the_encoding_has_no_more(
    bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assessing, "marks_for", lambda encoding: marks_for("ascii"))
    out, _ = _ends(["assess", bundle_file, "--as-of", AS_OF, "--explain", "IN03"], 0, capsysbinary)
    assert "`- ALSFRS-R Finding" in out


def test_explanations_in_json_stand_beside_the_assessment(
    bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    options = ["assess", bundle_file, "--as-of", AS_OF, "--format", "json"]
    plain = json.loads(_ends(options, 0, capsysbinary)[0])
    explained = json.loads(_ends([*options, "--explain", "ex08"], 0, capsysbinary)[0])
    assert [e["id"][:5] for e in explained.pop("explanations")] == [
        "EX08a",
        "EX08b",
        "EX08c",
        "EX08d",
        "EX08e",
    ]
    assert explained == plain


def test_html_is_one_document(bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    out, _ = _ends(["assess", bundle_file, "--as-of", AS_OF, "--format", "html"], 0, capsysbinary)
    assert out.lower().startswith("<!doctype html>")
    assert out.count("</html>") == 1


def test_an_excluded_patient_ends_with_0(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "b.json").write_text(json.dumps(_bundle("AV-06")), encoding="utf-8")
    out, _ = _ends(["assess", "b.json", "--as-of", AS_OF, "--format", "json"], 0, capsysbinary)
    assert json.loads(out)["status"] == "excluded"


def test_a_type_that_was_not_exported_is_unknown_and_not_none(
    bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    options = ["--as-of", AS_OF, "--format", "json", "--missing", "Condition", "--missing", "Procedure"]
    out, _ = _ends(["assess", bundle_file, *options], 0, capsysbinary)
    assessment = json.loads(out)
    tracheostomy = next(row for row in assessment["criteria"] if row["id"] == "EX13b-Tracheostomy")
    assert assessment["data"]["Procedure"]["state"] == "failed"
    assert (tracheostomy["status"], tracheostomy["reasons"]) == ("unknown", ["retrieval-failed"])


def test_the_patient_may_be_named_with_or_without_its_type(
    bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for name in ("av-01-joao", "Patient/av-01-joao"):
        out, _ = _ends(["assess", bundle_file, "--patient", name, "--format", "json"], 0, capsysbinary)
        assert json.loads(out)["patient"] == "Patient/av-01-joao"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["assess"], "either a Bundle"),
        (["assess", "b.json", "--fhir-server", "http://127.0.0.1:9/fhir", "--patient", "p"], "not both"),
        (["assess", "--fhir-server", "http://127.0.0.1:9/fhir"], "needs --patient"),
        (["assess", "--fhir-server", "not a url", "--patient", "p"], "--fhir-server"),
        (["assess", "--fhir-server", "http://u:p@127.0.0.1:9/", "--patient", "p"], "without credentials"),
        (["assess", "--fhir-server", "http://127.1:9/", "--patient", "p"], "usual notation"),
        (["assess", "b.json", "--token-file", "t"], "--token-file goes with --fhir-server"),
        (["assess", "b.json", "--seconds", "5"], "--seconds goes with --fhir-server"),
        (
            ["assess", "--fhir-server", "http://127.0.0.1:9", "--patient", "p", "--missing", "Condition"],
            "--missing",
        ),
        (["assess", "b.json", "--patient", "Patient/a/b"], "--patient wants"),
        (["assess", "b.json", "--as-of", "15/06/2026"], "--as-of wants a date"),
        (["assess", "b.json", "--as-of", "20260615"], "--as-of wants a date"),
        (["assess", "b.json", "--as-of", "2026-02-30"], "--as-of wants a date"),
        (["assess", "b.json", "--missing", "observations"], "--missing wants"),
        (["assess", "b.json", "--format", "pdf"], "--format"),
        (["assess", "b.json", "--nonsense"], "--nonsense"),
        (["assess", "b.json", "--explain", "EX99"], "no criterion 'EX99' to explain; there are H1, H2, IN01"),
        (["assess", "b.json", "--explain", "EX01", "--format", "html"], "--explain shows text or JSON"),
        (["assess", "b.json", "--explain-full"], "--explain-full goes with --explain"),
        (
            ["assess", "b.json", "--explain", "EX01", "--explain-full", "--format", "json"],
            "the JSON leaves nothing out",
        ),
        (["assess", "b.json", "--trial", "nct00000000"], "no trial 'nct00000000'"),
        (["assess", "b.json", "--config", "nowhere.toml"], "does not exist"),
        (["assess", "no-such-file.json"], "no-such-file.json can't be read"),
        (["assess", "."], "can't be read"),
        (["trial", "check", "nct00000000"], "no trial 'nct00000000'"),
        (["trial", "translate", "nct00000000"], "no trial folder 'nct00000000'"),
        (["trial", "export", "nct00000000", "--questionnaire"], "no trial 'nct00000000'"),
        (["trial", "export"], "--questionnaire"),
        (["frobnicate"], "frobnicate"),
        (["serve", "--port", "0"], "--port"),
        (["serve", "--host", "0.0.0.0"], "loopback"),
    ],
)
def test_bad_usage_ends_with_2_and_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "b.json").write_text(json.dumps(_bundle()), encoding="utf-8")
    assert said in _refused(arguments, 2, capsysbinary)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"Bundle"',
        b'{"resourceType": "Patient", "id": "p"}',
        b'{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}',
        b'{"resourceType": "Bundle", "type": "collection"}',
        b'{"resourceType": "Bundle", "type": "collection", "entry": "none"}',
        b'{"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Condition"}}]}',
        b"[" * 10_000 + b"]" * 10_000,
    ],
)
def test_input_that_cannot_be_used_ends_with_2(
    content: bytes, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "b.json").write_bytes(content)
    _refused(["assess", "b.json"], 2, capsysbinary)


def test_a_bundle_of_several_patients_needs_one_named(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    both = {**_bundle(), "entry": [*_bundle()["entry"], *_bundle("AV-02")["entry"]]}
    (tmp_path / "b.json").write_text(json.dumps(both), encoding="utf-8")
    assert "atient" in _refused(["assess", "b.json"], 2, capsysbinary)
    out, _ = _ends(["assess", "b.json", "--patient", "av-01-joao", "--format", "json"], 0, capsysbinary)
    assert json.loads(out)["patient"] == "Patient/av-01-joao"


def test_a_bad_setting_ends_with_2_and_its_line(
    tmp_path: Path, bundle_file: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "site.toml").write_text("[service]\ntimezone = 3\n")
    said = _refused(["assess", bundle_file, "--config", "site.toml"], 2, capsysbinary)
    assert "site.toml, line 2" in said


def test_an_unreachable_server_ends_with_3(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    server = f"http://127.0.0.1:{free_port()}/fhir"
    _refused(["assess", "--fhir-server", server, "--patient", "p"], 3, capsysbinary)


def test_a_server_that_refuses_ends_with_3_and_gets_the_token_of_the_file(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "token").write_text("s3cret-token\n")
    with answering([Answer(401)]) as (url, asked):
        arguments = [
            "assess",
            "--fhir-server",
            f"{url}/fhir",
            "--patient",
            "secret-id",
            "--token-file",
            "token",
        ]
        said = _refused(arguments, 3, capsysbinary)
    assert {request.headers.get("Authorization") for request in asked} == {"Bearer s3cret-token"}
    assert "s3cret" not in said
    assert "secret-id" not in said


@pytest.mark.parametrize(
    ("status", "to_do"),
    [
        (401, "Send an access token that is valid now, for the server does not accept this one."),
        (403, "Have patient/Patient.r granted, for the server does not let this access token read Patient."),
        (404, "Check the id and the base address, for the FHIR server has no such Patient."),
        (500, "Try again, and see the server's log for why it failed."),
    ],
)
def test_a_patient_that_can_not_be_had_ends_with_what_to_do(
    status: int, to_do: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    script = {"Patient/secret-id": Scripted("no", status), "metadata": Scripted("", 404)}
    with serving(script) as server:
        said = _refused(["assess", "--fhir-server", server.base, "--patient", "secret-id"], 3, capsysbinary)
    assert said == f"cds-service: The Patient could not be obtained (HTTP {status}). {to_do}\n"


def _of_patient_p(server: str) -> list[str]:
    return ["assess", "--fhir-server", server, "--patient", "p", "--trial", TRIAL, "--format", "json"]


def test_what_a_server_did_not_give_is_told_beside_a_result_that_goes_to_a_file(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    script = {"Patient/p": patient("p"), "Observation": Scripted("boom", 500), "metadata": Scripted("", 404)}
    with serving(script) as server:
        out, err = _ends(_of_patient_p(server.base), 0, capsysbinary)
    assessment = json.loads(out)
    lost = [r for r in assessment["criteria"] if "retrieval-failed" in r["reasons"]]
    assert err == (
        f"cds-service: Observation: not obtained (HTTP 500). {len(lost)} criteria are unknown for want of it: "
        "try again, and see the server's log for why it failed.\n"
    )
    assert err.removeprefix("cds-service: ").strip() in assessment["warnings"]


@pytest.mark.parametrize(
    ("setting", "value", "seconds", "reason"),
    [
        ("CDS_LIMITS_SEARCH_SECONDS", "0.5", (), "timeout"),
        ("CDS_LIMITS_FETCH_SECONDS", "30", ("--seconds", "0.5"), "timeout"),
        ("CDS_LIMITS_FETCHED_RESOURCES", "2", (), "more data than are read"),
    ],
)
def test_the_sites_limits_hold_for_what_is_read_from_a_server(
    setting: str,
    value: str,
    seconds: tuple[str, ...],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """What `assess` advises to raise is what bounded it."""
    ended = threading.Event()

    def slow(_: object) -> Scripted:
        ended.wait(20)
        return Scripted("", 404)

    page = bundle(observation("o1", "p"), observation("o2", "p"), observation("o3", "p"))
    observations = slow if reason == "timeout" else Scripted(page)
    monkeypatch.setenv(setting, value)
    with serving({"Patient/p": patient("p"), "Observation": observations}) as server:
        out, err = _ends([*_of_patient_p(server.base), *seconds], 0, capsysbinary)
        ended.set()
    assert json.loads(out)["data"]["Observation"]["reason"] == reason
    assert ("fetched_resources" if "RESOURCES" in setting else "fetch_seconds") in err


def test_a_server_with_a_certificate_of_the_sites_own_authority_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    own = authority(tmp_path)
    with serving({"Patient/p": patient("p")}, tls=own.server("localhost")) as server:
        url = server.base.replace("127.0.0.1", "localhost")
        arguments = ["assess", "--fhir-server", url, "--patient", "p"]
        monkeypatch.setenv("CDS_CA_FILE", str(own.file))
        _ends(arguments, 0, capsysbinary)
        assert server.asked("Patient/p")


@pytest.mark.parametrize("token", ["", "two words", "line\nline", "é"])
def test_a_file_without_a_token_ends_with_2(
    token: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    arguments = ["assess", "--fhir-server", "http://127.0.0.1:9", "--patient", "p", "--token-file", "token"]
    assert "--token-file" in _refused(arguments, 2, capsysbinary)


def test_the_trials_are_listed_with_the_registry_warning(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    out, _ = _ends(["trial", "list"], 0, capsysbinary)
    assert TRIAL in out
    assert "confirm with the site" in out


def test_the_shipped_trial_passes_its_check(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    out, err = _ends(["trial", "check", TRIAL], 0, capsysbinary)
    count = len(list(VIGNETTES.glob("*.json")))
    assert out == f"{TRIAL}: {count} of {count} vignettes as expected\n"
    assert err == ""


def test_a_check_that_finds_something_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    vignette = json.loads((VIGNETTES / "AV-01.json").read_text(encoding="utf-8"))
    vignette["expected"] = {
        "status": "excluded",
        "card": vignette["expected"]["card"],
        "criteria": {
            "H1-Condition": "not-met",
            "IN01-Age": {"status": "met", "basis": "attested"},
            "EX99": "met",
        },
    }
    folder = tmp_path / "own" / "vignettes"
    folder.mkdir(parents=True)
    (folder / "changed.json").write_text(json.dumps(vignette), encoding="utf-8")
    (tmp_path / "own" / "Old.cql").write_text("library Old")
    monkeypatch.setattr(trials, "_chosen", lambda *_: iter([(TRIAL, tmp_path / "own")]))
    out, err = _ends(["trial", "check"], 1, capsysbinary)
    assert out.splitlines() == [
        f"{TRIAL}: 0 of 1 vignettes as expected",
        f"{TRIAL}: Old.cql has not been translated: Old.elm.json is missing.",
        f"{TRIAL}: changed.json: status is eligible-pending-review, expected excluded",
        f"{TRIAL}: changed.json: H1-Condition status is met, expected not-met",
        f"{TRIAL}: changed.json: IN01-Age basis is explicit, expected attested",
        f"{TRIAL}: changed.json: there is no criterion EX99",
    ]
    assert err == "cds-service: 5 findings.\n"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"asOf": "2026-06-15", "bundle": {}, "expected": {}}'])
def test_a_vignette_of_another_shape_ends_with_2(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "vignettes").mkdir()
    (tmp_path / "vignettes" / "odd.json").write_text(content)
    monkeypatch.setattr(trials, "_chosen", lambda *_: iter([(TRIAL, tmp_path)]))
    assert "odd.json: not a vignette" in _refused(["trial", "check"], 2, capsysbinary)


def test_the_questionnaire_is_exported_as_fhir(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    out, _ = _ends(["trial", "export", "--questionnaire"], 0, capsysbinary)
    questionnaire = json.loads(out)
    assert questionnaire["resourceType"] == "Questionnaire"
    links = {item["linkId"] for group in questionnaire["item"] for item in group["item"]}
    assert "IN07-ConsentCapacity" in links


def test_translate_shows_every_error_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = tmp_path / "mine" / "new-trial"
    folder.mkdir(parents=True)
    (folder / "trial.toml").write_text("")
    (folder / "New.cql").write_text("library New\ndefine X: Y\n")
    (tmp_path / "site.toml").write_text('[service]\ntrials_dir = "mine"\n')
    error = {
        "type": "CqlToElmError",
        "errorSeverity": "error",
        "startLine": 2,
        "startChar": 11,
        "message": "no Y",
    }
    broken = {"library": {"identifier": {"id": "New"}, "annotation": [error]}}
    shared: list[dict[str, Any]] = [{"library": {}} for _ in TRIALS.glob("common/*.cql")]
    parts = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="library-{n}"\r\n\r\n{json.dumps(elm)}\r\n'.encode()
        for n, elm in enumerate([*shared, broken])
    )
    answer = Answer(200, "multipart/form-data; boundary=b", parts + b"--b--\r\n")
    with answering([answer]) as (url, _):
        arguments = ["trial", "translate", "new-trial", "--translator", url, "--config", "site.toml"]
        out, err = _ends(arguments, 1, capsysbinary)
    assert out == ""
    assert err.splitlines()[1:] == ["  New.cql:2:11: no Y"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthoringError("x"), 2),
        (ConfigurationError("x"), 2),
        (InputError("x"), 2),
        (NotFoundError("x"), 2),
        (ForbiddenError("x"), 2),
        (EvaluationError("x"), 2),
        (TranslationError("x"), 1),
        (UnobtainableError("x"), 3),
    ],
)
def test_each_error_has_its_end(error: CdsServiceError, code: int) -> None:
    assert ends.code_of(error) == code


def test_a_defect_tells_its_place_and_not_its_message(
    bundle_file: str, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("Maria Souza")

    monkeypatch.setattr(assessing, "load_settings", broken)
    said = _refused(["assess", bundle_file], 1, capsysbinary)
    assert "KeyError at cds_service/cli/assessing.py:" in said
    assert "Maria" not in said


def test_an_interrupt_ends_quietly(bundle_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(assessing, "load_settings", interrupted)
    assert run(["assess", bundle_file]) == 130


def test_version_and_help_end_with_0(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    out, _ = _ends(["--version"], 0, capsysbinary)
    assert out.startswith("cds-service ")
    for command in ([], ["assess"], ["serve"], ["demo"], ["doctor"], ["trial"], ["trial", "translate"]):
        out, _ = _ends([*command, "--help"], 0, capsysbinary)
        assert "--help" in out


def test_main_exits_with_the_code(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    with pytest.raises(SystemExit) as raised:
        commands.main(["assess"])
    assert raised.value.code == 2
    capsysbinary.readouterr()


def test_a_reader_that_has_gone_is_no_error(bundle_file: str) -> None:
    program = "from cds_service.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "assess", bundle_file, "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TRIALS.parents[1])},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), told) == (0, b"")
