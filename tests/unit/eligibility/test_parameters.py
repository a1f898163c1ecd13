"""A trial's parameters: TOML values of the CQL's types, rules as data, and what a wrong setting is told."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cds_service.app import load_screener
from cds_service.eligibility.parameters import Parameters, Rule, bind
from cds_service.elm import Date, Interval, Quantity
from cds_service.elm.types import IntervalOf, ListOf, TupleOf
from cds_service.errors import AuthoringError, ConfigurationError
from cds_service.settings import load_settings

PACKAGE = Path(str(files("cds_service") / "trials" / "nct02917681"))
LIMITS = TupleOf((("male", IntervalOf("System.Decimal")), ("female", IntervalOf("System.Decimal"))))
DECLARED: dict[str, Any] = {
    "days": "System.Integer",
    "share": "System.Decimal",
    "strict": "System.Boolean",
    "policy": "System.String",
    "since": "System.Date",
    "window": "System.Quantity",
    "places": ListOf("System.String"),
    "limits": TupleOf((("alt", LIMITS), ("ast", LIMITS))),
    "code": "System.Code",
}
OWN: dict[str, Any] = {
    "days": 30,
    "share": 65,
    "policy": "a",
    "window": "P1Y",
    "places": [],
    "limits": {
        "alt": {"male": [33, 62], "female": [25, 50]},
        "ast": {"male": [33, 48], "female": [33, 48]},
    },
}
RULES = {
    "days": Rule(low=0, high=365),
    "policy": Rule(choices=("a", "b")),
    "window": Rule(low="P1M", high="P10Y"),
    "limits.alt": Rule(low=15, high=90),
}


def bound(own: Mapping[str, Any] = OWN, site: Mapping[str, Any] | None = None, **rules: Rule) -> Parameters:
    return bind(
        DECLARED,
        own,
        rules or RULES,
        site or {},
        trial_id="t",
        file="t/trial.toml",
        origins={"days": "x.toml, line 7"},
    )


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("days", 30, 30),
        ("share", 65, Decimal(65)),
        ("share", 64.6, Decimal("64.6")),
        ("strict", True, True),
        ("policy", "b", "b"),
        ("window", "P6M", Quantity(Decimal(6), "month")),
        ("window", "P42D", Quantity(Decimal(42), "day")),
        ("places", ["SP", "RJ"], ["SP", "RJ"]),
    ],
)
def test_a_toml_value_becomes_a_value_of_the_declared_type(name: str, written: Any, value: Any) -> None:
    found = bound({name: written}, **{"days": Rule()} if name == "days" else {"none": Rule()}).values[name]
    assert found == value
    assert type(found) is type(value)


def test_a_date_becomes_a_cql_date() -> None:
    import tomllib

    assert bound(tomllib.loads("since = 2026-05-01"), none=Rule()).values["since"] == Date(2026, 5, 1)


def test_a_table_may_be_set_in_part() -> None:
    given = bound(site={"limits": {"alt": {"male": [29, 55]}}})
    assert given.values["limits"]["alt"]["male"] == Interval(Decimal(29), Decimal(55))
    assert given.values["limits"]["alt"]["female"] == Interval(Decimal(25), Decimal(50))
    assert given.values["limits"]["ast"]["male"] == Interval(Decimal(33), Decimal(48))
    assert given.changed == {"limits.alt.male": "[29, 55]"}


@pytest.mark.parametrize(
    ("site", "told"),
    [
        ({"dayz": 3}, "dayz: there is no such parameter; did you mean days?"),
        ({"DAYS": 3}, "did you mean days?"),
        ({"xyz": 3}, "there are days, limits, places, policy, share, window"),
        (
            {"days": "30"},
            "x.toml, line 7: [trials.t.parameters] days: a whole number from 0 to 365 is wanted, a text",
        ),
        ({"days": True}, "a whole number from 0 to 365 is wanted, a truth value found"),
        ({"days": 30.5}, "a number found"),
        ({"days": -1}, "a whole number from 0 to 365 is wanted."),
        ({"days": 366}, "from 0 to 365"),
        ({"days": 2**40}, "a whole number from 0 to 365"),
        ({"share": "65"}, "share: a number is wanted, a text found"),
        ({"share": float("nan")}, "a number is wanted"),
        ({"share": float("inf")}, "a number is wanted"),
        ({"policy": "c"}, "policy: a text of a, b is wanted"),
        ({"policy": 1}, "a text of a, b is wanted, a whole number found"),
        ({"window": "1 year"}, "window: a duration such as P1Y, P6M or P42D from P1M to P10Y is wanted"),
        ({"window": "P1D"}, "from P1M to P10Y"),
        ({"window": "P11Y"}, "from P1M to P10Y"),
        ({"places": "SP"}, "places: a list is wanted, a text found"),
        ({"places": [1]}, "places: a text is wanted, a whole number found"),
        ({"places": [" "]}, "places: a text is wanted"),
        ({"limits": [30, 40]}, "limits: a table of alt, ast is wanted, a list found"),
        ({"limits": {"all": 1}}, "limits.all: there is no such element; did you mean alt?"),
        ({"limits": {"alt": {"man": [1, 2]}}}, "limits.alt.man: there is no such element"),
        ({"limits": {"alt": 33}}, "limits.alt: a table of male, female is wanted, a whole number found"),
        ({"limits": {"alt": {"male": 33}}}, "limits.alt.male: a list of the lowest and the highest value"),
        ({"limits": {"alt": {"male": [33]}}}, "limits.alt.male: a list of the lowest and the highest value"),
        ({"limits": {"alt": {"male": [62, 33]}}}, "limits.alt.male: the lowest value stands first"),
        ({"limits": {"alt": {"male": [33, 91]}}}, "limits.alt.male: a number from 15 to 90 is wanted"),
        (
            {"limits": {"alt": {"male": ["a", "b"]}}},
            "limits.alt.male: a number from 15 to 90 is wanted, a text",
        ),
    ],
)
def test_a_wrong_setting_is_told_what_where_and_what_is_wanted(site: Mapping[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bound(site=site)
    assert told in str(caught.value)
    assert "[trials.t.parameters]" in str(caught.value)
    assert str(caught.value).endswith("?" if "did you mean" in told else ".")
    assert not str(caught.value).endswith("?.")


def test_one_parameter_may_have_to_keep_above_another() -> None:
    rules = {"share": Rule(not_below="days")}
    assert bound(site={"share": 30}, **rules).values["share"] == 30
    with pytest.raises(ConfigurationError, match="share must not be below days"):
        bound(site={"days": 70}, **rules)
    with pytest.raises(AuthoringError, match="share must not be below days"):
        bound({"days": 70, "share": 65}, **rules)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"unheard": 1}, "t/trial.toml: [parameters] unheard: the CQL declares no such parameter"),
        ({"days": "x"}, "t/trial.toml: [parameters] days: a whole number"),
        ({"limits": {"alt": {"male": [1, 2]}}}, "is missing"),
        ({"code": "x"}, "the CQL declares a type that can't be set here"),
    ],
)
def test_a_wrong_default_is_an_authoring_error(own: Mapping[str, Any], told: str) -> None:
    with pytest.raises(AuthoringError) as caught:
        bound(own, none=Rule())
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "labWindow = 30",
            "cds.toml, line 4: [trials.nct02917681.parameters] labWindow: there is no such parameter",
        ),
        (
            "\nlabWindowDays = '30'",
            "cds.toml, line 5: [trials.nct02917681.parameters] labWindowDays: a whole number",
        ),
        (
            "maxAgePolicy = 'strict'",
            "line 4: [trials.nct02917681.parameters] maxAgePolicy: a text of completed-years",
        ),
        (
            "fvcEquations = []",
            "line 4: [trials.nct02917681.parameters] fvcEquations: the list must not be empty",
        ),
        (
            "fvcEquations = ['KNUDSON']",
            "fvcEquations: a text of PEREIRA_2007, PEREIRA_2007_WT, GLI_2022 is wanted",
        ),
        ("minAge = 80", "line 4: [trials.nct02917681.parameters] minAge: maxAge must not be below minAge"),
        (
            "[trials.nct02917681.parameters.ulnFallback]\nalt = { male = [1, 2] }",
            "line 5: [trials.nct02917681",
        ),
        (
            "ulnFallback.alt.male = [1, 2]",
            "line 4: [trials.nct02917681.parameters] ulnFallback.alt.male: a number",
        ),
    ],
)
def test_the_error_names_the_line_of_the_file(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "cds.toml"
    path.write_text(f"[service]\n\n[trials.nct02917681.parameters]\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_screener(load_settings(path, {}))
    assert told in str(caught.value)


def test_the_error_names_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "cds.toml"
    path.write_text("[trials.nct02917681.parameters]\nlabWindowDays = 30\n", encoding="utf-8")
    variable = "CDS_TRIALS_NCT02917681_PARAMETERS_labWindowDays"
    with pytest.raises(ConfigurationError, match=f"{variable}: .* labWindowDays: a whole number"):
        load_screener(load_settings(path, {variable: "many"}))
    screener = load_screener(load_settings(path, {variable: "60"}))
    assert screener.catalog.get("nct02917681").parameters.changed == {"labWindowDays": "60"}


def test_a_variable_may_set_a_table_in_part(tmp_path: Path) -> None:
    path = tmp_path / "cds.toml"
    path.write_text("", encoding="utf-8")
    variable = {"CDS_TRIALS_NCT02917681_PARAMETERS_ulnFallback": "{ alt = { male = [29, 55] } }"}
    screener = load_screener(load_settings(path, variable))
    assert screener.catalog.get("nct02917681").parameters.changed == {"ulnFallback.alt.male": "[29, 55]"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "[parameter_rules]",
            "[parameter_rules]\nnothing = { from = 1 }",
            "'nothing' is none of the trial's",
        ),
        ('not_below = "minAge"', 'not_below = "mnAge"', "'mnAge' is none of the trial's"),
        ("minAge = { from = 0", "minAge = { form = 0", r"unknown keys \['form'\]"),
        ("minAge = { from = 0", 'minAge = { from = "none"', "neither a number nor a duration"),
        ("minAge = { from = 0", "minAge = { from = 19", "minAge: a whole number from 19 to 120"),
        ("\nminAge = 18", "\nminimumAge = 18", "'minAge' is none of the trial's"),
        ("\nhcgWindowDays = 7", "\nhcgWindowDays = 7.5", "the name of a parameter in days"),
        ('attestation_days = "hcgWindowDays"', 'attestation_days = "hcg"', "the name of a parameter in days"),
    ],
)
def test_a_wrong_package_is_refused_with_the_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    folder = tmp_path / "trials" / "second"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("vignettes"))
    text = (
        (folder / "trial.toml").read_text(encoding="utf-8").replace('id = "nct02917681"', 'id = "second"', 1)
    )
    assert old in text
    (folder / "trial.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    config = tmp_path / "cds.toml"
    config.write_text("[service]\ntrials_dir = 'trials'\n", encoding="utf-8")
    with pytest.raises(AuthoringError, match=told):
        load_screener(load_settings(config, {}))
