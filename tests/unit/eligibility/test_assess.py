"""How the completeness of the data, a failing define and the site's settings bear on an Assessment."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cds_service.eligibility.assess import is_deceased
from cds_service.eligibility.assessment import Assessment
from cds_service.eligibility.catalog import Catalog, LoadedTrial, SiteTrial, load_catalog
from cds_service.eligibility.verdict import Verdict
from cds_service.elm import Result
from cds_service.errors import AuthoringError, ConfigurationError, EvaluationError, NotFoundError
from cds_service.records.bundle import read_bundle
from cds_service.records.mappings import load_mappings
from cds_service.records.record import Acquired, PatientRecord
from cds_service.screening import Screener
from cds_service.terminology.value_sets import load_value_sets
from tests import builders

AS_OF = date(2026, 6, 15)
TRIAL = "nct02917681"
PACKAGE = files("cds_service") / "trials" / TRIAL


@pytest.fixture(scope="module")
def screener() -> Screener:
    return Screener.load()


def with_state(kind: str, state: str, bundle: dict[str, Any] | None = None) -> PatientRecord:
    record = read_bundle(bundle or builders.b0())
    resources = {k: v for k, v in record.resources.items() if k != kind}
    return record.replace(
        resources=resources, account={**record.account, kind: Acquired(state, 0, "timeout")}
    )


def verdicts(assessment: Assessment) -> dict[str, Verdict]:
    return {result.criterion.id: result.verdict for result in assessment.criteria}


def screen(screener: Screener, record: PatientRecord) -> Assessment:
    return screener.screen(record, [TRIAL], AS_OF)[0]


@pytest.mark.parametrize("state", ["failed", "truncated", "refused", "pending"])
def test_what_needs_a_type_that_is_not_complete_is_unknown(screener: Screener, state: str) -> None:
    assessment = screen(screener, with_state("Observation", state))
    found = verdicts(assessment)
    for name in (
        "IN02-ElEscorial",
        "IN03-AlsfrsR",
        "IN04-Fvc",
        "EX06-AstAlt",
        "EX07-Creatinine",
        "EX08c-Hiv",
    ):
        assert found[name].status == "unknown"
        assert found[name].reasons[0] == "retrieval-failed"
    assert found["IN01-Age"].status == "met"
    assert found["H1-Condition"].status == "met"
    assert assessment.card
    assert any(w.startswith("Observation:") for w in assessment.warnings)


def test_a_type_that_is_not_offered_blocks_tier_a_and_asks_the_patient_about_the_rest(
    screener: Screener,
) -> None:
    found = verdicts(screen(screener, with_state("Observation", "not-offered")))
    assert "not-offered" in found["EX06-AstAlt"].reasons
    assert found["EX06-AstAlt"].blocking
    found = verdicts(screen(screener, with_state("Procedure", "not-offered")))
    assert found["EX13b-Tracheostomy"].reasons == ("not-offered",)
    assert not found["EX13b-Tracheostomy"].blocking
    assert found["EX08a-HepatitisB"].status == "not-met"


def test_no_condition_data_means_no_card_and_never_no_als(screener: Screener) -> None:
    assessment = screen(screener, with_state("Condition", "failed"))
    assert not assessment.card
    assert verdicts(assessment)["H1-Condition"].reasons == ("retrieval-failed",)
    assert screener.gates_open(with_state("Condition", "failed"), [TRIAL], AS_OF) == []


def test_als_on_the_first_page_of_a_truncated_chart_still_gets_its_card(screener: Screener) -> None:
    record = read_bundle(builders.b0())
    record = record.replace(account={**record.account, "Condition": Acquired("truncated", 2, "page limit")})
    assessment = screen(screener, record)
    assert assessment.card
    assert verdicts(assessment)["H1-Condition"].status == "unknown"
    assert verdicts(assessment)["H1-Condition"].likely == "met"


@pytest.mark.parametrize(
    ("bundle", "opens"),
    [
        (builders.minimal(), True),
        (builders.minimal(deceasedBoolean=True), False),
        (builders.bundle(builders.patient()), False),
    ],
)
def test_the_gate_reads_patient_and_condition_alone(
    screener: Screener, bundle: dict[str, Any], opens: bool
) -> None:
    record = read_bundle(bundle).replace(
        default=Acquired("pending"), account={"Condition": Acquired("complete", 1)}
    )
    assert (screener.gates_open(record, [TRIAL], AS_OF) == [TRIAL]) is opens


def test_unread_attestations_leave_open_what_they_might_have_decided(screener: Screener) -> None:
    found = verdicts(screen(screener, with_state("QuestionnaireResponse", "failed")))
    assert found["IN05-NoPregnancyAgreement"].reasons[0] == "retrieval-failed"
    assert found["EX13b-Tracheostomy"].reasons[0] == "retrieval-failed"
    assert found["EX06-AstAlt"].status == "not-met"


class _Failing:
    """The real library, of which one define fails."""

    def __init__(self, library: Any, define: str) -> None:
        self._library = library
        self._define = define

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def evaluate(self, defines: Sequence[str] | None, **arguments: Any) -> dict[str, Result]:
        results: dict[str, Result] = self._library.evaluate(defines, **arguments)
        if self._define in results:
            error = EvaluationError("division by zero", library="NCT02917681", define=self._define)
            results[self._define] = Result(None, (), frozenset(), error)
        return results


def test_a_define_that_fails_makes_its_criterion_unknown_and_leaves_the_others(screener: Screener) -> None:
    loaded = screener.catalog.get(TRIAL)
    broken: Mapping[str, LoadedTrial] = {
        TRIAL: dataclasses.replace(loaded, library=_Failing(loaded.library, "EX06-AstAlt"))  # type: ignore[arg-type]
    }
    other = Screener(Catalog(broken), screener.value_sets, screener.mappings, screener.timezone)
    assessment = screen(other, read_bundle(builders.b0()))
    found = verdicts(assessment)
    assert found["EX06-AstAlt"].reasons == ("not-computed",)
    assert found["EX07-Creatinine"].status == "not-met"
    assert [failure.define for failure in assessment.failures] == ["EX06-AstAlt"]
    assert assessment.status == "unknown"


@pytest.mark.parametrize(
    ("patient", "deceased", "warns"),
    [
        ({}, False, False),
        ({"deceasedBoolean": False}, False, False),
        ({"deceasedBoolean": True}, True, False),
        ({"deceasedBoolean": "true"}, True, False),
        ({"deceasedDateTime": "2026-06-15"}, True, False),
        ({"deceasedDateTime": "2026"}, True, False),
        ({"deceasedDateTime": "2026-06"}, True, False),
        ({"deceasedDateTime": "2026-07"}, False, True),
        ({"deceasedDateTime": "2026-06-16"}, False, True),
        ({"deceasedDateTime": "last year"}, True, True),
        ({"deceasedBoolean": 3}, False, True),
    ],
)
def test_death_by_the_screening_day(patient: dict[str, Any], deceased: bool, warns: bool) -> None:
    found, warnings = is_deceased(patient, AS_OF)
    assert (found, bool(warnings)) == (deceased, warns)


def test_a_second_trial_is_a_folder(tmp_path: Path) -> None:
    second = tmp_path / "other"
    second.mkdir()
    for name in (entry.name for entry in PACKAGE.iterdir() if entry.name.endswith((".cql", ".elm.json"))):
        shutil.copy(str(PACKAGE / name), second / name)
    text = (
        (PACKAGE / "trial.toml").read_text(encoding="utf-8").replace('id = "nct02917681"', 'id = "other"', 1)
    )
    (second / "trial.toml").write_text(text.replace("alsfrsMin = 30", "alsfrsMin = 40"), encoding="utf-8")
    screener = Screener.load(trials_dir=tmp_path)
    first, other = screener.screen(read_bundle(builders.b0()), None, AS_OF)
    assert [a.trial.id for a in (first, other)] == [TRIAL, "other"]
    assert verdicts(first)["IN03-AlsfrsR"].status == "met"
    assert verdicts(other)["IN03-AlsfrsR"].status == "not-met"


@pytest.mark.parametrize(
    ("sites", "told"),
    [
        ({"nct000": SiteTrial()}, r"\[trials.nct000\]: there is no such trial"),
        ({TRIAL: SiteTrial(parameters={"labWindow": 30})}, "there is no such parameter"),
        (
            {TRIAL: SiteTrial(parameters={"labWindowDays": "30"})},
            "labWindowDays: a whole number from 0 to 365 is wanted, a text found",
        ),
    ],
)
def test_a_wrong_site_setting_stops_the_start(sites: dict[str, SiteTrial], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        load_catalog(load_value_sets(), load_mappings(load_value_sets()), sites=sites)


def test_a_site_may_set_a_parameter_and_confirm_recruitment() -> None:
    site = SiteTrial(date(2026, 5, 1), "Coordinator", {"fvcMinPercent": 90, "labWindowDays": 10})
    screener = Screener.load(sites={TRIAL: site})
    found = verdicts(screen(screener, read_bundle(builders.b0())))
    assert found["IN04-Fvc"].status == "not-met"
    assert found["EX06-AstAlt"].reasons == ("stale-data",)
    trial = screener.catalog.trials[TRIAL]
    assert trial.registry.warning is None
    assert trial.contacts[0].name == "Coordinator"


def test_an_unknown_trial_is_not_found(screener: Screener) -> None:
    with pytest.raises(NotFoundError, match="known trials: nct02917681"):
        screener.screen(read_bundle(builders.b0()), ["nct1"], AS_OF)


def test_a_define_that_the_cql_lacks_stops_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    shutil.copytree(str(PACKAGE), folder)
    text = (
        (folder / "trial.toml").read_text(encoding="utf-8").replace('id = "nct02917681"', 'id = "wrong"', 1)
    )
    (folder / "trial.toml").write_text(
        text.replace('define = "IN01-Age"', 'define = "IN01-Aeg"'), encoding="utf-8"
    )
    with pytest.raises(AuthoringError, match="no define for IN01-Age"):
        load_catalog(load_value_sets(), load_mappings(load_value_sets()), trials_dir=tmp_path)
