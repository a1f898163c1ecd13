"""Random facts of every kind that a criterion may read, coded from all value sets of the repository.

Each fact is a short list of resources that belong together (a device and its use, a study and its subject). Codes are
drawn set by set, so that a large set hides no small one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from hypothesis import strategies as st

from tests.builders import (
    ATC,
    CVX,
    HCPCS,
    ICD9CM,
    ICD10,
    ICD10CM,
    ICD10PCS,
    LOINC,
    RXNORM,
    SNOMED,
    Json,
    Resource,
    attestation,
    concept,
    condition,
    consent,
    device,
    device_request,
    device_use_statement,
    immunization,
    medication,
    medication_administration,
    medication_dispense,
    medication_request,
    medication_statement,
    nutrition_order,
    observation,
    procedure,
    reference_range,
    research_study,
    research_subject,
    serology,
    service_request,
    snomed,
    supply_delivery,
    value_integer,
    value_quantity,
    value_text,
)
from tests.trials.criteria import CRITERIA

DIAGNOSES: Final = (ICD10, ICD10CM, ICD9CM, SNOMED)
ACTS: Final = (SNOMED, ICD10PCS, HCPCS)
DRUGS: Final = (RXNORM, ATC)
DEVICES: Final = (SNOMED, HCPCS)
# The screening day, both sides of every window, the future, partial dates.
DAYS: Final = (
    "2026-06-15",
    "2026-06-10",
    "2026-06-07",
    "2026-05-20",
    "2026-05-04",
    "2026-05-03",
    "2026-03-16",
    "2026-01-10",
    "2025-06-14",
    "2024-02-01",
    "2026-07-01",
    "2026-05",
    "2026",
    "2019",
)
FULL_DAYS: Final = tuple(day for day in DAYS if len(day) == 10)
CONDITION_TEXTS: Final = (
    "Esclerose lateral amiotrófica",
    "Traqueostomia",
    "nega uso de BiPAP",
    "VNI noturna",
    "Gastrostomia (PEG)",
    "Lúpus eritematoso",
    "Fratura de fêmur",
    "Linfoma de Hodgkin?",
    "Epilepsia",
    "Mãe com Parkinson",
    "células-tronco na Tailândia",
    "Cefaleia",
)
DRUG_TEXTS: Final = (
    "Azatioprina 50 mg",
    "Prednisona 20 mg",
    "Tacrolimo pomada 0,1 %",
    "Dipirona 500 mg",
    "remestemcel-L",
    "nega azatioprina",
)
DEVICE_TEXTS: Final = ("BiPAP", "Sonda de gastrostomia", "Marcapasso diafragmático", "Cadeira de rodas")


@cache
def sets_of(*systems: str) -> tuple[tuple[Json, ...], ...]:
    """The codes of these systems, one tuple a value set."""
    found = []
    for entry in sorted(files("valuesets").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".json"):
            includes = json.loads(entry.read_text(encoding="utf-8"))["compose"]["include"]
            codes = tuple(
                {"system": include["system"], "code": code["code"], "display": code["display"]}
                for include in includes
                if include["system"] in systems
                for code in include.get("concept", ())
            )
            if codes:
                found.append(codes)
    return tuple(found)


def code_of(*systems: str) -> st.SearchStrategy[Json]:
    return st.sampled_from(sets_of(*systems)).flatmap(st.sampled_from)


def codes_and_text(texts: Sequence[str], *systems: str) -> st.SearchStrategy[tuple[list[Json], str | None]]:
    """Mostly one code; sometimes two, or words alone, or both."""
    one = st.lists(code_of(*systems), min_size=1, max_size=1)
    return st.one_of(
        st.tuples(one, st.none()),
        st.tuples(one, st.none()),
        st.tuples(st.lists(code_of(*systems), min_size=2, max_size=2), st.none()),
        st.tuples(st.just([]), st.sampled_from(texts)),
        st.tuples(one, st.sampled_from(texts)),
    )


days = st.sampled_from(DAYS)
full_days = st.sampled_from(FULL_DAYS)
maybe_day = st.none() | days
Draw = st.DrawFn


def conditions(draw: Draw, n: int) -> list[Resource]:
    codes, text = draw(codes_and_text(CONDITION_TEXTS, *DIAGNOSES))
    clinical = draw(
        st.sampled_from(["active", "active", "active", "recurrence", "remission", "resolved", None])
    )
    verification = draw(st.sampled_from(["confirmed", "confirmed", None, "provisional", "refuted"]))
    severity = draw(st.none() | st.sampled_from(["24484000", "6736007", "255604002"]))
    return [
        condition(
            *codes,
            text=text,
            clinical=clinical,
            verification=verification,
            category=draw(st.sampled_from(["problem-list-item", "encounter-diagnosis", "health-concern"])),
            onset=draw(maybe_day),
            abatement=draw(maybe_day) if clinical in ("remission", "resolved") else None,
            recorded=draw(maybe_day),
            **({"severity": concept(snomed(severity))} if severity else {}),
        )
    ]


def procedures(draw: Draw, n: int) -> list[Resource]:
    codes, text = draw(codes_and_text(CONDITION_TEXTS, *ACTS))
    status = draw(
        st.sampled_from(
            ["completed", "completed", "in-progress", "not-done", "preparation", "on-hold", "unknown"]
        )
    )
    when: Json = draw(
        st.one_of(
            st.fixed_dictionaries({"on": maybe_day}),
            st.fixed_dictionaries({"start": days, "end": maybe_day}),
        )
    )
    return [procedure(*codes, text=text, status=status, **when)]


def drugs(draw: Draw, n: int) -> list[Resource]:
    """One record of one of the four kinds; the drug as a concept, or in a Medication that it refers to."""
    codes, text = draw(codes_and_text(DRUG_TEXTS, *DRUGS))
    kind = draw(st.sampled_from(["request", "statement", "administration", "dispense"]))
    taken: Resource
    if kind == "request":
        period = {"start": draw(days), "end": draw(maybe_day)}
        bounds = {key: day for key, day in period.items() if day}
        taken = medication_request(
            *codes,
            text=text,
            status=draw(
                st.sampled_from(["active", "active", "completed", "stopped", "on-hold", "cancelled", "draft"])
            ),
            intent=draw(st.sampled_from(["order", "order", "proposal"])),
            authored=draw(maybe_day),
            **(
                {"dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": bounds}}}]}
                if draw(st.booleans())
                else {}
            ),
        )
    elif kind == "statement":
        status = draw(st.sampled_from(["active", "completed", "stopped", "not-taken", "on-hold", "intended"]))
        taken = medication_statement(
            *codes, text=text, status=status, start=draw(maybe_day), end=draw(maybe_day)
        )
    elif kind == "administration":
        status = draw(st.sampled_from(["completed", "completed", "in-progress", "not-done"]))
        taken = medication_administration(*codes, on=draw(days), status=status)
        taken["medicationCodeableConcept"] = concept(*codes, text=text)
    else:
        status = draw(st.sampled_from(["completed", "completed", "cancelled"]))
        supply = draw(st.none() | st.sampled_from([10, 30, 90]))
        taken = medication_dispense(
            *codes, text=text, status=status, handed_over=draw(maybe_day), days=supply
        )
    if draw(st.integers(0, 3)) > 0:
        return [taken]
    drug = taken.pop("medicationCodeableConcept")
    taken["medicationReference"] = {"reference": f"Medication/drug-{n}"}
    return [{**medication(f"drug-{n}"), "code": drug}, taken]


def devices(draw: Draw, n: int) -> list[Resource]:
    """A device with or without a statement of its use."""
    codes, text = draw(codes_and_text(DEVICE_TEXTS, *DEVICES))
    thing = device(*codes, text=text, id=f"device-{n}")
    if draw(st.integers(0, 3)) == 0:
        return [thing]
    status = draw(st.sampled_from(["active", "active", "completed", "stopped", "on-hold", "intended"]))
    period = {"start": draw(days), "end": draw(maybe_day)}
    timing = {key: day for key, day in period.items() if day}
    return [thing, device_use_statement(f"Device/device-{n}", status=status, timingPeriod=timing)]


def orders(draw: Draw, n: int) -> list[Resource]:
    status = st.sampled_from(["active", "on-hold", "completed", "draft", "revoked"])
    kind = draw(st.sampled_from(["service", "device", "supply", "diet"]))
    if kind == "service":
        return [service_request(draw(code_of(*ACTS)), status=draw(status), authoredOn=draw(full_days))]
    if kind == "device":
        codes, text = draw(codes_and_text(DEVICE_TEXTS, *DEVICES))
        return [device_request(*codes, text=text, status=draw(status), authoredOn=draw(full_days))]
    if kind == "supply":
        codes, text = draw(codes_and_text(DEVICE_TEXTS, *DEVICES))
        delivered = draw(st.sampled_from(["completed", "in-progress", "abandoned"]))
        return [supply_delivery(*codes, text=text, status=delivered, on=draw(maybe_day))]
    diet = draw(st.sampled_from(["active", "completed", "draft", "revoked"]))
    return [nutrition_order(status=diet, on=draw(maybe_day), enteral=draw(st.booleans()))]


def studies(draw: Draw, n: int) -> list[Resource]:
    nct = draw(st.sampled_from(["NCT02917681", "NCT01234567", "NCT01234567"]))
    kind = draw(st.none() | st.sampled_from(["observational", "interventional"]))
    study = research_study(
        f"study-{n}",
        nct,
        draw(st.sampled_from(["A study", "ALS registry"])),
        **({"category": [concept(text=kind)]} if kind else {}),
        **({"primaryPurposeType": concept(text="treatment")} if draw(st.booleans()) else {}),
    )
    status = draw(
        st.sampled_from(
            ["on-study", "screening", "candidate", "follow-up", "withdrawn", "off-study", "not-registered"]
        )
    )
    end = draw(maybe_day)
    subject = research_subject(
        f"ResearchStudy/study-{n}", status, **({"period": {"end": end}} if end else {})
    )
    return [study, subject]


def observations(draw: Draw, n: int) -> list[Resource]:
    code = draw(code_of(LOINC, SNOMED))
    on = draw(st.sampled_from(DAYS[:9]))
    status = draw(st.sampled_from(["final", "final", "final", "amended", "preliminary", "registered"]))
    value: Json = draw(
        st.sampled_from(
            [
                value_integer(3),
                value_integer(38),
                value_quantity(70, "%"),
                value_quantity(28, "U/L"),
                value_quantity(400, "U/L"),
                value_quantity(3.1, "L"),
                value_quantity(0.8, "mg/dL"),
                value_quantity(220, "umol/L"),
                value_quantity(30, "[IU]/L"),
                value_quantity(50, "deg"),
                value_text("não reagente"),
                value_text("1:16"),
                value_text("positivo"),
            ]
        )
    )
    if draw(st.booleans()):
        return [serology(code, draw(st.sampled_from(["pos", "neg", "ind", "weak"])), on=on, status=status)]
    flag = draw(st.none() | st.sampled_from(["H", "N", "POS", "NEG"]))
    ranges = [reference_range(high=41, unit="U/L")] if draw(st.booleans()) else []
    return [observation(code, value, on=on, status=status, interpretation_code=flag, ranges=ranges)]


def answers(draw: Draw, n: int) -> list[Resource]:
    asked = draw(
        st.dictionaries(
            st.sampled_from(CRITERIA), st.sampled_from(["yes", "no", "unsure"]), min_size=1, max_size=4
        )
    )
    return [attestation(asked, on=draw(st.sampled_from(["2026-06-14", "2026-06-01", "2026-04-01"])))]


def others(draw: Draw, n: int) -> list[Resource]:
    if draw(st.booleans()):
        return [consent(status=draw(st.sampled_from(["active", "rejected", "draft"])), on=draw(full_days))]
    return [immunization(draw(code_of(CVX)), on=draw(full_days))]


KINDS: Final[tuple[Callable[[Draw, int], list[Resource]], ...]] = (
    conditions,
    procedures,
    drugs,
    devices,
    orders,
    studies,
    observations,
    answers,
    others,
)


def generated(draw: Draw, n: int) -> list[Resource]:
    """The n-th fact of a chart; n keeps the ids of what belongs together apart."""
    return draw(st.sampled_from(KINDS))(draw, n)
