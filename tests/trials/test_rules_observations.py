"""Which result counts (§2.3): status, value, date, window, ties, components, superseding."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    Json,
    Resource,
    alt,
    ast,
    component,
    creatinine,
    fvc_percent,
    interpretation,
    lab,
    loinc,
    minimal,
    observation,
    quantity,
    reference_range,
    serology,
    value_quantity,
    woman,
)
from tests.trials.assessing import Case, check

CRE = "EX07-Creatinine"
LFT = "EX06-AstAlt"
FVC = "IN04-Fvc"
HBV = "EX08a-HepatitisB"
OK = ast(30)


def cre(case_id: str, resource: Resource, status: str, *reasons: str, **more: Any) -> Case:
    return Case(case_id, CRE, minimal(resource), status, reasons, **more)


def dated(**effective: Any) -> Resource:
    """A normal creatinine with another form of date than effectiveDateTime."""
    return creatinine(0.7, on=None, **effective)


STATUS = [
    *[cre(f"rule-1-{s}", creatinine(0.7, status=s), "not-met") for s in ("final", "amended", "corrected")],
    *[
        cre(f"rule-1-{s}", creatinine(0.7, status=s), "unknown", "preliminary-only")
        for s in ("preliminary", "registered")
    ],
    *[
        cre(f"rule-1-{s}", creatinine(0.7, status=s), "unknown", "missing-data")
        for s in ("cancelled", "entered-in-error", "unknown")
    ],
    Case(
        "rule-1-preliminary-newer-than-final",
        CRE,
        minimal(creatinine(0.7, on="2026-06-01"), creatinine(5, on="2026-06-10", status="preliminary")),
        "not-met",
    ),
]

VALUES = [
    cre("rule-2-no-value", observation("2160-0", on="2026-06-01"), "unknown", "missing-data"),
    cre(
        "rule-2-data-absent",
        observation("2160-0", on="2026-06-01", dataAbsentReason={"text": "hemolysed"}),
        "unknown",
        "missing-data",
    ),
    Case(
        "rule-2-newer-without-value-does-not-hide-older",
        CRE,
        minimal(creatinine(0.7, on="2026-06-01"), observation("2160-0", on="2026-06-10")),
        "not-met",
    ),
    cre(
        "rule-2-absent-panel-value-does-not-hide-its-component",
        observation(
            "24323-8",
            on="2026-06-01",
            dataAbsentReason={"text": "panel"},
            components=[
                component(
                    "2160-0",
                    value_quantity(0.7, "mg/dL"),
                    referenceRange=[reference_range(high=1.2, unit="mg/dL")],
                )
            ],
        ),
        "not-met",
    ),
]

DATES = [
    cre("rule-3-instant", dated(effectiveInstant="2026-06-01T10:00:00Z"), "not-met"),
    cre("rule-3-period-end", dated(effectivePeriod={"start": "2026-01-01", "end": "2026-06-01"}), "not-met"),
    cre(
        "rule-3-period-end-too-old",
        dated(effectivePeriod={"start": "2026-01-01", "end": "2026-02-01"}),
        "unknown",
        "stale-data",
    ),
    cre("rule-3-period-without-end", dated(effectivePeriod={"start": "2026-06-01"}), "not-met"),
    cre(
        "rule-3-period-that-ends-later",
        dated(effectivePeriod={"start": "2026-06-01", "end": "2026-09-01"}),
        "not-met",
    ),
    cre(
        "rule-3-timing-last-event",
        dated(effectiveTiming={"event": ["2026-01-05T08:00:00-03:00", "2026-06-01T08:00:00-03:00"]}),
        "not-met",
    ),
    cre("rule-3-issued-as-last-resort", dated(issued="2026-06-01T10:00:00Z"), "not-met"),
    cre(
        "rule-3-effective-before-issued",
        creatinine(0.7, on="2026-01-01", issued="2026-06-01T10:00:00Z"),
        "unknown",
        "stale-data",
    ),
    cre("rule-3-no-date-at-all", dated(), "unknown", "partial-date"),
    Case(
        "rule-3-undated-yields-to-dated",
        CRE,
        minimal(dated(), creatinine(5, on="2026-06-01")),
        "met",
    ),
    cre(
        "rule-3-midnight-utc-is-still-yesterday-here",
        creatinine(0.7, on="2026-05-16T02:30:00Z"),
        "unknown",
        "stale-data",
    ),
    cre("rule-3-three-hours-later-it-is-today", creatinine(0.7, on="2026-05-16T03:00:00Z"), "not-met"),
    cre("rule-3-tomorrow-in-utc-but-today-here", creatinine(0.7, on="2026-06-16T02:59:00Z"), "not-met"),
    cre("rule-3-tomorrow-here", creatinine(0.7, on="2026-06-16T03:00:00Z"), "unknown", "future-dated"),
    cre("rule-3-another-offset", creatinine(0.7, on="2026-05-16T08:00:00+09:00"), "unknown", "stale-data"),
    # Until 2019 São Paulo had summer time: 02:30 UTC was half past midnight of the same day there.
    cre("rule-3-summer-time", creatinine(0.7, on="2018-11-15T02:30:00Z"), "not-met", as_of="2018-12-15"),
    cre(
        "rule-3-winter-time",
        creatinine(0.7, on="2018-07-15T02:30:00Z"),
        "unknown",
        "stale-data",
        as_of="2018-08-14",
    ),
    Case(
        "rule-3-undated-positive-serology-gives-at-least-unknown",
        HBV,
        minimal(serology("5196-1", "pos", on=None), serology("5196-1", "neg"), serology("13952-7", "neg")),
        "unknown",
    ),
]

WINDOWS = [
    cre("rule-4-lab-today", creatinine(0.7, on="2026-06-15"), "not-met"),
    cre("rule-4-lab-day-30", creatinine(0.7, on="2026-05-16"), "not-met"),
    cre("rule-4-lab-day-31", creatinine(0.7, on="2026-05-15"), "unknown", "stale-data"),
    cre("rule-4-lab-partial-outside", creatinine(0.7, on="2026-04"), "unknown", "stale-data"),
    cre("rule-4-lab-partial-straddling", creatinine(0.7, on="2026-05"), "unknown", "partial-date"),
    cre("rule-4-lab-year-straddling", creatinine(0.7, on="2026"), "unknown", "partial-date"),
    cre(
        "rule-4-configured-window", creatinine(0.7, on="2026-05-01"), "not-met", config={"labWindowDays": 60}
    ),
    Case("rule-4-fvc-day-90", FVC, minimal(fvc_percent(70, on="2026-03-17")), "met"),
    Case("rule-4-fvc-partial-inside", FVC, minimal(fvc_percent(70, on="2026-05")), "met"),
    Case(
        "rule-4-fvc-partial-straddling",
        FVC,
        minimal(fvc_percent(70, on="2026-03")),
        "unknown",
        ("partial-date",),
    ),
    Case(
        "rule-4-serology-day-90", "EX08c-Hiv", minimal(serology("56888-1", "neg", on="2026-03-17")), "not-met"
    ),
    Case(
        "rule-4-serology-day-91",
        "EX08c-Hiv",
        minimal(serology("56888-1", "neg", on="2026-03-16")),
        "unknown",
        ("stale-data",),
    ),
    Case("rule-4-hcg-day-7", "EX10a-Pregnancy", woman(serology("2106-3", "neg", on="2026-06-08")), "not-met"),
]


def at(value: float, hour: str, **elements: Any) -> Resource:
    return alt(value, high=40, on=f"2026-06-01T{hour}:00:00-03:00", **elements)


TIES = [
    Case(
        "rule-5-newest-counts",
        LFT,
        minimal(alt(500, on="2026-05-20"), alt(22, on="2026-06-01"), OK),
        "not-met",
    ),
    Case(
        "rule-5-newest-of-two-codes-of-one-test",
        LFT,
        minimal(alt(22, on="2026-05-20"), lab("1744-2", 500, "U/L", high=41, on="2026-06-01"), OK),
        "met",
    ),
    Case(
        "rule-5-newest-without-unit-is-not-skipped",
        LFT,
        minimal(alt(22, on="2026-05-20"), alt(25, unit=None, high=None, on="2026-06-01"), OK),
        "unknown",
        ("unit-missing",),
    ),
    Case(
        "rule-5-newest-implausible-is-not-skipped",
        LFT,
        minimal(alt(22, on="2026-05-20"), alt(99999, on="2026-06-01"), OK),
        "unknown",
        ("implausible-value",),
    ),
    Case(
        "rule-5-newest-narrative-is-not-skipped",
        LFT,
        minimal(
            alt(22, on="2026-05-20"),
            observation("1742-6", {"valueString": "ver laudo"}, on="2026-06-01"),
            OK,
        ),
        "unknown",
        ("text-only",),
    ),
    Case("rule-5-later-time-of-the-day", LFT, minimal(at(500, "08"), at(22, "15"), OK), "not-met"),
    Case("rule-5-later-time-of-the-day-high", LFT, minimal(at(22, "08"), at(500, "15"), OK), "met"),
    Case(
        "rule-5-time-in-another-offset",
        LFT,
        minimal(
            alt(500, high=40, on="2026-06-01T08:00:00-03:00"), alt(22, high=40, on="2026-06-01T12:00:00Z"), OK
        ),
        "not-met",
    ),
    Case(
        "rule-5-later-issued",
        LFT,
        minimal(
            at(500, "08", issued="2026-06-01T12:00:00Z"), at(22, "08", issued="2026-06-01T18:00:00Z"), OK
        ),
        "not-met",
    ),
    Case(
        "rule-5-later-updated",
        LFT,
        minimal(
            at(500, "08", meta={"lastUpdated": "2026-06-01T12:00:00Z"}),
            at(22, "08", meta={"lastUpdated": "2026-06-01T18:00:00Z"}),
            OK,
        ),
        "not-met",
    ),
    Case("rule-5-same-instant-worst-case", LFT, minimal(at(22, "08"), at(500, "08"), OK), "met"),
    Case("rule-5-same-instant-worst-case-creatinine", CRE, minimal(creatinine(0.7), creatinine(3)), "met"),
    Case(
        "rule-5-same-instant-serology-conflicts",
        HBV,
        minimal(serology("5196-1", "pos"), serology("5196-1", "neg"), serology("13952-7", "neg")),
        "unknown",
        ("conflicting-data",),
    ),
]


def panel(**elements: Any) -> Resource:
    parts: list[Json] = [
        component(code, value_quantity(v, "U/L"), referenceRange=[reference_range(high=40, unit="U/L")])
        for code, v in (("1742-6", 130), ("1920-8", 30))
    ]
    return observation("24325-3", on="2026-06-01", components=parts, **elements)


def panel_with_members() -> list[Resource]:
    members = [alt(22, id="m-alt"), ast(30, id="m-ast")]
    references = [{"reference": f"Observation/{m['id']}"} for m in members]
    return [observation("24325-3", on="2026-06-01", hasMember=references), *members]


COMPONENTS = [
    Case("rule-6-components", LFT, minimal(panel()), "met"),
    Case(
        "rule-6-component-inherits-status",
        LFT,
        minimal(panel(status="preliminary")),
        "unknown",
        ("preliminary-only",),
    ),
    Case(
        "rule-6-component-of-an-erroneous-panel",
        LFT,
        minimal(panel(status="entered-in-error")),
        "unknown",
        ("missing-data",),
    ),
    Case("rule-6-has-member", LFT, minimal(panel_with_members()), "not-met"),
    Case(
        "rule-6-component-without-value",
        LFT,
        minimal(
            observation(
                "24325-3",
                on="2026-06-01",
                components=[
                    component("1742-6", {"dataAbsentReason": {"text": "hemolysed"}}),
                    component("1920-8", value_quantity(30, "U/L")),
                ],
            )
        ),
        "unknown",
        ("missing-data",),
    ),
    Case(
        "rule-6-qualitative-component-by-interpretation",
        "EX08c-Hiv",
        minimal(
            observation(
                "24362-6",
                on="2026-05-25",
                components=[component("56888-1", {"interpretation": [interpretation("NR")]})],
            )
        ),
        "not-met",
    ),
]


def series(code: str, *results: tuple[str, str]) -> list[Resource]:
    return [serology(loinc(code), result, on=day) for result, day in results]


SUPERSEDED = ("pos", "2024-02-10"), ("neg", "2026-05-25")
SUPERSEDING = [
    Case(
        "rule-7-older-abnormal-in-window",
        CRE,
        minimal(creatinine(9, on="2026-05-20"), creatinine(0.7)),
        "not-met",
    ),
    *[
        Case(
            f"rule-7-{name}-positive-then-negative",
            criterion,
            minimal(series(code, *SUPERSEDED)),
            "unknown",
            ("conflicting-data",),
        )
        for name, criterion, code in (
            ("hbsag", HBV, "5196-1"),
            ("hcv-antibody", "EX08b-HepatitisC", "13955-0"),
            ("hiv-screen", "EX08c-Hiv", "56888-1"),
            ("hiv-confirmatory", "EX08c-Hiv", "80203-3"),
            ("htlv-screen", "EX08d-Htlv", "22362-8"),
            ("treponemal", "EX08e-Syphilis", "24110-9"),
        )
    ],
    Case(
        "rule-7-hbv-dna-superseded",
        HBV,
        minimal(
            series("29610-3", *SUPERSEDED),
            series("5196-1", ("neg", "2026-05-25")),
            series("13952-7", ("neg", "2026-05-25")),
        ),
        "unknown",
    ),
    Case(
        "rule-7-hcv-rna-superseded",
        "EX08b-HepatitisC",
        minimal(series("11259-9", *SUPERSEDED), series("13955-0", ("neg", "2026-05-25"))),
        "unknown",
    ),
    Case(
        "rule-7-hiv-rna-once-detected",
        "EX08c-Hiv",
        minimal(series("20447-9", *SUPERSEDED), series("56888-1", ("neg", "2026-05-25"))),
        "met",
    ),
    Case(
        "rule-7-negative-then-positive",
        HBV,
        minimal(series("5196-1", ("neg", "2025-01-01"), ("pos", "2025-06-01"))),
        "met",
    ),
    Case("rule-7-positives-never-expire", HBV, minimal(series("5196-1", ("pos", "2009-06-01"))), "met"),
    Case(
        "rule-7-another-code-of-the-same-test-supersedes",
        HBV,
        minimal(series("5195-3", ("pos", "2024-02-10")), series("5196-1", ("neg", "2026-05-25"))),
        "unknown",
        ("conflicting-data",),
    ),
]

SECTIONS = [*STATUS, *VALUES, *DATES, *WINDOWS, *TIES, *COMPONENTS, *SUPERSEDING]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: c.id)
def test_observation_rule(case: Case) -> None:
    check(case)


def test_order_of_ties_does_not_matter() -> None:
    results = [at(22, "08"), at(500, "08"), at(60, "08")]
    for order in (results, results[::-1], [results[1], results[0], results[2]]):
        check(Case("ties", LFT, minimal(order, OK), "met"))


def test_of_results_that_each_supersede_another_one_is_still_the_newest() -> None:
    """By time of day the second is after the first; by what was issued later each follows the undated, and it both."""
    first = at(22, "09", id="a", issued="2026-06-01T13:00:00-03:00")
    second = at(22, "10", id="b", issued="2026-06-01T11:00:00-03:00")
    whole_day = alt(500, high=40, on="2026-06-01", id="c", issued="2026-06-01T12:00:00-03:00")
    check(Case("cycle", LFT, minimal(first, second, whole_day, OK), "met"))


def test_a_panel_s_own_value_is_kept_beside_its_components() -> None:
    """The parent keeps its value: a creatinine with a component of another test is still a creatinine."""
    parent = creatinine(2.41, component=[component("1742-6", {"valueQuantity": quantity(20, "U/L")})])
    check(Case("parent", CRE, minimal(parent), "met"))
