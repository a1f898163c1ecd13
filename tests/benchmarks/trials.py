"""Folders of many different trials, made of the one that there is: what each has of its own is said at `write_trials`."""

from __future__ import annotations

import random
import re
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Final

import orjson

MAIN: Final = "NCT02917681"
_VALUES: Final = {
    "minAge": ("16", "18", "21"),
    "maxAge": ("70", "75", "80"),
    "alsfrsMin": ("24", "30", "36"),
    "fvcMinPercent": ("50.0", "60.0", "65.0"),
    "transaminaseMultiple": ("2.5", "3.0", "5.0"),
    "labWindowDays": ("30", "60", "90"),
    "steroidsAre": ('"review"', '"immunosuppressant"', '"ignore"'),
}


def write_trials(folder: Path, count: int, *, own: str, seed: int = 1) -> None:
    """Write `count` trial folders. Each has an id of its own, about half of the criteria at random, and values of seven
    parameters at random. `own`: "parameters": no more than that; "main": also a main library of another name; "all": also
    another content of each library in its folder (of those that all trials share there is one).
    """
    rng = random.Random(seed)
    source = Path(str(files("cds_service") / "trials" / MAIN.lower()))
    for number in range(count):
        made = folder / f"trial-{number:03}"
        made.mkdir(parents=True)
        main = MAIN if own == "parameters" else f"Trial{number:03}"
        text = _described((source / "trial.toml").read_text("utf-8"), number, rng)
        text = text.replace(f'library = "{MAIN}"', f'library = "{main}"')
        (made / "trial.toml").write_text(text, "utf-8")
        for file in sorted(source.iterdir()):
            if file.name.endswith(".elm.json"):
                elm = orjson.loads(file.read_bytes())
                identifier = elm["library"]["identifier"]
                if identifier["id"] == MAIN:
                    identifier["id"] = main
                elif own == "all":
                    note = {"type": "CqlToElmInfo", "translatorOptions": f"trial {number}"}
                    elm["library"].setdefault("annotation", []).append(note)
                (made / file.name).write_bytes(orjson.dumps(elm))
            elif file.suffix == ".cql":
                shutil.copy(file, made)


def _described(text: str, number: int, rng: random.Random) -> str:
    text = re.sub(r'^id = ".*"$', f'id = "trial-{number:03}"', text, count=1, flags=re.MULTILINE)
    for name, values in _VALUES.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {rng.choice(values)}", text, count=1, flags=re.MULTILINE)
    parts = re.split(r"(?=^\[\[)", text, flags=re.MULTILINE)
    kept = {_field(part, "id") for part in parts if part.startswith("[[criteria]]") and _stays(part, rng)}
    groups = {
        _field(part, "group")
        for part in parts
        if part.startswith("[[criteria]]") and _field(part, "id") in kept
    }
    return "".join(
        part
        for part in parts
        if not (part.startswith("[[criteria]]") and _field(part, "id") not in kept)
        and not (part.startswith("[[rows]]") and _field(part, "id") not in groups)
    )


def _field(part: str, name: str) -> str:
    found = re.search(rf'^{name} = "(.*)"$', part, re.MULTILINE)
    return found[1] if found else ""


def _stays(part: str, rng: random.Random) -> bool:
    """Half of them; always the gate, and what another one repeats."""
    return _field(part, "id") in ("H1-Condition", "IN01-Age") or rng.random() < 0.5
