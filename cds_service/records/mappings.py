"""Everything that normalisation goes by, read once: concept maps, readings, lexicon, equations.

Errors: a file that can't be read or has another shape raises AuthoringError naming it; nothing is read at
run time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
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
from cds_service.terminology.systems import (
    CATEGORY_TEXT,
    EL_ESCORIAL_CATEGORY,
    RESULT_TEXT,
)
from cds_service.terminology.text import normalise_text, unit_key
from cds_service.terminology.value_sets import ValueSets

# How an OID is written as the system of a code.
_OID = re.compile(r"(?:urn:oid:|oid:)?([0-9]+(?:\.[0-9]+)+)")


@dataclass(frozen=True, slots=True)
class Mappings:
    """The compiled data of fhir_mappings/ and of a site's own concept maps; immutable.

    `aliases` leads from URIs of code systems to the canonical ones, `local` from a site's (system, code) to
    the codings to add; `lexicon` reads the texts of conditions, procedures and devices, `drugs` and `forms`
    those of medications and routes; `available_equations` names the equations that can be computed here.
    """

    value_sets: ValueSets
    concept_maps: ConceptMaps
    aliases: Mapping[str, str]
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
    aliases = _aliases(maps)
    codes, texts = _results(maps, aliases)
    categories = Categories(_categories(maps, aliases))
    readings = Readings(readings_data, value_sets, units, QualitativeReader(codes, texts, units), categories)
    return Mappings(
        value_sets,
        maps,
        aliases,
        _local(maps, aliases),
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


def _aliases(maps: ConceptMaps) -> dict[str, str]:
    """From each other URI of a code system to its own; an alias of an alias leads on."""
    given = {
        source: targets[0].code for (_, source), targets in maps.entries("system-aliases").items() if targets
    }
    found = {}
    for source in given:
        passed, end = {source}, given[source]
        while end in given and end not in passed:
            passed.add(end)
            end = given[end]
        found[source] = end
    return found


def _spellings(system: str, aliases: Mapping[str, str]) -> Iterator[str]:
    """A map's source system as resources may name it: by its own URI, an OID with and without its prefix."""
    yield aliases.get(system, system)
    if oid := _OID.fullmatch(system):
        yield from (aliases.get(each, each) for each in (f"urn:oid:{oid[1]}", f"oid:{oid[1]}", oid[1]))


def _unit_texts(maps: ConceptMaps) -> dict[str, str]:
    return {
        unit_key(source): targets[0].code
        for (_, source), targets in maps.entries("units-to-ucum").items()
        if targets
    }


def _results(
    maps: ConceptMaps, aliases: Mapping[str, str]
) -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    codes: dict[tuple[str, str], str] = {}
    texts: dict[str, str] = {}
    for (system, source), targets in maps.entries("qualitative-result").items():
        if not targets:
            continue
        if system == RESULT_TEXT:
            texts[normalise_text(source)] = targets[0].code
        else:
            codes.update(((spelt, source), targets[0].code) for spelt in _spellings(system, aliases))
    return codes, texts


def _categories(maps: ConceptMaps, aliases: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """El Escorial categories by (system, code); those of texts by ("", normalised text)."""
    found = {(EL_ESCORIAL_CATEGORY, code): code for code in EL_ESCORIAL_CATEGORIES}
    for (system, source), targets in maps.entries("el-escorial-local").items():
        category = next((target.code for target in targets if target.system == EL_ESCORIAL_CATEGORY), None)
        if category is None:
            continue
        if system == CATEGORY_TEXT:
            found["", normalise_text(source)] = category
        else:
            found.update(((spelt, source), category) for spelt in _spellings(system, aliases))
    return found


def _local(maps: ConceptMaps, aliases: Mapping[str, str]) -> dict[tuple[str, str], tuple[Target, ...]]:
    """Codings to add beside a site's own codes: of its laboratory, and of its El Escorial observation."""
    found: dict[tuple[str, str], tuple[Target, ...]] = {}
    for map_id in ("local-lab-to-loinc", "el-escorial-local"):
        for (system, code), targets in maps.entries(map_id).items():
            own = tuple(target for target in targets if target.system != EL_ESCORIAL_CATEGORY)
            if own:
                found.update(((spelt, code), own) for spelt in _spellings(system, aliases))
    return found
