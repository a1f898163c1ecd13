"""Everything that normalisation goes by, read once: concept maps, readings, lexicon, equations.

Errors: a file that can't be read or has another shape raises AuthoringError naming it; nothing is read at
run time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from cds_service.errors import AuthoringError
from cds_service.records.categories import Categories
from cds_service.records.equations import Equation, read_equation
from cds_service.records.qualitative import QualitativeReader
from cds_service.records.quantities import Units
from cds_service.records.readings import Readings
from cds_service.records.text import Lexicon
from cds_service.terminology.concept_maps import ConceptMaps, Target, load_concept_maps
from cds_service.terminology.map_rules import EL_ESCORIAL_CATEGORIES
from cds_service.terminology.system_uris import SystemUris
from cds_service.terminology.systems import (
    CATEGORY_TEXT,
    EL_ESCORIAL_CATEGORY,
    RESULT_TEXT,
)
from cds_service.terminology.text import normalise_text, unit_key
from cds_service.terminology.value_sets import ValueSets

# The maps whose sources are codes of a site's or a country's own systems.
_LOCAL = ("local-lab-to-loinc", "el-escorial-local")
_BY_CODE = (*_LOCAL, "qualitative-result")


@dataclass(frozen=True, slots=True)
class Mappings:
    """The compiled data of fhir_mappings/ and of a site's own concept maps; immutable.

    `systems` leads from what is written as a code system to its URI, `local` from a site's (system, code) to
    the codings to add; `lexicon` reads the texts of conditions, procedures and devices, `drugs` and `forms`
    those of medications and routes; `available_equations` names the equations that can be computed here.
    """

    value_sets: ValueSets
    concept_maps: ConceptMaps
    systems: SystemUris
    local: Mapping[tuple[str, str], tuple[Target, ...]]
    units: Units
    readings: Readings
    categories: Categories
    lexicon: Lexicon
    drugs: Lexicon
    forms: Lexicon
    equations: tuple[Equation, ...]
    sha256: str

    @property
    def available_equations(self) -> frozenset[str]:
        """Names of the equations that can be computed here; GLI_2022 only where its table is installed."""
        return frozenset(equation.name for equation in self.equations)


def load_mappings(value_sets: ValueSets, *, extra_dir: Path | None = None) -> Mappings:
    """The mappings built in, with a site's own ConceptMaps (`extra_dir`, JSON files); about 10 ms.

    Raises AuthoringError naming a file that can't be used.
    """
    maps = load_concept_maps(extra_dir=extra_dir)
    digest = hashlib.sha256(maps.sha256.encode())
    readings_data = _read("readings.json", digest)
    lexicon = _read("lexicon.json", digest)
    drugs = _read("drug-lexicon.json", digest)
    equations = []
    folder = files("fhir_mappings").joinpath("equations")
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json")):
        equation = read_equation(_read(f"equations/{name}", digest), file=name)
        if equation is not None:
            equations.append(equation)
            digest.update(equation.name.encode())
    units = Units(_unit_texts(maps))
    systems = _systems(maps, value_sets)
    codes, texts = _results(maps, systems)
    categories = Categories(_categories(maps, systems))
    readings = Readings(readings_data, value_sets, units, QualitativeReader(codes, texts, units), categories)
    return Mappings(
        value_sets,
        maps,
        systems,
        _local(maps, systems),
        units,
        readings,
        categories,
        Lexicon(lexicon),
        Lexicon({**lexicon, **drugs}, file="drug-lexicon.json"),
        Lexicon({**lexicon, "terms": lexicon.get("forms")}),
        tuple(equations),
        digest.hexdigest(),
    )


def _read(name: str, digest: Any) -> Mapping[str, Any]:
    content = files("fhir_mappings").joinpath(name).read_bytes()
    digest.update(content)
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise AuthoringError(f"{name}: not JSON ({error})") from error
    if not isinstance(data, dict):
        raise AuthoringError(f"{name}: must be a JSON object")
    return data


def _systems(maps: ConceptMaps, value_sets: ValueSets) -> SystemUris:
    """Every system that the value sets and the maps' codes name, by whatever it may be written."""
    named = (system for map_id in _BY_CODE for system, _ in maps.entries(map_id) if system)
    listed = maps.entries("system-aliases").items()
    aliases = {source: targets[0].code for (_, source), targets in listed if targets}
    return SystemUris(aliases, (*value_sets.systems, *named))


def _unit_texts(maps: ConceptMaps) -> dict[str, str]:
    return {
        unit_key(source): targets[0].code
        for (_, source), targets in maps.entries("units-to-ucum").items()
        if targets
    }


def _results(maps: ConceptMaps, systems: SystemUris) -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    codes: dict[tuple[str, str], str] = {}
    texts: dict[str, str] = {}
    for (system, source), targets in maps.entries("qualitative-result").items():
        if not targets:
            continue
        if system == RESULT_TEXT:
            texts[normalise_text(source)] = targets[0].code
        else:
            codes[systems.canonical(system), source] = targets[0].code
    return codes, texts


def _categories(maps: ConceptMaps, systems: SystemUris) -> dict[tuple[str, str], str]:
    """El Escorial categories by (system, code); those of texts by ("", normalised text)."""
    found = {(EL_ESCORIAL_CATEGORY, code): code for code in EL_ESCORIAL_CATEGORIES}
    for (system, source), targets in maps.entries("el-escorial-local").items():
        category = next((target.code for target in targets if target.system == EL_ESCORIAL_CATEGORY), None)
        if category is None:
            continue
        if system == CATEGORY_TEXT:
            found["", normalise_text(source)] = category
        else:
            found[systems.canonical(system), source] = category
    return found


def _local(maps: ConceptMaps, systems: SystemUris) -> dict[tuple[str, str], tuple[Target, ...]]:
    """Codings to add beside a site's own codes: of its laboratory, and of its El Escorial observation."""
    found: dict[tuple[str, str], tuple[Target, ...]] = {}
    for map_id in _LOCAL:
        for (system, code), targets in maps.entries(map_id).items():
            own = tuple(target for target in targets if target.system != EL_ESCORIAL_CATEGORY)
            if own:
                found[systems.canonical(system), code] = own
    return found
