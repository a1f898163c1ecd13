"""Settings: every key of the design, from file and environment; what is wrong is named with its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cds_service.errors import ConfigurationError
from cds_service.settings import Settings, load_settings

EVERYTHING = """\
[service]
base_url = "https://cds.example.org/"
timezone = "Europe/Lisbon"
database_url = "sqlite:///x.db"
trials_dir = "trials"
concept_maps_dir = "site-maps"
prefetch = "full"
fhir_servers = []
unavailable = ["Consent"]
observations = "codes"
[cards]
show_excluded = true
sensitive_orders = true
max_cards = 3
rest_after_views = 0
rest_days = 7
[feedback]
pseudonym_key_file = "pseudonym.key"
retention_days = 30
[audit]
sink = "file:audit.ndjson"
[limits]
body_bytes = 1_000
fetch_seconds = 1.5
requests_per_minute = 60
[trials.nct02917681]
recruiting_confirmed = 2026-05-01
contact = "+55 11 0000"
[trials.nct02917681.parameters]
labWindowDays = 60
[[clients]]
name = "hospital-a"
issuer = "https://ehr.example.org"
jwks_file = "ehr-jwks.json"
jku = ["https://ehr.example.org/jwks"]
tenants = ["hospital-a"]
audiences = ["by-hand"]
fhir_servers = ["https://ehr.example.org/r4/"]
[[clients]]
name = "b"
issuer = "b"
jwks_url = "https://b.example/jwks"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trials").mkdir()
    (tmp_path / "site-maps").mkdir()
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "cds.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_file_and_variables_all_is_as_the_design_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(environment={"PATH": "/bin"})
    assert settings == Settings()
    assert settings.service.timezone == "America/Sao_Paulo"
    assert settings.limits.fetch_seconds == 3.0
    assert settings.limits.body_bytes == 20_000_000
    assert settings.cards.max_cards == 5
    assert not settings.cards.show_excluded


def test_every_key_of_the_file_is_read(folder: Path) -> None:
    settings = load_settings(written(folder, EVERYTHING), {})
    assert settings.service.base_url == "https://cds.example.org"
    assert settings.service.timezone == "Europe/Lisbon"
    assert settings.service.trials_dir == folder / "trials"
    assert settings.service.concept_maps_dir == folder / "site-maps"
    assert settings.service.prefetch == "full"
    assert settings.service.unavailable == ("Consent",)
    assert settings.service.observations == "codes"
    assert settings.cards.sensitive_orders
    assert settings.cards.max_cards == 3
    assert settings.feedback.pseudonym_key_file == folder / "pseudonym.key"
    assert settings.audit.sink == f"file:{folder / 'audit.ndjson'}"
    assert settings.limits.fetch_seconds == 1.5
    trial = settings.trials["nct02917681"]
    assert trial.recruiting_confirmed == date(2026, 5, 1)
    assert trial.contact == "+55 11 0000"
    assert trial.parameters == {"labWindowDays": 60}
    first, second = settings.clients
    assert first.jwks_file == folder / "ehr-jwks.json"
    assert first.fhir_servers == ("https://ehr.example.org/r4",)
    assert second.jwks_url == "https://b.example/jwks"
    assert settings.places["audit.sink"].startswith("cds.toml, line ")


WRONG: list[tuple[str, str, str]] = [
    ("[service]\ntimezon = 'x'\n", "line 2", "service.timezon: unknown key"),
    ("[service]\n\ntimezone = 'Mars/Olympus'\n", "line 3", "service.timezone"),
    ("[service]\nbase_url = 'cds.example.org'\n", "line 2", "service.base_url"),
    ("[service]\nbase_url = 'https://u:p@h/'\n", "line 2", "service.base_url"),
    ("[service]\nprefetch = 'all'\n", "line 2", "one of gate, full"),
    ("[service]\nobservations = 'x'\n", "line 2", "one of all, codes"),
    ("[service]\nas_of = 'today'\n", "line 2", "a date such as"),
    ("[service]\nas_of = 2026-06-15T00:00:00\n", "line 2", "a date such as"),
    ("[service]\nfhir_servers = 'http://x'\n", "line 2", "a list is wanted"),
    ("[service]\nunavailable = ['consent']\n", "line 2", "resource types"),
    ("[service]\ndatabase_url = 'nonsense'\n", "line 2", "SQLAlchemy URL"),
    ("[service]\ntrials_dir = 'nowhere'\n", "line 2", "a folder that exists"),
    ("[cards]\nmax_cards = 0\n", "line 2", "at least 1"),
    ("[cards]\nrest_days = 3651\n", "line 2", "from 0 to 3650"),
    ("[cards]\nmax_cards = true\n", "line 2", "whole number"),
    ("[cards]\nshow_excluded = 'true'\n", "line 2", "true or false"),
    ("[cards]\n# a comment\n[limits]\nfetch_seconds = 0\n", "line 4", "seconds above 0"),
    ("[limits]\nsearch_seconds = 3.5\n", "line 2", "limits.search_seconds is more than limits.fetch_seconds"),
    ("[limits]\nfetched_resources = 0\n", "line 2", "at least 1"),
    ("[audit]\nsink = 'somewhere'\n", "line 2", "file:<path>"),
    ("[cardz]\nx = 1\n", "line 1", "cardz: unknown table"),
    ("top = 1\n", "line 1", "top: unknown table"),
    ("service = 1\n", "line 1", "a table is wanted"),
    ("service.timezone = 5\n", "line 1", "service.timezone"),
    ("[trials.x]\nrecruiting = 1\n", "line 2", "trials.x.recruiting: unknown key"),
    ("[trials.x]\nparameters = 1\n", "line 2", "a table of CQL parameters"),
    ("[clients]\nname = 'a'\n", "line 1", "[[clients]]"),
    ("[[clients]]\nissuer = 'x'\njwks_file = 'x'\n", "line 1", "name is missing"),
    ("[[clients]]\nname = 'x'\nissuer = 'x'\n", "line 1", "exactly one of jwks_file and jwks_url"),
    (
        "[[clients]]\nname='a'\nissuer='a'\njwks_file='x'\n[[clients]]\nname='b'\nissuer='b'\nwho='b'\n",
        "line 8",
        "clients.who: unknown key",
    ),
    (
        "[[clients]]\nname='a'\nissuer='a'\njwks_file='x'\n[[clients]]\nname='b'\nissuer='a'\njwks_file='x'\n",
        "line 1",
        "same issuer",
    ),
    ("[service\n", "line 1", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "line", "words"), WRONG)
def test_what_is_wrong_is_named_with_its_line(folder: Path, text: str, line: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(folder, text), {})
    assert line in str(caught.value)
    assert words in str(caught.value)
    assert "cds.toml" in str(caught.value)


def test_a_fixed_day_is_refused_beside_clients(folder: Path) -> None:
    text = "[service]\nas_of = 2026-06-15\n[[clients]]\nname='a'\nissuer='a'\njwks_file='x'\n"
    with pytest.raises(ConfigurationError, match=r"line 2: service\.as_of is for"):
        load_settings(written(folder, text), {})


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ("service.base_url must be https", "cds.toml, line 2: "),
        ("service.base_url: must be https", "cds.toml, line 2: "),
        ("service.base_urls: not this one", ""),
        ("feedback.pseudonym_key_file: in a variable", "CDS_FEEDBACK_PSEUDONYM_KEY_FILE: "),
        ("[trials.unheard]: there is no such trial", "cds.toml, line 3: "),
        ("clients (a): jwks_file: not there", "cds.toml, line 8: "),
        ("clients (b): jwks_file: not there", "cds.toml, line 12: "),
        ("clients (b): something else", "cds.toml, line 9: "),
        ("service.database_url: has its default", ""),
        ("cds.toml, line 2: service.base_url: has its place already", ""),
    ],
)
def test_what_turns_out_wrong_after_reading_is_told_with_its_place(
    folder: Path, told: str, place: str
) -> None:
    text = """[service]
base_url = "http://cds.example.org"
[trials.unheard]
contact = "Ana"
[[clients]]
name = "a"
issuer = "https://a.example"
jwks_file = "a.json"
[[clients]]
name = "b"
issuer = "https://b.example"
jwks_file = "b.json"
"""
    variables = {"CDS_FEEDBACK_PSEUDONYM_KEY_FILE": "key"}
    settings = load_settings(written(folder, text), variables)
    with pytest.raises(ConfigurationError) as caught, settings.located():
        raise ConfigurationError(told)
    assert str(caught.value) == place + told


def test_variables_win_over_the_file(folder: Path) -> None:
    path = written(folder, "[service]\ntimezone = 'UTC'\n[cards]\nmax_cards = 2\n")
    settings = load_settings(
        None,
        {
            "CDS_CONFIG": str(path),
            "CDS_TIMEZONE": "Europe/Lisbon",
            "CDS_SERVICE_AS_OF": "2026-06-15",
            "CDS_FHIR_SERVERS": "http://127.0.0.1:8080/fhir, https://r4.example/",
            "CDS_CARDS_SHOW_EXCLUDED": "true",
            "CDS_LIMITS_FETCH_SECONDS": "2.5",
            "CDS_LIMITS_BODY_BYTES": "1000",
            "CDS_TRIALS_DIR": str(folder / "trials"),
            "CDS_TRIALS_NCT02917681_RECRUITING_CONFIRMED": "2026-05-01",
            "CDS_TRIALS_NCT02917681_CONTACT": "Ana",
            "CDS_TRIALS_NCT02917681_PARAMETERS_labWindowDays": "60",
        },
    )
    assert settings.service.timezone == "Europe/Lisbon"
    assert settings.service.as_of == date(2026, 6, 15)
    assert settings.service.fhir_servers == ("http://127.0.0.1:8080/fhir", "https://r4.example")
    assert settings.service.trials_dir == folder / "trials"
    assert settings.cards.show_excluded
    assert settings.cards.max_cards == 2
    assert settings.limits.fetch_seconds == 2.5
    assert settings.limits.body_bytes == 1000
    trial = settings.trials["nct02917681"]
    assert (trial.recruiting_confirmed, trial.contact) == (date(2026, 5, 1), "Ana")
    assert trial.parameters == {"labWindowDays": 60}


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"CDS_NONSENSE": "1"}, "CDS_NONSENSE"),
        ({"CDS_CARDS_NONSENSE": "1"}, "CDS_CARDS_NONSENSE"),
        ({"CDS_CARDS_MAX_CARDS": "many"}, "CDS_CARDS_MAX_CARDS"),
        ({"CDS_AS_OF": "15/06/2026"}, "CDS_AS_OF"),
        ({"CDS_TIMEZONE": "UTC", "CDS_SERVICE_TIMEZONE": "Europe/Lisbon"}, "CDS_TIMEZONE"),
        ({"CDS_TRIALS_X_NONSENSE": "1"}, "CDS_TRIALS_X_NONSENSE"),
        ({"CDS_DATABASE_URL": "secret-canary"}, "CDS_DATABASE_URL"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment=variables)
    assert name in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_settings(tmp_path / "no.toml", {})
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_settings(None, {"CDS_CONFIG": str(tmp_path / "no.toml")})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sqlite:///cds.db", "sqlite:///{folder}/cds.db"),
        ("sqlite:////var/cds.db", "sqlite:////var/cds.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://me:pass%40word@db/cds", "postgresql://me:pass%40word@db/cds"),
    ],
)
def test_the_database_of_a_file_is_relative_to_it(folder: Path, written: str, read: str) -> None:
    config = folder / "cds-service.toml"
    config.write_text(f'[service]\ndatabase_url = "{written}"\n')
    assert load_settings(config, {}).service.database_url == read.format(folder=folder)
    from_variable = load_settings(config, {"CDS_DATABASE_URL": written}).service.database_url
    assert from_variable == written, "what a variable names is relative to the working folder"
