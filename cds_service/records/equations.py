"""Published equations of predicted forced vital capacity: data, evaluated in Decimal (clinical specification
IN04 (c)).

An equation that needs a look-up table which isn't part of the project is there only where the package that
holds the table is installed. Error policy: data of the wrong shape raises AuthoringError at load; an
equation that can't be used for a person (sex, age, no weight) gives None.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cds_service.errors import AuthoringError
from cds_service.records.dates import completed_years

_CONTEXT = Context(prec=28)


@dataclass(frozen=True, slots=True)
class Body:
    """What equations ask: sex (male, female), birth date, day of the test, height in cm, weight in kg if known."""

    sex: str
    born: date
    day: date
    height: Decimal
    weight: Decimal | None


@dataclass(frozen=True, slots=True)
class Equation:
    """One published equation. `sexes` holds the coefficients by sex; `splines` a table by column: (ages, values)."""

    name: str
    citation: str
    form: str
    sexes: Mapping[str, Mapping[str, Any]]
    splines: Mapping[str, tuple[tuple[Decimal, ...], tuple[Decimal, ...]]]

    def predicted(self, body: Body) -> Decimal | None:
        """Predicted FVC in litres; None outside the published ages (completed years), or when an input is lacking."""
        coefficients = self.sexes.get(body.sex)
        if coefficients is None or body.day < body.born:
            return None
        youngest, oldest = coefficients["ages"]
        if not youngest <= completed_years(body.born, body.day) <= oldest:
            return None
        age = exact_age(body.born, body.day)
        if self.form == "log-spline":
            return self._log_spline(coefficients, body.height, age)
        litres = Decimal(coefficients["intercept"]) + Decimal(coefficients["height"]) * body.height
        litres += Decimal(coefficients["age"]) * age
        if "weight" in coefficients:
            if body.weight is None:
                return None
            litres += Decimal(coefficients["weight"]) * body.weight
        return litres if litres > 0 else None

    def _log_spline(self, coefficients: Mapping[str, Any], height: Decimal, age: Decimal) -> Decimal | None:
        """M = exp(a0 + a1·ln(height) + a2·ln(age) + spline(age)), the spline interpolated linearly."""
        ages, values = self.splines[coefficients["spline"]]
        if age > ages[-1] or age < ages[0]:
            return None
        at = min(bisect_right(ages, age), len(ages) - 1)
        share = _CONTEXT.divide(age - ages[at - 1], ages[at] - ages[at - 1])
        spline = values[at - 1] + share * (values[at] - values[at - 1])
        exponent = (
            Decimal(coefficients["a0"])
            + Decimal(coefficients["a1"]) * height.ln(_CONTEXT)
            + Decimal(coefficients["a2"]) * age.ln(_CONTEXT)
            + spline
        )
        return exponent.exp(_CONTEXT)


def exact_age(born: date, day: date) -> Decimal:
    """Age in years with the fraction of the current year of life."""
    years = completed_years(born, day)
    last, following = birthday(born, born.year + years), birthday(born, born.year + years + 1)
    return years + _CONTEXT.divide(Decimal((day - last).days), Decimal((following - last).days))


def birthday(born: date, year: int) -> date:
    """The birthday in a year; 29 February falls on 1 March in other years."""
    try:
        return born.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def read_equation(data: Mapping[str, Any], *, file: str) -> Equation | None:
    """The equation of one data file; None when the package that holds its table isn't installed.

    Raises AuthoringError naming the file when the data has another shape.
    """
    try:
        if data["form"] not in ("linear", "log-spline"):
            raise ValueError(f"unknown form {data['form']!r}")
        splines: dict[str, tuple[tuple[Decimal, ...], tuple[Decimal, ...]]] = {}
        if "table" in data:
            path = _table_path(data["table"])
            if path is None:
                return None
            columns = [sex["spline"] for sex in data["sexes"].values()]
            splines = _read_table(path, data["table"], columns)
        return Equation(data["name"], data["citation"], data["form"], data["sexes"], splines)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, OSError) as error:
        raise AuthoringError(f"{file}: can't be read ({type(error).__name__}: {error})") from error


def _table_path(table: Mapping[str, str]) -> Path | None:
    """Where the table lies in the installed package; the package itself isn't imported (it loads numpy and pandas)."""
    spec = find_spec(table["package"])
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / table["file"]
        if path.is_file():
            return path
    return None


def _read_table(
    path: Path, table: Mapping[str, str], columns: list[str]
) -> dict[str, tuple[tuple[Decimal, ...], tuple[Decimal, ...]]]:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter=table["delimiter"]))
    ages = tuple(Decimal(row[table["age"]]) for row in rows)
    if len(ages) < 2 or list(ages) != sorted(set(ages)):
        raise ValueError("the ages of the look-up table must rise")
    return {column: (ages, tuple(Decimal(row[column]) for row in rows)) for column in columns}
