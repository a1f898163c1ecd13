"""EX07 against a second, independent reading of §2.3, §2.4 and §2.7 on random series of creatinine results."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import SCREENING_DAY, Resource, minimal, observation, reference_range, value_quantity
from tests.properties.records import tried
from tests.trials.assessing import verdict

S = date.fromisoformat(SCREENING_DAY)
USABLE = ("final", "amended", "corrected")
IGNORED = ("preliminary", "registered", "cancelled", "entered-in-error", "unknown")
# Twice the fallback interval's ends, mg/dL (§2.7, rule 6).
FALLBACK = {
    "male": (Decimal("2.32"), Decimal("2.70")),
    "female": (Decimal("1.86"), Decimal("2.20")),
    "other": (Decimal("1.86"), Decimal("2.70")),
}


@dataclass(frozen=True)
class Result:
    """A creatinine in mg/dL, `age` days before the screening day (negative: after it)."""

    value: Decimal
    age: int
    status: str
    in_moles: bool


def resource(result: Result, high: Decimal | None) -> Resource:
    unit, factor = ("umol/L", Decimal("88.4")) if result.in_moles else ("mg/dL", Decimal(1))
    ranges = [] if high is None else [reference_range(high=float(high * factor), unit=unit)]
    return observation(
        "14682-9" if result.in_moles else "2160-0",
        value_quantity(float(result.value * factor), unit),
        on=(S - timedelta(days=result.age)).isoformat(),
        status=result.status,
        ranges=ranges,
    )


def judged(value: Decimal, high: Decimal | None, gender: str) -> str:
    if not Decimal("0.1") <= value <= 30:
        return "unknown"
    if high is not None and Decimal("0.5") <= high <= Decimal("1.8"):
        return "met" if value > 2 * high else "not-met"
    low, top = FALLBACK[gender]
    return "not-met" if value <= low else "met" if value > top else "unknown"


def second_reading(results: list[Result], high: Decimal | None, gender: str) -> str:
    counting = [r for r in results if r.status in USABLE and r.age >= 0]
    newest = [r for r in counting if r.age == min(c.age for c in counting)]
    if not newest or newest[0].age > 30:
        return "unknown"
    verdicts = {judged(r.value, high, gender) for r in newest}
    return next(v for v in ("met", "unknown", "not-met") if v in verdicts)


values = st.decimals(Decimal("0.05"), Decimal("6"), places=2) | st.sampled_from(
    [Decimal("2.4"), Decimal("2.41"), Decimal("2.32"), Decimal("2.70"), Decimal("30.1"), Decimal("0.1")]
)
results_ = st.builds(
    Result,
    value=values,
    age=st.integers(-3, 40),
    status=st.sampled_from(USABLE * 3 + IGNORED),
    in_moles=st.booleans(),
)


@tried(150)
@given(
    st.lists(results_, max_size=5),
    st.sampled_from([None, Decimal("1.2"), Decimal("1.0"), Decimal("0.4"), Decimal("1.9")]),
    st.sampled_from(sorted(FALLBACK)),
)
def test_creatinine_series(results: list[Result], high: Decimal | None, gender: str) -> None:
    record = minimal([resource(r, high) for r in results], gender=gender)
    assert verdict(record, "EX07-Creatinine")["status"] == second_reading(results, high, gender)
