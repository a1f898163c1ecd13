"""Keyed hashes: stable, told apart, and under a key that only this user can read."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import ConfigurationError
from cds_service.storage import Pseudonyms

KEY = bytes(range(32))


def test_a_key_is_made_once_readable_by_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    before = os.umask(0)
    try:
        first = Pseudonyms.load(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    assert Pseudonyms.load(path).check() == first.check()
    assert Pseudonyms.load(tmp_path / "other.key").check() != first.check()


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        checks = pool.map(_check, [tmp_path / "pseudonym.key"] * 16)
    assert len(set(checks)) == 1


def _check(path: Path) -> str:
    return Pseudonyms.load(path).check()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o601, 0o666])
def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "pseudonym.key"
    path.write_bytes(KEY)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        Pseudonyms.load(path)
    path.chmod(0o600)
    assert Pseudonyms.load(path).check() == Pseudonyms(KEY).check()
    path.chmod(0o400)
    assert Pseudonyms.load(path).check() == Pseudonyms(KEY).check()


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_what_is_no_key_is_refused_and_never_replaced(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.storage.pseudonyms._WRITTEN_WITHIN_SECONDS", 0.05)
    path = tmp_path / "pseudonym.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"not a key of 32 bytes.*backup"):
        Pseudonyms.load(path)
    assert path.read_bytes() == content


def test_a_key_that_is_not_there_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no key"):
        Pseudonyms.load(tmp_path / "pseudonym.key", make=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError, match="can't be made"):
        Pseudonyms.load(tmp_path / "no" / "such" / "folder.key")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match="folder"):
        Pseudonyms.load(tmp_path / "folder")


def test_each_kind_issuer_tenant_and_id_has_its_own_hash() -> None:
    known = Pseudonyms(KEY)
    made = [
        make(issuer, tenant, identifier)
        for make in (known.patient, known.user)
        for issuer, tenant, identifier in itertools.product(("a", "ab", ""), (None, "", "b"), ("1", "b1", ""))
    ]
    made += [known.client(issuer, tenant) for issuer in ("a", "ab", "") for tenant in (None, "", "b")]
    made += [known.verdict(b""), known.verdict(b"a"), known.check()]
    assert len(set(made)) == len(made)
    assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in made)
    assert Pseudonyms(bytes(32)).patient("a", None, "1") != known.patient("a", None, "1")


def test_the_hash_of_a_patient_never_changes_from_version_to_version() -> None:
    """It is what finds a refusal again: another hash would show a card to a patient who declined."""
    assert (
        Pseudonyms(KEY).patient("https://ehr.example.org", "hospital-a", "123")
        == "829d0900a85f4c59bb00e52e52fd37b3d41ecf449a8c9f9bfbe9999fcc95be0a"
    )


PARTS = st.tuples(st.text(), st.none() | st.text(), st.text())


@given(PARTS, PARTS)
def test_two_patients_have_one_hash_only_where_they_are_one(
    one: tuple[str, str | None, str], other: tuple[str, str | None, str]
) -> None:
    known = Pseudonyms(KEY)
    assert (known.patient(*one) == known.patient(*other)) is (one == other)


def test_nothing_shows_the_key(tmp_path: Path) -> None:
    assert KEY.hex() not in repr(Pseudonyms(KEY))
    assert not hasattr(Pseudonyms(KEY), "__dict__")
