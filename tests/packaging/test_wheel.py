"""The built wheel holds everything that runs: installed elsewhere, it lists the trial and assesses a patient."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
VIGNETTE = ROOT / "cds_service" / "trials" / "nct02917681" / "vignettes" / "AV-01.json"
PACKAGES = ("cds_service", "fhir_mappings", "valuesets")
NOT_SHIPPED = {"__pycache__"}


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), ".")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content alone; its dependencies come from the running interpreter."""
    folder = tmp_path_factory.mktemp("installed")
    _pip("install", "--no-deps", "--no-compile", "--target", str(folder), str(wheel))
    return folder


def _run(installed: Path, cwd: Path, *arguments: str) -> str:
    """The output of the installed command, run where the checkout can't be imported from."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("CDS_", "PYTHON"))}
    program = "import cds_service.cli as c, sys; print(c.__file__, file=sys.stderr); c.main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env={**keep, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stderr
    return done.stdout


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    shipped = set(ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not NOT_SHIPPED & set(path.parts)
    }
    assert wanted <= shipped
    assert any(name.endswith("NCT02917681.elm.json") for name in shipped)
    assert "cds_service/trials/FHIRHelpers.elm.json" in shipped


def test_the_wheel_holds_nothing_else_but_its_licences(wheel: Path) -> None:
    others = [
        name for name in ZipFile(wheel).namelist() if not name.startswith(tuple(f"{p}/" for p in PACKAGES))
    ]
    assert all(".dist-info/" in name for name in others)
    licences = {name.rpartition("/")[2] for name in others if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_the_installed_command_lists_the_trial(installed: Path, tmp_path: Path) -> None:
    assert "nct02917681" in _run(installed, tmp_path, "trial", "list")


def test_the_installed_command_assesses_a_patient(installed: Path, tmp_path: Path) -> None:
    vignette = json.loads(VIGNETTE.read_text(encoding="utf-8"))
    (tmp_path / "bundle.json").write_text(json.dumps(vignette["bundle"]), encoding="utf-8")
    shown = _run(
        installed, tmp_path, "assess", "bundle.json", "--as-of", vignette["asOf"], "--format", "json"
    )
    assessment = json.loads(shown)
    assert assessment["status"] == vignette["expected"]["status"]
    assert {row["id"]: row["status"] for row in assessment["criteria"]} == vignette["expected"]["criteria"]


def test_the_installed_command_checks_its_own_trial(installed: Path, tmp_path: Path) -> None:
    assert "vignettes as expected" in _run(installed, tmp_path, "trial", "check")
