"""Every parameter of clinical-spec §8 has its default, and a site's configuration of it changes what it governs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest

from cds_service.app import load_screener, today
from cds_service.eligibility.trial import Trial, read_trial
from cds_service.records.bundle import read_bundle
from cds_service.screening import Screener
from cds_service.settings import load_settings
from tests.builders import (
    SWALLOWING,
    TRIAL_OBSERVATIONS,
    Resource,
    alsfrs,
    alsfrs_item,
    alt,
    ast,
    attestation,
    bundle,
    cid10,
    coding,
    condition,
    creatinine,
    device,
    device_use_statement,
    fvc_percent,
    fvc_volume,
    height,
    medication_statement,
    minimal,
    observation,
    patient,
    procedure,
    rxnorm,
    serology,
    snomed,
    value_quantity,
    weight,
    woman,
)
from tests.trials.assessing import TRIAL, criterion

PACKAGE = files("cds_service") / "trials" / TRIAL
# The day and the zone of an assessment are settings of the service, not of a trial.
OF_THE_SERVICE: Final = {"screeningDate", "siteTimeZone"}
DEFAULTS: Final[dict[str, Any]] = {
    "minAge": 18,
    "maxAge": 70,
    "maxAgePolicy": "completed-years",
    "alsfrsMin": 30,
    "alsfrsWindowDays": 30,
    "fvcMinPercent": 65,
    "fvcWindowDays": 90,
    "fvcCompute": True,
    "fvcEquations": ["PEREIRA_2007", "PEREIRA_2007_WT", "GLI_2022"],
    "transaminaseMultiple": 3,
    "creatinineMultiple": 2,
    "labWindowDays": 30,
    "serologyNegativeWindowDays": 90,
    "hcgWindowDays": 7,
    "immunosuppressantWindowDays": 42,
    "steroidsAre": "review",
    "substanceWindow": "P1Y",
    "cpapIs": "review",
    "severeScoliosisCobb": 45,
    "wocbpMaxAge": 59,
    "ulnFallback": {
        "alt": {"male": [33, 62], "female": [25, 50]},
        "ast": {"male": [33, 48], "female": [33, 48]},
        "creatinine": {"male": [1.16, 1.35], "female": [0.93, 1.1]},
    },
    "regionStates": [],
    "researchSubjectFeedComplete": False,
}
# What §8 leaves to the sections, and a site may set as well.
FURTHER: Final[dict[str, Any]] = {"nivWindowDays": 90, "feedingWindowDays": 90}


@dataclass(frozen=True)
class Effect:
    """`setting`, as it stands in the configuration file, changes the criterion's verdict on this record.

    `before`, `after`: status, or status and basis where the status stays.
    """

    parameter: str
    setting: str
    criterion: str
    record: Resource
    before: str
    after: str


LFT, CRE, FVC, PRG = "EX06-AstAlt", "EX07-Creatinine", "IN04-Fvc", "EX10a-Pregnancy"
OF_55 = (height(175), weight(70))
HBV_OLD = serology("5196-1", "neg", on="2026-02-01")
EFFECTS: Final = [
    Effect("minAge", "minAge = 21", "IN01-Age", minimal(birth_date="2006-01-01"), "met", "not-met"),
    Effect("maxAge", "maxAge = 65", "IN01-Age", minimal(birth_date="1957-01-01"), "met", "not-met"),
    Effect(
        "maxAgePolicy",
        'maxAgePolicy = "exact-birthday"',
        "IN01-Age",
        minimal(birth_date="1956-06-14"),
        "met",
        "not-met",
    ),
    Effect("alsfrsMin", "alsfrsMin = 40", "IN03-AlsfrsR", minimal(alsfrs(38)), "met", "not-met"),
    Effect(
        "alsfrsWindowDays", "alsfrsWindowDays = 13", "IN03-AlsfrsR", minimal(alsfrs(38)), "met", "unknown"
    ),
    Effect("fvcMinPercent", "fvcMinPercent = 80.5", FVC, minimal(fvc_percent(80)), "met", "not-met"),
    Effect("fvcWindowDays", "fvcWindowDays = 25", FVC, minimal(fvc_percent(80)), "met", "unknown"),
    Effect("fvcCompute", "fvcCompute = false", FVC, minimal(fvc_volume(3.4), OF_55), "met", "unknown"),
    Effect(
        "fvcEquations",
        'fvcEquations = ["PEREIRA_2007"]',
        FVC,
        minimal(fvc_volume(2.9), OF_55),
        "unknown",
        "not-met",
    ),
    Effect(
        "transaminaseMultiple",
        "transaminaseMultiple = 5",
        LFT,
        minimal(alt(150, high=40), ast(20)),
        "met",
        "not-met",
    ),
    Effect("creatinineMultiple", "creatinineMultiple = 2.5", CRE, minimal(creatinine(2.6)), "met", "not-met"),
    Effect(
        "labWindowDays",
        "labWindowDays = 60",
        CRE,
        minimal(creatinine(0.7, on="2026-05-01")),
        "unknown",
        "not-met",
    ),
    Effect(
        "serologyNegativeWindowDays",
        "serologyNegativeWindowDays = 134",
        "EX08a-HepatitisB",
        minimal(HBV_OLD),
        "unknown",
        "not-met",
    ),
    Effect(
        "hcgWindowDays",
        "hcgWindowDays = 8",
        PRG,
        woman(serology("2106-3", "neg", on="2026-06-07")),
        "unknown",
        "not-met",
    ),
    Effect("wocbpMaxAge", "wocbpMaxAge = 54", PRG, woman(birth_date="1970-01-01"), "unknown", "not-met"),
    Effect(
        "ulnFallback",
        "ulnFallback.alt.male = [33, 40]",
        LFT,
        minimal(alt(150, high=None), ast(20)),
        "unknown",
        "met",
    ),
    Effect(
        "ulnFallback",
        "ulnFallback = { ast = { male = [33, 40] } }",
        LFT,
        minimal(alt(20), ast(130, high=None)),
        "unknown",
        "met",
    ),
    Effect(
        "ulnFallback",
        "ulnFallback.creatinine.female = [0.8, 0.9]",
        CRE,
        woman(creatinine(1.9, high=None)),
        "unknown",
        "met",
    ),
    Effect(
        "ulnFallback",
        "ulnFallback.alt.male = [33, 70]",  # the widest interval follows
        LFT,
        minimal(alt(190, high=None), ast(20), gender="other"),
        "met",
        "unknown",
    ),
    Effect("regionStates", 'regionStates = ["SP", "RJ"]', "IN06-RegionalAccess", minimal(), "unknown", "met"),
    Effect(
        "immunosuppressantWindowDays",
        "immunosuppressantWindowDays = 41",
        "EX09-Immunosuppressant",
        minimal(
            medication_statement(rxnorm("1256"), status="completed", start="2026-01-01", end="2026-05-04")
        ),
        "met",
        "not-met",
    ),
    *(
        Effect(
            "steroidsAre",
            f'steroidsAre = "{word}"',
            "EX09-Immunosuppressant",
            minimal(
                medication_statement(rxnorm("8640"), status="completed", start="2026-05-20", end="2026-06-05")
            ),
            "unknown",
            after,
        )
        for word, after in (("ignore", "not-met"), ("immunosuppressant", "met"))
    ),
    Effect(
        "substanceWindow",
        'substanceWindow = "P2Y"',
        "EX14a-SubstanceUse",
        minimal(condition(cid10("F10.2"), clinical="resolved", onset="2020-01-01", abatement="2025-01-10")),
        "not-met",
        "met",
    ),
    *(
        Effect(
            "cpapIs",
            f'cpapIs = "{word}"',
            "EX13a-Niv",
            minimal(device(snomed("702172008"), id="cpap"), device_use_statement("Device/cpap")),
            "unknown",
            after,
        )
        for word, after in (("ignore", "not-met"), ("niv", "met"))
    ),
    Effect(
        "nivWindowDays",
        "nivWindowDays = 30",
        "EX13a-Niv",
        minimal(procedure(snomed("428311008"), on="2026-04-20")),
        "met",
        "unknown",
    ),
    Effect(
        "feedingWindowDays",
        "feedingWindowDays = 30",
        "EX15-AlternativeFeeding",
        minimal(alsfrs_item(SWALLOWING, 1, on="2026-04-20")),
        "met",
        "unknown",
    ),
    Effect(
        "severeScoliosisCobb",
        "severeScoliosisCobb = 60",
        "EX03h-SevereScoliosis",
        minimal(
            condition(snomed("298382003")),
            observation(coding(TRIAL_OBSERVATIONS, "cobb-angle"), value_quantity(50, "deg"), on="2026-05-20"),
        ),
        "met",
        "not-met",
    ),
    Effect(
        "researchSubjectFeedComplete",
        "researchSubjectFeedComplete = true",
        "EX12-OtherTrial",
        minimal(),
        "not-met no-evidence",
        "not-met explicit",
    ),
]
# Parameters of criteria that wait for their logic; they come in with it.


@cache
def trial() -> Trial:
    return read_trial(PACKAGE / "trial.toml")


def configured(folder: Path, setting: str, service: str = "") -> Screener:
    """What a site gets that writes this into its configuration file."""
    path = folder / "cds-service.toml"
    path.write_text(f"[service]\n{service}\n[trials.{TRIAL}.parameters]\n{setting}\n", encoding="utf-8")
    return load_screener(load_settings(path, {}))


def assessed(screener: Screener, record: Resource, day: str = "2026-06-15") -> dict[str, Any]:
    (assessment,) = screener.screen(read_bundle(record), [TRIAL], date.fromisoformat(day))
    answer: dict[str, Any] = json.loads(json.dumps(assessment.to_json()))
    return answer


@cache
def unconfigured() -> Screener:
    return Screener.load()


def said(assessment: dict[str, Any], criterion_id: str, expected: str) -> str:
    """The verdict in as many words as are expected."""
    row = criterion(assessment, criterion_id)
    return f"{row['status']} {row['basis']}" if " " in expected else str(row["status"])


def test_every_parameter_of_the_specification_has_its_default() -> None:
    wanted = {**DEFAULTS, **FURTHER}
    assert {name: trial().parameters.get(name) for name in wanted} == wanted


def test_no_parameter_is_without_a_test_of_its_effect_and_without_its_rule() -> None:
    assert set(DEFAULTS) | set(trial().parameters) <= {effect.parameter for effect in EFFECTS}
    ruled = {name.partition(".")[0] for name in trial().parameter_rules}
    free = {"regionStates"} | {n for n, v in trial().parameters.items() if isinstance(v, bool)}
    assert set(trial().parameters) - free <= ruled


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda e: e.setting.replace(" ", ""))
def test_a_site_s_setting_changes_what_it_governs(tmp_path: Path, effect: Effect) -> None:
    before = assessed(unconfigured(), effect.record)
    after = assessed(configured(tmp_path, effect.setting), effect.record)
    assert said(before, effect.criterion, effect.before) == effect.before
    assert said(after, effect.criterion, effect.after) == effect.after
    assert "parameters" not in before["provenance"]
    assert effect.parameter in after["provenance"]["parameters"]


def test_the_defaults_of_the_package_are_those_of_its_cql() -> None:
    declared: dict[str, Any] = {}
    for source in PACKAGE.iterdir():
        if source.name.endswith(".elm.json"):
            library = json.loads(source.read_text(encoding="utf-8"))["library"]
            for node in library.get("parameters", {}).get("def", ()):
                if "default" in node:
                    value = constant(node["default"])
                    assert declared.setdefault(node["name"], value) == value, node["name"]
    for name, value in trial().parameters.items():
        assert value == declared[name], name


def constant(node: dict[str, Any]) -> Any:
    """The value of a default in ELM, as TOML would have it."""
    kind = node["type"]
    if kind == "Literal":
        kinds = {"Integer": int, "Decimal": float, "Boolean": lambda text: text == "true", "String": str}
        return kinds[node["valueType"].rpartition("}")[2]](node["value"])
    if kind == "Quantity":
        return f"P{Decimal(str(node['value'])):f}{node['unit'][0].upper()}"
    if kind == "Tuple":
        return {element["name"]: constant(element["value"]) for element in node["element"]}
    if kind == "Interval":
        return [constant(node["low"]), constant(node["high"])]
    if kind == "List":
        return [constant(element) for element in node.get("element", ())]
    assert kind == "Query", node  # `default {}`: the translator casts the elements of an empty list
    return constant(node["source"][0]["expression"])


def test_a_partial_override_leaves_the_other_limits(tmp_path: Path) -> None:
    """Only ALT of men is set: women's ALT, and AST, keep theirs."""
    screener = configured(tmp_path, "ulnFallback.alt.male = [33, 40]")
    of_a_woman = woman(alt(110, high=None), ast(20))
    of_a_man = minimal(alt(20), ast(130, high=None))
    for record in (of_a_woman, of_a_man):
        assert criterion(assessed(screener, record), LFT) == criterion(assessed(unconfigured(), record), LFT)
    assert assessed(screener, of_a_man)["provenance"]["parameters"] == "ulnFallback.alt.male = [33, 40]"


def test_what_is_shown_as_in_force_is_what_the_site_set(tmp_path: Path) -> None:
    """Not the trial's defaults; of a table, the limits that the site left alone keep theirs."""
    screener = configured(tmp_path, "labWindowDays = 14\nulnFallback.alt.male = [33, 40]")
    shown = screener.catalog.get(TRIAL).trial.parameters
    limits = dict(DEFAULTS["ulnFallback"])
    assert shown["labWindowDays"] == 14
    assert shown["ulnFallback"] == {**limits, "alt": {**limits["alt"], "male": [33, 40]}}
    assert set(shown) == set(trial().parameters)


def test_a_setting_that_repeats_the_default_is_no_change(tmp_path: Path) -> None:
    screener = configured(tmp_path, "labWindowDays = 30\nfvcMinPercent = 65\nulnFallback.alt.male = [33, 62]")
    assert "parameters" not in assessed(screener, minimal())["provenance"]


@pytest.mark.parametrize(
    ("criterion_id", "setting", "answered"),
    [
        ("IN03-AlsfrsR", "alsfrsWindowDays = 40", "2026-05-10"),
        ("IN04-Fvc", "fvcWindowDays = 100", "2026-03-10"),
        (LFT, "labWindowDays = 40", "2026-05-10"),
        (CRE, "labWindowDays = 40", "2026-05-10"),
        ("EX08d-Htlv", "serologyNegativeWindowDays = 100", "2026-03-10"),
    ],
)
def test_an_attestation_holds_as_long_as_its_criterion_s_window(
    tmp_path: Path, criterion_id: str, setting: str, answered: str
) -> None:
    record = minimal(attestation({criterion_id: "no"}, on=answered))
    assert criterion(assessed(unconfigured(), record), criterion_id)["status"] == "unknown"
    row = criterion(assessed(configured(tmp_path, setting), record), criterion_id)
    assert (row["status"], row["basis"]) == ("not-met", "attested")


def test_an_attestation_of_pregnancy_follows_a_narrower_window(tmp_path: Path) -> None:
    record = woman(attestation({PRG: "no"}, on="2026-06-10"))
    assert criterion(assessed(unconfigured(), record), PRG)["basis"] == "attested"
    narrow = criterion(assessed(configured(tmp_path, "hcgWindowDays = 3"), record), PRG)
    assert (narrow["status"], "stale-data" in narrow["reasons"]) == ("unknown", True)


# --- screeningDate and siteTimeZone: settings of the service ----------------------------------------------------------


def test_the_screening_day_is_the_one_asked_for() -> None:
    record = bundle(patient(birth_date="2008-06-15"))
    verdicts = [
        criterion(assessed(unconfigured(), record, day), "IN01-Age")["status"]
        for day in ("2026-06-14", "2026-06-15")
    ]
    assert verdicts == ["not-met", "met"]


def test_the_screening_day_of_a_service_is_the_set_one_else_today_at_the_site(tmp_path: Path) -> None:
    path = tmp_path / "cds-service.toml"
    path.write_text('[service]\nas_of = "2026-06-15"\n', encoding="utf-8")
    assert today(load_settings(path, {}))() == date(2026, 6, 15)
    east, west = ({"CDS_TIMEZONE": zone} for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"))
    path.write_text("", encoding="utf-8")
    assert today(load_settings(path, east))() > today(load_settings(path, west))()


@pytest.mark.parametrize(
    ("zone", "status"), [("America/Sao_Paulo", "not-met"), ("UTC", "unknown"), ("Asia/Tokyo", "unknown")]
)
def test_the_site_s_time_zone_says_which_day_a_moment_belongs_to(
    tmp_path: Path, zone: str, status: str
) -> None:
    """01:00 UTC of the 16th is the evening of the screening day in São Paulo, and the future elsewhere."""
    record = minimal(creatinine(0.7, on="2026-06-16T01:00:00Z"))
    row = criterion(assessed(configured(tmp_path, "", f'timezone = "{zone}"'), record), CRE)
    assert row["status"] == status
    assert ("future-dated" in row["reasons"]) is (status == "unknown")
