"""`cds-service feedback`: what it writes, what it refuses, and that it names nobody."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cds_service.app import create_app
from cds_service.cli.commands import run
from cds_service.errors import ConfigurationError
from cds_service.settings import Settings, load_settings
from cds_service.storage import Pseudonyms, Store
from tests.unit.storage.stored import CLIENT, NOW, acceptance, card, override

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
Command = Callable[..., tuple[str, str]]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CDS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def command(capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Runs `feedback …`, which must end with `code`; its output and what it told."""

    def call(*arguments: str, code: int = 0) -> tuple[str, str]:
        ended = run(["feedback", *arguments])
        out, err = (text.decode() for text in capsysbinary.readouterr())
        assert ended == code, err
        assert "Traceback" not in err
        return out, err

    return call


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store("sqlite:///cds-service.db")


@pytest.fixture
def pseudonyms() -> Pseudonyms:
    return Pseudonyms.load(Path("pseudonym.key"))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_an_export_tells_what_was_said_and_not_of_whom(command: Command, store: Store) -> None:
    shown = card(user="0ddba11" * 9 + "0")
    store.record_cards([shown])
    store.add_feedback(override(shown, "patient-declined"), client=CLIENT)
    store.add_feedback(acceptance("unknown", received_at=NOW + timedelta(seconds=1)), client=CLIENT)
    out, err = command("export")
    assert err == ""
    declined, accepted = rows(out)
    assert declined["card"] == shown.uuid
    assert (declined["trial"], declined["card_known"], declined["override_code"]) == (
        "x",
        "true",
        "patient-declined",
    )
    assert declined["received_at"] == "2026-06-15T12:00:00+00:00"
    assert (accepted["trial"], accepted["card_known"], accepted["accepted_suggestions"]) == (
        "",
        "false",
        "s1",
    )
    as_json, _ = command("export", "--format", "json")
    first, second = json.loads(as_json)
    assert (first["override_code"], first["card_known"], first["comment_given"]) == (
        "patient-declined",
        True,
        False,
    )
    assert second["accepted_suggestions"] == ["s1"]
    for written in (out, as_json):
        assert not any(
            secret in written for secret in (shown.patient, shown.user, shown.client, shown.verdict)
        )


def test_an_export_begins_on_the_given_day_at_the_site(command: Command, store: Store) -> None:
    # 2026-06-15 begins at 03:00 UTC in São Paulo.
    for hour in (2, 3):
        at = datetime(2026, 6, 15, hour, tzinfo=UTC)
        store.add_feedback(override(f"at-{hour}", received_at=at), client=CLIENT)
    out, _ = command("export", "--since", "2026-06-15")
    assert [row["card"] for row in rows(out)] == ["at-3"]
    out, err = command("export", "--since", "2026-06-16")
    assert rows(out) == []
    assert "no feedback is stored that was received since then" in err
    assert "--since" in command("export", "--since", "yesterday", code=2)[1]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t=", " =", "\r", "\n", "＝"])
def test_no_cell_is_a_formula(command: Command, store: Store, begin: str) -> None:
    evil = f'{begin}HYPERLINK("https://evil.example","x")'
    store.add_feedback(override(evil, evil, system=evil), client=CLIENT)
    (row,) = rows(command("export")[0])
    for name in ("card", "override_code", "override_system"):
        assert row[name] == f"'{evil}"


def test_where_nothing_is_stored_that_is_said(command: Command, store: Store) -> None:
    assert store.ready()
    out, err = command("export")
    assert out.startswith("received_at,")
    assert "no feedback is stored yet" in err
    assert command("export", "--format", "json")[0] == "[]\n"
    out, err = command("rates")
    assert out == ""
    assert "no card has been shown yet" in err
    assert command("rates", "--format", "json")[0] == "[]\n"
    assert command("rates", "--format", "csv")[0].startswith("week,trial,cards_shown")


@pytest.mark.parametrize("name", ["export", "rates", "revoke", "erase"])
def test_a_database_that_is_not_there_is_told_and_not_made(
    command: Command, tmp_path: Path, name: str
) -> None:
    arguments: Sequence[str] = ("--patient", "1") if name in ("revoke", "erase") else ()
    _, err = command(name, *arguments, code=2)
    assert "there is no database at cds-service.db" in err
    assert "--config" in err
    assert list(tmp_path.iterdir()) == []


def test_the_rates_of_each_week(command: Command, store: Store) -> None:
    shown = [card() for _ in range(4)] + [card(7, trial="y")]
    store.record_cards(shown)
    store.add_feedback(acceptance(shown[0]), client=CLIENT)
    store.add_feedback(override(shown[1], "no-time"), client=CLIENT)
    out, _ = command("rates")
    head, y, x = out.splitlines()
    assert head.split() == [
        *[
            "week",
            "trial",
            "shown",
            "answered",
            "rate",
            "accepted",
            "overridden",
            "reasons",
            "of",
            "overrides",
        ]
    ]
    assert y.split() == ["2026-W24", "y", "1", "0", "0.0%", "0", "0"]
    assert x.split() == ["2026-W25", "x", "4", "2", "50.0%", "1", "1", "no-time", "1"]
    y_row, x_row = rows(command("rates", "--format", "csv")[0])
    assert (y_row["response_rate"], x_row["response_rate"]) == ("0.0", "0.5")
    assert (x_row["cards_shown"], x_row["cards_with_feedback"], x_row["reason_no-time"]) == ("4", "2", "1")
    as_json = json.loads(command("rates", "--format", "json")[0])
    assert as_json[1]["reasons"]["no-time"] == 1
    assert as_json[1]["response_rate"] == 0.5


def test_a_refusal_is_revoked(command: Command, store: Store, pseudonyms: Pseudonyms) -> None:
    patient = pseudonyms.patient("", None, "p-canary")
    shown = [card(trial="x", patient=patient), card(trial="y", patient=patient)]
    store.record_cards(shown)
    for each in shown:
        store.add_feedback(override(each, "patient-declined"), client=CLIENT)
    out, err = command("revoke", "--patient", "p-canary", "--trial", "x")
    assert out == "1 refusal revoked: cards are shown again.\n"
    assert command("revoke", "--patient", "Patient/p-canary")[0].startswith("1 refusal revoked")
    out, err = command("revoke", "--patient", "p-canary")
    assert "No refusal of this patient stands" in out
    assert "canary" not in out + err


def test_a_patient_is_erased(command: Command, store: Store, pseudonyms: Pseudonyms) -> None:
    patient = pseudonyms.patient("", None, "p-canary")
    shown = card(patient=patient)
    store.record_cards([shown, card()])
    store.add_feedback(override(shown, "patient-declined"), client=CLIENT)
    out, err = command("erase", "--patient", "p-canary")
    assert out == "Erased: 1 card, 1 entry of feedback, 1 standing refusal.\n"
    assert store.history(patient, LONG_AGO) == []
    assert len(list(store.issued())) == 1
    out, err = command("erase", "--patient", "p-canary")
    assert "Nothing is stored of this patient" in out
    assert "canary" not in out + err


def test_no_key_is_made_to_look_for_a_patient(command: Command, store: Store, tmp_path: Path) -> None:
    assert store.ready()
    _, err = command("erase", "--patient", "1", code=2)
    assert "there is no key at pseudonym.key" in err
    assert not (tmp_path / "pseudonym.key").exists()


def test_another_key_finds_nobody_and_says_so(command: Command, store: Store, pseudonyms: Pseudonyms) -> None:
    store.hold_key("0" * 64)
    _, err = command("erase", "--patient", "1", code=2)
    assert "another key" in err


CLIENTS = """
[[clients]]
name = "a"
issuer = "https://a.example"
jwks_file = "a.json"
tenants = ["t1", "t2"]
[[clients]]
name = "b"
issuer = "https://b.example"
jwks_file = "b.json"
tenants = ["t3"]
"""


def test_with_several_issuers_and_tenants_the_right_one_must_be_named(
    command: Command, store: Store, pseudonyms: Pseudonyms
) -> None:
    Path("cds-service.toml").write_text(CLIENTS)
    of = {
        (issuer, tenant): card(patient=pseudonyms.patient(issuer, tenant, "1"))
        for issuer, tenant in (
            ("https://a.example", "t1"),
            ("https://a.example", "t2"),
            ("https://b.example", "t3"),
            ("https://b.example", None),
            ("https://gone.example", "t"),
        )
    }
    store.record_cards(list(of.values()))

    def left() -> set[str]:
        return {uuid for uuid, *_ in store.issued()}

    assert "--issuer is needed" in command("erase", "--patient", "1", code=2)[1]
    _, err = command("erase", "--patient", "1", "--issuer", "https://a.example", code=2)
    assert "--tenant is needed for this issuer: one of t1, t2" in err
    assert len(left()) == 5
    command("erase", "--patient", "1", "--issuer", "https://a.example", "--tenant", "t2")
    assert of["https://a.example", "t2"].uuid not in left()
    assert len(left()) == 4
    # The one tenant, and from before it was configured.
    assert "Erased: 2 cards" in command("erase", "--patient", "1", "--issuer", "https://b.example")[0]
    out, err = command("erase", "--patient", "1", "--issuer", "https://gone.example", "--tenant", "t")
    assert "not configured under [[clients]]" in err
    assert out.startswith("Erased: 1 card,")
    assert left() == {of["https://a.example", "t1"].uuid}


def test_a_tenant_that_no_setting_names_is_not_forgotten(
    command: Command, store: Store, pseudonyms: Pseudonyms
) -> None:
    issuer = "https://a.example"
    Path("cds-service.toml").write_text(
        f'[[clients]]\nname = "a"\nissuer = "{issuer}"\njwks_file = "a.json"\n'
    )
    for tenant in (None, "t1"):
        store.record_cards([card(patient=pseudonyms.patient(issuer, tenant, "1"))])
    store.remember_tenant(issuer, "t1")
    assert "Erased: 2 cards" in command("erase", "--patient", "1")[0]
    for tenant in (None, "t1", "t2"):
        store.record_cards([card(patient=pseudonyms.patient(issuer, tenant, "1"))])
    store.remember_tenant(issuer, "t2")
    _, err = command("erase", "--patient", "1", code=2)
    assert "--tenant is needed for this issuer: one of t1, t2" in err
    for tenant in ("", "t2", "t1"):
        assert "Erased: 1 card," in command("erase", "--patient", "1", "--tenant", tenant)[0]
    assert list(store.issued()) == []


def settings(**lines: str) -> Settings:
    text = "".join(f"[{table}]\n{line}\n" for table, line in lines.items())
    Path("cds-service.toml").write_text(text)
    return load_settings()


def test_the_service_deletes_what_is_too_old_when_it_starts(store: Store) -> None:
    store.record_cards([card(issued_at=datetime.now(UTC) - timedelta(days=age)) for age in (31, 29)])
    logged: list[str] = []
    app = create_app(settings(feedback="retention_days = 30"), log=lambda event, **_: logged.append(event))
    assert len(list(store.issued())) == 1
    assert "settings-without-effect" not in logged
    app.extensions["cds_service"].store.close()


def test_the_service_does_not_start_with_another_key_than_that_of_its_database(
    store: Store, pseudonyms: Pseudonyms
) -> None:
    chosen = settings(feedback="retention_days = 30")
    app = create_app(chosen, log=lambda *_, **__: None)
    app.extensions["cds_service"].store.close()
    Path("pseudonym.key").unlink()
    with pytest.raises(ConfigurationError, match=r"pseudonym_key_file: there is no key at .*restore it"):
        create_app(chosen, log=lambda *_, **__: None)
    assert not Path("pseudonym.key").exists(), "a new one would stand where the old one is to be restored"
    Pseudonyms.load(Path("pseudonym.key"))
    with pytest.raises(ConfigurationError, match=r"pseudonym_key_file.*another key"):
        create_app(chosen, log=lambda *_, **__: None)
