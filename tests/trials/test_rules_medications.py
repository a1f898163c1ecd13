"""Rules of EX09 (immunosuppressants, §5) and of drug exposure (§2.8), on the days around 2026-06-15.

The window is 2026-05-04 to 2026-06-15; two years before the screening day is 2024-06-15.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    Json,
    Resource,
    atc,
    attestation,
    b0,
    bundle,
    concept,
    condition,
    icd10cm,
    medication,
    medication_administration,
    medication_dispense,
    medication_request,
    medication_statement,
    minimal,
    observation,
    patient,
    quantity,
    rxnorm,
    snomed,
)
from tests.trials.assessing import Case, assess, check, criterion, verdict

IMM = "EX09-Immunosuppressant"
S, FIRST, BEFORE, AFTER = "2026-06-15", "2026-05-04", "2026-05-03", "2026-06-16"
AZATHIOPRINE = rxnorm("1256", "azathioprine")
TACROLIMUS = rxnorm("42316", "tacrolimus")
PREDNISONE = rxnorm("8640", "prednisone")
RITUXIMAB = rxnorm("121191", "rituximab")
ORAL, TOPICAL, RECTAL = snomed("26643006"), snomed("6064005"), snomed("37161004")


def request(*codings: Json, **elements: Any) -> Resource:
    return medication_request(*(codings or (AZATHIOPRINE,)), **elements)


def statement(*codings: Json, **elements: Any) -> Resource:
    return medication_statement(*(codings or (AZATHIOPRINE,)), **elements)


def given(on: str, *codings: Json, **elements: Any) -> Resource:
    return medication_administration(*(codings or (AZATHIOPRINE,)), on=on, **elements)


def infusion(start: str | None, end: str | None, status: str = "completed") -> Resource:
    found = given("2026-01-01", status=status)
    del found["effectiveDateTime"]
    period = {k: v for k, v in (("start", start), ("end", end)) if v}
    return {**found, "effectivePeriod": period} if period else found


def dispense(*codings: Json, **elements: Any) -> Resource:
    return medication_dispense(*(codings or (AZATHIOPRINE,)), **elements)


def bounded(start: str | None = None, end: str | None = None) -> Json:
    return {"timing": {"repeat": {"boundsPeriod": {k: v for k, v in (("start", start), ("end", end)) if v}}}}


def by(route: Json | None = None, text: str | None = None) -> list[Json]:
    return [{"route": concept(*([] if route is None else [route]), text=text)}]


def within(duration: Json) -> Json:
    return {"timing": {"repeat": {"boundsDuration": duration}}}


def supply(days: float, repeats: float | None = None, unit: str = "d") -> Json:
    found: Json = {"expectedSupplyDuration": quantity(days, unit)}
    return found if repeats is None else {**found, "numberOfRepeatsAllowed": repeats}


def case(name: str, fact: Resource | list[Resource], status: str, *reasons: str, **expected: Any) -> Case:
    return Case(name, IMM, minimal(fact if isinstance(fact, list) else [fact]), status, reasons, **expected)


ADMINISTRATIONS = [
    case("given-on-the-first-day", given(FIRST), "met", basis="explicit", note="42 days before"),
    case("given-the-day-before", given(BEFORE), "not-met", note="43 days"),
    case("given-on-the-screening-day", given(S), "met"),
    case("given-after", given(AFTER), "not-met", note="planned"),
    case("given-in-may", given("2026-05"), "unknown", "partial-date"),
    case("given-in-april", given("2026-04"), "not-met"),
    case("given-this-year", given("2026"), "unknown", "partial-date"),
    case("given-late-at-night", given("2026-05-04T00:30:00-03:00"), "met"),
    case("given-late-at-night-elsewhere", given("2026-05-04T01:30:00Z"), "not-met"),
    case("not-done", given("2026-06-01", status="not-done"), "not-met", basis="no-evidence"),
    case("given-in-error", given("2026-06-01", status="entered-in-error"), "not-met"),
    *[
        case(f"given-{status}", given("2026-06-01", status=status), "unknown", "needs-clinician")
        for status in ("stopped", "on-hold", "unknown", "complete")
    ],
    case("given-stopped-long-ago", given("2025-06-01", status="stopped"), "not-met"),
    case("infusion-into-the-window", infusion("2026-04-01", FIRST), "met"),
    case("infusion-before-the-window", infusion("2026-04-01", BEFORE), "not-met"),
    case("infusion-without-end", infusion("2026-04-01", None), "unknown", "partial-date"),
    case("infusion-going-on", infusion("2026-04-01", None, "in-progress"), "met"),
    case("infusion-undated", infusion(None, None), "unknown", "partial-date"),
    case("infusion-without-start", infusion(None, "2026-05-10"), "met"),
]

STATEMENTS = [
    case("statement-active", statement(), "met", note="in use on the screening day"),
    case(
        "two-in-the-window",
        [statement(status="stopped", end="2026-05-10"), given("2026-06-01")],
        "met",
        note="14 days before",
    ),
    case("statement-active-since", statement(start="2019"), "met"),
    case("statement-active-from-tomorrow", statement(start=AFTER), "not-met", note="planned"),
    case("statement-active-from-this-month", statement(start="2026-06"), "unknown", "partial-date"),
    case("statement-active-ended", statement(start="2026-01-01", end=BEFORE), "not-met"),
    case("statement-active-until", statement(end="2026-09-01"), "met"),
    *[
        case(f"statement-{status}-{day}", statement(status=status, end=day), verdict_)
        for status in ("completed", "stopped", "active")
        for day, verdict_ in ((FIRST, "met"), (BEFORE, "not-met"))
    ],
    case("statement-ended-in-may", statement(status="stopped", end="2026-05"), "unknown", "partial-date"),
    case("statement-ended-in-april", statement(status="stopped", end="2026-04"), "not-met"),
    case("statement-of-may", statement(status="stopped", start=FIRST, end="2026-05"), "met"),
    case(
        "statement-stopped-no-end",
        statement(status="stopped", start="2026-01-01"),
        "unknown",
        "partial-date",
        likely="",
    ),
    case(
        "statement-stopped-no-end-in-window",
        statement(status="stopped", start="2026-05-20"),
        "unknown",
        "partial-date",
        likely="met",
    ),
    case("statement-stopped-undated", statement(status="stopped"), "unknown", "partial-date"),
    case(
        "statement-stopped-2-years",
        statement(status="stopped", start="2024-06-16"),
        "unknown",
        "partial-date",
    ),
    case("statement-stopped-over-2-years", statement(status="stopped", start="2024-06-15"), "not-met"),
    case("statement-stopped-2024", statement(status="stopped", start="2024"), "unknown", "partial-date"),
    case("statement-stopped-2023", statement(status="stopped", start="2023"), "not-met"),
    case(
        "statement-completed-on-a-day",
        statement(status="completed", effectiveDateTime="2026-05-20"),
        "met",
    ),
    # One day of a use that is over may be its first: a doubt, as for any end that isn't known.
    case(
        "statement-completed-on-an-earlier-day",
        statement(status="completed", effectiveDateTime="2026-04-20"),
        "unknown",
        "partial-date",
    ),
    case("statement-active-on-a-day", statement(effectiveDateTime="2026-01-20"), "met"),
    *[
        case(f"statement-{status}", statement(status=status, start="2026-05-20"), "not-met")
        for status in ("not-taken", "intended", "entered-in-error")
    ],
    *[
        case(f"statement-{status}", statement(status=status, start="2019"), "unknown", "needs-clinician")
        for status in ("on-hold", "unknown", "paused")
    ],
    case("statement-without-status", statement(status=None), "unknown", "needs-clinician"),
    case("statement-on-hold-ended", statement(status="on-hold", end=BEFORE), "not-met"),
    case(
        "statement-ends-before-it-begins",
        statement(status="stopped", start="2026-05-20", end="2026-04-20"),
        "unknown",
        "conflicting-data",
    ),
]

REQUESTS = [
    case("request-active", request(), "met"),
    case("request-active-undated", request(authored=None), "met"),
    case("request-of-tomorrow", request(authored=AFTER), "not-met", note="planned"),
    case("request-of-today", request(authored=S), "met"),
    case("request-begins-tomorrow", request(dosageInstruction=[bounded(AFTER)]), "not-met", note="planned"),
    case("request-begins-today", request(dosageInstruction=[bounded(S)]), "met"),
    *[
        case(f"request-{status}", request(status=status), "not-met")
        for status in ("draft", "cancelled", "entered-in-error")
    ],
    *[
        case(f"request-{status}", request(status=status), "unknown", "partial-date")
        for status in ("completed", "stopped", "on-hold")
    ],
    *[
        case(
            f"request-{status}-ended", request(status=status, dosageInstruction=[bounded(end=day)]), verdict_
        )
        for status in ("active", "completed", "stopped", "on-hold")
        for day, verdict_ in ((FIRST, "met"), (BEFORE, "not-met"))
    ],
    # Stopped before its planned end: when, is not stated (§2.8 reads the planned end; the safer reading is a doubt).
    *[
        case(f"request-{status}-planned-{n}", request(status=status, authored=day, **end), verdict_, *reasons)
        for status in ("stopped", "on-hold")
        for n, end in enumerate(
            (
                {"dispenseRequest": {"validityPeriod": {"end": "2026-06-16"}}},
                {"dosageInstruction": [bounded(end="2026-12-31")]},
            )
        )
        for day, verdict_, reasons in (("2026-01-10", "unknown", ("partial-date",)), (FIRST, "met", ()))
    ],
    case(
        "request-completed-planned",
        request(status="completed", dispenseRequest={"validityPeriod": {"end": "2026-12-31"}}),
        "met",
    ),
    *[
        case(f"statement-{status}-planned", statement(status=status, start=day, end="2026-12-31"), verdict_)
        for status in ("stopped", "completed")
        for day, verdict_ in (("2026-01-10", "unknown"), (FIRST, "met"))
    ],
    case("request-old-completed", request(status="completed", authored="2024-06-15"), "not-met"),
    case("request-old-on-hold", request(status="on-hold", authored="2024-06-15"), "unknown"),
    *[
        case(f"request-status-{status}", request(status=status), "unknown", "needs-clinician")
        for status in ("unknown", "done", None)
    ],
    *[
        case(f"request-{intent}", request(intent=intent), verdict_)
        for intent, verdict_ in (
            ("order", "met"),
            ("original-order", "met"),
            ("filler-order", "met"),
            ("instance-order", "met"),
            ("plan", "not-met"),
            ("proposal", "not-met"),
            ("option", "not-met"),
            ("reflex-order", "unknown"),
            (None, "unknown"),
        )
    ],
    case("request-not-to-perform", request(doNotPerform=True), "not-met"),
    case("request-to-perform", request(doNotPerform=False), "met"),
    case(
        "request-valid-until",
        request(dispenseRequest={"validityPeriod": {"end": FIRST}}, status="completed"),
        "met",
    ),
    case(
        "request-valid-until-before", request(dispenseRequest={"validityPeriod": {"end": BEFORE}}), "not-met"
    ),
    # 30 days from 2026-04-05 on end on 2026-05-04.
    case("supply-30-days", request(authored="2026-04-05", dispenseRequest=supply(30)), "met"),
    case("supply-29-days", request(authored="2026-04-05", dispenseRequest=supply(29)), "not-met"),
    case("supply-repeated", request(authored="2026-03-06", dispenseRequest=supply(30, 1)), "met"),
    case("supply-repeated-short", request(authored="2026-03-05", dispenseRequest=supply(30, 1)), "not-met"),
    case("supply-repeats-as-decimal", request(authored="2026-03-06", dispenseRequest=supply(30, 1.0)), "met"),
    case("supply-in-weeks", request(authored="2026-04-06", dispenseRequest=supply(4, 0, "wk")), "not-met"),
    case(
        "supply-in-weeks-and-a-day", request(authored="2026-04-07", dispenseRequest=supply(4, 0, "wk")), "met"
    ),
    case("supply-in-months", request(authored="2026-04-05", dispenseRequest=supply(1, 0, "mo")), "met"),
    case(
        "supply-in-months-short",
        request(authored="2026-04-04", dispenseRequest=supply(1, 0, "mo")),
        "not-met",
    ),
    # An end that is stated without a unit is not "no end".
    case(
        "supply-without-unit",
        request(dispenseRequest={"expectedSupplyDuration": {"value": 30}}),
        "unknown",
        "partial-date",
    ),
    case(
        "supply-of-an-unread-unit",
        request(dispenseRequest={"expectedSupplyDuration": quantity(2, "caixas")}),
        "unknown",
        "partial-date",
    ),
    case(
        "bounds-without-unit", request(dosageInstruction=[within({"value": 10})]), "unknown", "partial-date"
    ),
    case(
        "bounds-of-a-mistyped-range",
        request(dosageInstruction=[{"timing": {"repeat": {"boundsRange": ["10 d"]}}}]),
        "unknown",
        "ambiguous-code",
    ),
    case(
        "supply-beyond-the-calendar",
        request(authored="9999-12-01", dispenseRequest=supply(90)),
        "not-met",
        note="planned",
    ),
    case("bounds-of-10-days", request(dosageInstruction=[within(quantity(10, "d"))]), "not-met"),
    case(
        "bounds-of-a-range",
        request(
            authored="2026-04-20",
            dosageInstruction=[
                {"timing": {"repeat": {"boundsRange": {"low": quantity(10, "d"), "high": quantity(20, "d")}}}}
            ],
        ),
        "unknown",
        "partial-date",
    ),
    case(
        "bounds-of-a-range-before",
        request(
            authored="2026-04-20",
            dosageInstruction=[
                {"timing": {"repeat": {"boundsRange": {"low": quantity(7, "d"), "high": quantity(10, "d")}}}}
            ],
        ),
        "not-met",
    ),
    case(
        "bounds-of-both-kinds",
        request(dosageInstruction=[within(quantity(10, "d")), bounded("2026-01-20", "2026-03-01")]),
        "not-met",
    ),
    # The dosage without a start may have begun with the request.
    case(
        "one-dosage-begins-later",
        request(dosageInstruction=[{"text": "50 mg"}, bounded("2026-07-01")]),
        "unknown",
        "partial-date",
    ),
    case(
        "both-dosages-begin-later",
        request(dosageInstruction=[bounded("2026-07-01"), bounded("2026-08-01")]),
        "not-met",
    ),
    case(
        "supply-without-unit-completed",
        request(dispenseRequest={"expectedSupplyDuration": {"value": 30}}, status="completed"),
        "unknown",
        "partial-date",
    ),
    case(
        "authored-in-april",
        request(authored="2026-04", dispenseRequest=supply(20)),
        "unknown",
        "partial-date",
    ),
    # A prescription's validity may be shorter than the treatment.
    case(
        "valid-shorter-than-supply",
        request(
            authored="2026-04-01", dispenseRequest={"validityPeriod": {"end": "2026-04-30"}, **supply(60)}
        ),
        "unknown",
        "partial-date",
    ),
    case(
        "one-dosage-goes-on",
        request(dosageInstruction=[bounded("2026-01-01", "2026-02-01"), bounded("2026-02-01")]),
        "met",
    ),
    case(
        "bounds-of-a-duration",
        request(
            authored="2026-04-05",
            status="completed",
            dosageInstruction=[{"timing": {"repeat": {"boundsDuration": quantity(30, "d")}}}],
        ),
        "met",
    ),
]

DISPENSES = [
    # Day 1 is the day of handing over: 30 days from 2026-04-05 end on 2026-05-04.
    case("dispensed-30-days", dispense(handed_over="2026-04-05", days=30), "met"),
    case("dispensed-29-days", dispense(handed_over="2026-04-05", days=29), "not-met"),
    case("dispensed-half-days", dispense(handed_over="2026-04-05", days=29.5), "met"),
    case("dispensed-1-day", dispense(handed_over=FIRST, days=1), "met"),
    case("dispensed-no-days", dispense(handed_over="2026-05-20"), "unknown", "partial-date", likely="met"),
    case("dispensed-no-days-old", dispense(handed_over="2024-06-15"), "not-met"),
    case("dispensed-no-days-2-years", dispense(handed_over="2024-06-16"), "unknown", "partial-date"),
    case("dispensed-zero-days", dispense(handed_over="2026-04-05", days=0), "unknown", "partial-date"),
    case(
        "dispensed-days-without-unit",
        dispense(handed_over="2026-04-05", daysSupply={"value": 90}),
        "unknown",
        "partial-date",
    ),
    case("dispensed-undated", dispense(days=30), "unknown", "partial-date"),
    case("dispensed-prepared", dispense(whenPrepared="2026-05-10", days=30), "unknown", "partial-date"),
    case("dispensed-in-april", dispense(handed_over="2026-04", days=20), "unknown", "partial-date"),
    case("dispensed-after", dispense(handed_over=AFTER, days=30), "not-met", note="planned"),
    *[
        case(f"dispense-{status}", dispense(status=status, handed_over="2026-05-20", days=30), "not-met")
        for status in ("preparation", "cancelled", "declined", "entered-in-error")
    ],
    *[
        case(f"dispense-{status}", dispense(status=status, handed_over="2026-05-20", days=30), "unknown")
        for status in ("in-progress", "on-hold", "stopped", "unknown", None)
    ],
    case("dispense-never-handed-over", dispense(status="on-hold"), "not-met"),
]

UNIONS = [
    case("ended-order-and-new-order", [request(dosageInstruction=[bounded(end=BEFORE)]), request()], "met"),
    case("order-not-taken-and-given", [statement(status="not-taken"), given("2026-06-01")], "met"),
    case("two-in-doubt", [request(status="completed"), statement(status="on-hold")], "unknown"),
    case(
        "open-order-statement-stopped-in-window",
        [request(), statement(status="stopped", end="2026-05-10")],
        "met",
    ),
    case(
        "open-order-statement-completed",
        [request(), statement(status="completed", end=BEFORE)],
        "unknown",
        "conflicting-data",
    ),
    case(
        "open-order-statement-not-taken",
        [request(), statement(status="not-taken", dateAsserted="2026-04-01")],
        "unknown",
        "conflicting-data",
    ),
    case(
        "open-order-statement-not-taken-undated",
        [request(), statement(status="not-taken")],
        "unknown",
        "conflicting-data",
    ),
    case(
        "open-order-older-statement",
        [request(), statement(status="stopped", start="2024-01-01", end="2025-01-01")],
        "met",
    ),
    case(
        "open-order-statement-of-another-drug",
        [request(), statement(rxnorm("6851", "methotrexate"), status="stopped", end="2026-05-01")],
        "met",
    ),
    case(
        "open-order-statement-of-the-drug-in-words",
        [request(), statement(rxnorm("1256"), text="Imuran", status="stopped", end="2026-05-01")],
        "unknown",
        "conflicting-data",
    ),
    case(
        "open-order-in-atc-statement-in-rxnorm",
        [request(atc("L04AX01", "Azathioprine")), statement(status="stopped", end="2026-05-01")],
        "unknown",
        "conflicting-data",
    ),
    *[
        case(
            f"open-order-statement-of-the-drug-{name}",
            [request(drug), statement(other, status="stopped", end="2026-05-01")],
            "unknown",
            "conflicting-data",
        )
        for name, drug, other in (
            ("atc-rxnorm", atc("L04AX01"), rxnorm("1256")),
            ("two-atc-codes", atc("L01BA01"), atc("L04AX03")),
            ("in-portuguese", atc("L04AX01", "azatioprina"), rxnorm("1256", "Azathioprine")),
        )
    ],
    *[
        case(
            f"open-order-statement-{text}",
            [request(), medication_statement(text=text, status="stopped", end="2026-05-01")],
            verdict_,
        )
        for text, verdict_ in (
            ("Azatioprina 50 mg", "unknown"),
            ("Azathioprine 50 mg tablet", "unknown"),
            ("Metotrexato 2,5 mg", "met"),
        )
    ],
    case(
        "open-order-older-and-newer-statements",
        [
            request(),
            statement(status="stopped", start="2024-01-01", end="2025-01-01"),
            statement(status="stopped", end="2026-05-01"),
            statement(status="stopped", start="2023-01-01", end="2024-01-01"),
        ],
        "unknown",
        "conflicting-data",
    ),
    case(
        "bounded-order-and-statement",
        [
            request(dosageInstruction=[bounded(end="2026-12-01")]),
            statement(status="stopped", end="2026-05-01"),
        ],
        "met",
    ),
    case(
        "open-order-dispensed-in-the-window",
        [
            request(),
            statement(status="stopped", end="2026-05-01"),
            dispense(handed_over="2026-05-02", days=30),
        ],
        "met",
    ),
    # The specification speaks of requests; an older open statement contradicts in the same way.
    case(
        "open-statement-newer-statement",
        [
            statement(start="2026-01-01"),
            statement(status="stopped", start="2026-01-01", end="2026-05-01"),
        ],
        "unknown",
        "conflicting-data",
    ),
]

ROUTES = [
    case("tacrolimus-without-route", request(TACROLIMUS), "unknown", "ambiguous-code"),
    case("tacrolimus-oral", request(TACROLIMUS, dosageInstruction=by(ORAL)), "met"),
    case("tacrolimus-oral-in-words", request(TACROLIMUS, dosageInstruction=by(text="Via oral")), "met"),
    case("tacrolimus-capsule", request(TACROLIMUS, text="Tacrolimo 1 mg cápsula"), "met"),
    case("tacrolimus-pomada", request(TACROLIMUS, text="Tacrolimo 0,1% pomada"), "not-met"),
    case("tacrolimus-topical", request(TACROLIMUS, dosageInstruction=by(TOPICAL)), "not-met"),
    case(
        "tacrolimus-topical-in-words", request(TACROLIMUS, dosageInstruction=by(text="uso tópico")), "not-met"
    ),
    case(
        "tacrolimus-local-route-code", request(TACROLIMUS, dosageInstruction=by(snomed("99", "?"))), "unknown"
    ),
    case(
        "tacrolimus-oral-and-topical",
        request(TACROLIMUS, dosageInstruction=[*by(ORAL), *by(TOPICAL)]),
        "met",
    ),
    case(
        "tacrolimus-topical-and-no-route",
        request(TACROLIMUS, dosageInstruction=[*by(TOPICAL), {"route": {"text": "como antes"}}]),
        "unknown",
    ),
    case(
        "tacrolimus-capsule-on-the-skin",
        request(TACROLIMUS, text="Tacrolimo 1 mg cápsula", dosageInstruction=by(TOPICAL)),
        "unknown",
        "ambiguous-code",
    ),
    case(
        "steroid-capsule-inhaled",
        request(PREDNISONE, text="cápsula", dosageInstruction=by(text="via inalatória")),
        "not-met",
    ),
    case(
        "steroid-intra-articular-injection-in-words",
        request(
            rxnorm("10759"), text="Triancinolona injetável", dosageInstruction=by(text="intra-articular")
        ),
        "not-met",
    ),
    case(
        "tacrolimus-oral-cream",
        request(TACROLIMUS, text="Tacrolimo creme", dosageInstruction=by(ORAL)),
        "unknown",
    ),
    case("tacrolimus-atc", request(atc("L04AD02")), "met"),
    case("tacrolimus-atc-topical-class", request(atc("D11AH01")), "not-met"),
    case("tacrolimus-both-codes", request(TACROLIMUS, atc("D11AH01")), "not-met"),
    case("tacrolimus-contradictory-classes", request(TACROLIMUS, atc("D11AH01"), atc("L04AD02")), "unknown"),
    case("ciclosporin-eye-drops", request(rxnorm("3008"), text="Ciclosporina colírio 0,05%"), "not-met"),
    case("ciclosporin-injected", request(rxnorm("3008"), dosageInstruction=by(text="IV")), "met"),
    case(
        "route-code-and-words-differ",
        request(TACROLIMUS, dosageInstruction=by(TOPICAL, "via oral")),
        "unknown",
    ),
    case(
        "systemic-code-and-words-differ",
        request(TACROLIMUS, dosageInstruction=by(ORAL, "pomada")),
        "unknown",
    ),
    case(
        "intra-articular-injection",
        request(TACROLIMUS, dosageInstruction=by(snomed("12130007"), "Intra-articular injection")),
        "not-met",
    ),
    case("azathioprine-without-route", request(), "met"),
    case("azathioprine-with-unread-route", request(dosageInstruction=by(text="conforme")), "met"),
    case("azathioprine-rectal", request(dosageInstruction=by(RECTAL)), "unknown"),
    case("transdermal", request(TACROLIMUS, dosageInstruction=by(snomed("45890007"))), "met"),
    case(
        "administered-topically",
        given("2026-06-01", TACROLIMUS, dosage={"route": concept(TOPICAL)}),
        "not-met",
    ),
    case("stated-topically", statement(TACROLIMUS, dosage=by(TOPICAL)), "not-met"),
    case(
        "dispensed-topically",
        dispense(TACROLIMUS, handed_over="2026-06-01", days=5, dosageInstruction=by(TOPICAL)),
        "not-met",
    ),
    *[
        case(f"route-{code}", request(PREDNISONE, dosageInstruction=by(snomed(code))), "not-met")
        for code in ("6064005", "54485002", "46713006", "447694001", "10547007", "12130007")
    ],
    case("steroid-rectal", request(rxnorm("5492"), dosageInstruction=by(RECTAL)), "unknown"),
    case(
        "steroid-rectal-foam",
        request(rxnorm("5492", "hydrocortisone"), text="Hidrocortisona espuma", dosageInstruction=by(RECTAL)),
        "not-met",
    ),
    case(
        "steroid-intra-articular-injection",
        request(rxnorm("10759"), text="Triancinolona injetável", dosageInstruction=by(snomed("12130007"))),
        "not-met",
    ),
]

STEROIDS = [
    case("prednisone", request(PREDNISONE), "unknown", "needs-clinician", likely=""),
    case("prednisone-met", request(PREDNISONE), "met", config={"steroidsAre": "immunosuppressant"}),
    case("prednisone-ignored", request(PREDNISONE), "not-met", config={"steroidsAre": "ignore"}),
    case("prednisone-words", medication_request(text="Prednisona 20 mg"), "unknown", "text-only"),
    case(
        "prednisone-words-ignored",
        medication_request(text="Prednisona 20 mg"),
        "not-met",
        config={"steroidsAre": "ignore"},
    ),
    case("prednisone-before", statement(PREDNISONE, status="stopped", end=BEFORE), "not-met"),
    case(
        "dexamethasone-without-route",
        request(rxnorm("3264")),
        "unknown",
        "ambiguous-code",
        config={"steroidsAre": "immunosuppressant"},
    ),
    case("steroid-by-atc", request(atc("H02AB06")), "met", config={"steroidsAre": "immunosuppressant"}),
    case("budesonide-oral", request(atc("A07EA06")), "unknown", "needs-clinician"),
    case(
        "budesonide-foam",
        request(atc("A07EA06"), text="budesonide rectal foam"),
        "not-met",
    ),
]


def course(
    dose: float, start: str, end: str | None, drug: Json = PREDNISONE, unit: str = "mg", **repeat: Any
) -> Resource:
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", **repeat}}
    dosage = {"timing": timing, "doseAndRate": [{"doseQuantity": quantity(dose, unit)}]}
    return statement(drug, status="active", start=start, end=end, dosage=[dosage])


def in_words(text: str) -> Resource:
    return statement(
        PREDNISONE, status="completed", start="2026-05-20", end="2026-06-09", dosage=[{"text": text}]
    )


def coded_timing(dose: float, code: str) -> Resource:
    timing = {
        "code": concept({"system": "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation", "code": code})
    }
    dosage = {"timing": timing, "doseAndRate": [{"doseQuantity": quantity(dose, "mg")}]}
    return statement(PREDNISONE, status="completed", start="2026-05-20", end="2026-06-09", dosage=[dosage])


DOSES = [
    case("20-mg-14-days", course(20, "2026-05-10", "2026-05-23"), "unknown", likely="met"),
    case("20-mg-13-days", course(20, "2026-05-10", "2026-05-22"), "unknown", likely=""),
    case("19-mg-14-days", course(19, "2026-05-10", "2026-05-23"), "unknown", likely=""),
    case("10-mg-twice", course(10, "2026-05-10", "2026-05-23", frequency=2), "unknown", likely="met"),
    case("40-mg-every-2-days", course(40, "2026-05-10", "2026-05-23", period=2), "unknown", likely="met"),
    case("20-mg-a-week", course(20, "2026-01-10", "2026-05-23", periodUnit="wk"), "unknown", likely=""),
    case("14-days-until-today", course(20, "2026-06-02", None), "unknown", likely="met"),
    case("13-days-until-today", course(20, "2026-06-03", None), "unknown", likely=""),
    case("40-mg-in-words", in_words("40 mg/day"), "unknown", likely="met"),
    case("40-mg-in-portuguese", in_words("Tomar 40 mg por dia, pela manhã"), "unknown", likely="met"),
    case("20-mg-once-a-day-in-words", in_words("20 mg 1x/dia"), "unknown", likely="met"),
    case("19.5-mg-in-words", in_words("19,5 mg ao dia"), "unknown", likely=""),
    case("tablets-in-words", in_words("2 comprimidos de 20 mg por dia"), "unknown", likely=""),
    case("40-mg-in-words-without-a-day", in_words("40 mg"), "unknown", likely=""),
    case("40-mg-in-words-every-other-day", in_words("40 mg dias alternados"), "unknown", likely=""),
    *[
        case(f"10-mg-{code}", coded_timing(10, code), "unknown", likely=likely)
        for code, likely in (("QD", ""), ("BID", "met"), ("TID", "met"), ("QOD", ""))
    ],
    case(
        "10-mg-every-12-hours",
        course(10, "2026-05-10", "2026-05-23", period=12, periodUnit="h"),
        "unknown",
        likely="met",
    ),
    case("20-g", course(20, "2026-05-10", None, unit="g"), "unknown", likely=""),
    case(
        "16-mg-methylprednisolone",
        course(16, "2026-05-10", None, atc("H02AB04")),
        "unknown",
        likely="met",
    ),
    case("15-mg-methylprednisolone", course(15, "2026-05-10", None, atc("H02AB04")), "unknown", likely=""),
    case("3-mg-dexamethasone", course(3, "2026-05-10", None, atc("H02AB02")), "unknown", likely="met"),
    case("80-mg-hydrocortisone", course(80, "2026-05-10", None, atc("H02AB09")), "unknown", likely="met"),
    case("79-mg-hydrocortisone", course(79, "2026-05-10", None, atc("H02AB09")), "unknown", likely=""),
    case("24-mg-deflazacort", course(24.1, "2026-05-10", None, atc("H02AB13")), "unknown", likely="met"),
]

WORDS = [
    case(
        "azathioprine-in-words",
        medication_request(text="Azatioprina 50 mg"),
        "unknown",
        "text-only",
        likely="met",
    ),
    case("tacrolimus-ointment-in-words", medication_request(text="Tacrolimo 0,1% pomada"), "not-met"),
    case("prednisolone-eye-drops-in-words", medication_request(text="Prednisolona colírio"), "not-met"),
    case(
        "in-words-before", medication_statement(text="Azatioprina", status="stopped", end=BEFORE), "not-met"
    ),
    case(
        "in-words-in-doubt",
        medication_statement(text="Azatioprina", status="stopped"),
        "unknown",
        "text-only",
    ),
    case("in-words-not-taken", medication_statement(text="Azatioprina", status="not-taken"), "not-met"),
    case("in-words-denied", medication_statement(text="Nega azatioprina"), "not-met", note="negated text"),
    case("words-beside-a-known-code", request(rxnorm("35623"), text="Azatioprina"), "not-met"),
    case(
        "words-beside-a-site-s-code",
        request({"system": "urn:site", "code": "7"}, text="Azatioprina"),
        "unknown",
    ),
    case("drug-in-a-condition", condition(text="corticosteroid-induced myopathy"), "not-met"),
    case("als-drug", request(rxnorm("1921877", "edaravone")), "not-met", basis="no-evidence"),
    case("als-drug-in-words", medication_request(text="Riluzol 50 mg comprimido"), "not-met"),
    case("hydroxychloroquine", request(rxnorm("5521", "hydroxychloroquine")), "not-met"),
    case("fludrocortisone", request(atc("H02AA02")), "not-met"),
    case("prednisone-allergy-result", observation("1742-6", {"valueString": "azathioprine"}), "not-met"),
]


def referring(reference: Json, **elements: Any) -> Resource:
    found = {**medication_request(text="x"), "medicationReference": reference, **elements}
    del found["medicationCodeableConcept"]
    return found


REFERENCES = [
    case("by-reference", [referring({"reference": "Medication/a"}), medication("a", AZATHIOPRINE)], "met"),
    case(
        "by-reference-in-words",
        [referring({"reference": "Medication/a"}), medication("a", text="Azatioprina")],
        "unknown",
        "text-only",
    ),
    case(
        "by-ingredient",
        [
            referring({"reference": "Medication/a"}),
            medication("a", text="Fórmula", ingredient=[{"itemCodeableConcept": concept(AZATHIOPRINE)}]),
        ],
        "met",
    ),
    case(
        "by-ingredient-as-a-cream",
        [
            referring({"reference": "Medication/a"}),
            medication(
                "a",
                text="Fórmula",
                form={"text": "Creme"},
                ingredient=[{"itemCodeableConcept": concept(TACROLIMUS)}],
            ),
        ],
        "not-met",
    ),
    case("display-only", referring({"display": "Azatioprina 50 mg"}), "unknown", "text-only"),
    case(
        "display-of-another-drug", referring({"reference": "Medication/x", "display": "Dipirona"}), "not-met"
    ),
    case("unresolved", referring({"reference": "Medication/x"}), "unknown", "ambiguous-code"),
    case("unresolved-cancelled", referring({"reference": "Medication/x"}, status="cancelled"), "not-met"),
    case("unresolved-planned", referring({"reference": "Medication/x"}, authoredOn=AFTER), "not-met"),
    case(
        "unresolved-ended",
        referring({"reference": "Medication/x"}, dosageInstruction=[bounded(end=BEFORE)]),
        "not-met",
    ),
    case(
        "unresolved-topical",
        referring({"reference": "Medication/x"}, dosageInstruction=by(TOPICAL)),
        "not-met",
    ),
    case("code-of-no-set", request(rxnorm("1191")), "unknown", "ambiguous-code"),
    case("code-of-no-set-with-words", request(rxnorm("1191", "aspirin")), "not-met"),
    # "1256" of no system is no code of RxNorm.
    *[
        case(f"code-of-no-system-{code}", request({"code": code}), "unknown", "ambiguous-code", likely="")
        for code in ("1256", "L04AX01", "8640")
    ],
    case("site-s-code", request({"system": "urn:site", "code": "7"}), "unknown", "ambiguous-code"),
]

DEPLETERS = [
    case("rituximab-43-days", given(BEFORE, RITUXIMAB), "not-met", note="biological effect persists"),
    case("rituximab-12-months", given("2025-06-15", RITUXIMAB), "not-met", note="biological effect persists"),
    case("rituximab-in-the-window", given(FIRST, RITUXIMAB), "met"),
    case("rituximab-by-atc", given("2026-03-01", atc("L01FA01")), "not-met", note="biological effect"),
    *[
        case(f"lasting-{code}", given("2026-03-01", rxnorm(code)), "not-met", note="biological effect")
        for code in ("1876366", "117055", "44157", "354770")
    ],
]

CONDITIONS = [
    case("use-current", condition(icd10cm("Z79.620"), recorded="2025-01-01"), "unknown", "needs-clinician"),
    case(
        "use-noted-in-the-window",
        condition(icd10cm("Z79.620"), clinical=None, recorded=FIRST),
        "unknown",
        "needs-clinician",
    ),
    case("use-noted-before", condition(icd10cm("Z79.620"), clinical=None, recorded=BEFORE), "not-met"),
    case("use-undated", condition(icd10cm("Z79.60"), clinical=None), "unknown"),
    case("use-noted-in-may", condition(icd10cm("Z79.60"), clinical=None, recorded="2026-05"), "unknown"),
    case("use-over", condition(icd10cm("Z79.69"), clinical="resolved", abatement=BEFORE), "not-met"),
    case(
        "use-over-in-the-window",
        condition(icd10cm("Z79.69"), clinical="resolved", abatement=FIRST),
        "unknown",
    ),
    case("use-over-undated", condition(icd10cm("Z79.69"), clinical="resolved"), "unknown"),
    case("use-refuted", condition(icd10cm("Z79.60"), verification="refuted"), "not-met"),
    case("use-in-error", condition(icd10cm("Z79.60"), verification="entered-in-error"), "not-met"),
    case(
        "use-provisional",
        condition(icd10cm("Z79.60"), verification="provisional"),
        "unknown",
        "unverified-condition",
    ),
    case("use-of-tomorrow", condition(icd10cm("Z79.60"), recorded=AFTER), "not-met", note="future-dated"),
    case("immunodeficiency-due-to-drugs", condition(icd10cm("D84.821")), "unknown"),
    case("steroid-use", condition(icd10cm("Z79.52")), "unknown"),
    case("steroid-use-ignored", condition(icd10cm("Z79.52")), "not-met", config={"steroidsAre": "ignore"}),
    case(
        "immunosuppressant-use-not-ignored",
        condition(icd10cm("Z79.60")),
        "unknown",
        config={"steroidsAre": "ignore"},
    ),
    case("past-use", condition(icd10cm("Z92.25")), "not-met", note="ask for its last day"),
    case("past-use-refuted", condition(icd10cm("Z92.25"), verification="refuted"), "not-met", note=False),
    case("past-use-and-use-now", [condition(icd10cm("Z92.25")), request()], "met"),
]

OTHERS = [
    case("nothing", [], "not-met", basis="no-evidence"),
    case("window-of-30-days", given("2026-05-10"), "not-met", config={"immunosuppressantWindowDays": 30}),
    case("window-of-60-days", given("2026-04-20"), "met", config={"immunosuppressantWindowDays": 60}),
    case("an-unreadable-element", request(modifierExtension=[{"url": "urn:x"}]), "unknown", "ambiguous-code"),
    case("an-unreadable-date", given("yesterday"), "unknown"),
    Case(
        "another-patient-s",
        IMM,
        bundle(
            patient(),
            {**request(), "subject": {"reference": "Patient/other"}},
            {**given("2026-06-01"), "subject": {"reference": "Patient/other"}},
        ),
        "not-met",
    ),
]

CASES = [
    *ADMINISTRATIONS,
    *STATEMENTS,
    *REQUESTS,
    *DISPENSES,
    *UNIONS,
    *ROUTES,
    *STEROIDS,
    *DOSES,
    *WORDS,
    *REFERENCES,
    *DEPLETERS,
    *CONDITIONS,
    *OTHERS,
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_rule(case: Case) -> None:
    check(case)


def test_rituximab_of_more_than_a_year_ago_has_no_advisory() -> None:
    row = verdict(minimal(given("2025-06-14", RITUXIMAB)), IMM)
    assert row["status"] == "not-met"
    assert not any("biological" in note for note in row["notes"])


@pytest.mark.parametrize("drug", [rxnorm("1256"), rxnorm("6851")])
def test_other_drugs_leave_no_lasting_effect(drug: Json) -> None:
    row = verdict(minimal(given("2026-03-01", drug)), IMM)
    assert not any("biological" in note for note in row["notes"])


def test_an_earlier_use_is_shown_and_proves_nothing() -> None:
    row = verdict(minimal(statement(status="stopped", end=BEFORE)), IMM)
    assert (row["status"], row["basis"]) == ("not-met", "no-evidence")
    (shown,) = row["evidence"]
    assert shown["reference"].startswith("MedicationStatement/")
    assert shown["display"] == "azathioprine"


def test_evidence_of_a_reference_names_the_drug_and_the_resource_received() -> None:
    row = verdict(minimal(referring({"reference": "Medication/a"}), medication("a", AZATHIOPRINE)), IMM)
    shown, drug = row["evidence"]
    assert shown["reference"].startswith("MedicationRequest/")
    assert shown["display"] == "azathioprine"
    assert drug["reference"] == "Medication/a"
    assert (shown["date"], shown["status"]) == ("2026-01-10", "active")


def test_evidence_of_a_dispense_is_dated() -> None:
    row = verdict(minimal(dispense(handed_over="2026-05-20", days=30)), IMM)
    assert [item["date"] for item in row["evidence"]] == ["2026-05-20"]


def test_evidence_of_a_conflict_names_both_sides() -> None:
    row = verdict(minimal(request(), statement(status="stopped", end="2026-05-01")), IMM)
    kinds = {item["reference"].partition("/")[0] for item in row["evidence"]}
    assert kinds == {"MedicationRequest", "MedicationStatement"}


def answered(code: str, *facts: Resource) -> dict[str, Any]:
    return verdict(minimal(*facts, attestation({IMM: code}, authored="2026-06-14")), IMM)


@pytest.mark.parametrize(
    ("facts", "answer", "expected"),
    [
        ([], "yes", ("met", "attested")),
        ([], "no", ("not-met", "attested")),
        ([], "unsure", ("unknown", None)),
        ([statement(status="stopped", end=BEFORE)], "yes", ("met", "attested")),
        ([medication_request(text="Azatioprina")], "no", ("not-met", "attested")),
        ([request(PREDNISONE)], "no", ("not-met", "attested")),
        ([request()], "no", ("unknown", None)),
        ([request(), statement(status="stopped", end="2026-05-01")], "no", ("unknown", None)),
    ],
)
def test_attestations_on_top(facts: list[Resource], answer: str, expected: tuple[str, str | None]) -> None:
    row = answered(answer, *facts)
    assert (row["status"], row["basis"]) == expected


@pytest.mark.parametrize(
    "kind",
    [
        "MedicationRequest",
        "MedicationStatement",
        "MedicationAdministration",
        "MedicationDispense",
        "Condition",
    ],
)
def test_a_type_that_could_not_be_got_leaves_it_open(kind: str) -> None:
    row = verdict(minimal(), IMM, missing=[kind])
    assert (row["status"], row["reasons"]) == ("unknown", ["retrieval-failed"])
    found = verdict(minimal(), IMM, states={kind: "not-offered"})
    assert (found["status"], found["reasons"]) == ("unknown", ["not-offered"])


def test_what_is_found_is_likely_while_another_type_failed() -> None:
    row = verdict(minimal(request()), IMM, missing=["MedicationDispense"])
    assert (row["status"], row["reasons"], row["likely"]) == ("unknown", ["retrieval-failed"], "met")


def test_a_doubt_does_not_block() -> None:
    with_doubt, without = (assess(b0(*facts)) for facts in ([request(PREDNISONE)], []))
    assert criterion(with_doubt, IMM)["status"] == "unknown"
    assert with_doubt["status"] == without["status"]
