"""Generate the FHIR R4 ValueSets, the code-derived ConceptMaps and the drug lexicon from the table of clinical codes.

    python tools/generate_valuesets.py codes.csv [--out DIR] [--without SYSTEM]... [--check]

The table has one row a code: criterion_id, valueset_name, system, code, display, status, source. What comes
out is deterministic: the same rows give the same bytes. Sets whose name ends in `DoNotShip` are never
written.

Membership is made explicit in each file, so that a ValueSet can be read by itself:

- every row stands as `compose.include.concept` with its display, its source and, if unverified, a mark;
- systems that match by prefix (ICD-10, ICD-10-CM, ICD-9-CM, ATC) also get one `is-a` filter a code;
- where a longer (or equally long and stronger) code of the *same criterion* stands in another set, the
  weaker set excludes it (`compose.exclude`). The order at equal length: Exclude, DoNotUse and allow-lists;
  then Review, Ambiguous, Uncertain, Hint; then the positive sets;
- documented SNOMED CT roots get an `is-a` filter that only a terminology server can use.

Beside the table's sets stand a few of the project's own, which `own_sets.toml` lists: part of the table's rows under
another name, or codes of rules that the specification states in prose only (such sets are marked: they never silence a
text). The drug lexicon is made of the drugs' names.

Errors: a bad row or a table that FHIR's compose can't express ends the run with exit code 2 and one sentence.
Exit code 1: `--check` found committed files that differ.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tomllib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
if str(REPOSITORY) not in sys.path:  # run as a script from a bare checkout
    sys.path.insert(0, str(REPOSITORY))

from cds_service.terminology import systems  # noqa: E402
from cds_service.terminology.check_digits import has_valid_check_digit  # noqa: E402
from cds_service.terminology.text import normalise_text  # noqa: E402

VERSION = "1.0.0"
PUBLISHER = "cds-service contributors"
SHORT_NAMES = {
    "snomed": systems.SNOMED,
    "loinc": systems.LOINC,
    "icd-10": systems.ICD10,
    "icd-10-cm": systems.ICD10CM,
    "icd-10-pcs": systems.ICD10PCS,
    "icd-9-cm": systems.ICD9CM,
    "atc": systems.ATC,
    "rxnorm": systems.RXNORM,
    "cvx": systems.CVX,
    "hcpcs": systems.HCPCS,
}
# SNOMED CT roots that the clinical specification states as ECL `<< root`; matched by a terminology server
# only.
SNOMED_ROOTS = {
    "AlsConfirmedDx": "86044005",
    "FamilyHistorySituation": "416471007",
    "ImmunodeficiencyDx": "234532001",
    "OtherNeuroEclRoot": "118940003",
}
COPYRIGHT = {
    systems.LOINC: (
        "This material contains content from LOINC (http://loinc.org). LOINC is copyright © 1995-2020, Regenstrief "
        "Institute, Inc. and the Logical Observation Identifiers Names and Codes (LOINC) Committee and is available at "
        "no cost under the license at http://loinc.org/license. LOINC® is a registered United States trademark of "
        "Regenstrief Institute, Inc."
    ),
    systems.SNOMED: (
        "This value set includes content from SNOMED CT, which is copyright © 2002+ International Health Terminology "
        "Standards Development Organisation (IHTSDO). Use of SNOMED CT needs an Affiliate licence, free of charge in "
        "member territories; this project grants none."
    ),
    systems.RXNORM: (
        "This product uses publicly available data courtesy of the U.S. National Library of Medicine (NLM), National "
        "Institutes of Health, Department of Health and Human Services; NLM is not responsible for the product and "
        "does not endorse or recommend this or any other product."
    ),
    systems.ICD10: "ICD-10 is copyright © World Health Organization; codes and short titles are cited sparingly.",
    systems.ICD10CM: "ICD-10-CM is a work of the U.S. Government (NCHS), public domain in the United States.",
    systems.ICD9CM: "ICD-9-CM is a work of the U.S. Government (NCHS, CMS), public domain in the United States.",
    systems.ICD10PCS: "ICD-10-PCS is a work of the U.S. Government (CMS), public domain in the United States.",
    systems.HCPCS: "HCPCS Level II is a work of the U.S. Government (CMS), public domain in the United States.",
    systems.CVX: "CVX is a work of the U.S. Government (CDC), public domain in the United States.",
    systems.ATC: "ATC codes are copyright © WHO Collaborating Centre for Drug Statistics Methodology; only those used.",
    systems.OBSERVATION_INTERPRETATION: "HL7 Terminology (THO) content, CC0.",
}
COLUMNS = ["criterion_id", "valueset_name", "system", "code", "display", "status", "source"]


class TableError(Exception):
    """The table of codes can't be used; says which row or set."""


@dataclass(frozen=True)
class Derived:
    """A set of the project's own: the rows of these sets with one of these names or codes, or with a word in their
    name that begins with `words`."""

    name: str
    criterion: str
    sources: frozenset[str]
    names: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()

    def holds(self, row: Row) -> bool:
        if row.value_set not in self.sources:
            return False
        if row.display in self.names or row.code in self.codes:
            return True
        return any(word.startswith(self.words) for word in normalise_text(row.display).split())


@dataclass(frozen=True)
class Row:
    criterion: str
    value_set: str
    system: str
    code: str
    display: str
    status: str
    source: str


# --- the project's own sets ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnSets:
    """What `own_sets.toml` says: sets derived from the table's rows, and rows that the table lacks."""

    derived: tuple[Derived, ...]
    added: tuple[Row, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset({part.name for part in self.derived} | self.beside_table)

    @property
    def beside_table(self) -> frozenset[str]:
        """The sets that hold codes which the table lacks."""
        return frozenset(row.value_set for row in self.added)

    def rows(self, table: Sequence[Row]) -> Iterator[Row]:
        """The rows of these sets, derived ones from the table's rows."""
        for part in self.derived:
            chosen = [row for row in table if part.holds(row)]
            yield from (replace(row, criterion=part.criterion, value_set=part.name) for row in chosen)
        yield from self.added


def load_own_sets(path: Path) -> OwnSets:
    """The file of the project's own sets; raises TableError where an entry can't be read."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        derived = tuple(
            Derived(
                entry["name"],
                entry["criterion"],
                frozenset(entry["of"]),
                frozenset(entry.get("names", ())),
                frozenset(entry.get("codes", ())),
                tuple(entry.get("words", ())),
            )
            for entry in data["derived"]
        )
        added = tuple(
            Row(
                entry["criterion"],
                entry["name"],
                SHORT_NAMES[entry["system"]],
                code,
                display,
                entry.get("status", "VERIFIED"),
                entry["source"],
            )
            for entry in data["added"]
            for code, display in entry["codes"].items()
        )
    except KeyError as error:
        raise TableError(f"{path.name}: an entry lacks {error}, or names an unknown system") from error
    return OwnSets(derived, tuple(shippable(added)))


# --- reading ------------------------------------------------------------------------------------------------


def read_rows(path: Path) -> list[Row]:
    """The table's rows, `DoNotShip` sets left out; every code with a check digit has a right one."""
    with path.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        if reader.fieldnames != COLUMNS:
            raise TableError(f"{path.name}: the columns must be {', '.join(COLUMNS)}")
        rows = [Row(*(line[column] for column in COLUMNS)) for line in reader]
    return shippable(rows)


def rows_of_value_sets(folder: Path) -> list[Row]:
    """The rows that generated ValueSets were made from (the inverse of `value_sets`, in file order)."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        if path.stem in OWN_SETS.names:
            continue
        resource = json.loads(path.read_text(encoding="utf-8"))
        criterion = resource["useContext"][0]["valueCodeableConcept"]["coding"][0]["code"]
        for include in resource["compose"]["include"]:
            for concept in include.get("concept", ()):
                notes = {e["url"]: e.get("valueString", e.get("valueCode")) for e in concept["extension"]}
                status = "UNVERIFIED" if systems.EXT_CODE_STATUS in notes else "VERIFIED"
                rows.append(
                    Row(
                        criterion,
                        resource["name"],
                        include["system"],
                        concept["code"],
                        concept["display"],
                        status,
                        str(notes[systems.EXT_CODE_SOURCE]),
                    )
                )
    return rows


def shippable(rows: Iterable[Row]) -> list[Row]:
    kept = []
    for row in rows:
        if row.value_set.endswith("DoNotShip"):
            continue
        if not all((row.criterion, row.value_set, row.system, row.code, row.display, row.source)):
            raise TableError(f"{row.value_set}: the row of code {row.code!r} has an empty field")
        if row.status not in ("VERIFIED", "UNVERIFIED"):
            raise TableError(f"{row.value_set}: code {row.code} has the status {row.status!r}")
        if not has_valid_check_digit(row.system, row.code):
            raise TableError(f"{row.value_set}: {row.code} fails its check digit")
        kept.append(row)
    return kept


OWN_SETS = load_own_sets(Path(__file__).with_name("own_sets.toml"))


# --- precedence ---------------------------------------------------------------------------------------------


def rank(value_set: str) -> int:
    """0 for exclusions and allow-lists, 1 for review sets, 2 for positive sets; the lower wins at equal length."""
    if any(word in value_set for word in ("Exclude", "DoNotUse", "AllowList")):
        return 0
    if any(word in value_set for word in ("Review", "Ambiguous", "Uncertain", "Hint")):
        return 1
    return 2


def exclusions(value_set: str, rows: Sequence[Row], siblings: Sequence[Row]) -> list[Row]:
    """The rows of other sets of the criterion (`siblings`) that beat a row of this set for the codes both
    cover.

    FHIR applies every exclude after every include, so a code of this set *below* an excluded one can't be
    said; such a table is refused.
    """
    mine = {(row.system, systems.match_key(row.system, row.code)) for row in rows}
    beaten = []
    for other in siblings:
        if other.value_set == value_set:
            continue
        key = systems.match_key(other.system, other.code)
        if (other.system, key) in mine:
            if rank(other.value_set) < rank(value_set):
                beaten.append(other)
        elif other.system in systems.PREFIX_SYSTEMS and any(
            system == other.system and key.startswith(code) for system, code in mine
        ):
            beaten.append(other)
    for other in beaten:
        key = systems.match_key(other.system, other.code)
        for system, code in mine:
            if (
                system == other.system
                and system in systems.PREFIX_SYSTEMS
                and code != key
                and code.startswith(key)
            ):
                raise TableError(
                    f"{value_set}: {code} lies below {other.code}, which {other.value_set} takes away"
                )
    return beaten


# --- writing ------------------------------------------------------------------------------------------------


def value_sets(rows: Sequence[Row], left_out: Container[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, ValueSet) of each set, in order of name, without the systems left out.

    A set of which nothing is left is still written, with no `compose`: libraries refer to it, and it holds
    no code.
    """
    by_set = by_value_set(rows)
    by_criterion: dict[str, list[Row]] = {}
    for row in rows:
        by_criterion.setdefault(row.criterion, []).append(row)
    for name in sorted(by_set):
        members = by_set[name]
        criteria = {row.criterion for row in members}
        if len(criteria) > 1:
            raise TableError(f"{name}: belongs to several criteria: {', '.join(sorted(criteria))}")
        kept = [row for row in members if row.system not in left_out]
        yield (
            name,
            value_set(
                name, members[0].criterion, kept, exclusions(name, kept, by_criterion[members[0].criterion])
            ),
        )


def by_value_set(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.value_set, []).append(row)
    return found


def value_set(name: str, criterion: str, rows: Sequence[Row], beaten: Sequence[Row]) -> dict[str, Any]:
    used = sorted({row.system for row in rows})
    compose: dict[str, Any] = {"include": [part for system in used for part in includes(name, system, rows)]}
    if beaten:
        compose["exclude"] = [
            exclude(row) for row in sorted(beaten, key=lambda r: (r.system, r.code, r.value_set))
        ]
    resource = {
        "resourceType": "ValueSet",
        "id": name,
        "url": f"{systems.CANONICAL}/ValueSet/{name}",
        "version": VERSION,
        "name": name,
        "status": "draft",
        "experimental": False,
        "publisher": PUBLISHER,
        "description": f"Codes of the set {name} for the criterion {criterion} of NCT02917681.",
        "useContext": [
            {
                "code": {
                    "system": "http://terminology.hl7.org/CodeSystem/usage-context-type",
                    "code": "workflow",
                },
                "valueCodeableConcept": {
                    "coding": [{"system": f"{systems.CANONICAL}/CodeSystem/criterion", "code": criterion}]
                },
            }
        ],
    }
    if name in OWN_SETS.beside_table:
        resource["extension"] = [{"url": systems.EXT_NOT_IN_TABLE, "valueBoolean": True}]
    if rows:
        resource["copyright"] = "\n".join(COPYRIGHT[system] for system in used if system in COPYRIGHT)
        resource["compose"] = compose
    return resource


def includes(name: str, system: str, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    members = sorted((row for row in rows if row.system == system), key=lambda row: row.code)
    yield {"system": system, "concept": [concept(row) for row in members]}
    if system in systems.PREFIX_SYSTEMS:
        for row in members:
            yield {"system": system, "filter": [is_a(row.code)]}
    if system == systems.SNOMED and name in SNOMED_ROOTS:
        yield {"system": system, "filter": [is_a(SNOMED_ROOTS[name])]}


def concept(row: Row) -> dict[str, Any]:
    notes = [{"url": systems.EXT_CODE_SOURCE, "valueString": row.source}]
    if row.status != "VERIFIED":
        notes.append({"url": systems.EXT_CODE_STATUS, "valueCode": "unverified"})
    return {"extension": notes, "code": row.code, "display": row.display}


def is_a(code: str) -> dict[str, str]:
    return {"property": "concept", "op": "is-a", "value": code}


def exclude(row: Row) -> dict[str, Any]:
    note = [{"url": systems.EXT_EXCLUDED_FOR, "valueCode": row.value_set}]
    if row.system in systems.PREFIX_SYSTEMS:
        return {"extension": note, "system": row.system, "filter": [is_a(row.code)]}
    return {"extension": note, "system": row.system, "concept": [{"code": row.code, "display": row.display}]}


# --- concept maps -------------------------------------------------------------------------------------------

QUALITATIVE_STRINGS = {
    "positive": [
        "positive", "pos", "detected", "reactive", "repeatedly reactive", "present", "positivo", "positiva", "reagente",
        "reativo", "reativa", "detectado", "detectada", "detectavel", "presente", "presenca",
    ],
    "weak-positive": ["weakly reactive", "weakly positive", "fracamente reagente"],
    "negative": [
        "negative", "neg", "not detected", "non reactive", "nonreactive", "absent", "negativo", "negativa",
        "nao reagente", "nao reativo", "nao reativa", "nao detectado", "nao detectada", "indetectavel", "ausente",
        "target not detected", "nao detectavel", "ausencia",
    ],
    "indeterminate": [
        "indeterminate", "equivocal", "inconclusive", "borderline", "gray zone", "grey zone", "indeterminado",
        "indeterminada", "inconclusivo", "inconclusiva", "zona cinza",
    ],
}  # fmt: skip
# Result codes of Brazil's RNDS, which no row of the table holds: value set BRResultadoQualitativoExame 1.1.0 of the
# ministry's terminology. Its tables on avidity, cultures, smears and compatibility don't say that something was found.
RNDS = "https://terminologia.saude.gov.br/fhir/CodeSystem"
RNDS_RESULTS = {
    "BRResultadoQualitativoExame": ("Detectável", "Não Detectável", "Inconclusivo"),
    "BRTipoResultadoDTNT": ("Detectável", "Não Detectável", "Indeterminado"),
    "BRTipoResultadoPRAU": ("Presença", "Ausência", "Inconclusivo"),
    "BRTipoResultadoPSNG": ("Positivo", "Negativo", "Inconclusivo"),
    "BRTipoResultadoRGNR": ("Reagente", "Não Reagente", "Indeterminado"),
}  # codes 1, 2 and 3
WEAK_POSITIVE = {(systems.SNOMED, "260408008"), (systems.OBSERVATION_INTERPRETATION, "WR")}
RESULT_SETS = {
    "ResultPositive": "positive",
    "ResultNegative": "negative",
    "ResultIndeterminate": "indeterminate",
}
DRUG_SETS = {
    "ImmunosuppressantAtc": "immunosuppressant",
    "ImmunosuppressantRxIngredient": "immunosuppressant",
    "SystemicGlucocorticoid": "glucocorticoid",
    "ImmunosuppressantNonSystemicExclude": "non-systemic-exclude",
    "AlsDrugsNeverExclude": "als-drug",
}


def concept_maps(rows: Sequence[Row]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id, ConceptMap) of the maps that follow from the table: qualitative-result and rxnorm-atc-drugclass."""
    results = [
        (row, "weak-positive" if (row.system, row.code) in WEAK_POSITIVE else RESULT_SETS[row.value_set])
        for row in rows
        if row.value_set in RESULT_SETS
    ]
    groups = list(code_groups(results, systems.QUALITATIVE_RESULT))
    for table, displays in RNDS_RESULTS.items():
        targets = ("positive", "negative", "indeterminate")
        members = [element(str(n), *found) for n, found in enumerate(zip(displays, targets, strict=True), 1)]
        groups.append({"source": f"{RNDS}/{table}", "target": systems.QUALITATIVE_RESULT, "element": members})
    strings = [(text, target) for target, texts in QUALITATIVE_STRINGS.items() for text in texts]
    for text, _ in strings:
        if normalise_text(text) != text:
            raise TableError(f"qualitative-result: the string {text!r} is not in its normalised form")
    groups.append(
        {
            "source": systems.RESULT_TEXT,
            "target": systems.QUALITATIVE_RESULT,
            "element": [element(text, None, target) for text, target in sorted(strings)],
        }
    )
    yield (
        "qualitative-result",
        concept_map(
            "qualitative-result",
            "Result codes and normalised result texts to a qualitative result",
            groups,
            results,
        ),
    )
    drugs = [(row, DRUG_SETS[row.value_set]) for row in rows if row.value_set in DRUG_SETS]
    yield (
        "rxnorm-atc-drugclass",
        concept_map(
            "rxnorm-atc-drugclass",
            "RxNorm ingredients and ATC codes to the drug classes of the criterion on immunosuppressants",
            list(code_groups(drugs, systems.DRUG_CLASS)),
            drugs,
        ),
    )


def code_groups(pairs: Sequence[tuple[Row, str]], target: str) -> Iterator[dict[str, Any]]:
    for system in sorted({row.system for row, _ in pairs}):
        members = sorted((row.code, row.display, to) for row, to in pairs if row.system == system)
        yield {"source": system, "target": target, "element": [element(*member) for member in members]}


def element(code: str, display: str | None, target: str) -> dict[str, Any]:
    start: dict[str, Any] = {"code": code}
    if display is not None:
        start["display"] = display
    return {**start, "target": [{"code": target, "equivalence": "subsumes" if display else "equivalent"}]}


def concept_map(
    name: str, title: str, groups: list[dict[str, Any]], pairs: Sequence[tuple[Row, str]]
) -> dict[str, Any]:
    used = sorted({row.system for row, _ in pairs})
    return {
        "resourceType": "ConceptMap",
        "id": name,
        "url": f"{systems.CANONICAL}/ConceptMap/{name}",
        "version": VERSION,
        "name": "".join(part.capitalize() for part in name.split("-")),
        "title": title,
        "status": "draft",
        "experimental": False,
        "publisher": PUBLISHER,
        "copyright": "\n".join(COPYRIGHT[system] for system in used if system in COPYRIGHT),
        "group": groups,
    }


# --- the drug lexicon (clinical specification §2.9) ---------------------------------------------------------

# Which sets give each term its names, and the words that the specification adds. Portuguese names that the endings
# don't give, and plurals, stand beside them.
DRUG_TERMS: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "immunosuppressant": (
        frozenset({"ImmunosuppressantRxIngredient", "ImmunosuppressantAtc"}),
        (
            "azatioprina", "metotrexato", "micofenolato", "ciclosporina", "ciclofosfamida", "talidomida",
            "imunossupressor", "immunosuppressant",
            "imunossupressores", "imunossupressora", "immunosuppressants", "cyclosporin", "mycophenolate",
            "acido micofenolico", "fumarato de dimetila", "antithymocyte globulin", "globulina antitimocito",
            "imunoglobulina antitimocito", "timoglobulina", "thymoglobulin",
            "globulina antitimocitica", "imunoglobulina antitimocitica",
            "certolizumab", "certolizumabe", "efgartigimod", "efgartigimode", "muromonab",
            "dimetilfumarato", "dimetil fumarato",
        ),
    ),
    "glucocorticoid": (
        frozenset({"SystemicGlucocorticoid"}),
        (
            "metilprednisolona", "dexametasona", "betametasona", "hidrocortisona", "triancinolona", "corticoide",
            "corticosteroid",
            "corticoides", "corticosteroids", "corticosteroide", "corticosteroides",
            "glucocorticoid", "glucocorticoids", "glicocorticoide", "glicocorticoides", "deflazacorte",
        ),
    ),
    "cell-therapy": (
        frozenset({"CellTherapyProduct"}),
        (
            "stem cell", "stem cells", "celulas tronco", "car t", "transplante de medula",
            "remestemcel", "sipuleucel",
        ),
    ),
}  # fmt: skip
PORTUGUESE_ENDINGS = (
    ("mab", "mabe"), ("cept", "cepte"), ("nib", "nibe"), ("mod", "mode"), ("limus", "limo"), ("ine", "ina"),
    ("one", "ona"), ("ide", "ida"), ("ate", "ato"),
)  # fmt: skip
_SUBSTANCE_LEVEL = 7  # the length of an ATC code of a substance; shorter ones name groups


def drug_lexicon(rows: Sequence[Row]) -> dict[str, Any]:
    """The terms of drug texts, in the shape of lexicon.json."""
    terms = {}
    for term, (sources, more) in DRUG_TERMS.items():
        names = {
            normalise_text(row.display)
            for row in rows
            if row.value_set in sources and (row.system != systems.ATC or len(row.code) >= _SUBSTANCE_LEVEL)
        }
        terms[term] = {"phrases": sorted(names | {portuguese(name) for name in names} | set(more))}
    return {
        "description": "Medication texts (clinical specification 2.9): names of drugs in normalised form.",
        "version": VERSION,
        "terms": terms,
    }


def portuguese(name: str) -> str:
    """A drug's name with the Portuguese ending of each word."""
    return " ".join(_portuguese_word(word) for word in name.split(" "))


def _portuguese_word(word: str) -> str:
    for ending, other in PORTUGUESE_ENDINGS:
        if word.endswith(ending):
            return word.removesuffix(ending) + other
    return word


# --- the command --------------------------------------------------------------------------------------------


def generate(rows: Sequence[Row], *, without: Iterable[str] = ()) -> dict[str, bytes]:
    """The files, by path below the repository, of these rows; `without` holds system URIs or short names."""
    left_out = {SHORT_NAMES.get(name, name) for name in without}
    kept = [row for row in rows if row.system not in left_out]
    files = {f"valuesets/{name}.json": encode(resource) for name, resource in value_sets(rows, left_out)}
    for name, members in by_value_set(OWN_SETS.rows(rows)).items():
        shipped = [row for row in members if row.system not in left_out]
        files[f"valuesets/{name}.json"] = encode(value_set(name, members[0].criterion, shipped, ()))
    files |= {
        f"fhir_mappings/concept_maps/{name}.json": encode(resource) for name, resource in concept_maps(kept)
    }
    files["fhir_mappings/drug-lexicon.json"] = encode(drug_lexicon(rows))
    return files


def encode(resource: dict[str, Any]) -> bytes:
    """UTF-8, one space of indentation: stable, and readable in a diff."""
    text = json.dumps(resource, ensure_ascii=False, indent=1)
    return (text + "\n").encode()


def differences(files: dict[str, bytes], folder: Path) -> list[str]:
    """What a `--check` complains about, one sentence a file."""
    found = []
    for path, content in files.items():
        committed = folder / path
        if not committed.exists():
            found.append(f"{path} is missing")
        elif committed.read_bytes() != content:
            found.append(f"{path} differs")
    extra = {f"valuesets/{path.name}" for path in (folder / "valuesets").glob("*.json")} - files.keys()
    return found + [f"{path} is not generated any more" for path in sorted(extra)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Generate ValueSets and ConceptMaps from the table of clinical codes."
    )
    parser.add_argument("table", type=Path, help="the table of codes (CSV)")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY, help="folder that holds valuesets/ and fhir_mappings/"
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="SYSTEM", help="leave a code system out"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when committed files differ"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.without if name not in SHORT_NAMES and "/" not in name]
    if unknown:
        print(
            f"unknown code system {unknown[0]!r}; known: {', '.join(SHORT_NAMES)} or a URI", file=sys.stderr
        )
        return 2
    try:
        files = generate(read_rows(options.table), without=options.without)
    except (TableError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.check:
        found = differences(files, options.out)
        for line in found:
            print(line, file=sys.stderr)
        return 1 if found else 0
    for stale in (options.out / "valuesets").glob("*.json"):
        if f"valuesets/{stale.name}" not in files:
            stale.unlink()
    for path, content in files.items():
        target = options.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    print(f"{len(files)} files written below {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
