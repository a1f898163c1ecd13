"""A trial package as data: who runs it, its rows in the protocol's words, its criteria and draft orders (`trial.toml`).

Error policy: anything missing, unknown or of the wrong type in the file raises AuthoringError with file and place;
a trial is either wholly usable or not loaded at all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.resources.abc import Traversable
from typing import Any, Final

from cds_service.eligibility.parameters import Rule, read_rules
from cds_service.eligibility.toml_table import Table
from cds_service.errors import AuthoringError

KINDS: Final = ("headline", "inclusion", "exclusion")
TIERS: Final = ("A", "B", "C")


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion as the protocol lists it; EX03 and the like are made of several computed parts."""

    id: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Order:
    """A test that may be suggested as a draft order (clinical-spec §6.4). `sensitive` names its category, if any."""

    code: str
    system: str
    display: str
    sensitive: str | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One computed row: where it stands in the protocol, how it is decided, and how people read it.

    `define`: the CQL define that computes it; None = not computed yet.
    `same_as`: the id of the criterion whose verdict it repeats.
    `reads`: the resource types whose failure makes it unknown; None = derived from the ELM's retrieves;
    `lazy`: of the other types only those that its evaluation really read count. `asked`: whether the Questionnaire
    asks for it.
    `attestation_days`: how long a coordinator's answer holds (inclusive), None = no limit; `attestation_window`: the
    parameter whose window that is, if any.
    `sensitive`: the category that keeps its findings off the card, or None.
    """

    id: str
    kind: str
    tier: str
    group: str
    text: str
    label: str
    computed_from: str
    define: str | None = None
    same_as: str | None = None
    question: str | None = None
    attestable: bool = True
    attestation_days: int | None = 30
    attestation_window: str | None = None
    asked: bool = True
    lazy: bool = False
    reads: tuple[str, ...] | None = None
    sensitive: str | None = None
    missing_as: str | None = None
    orders: tuple[str, ...] = ()
    reflex_orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Registry:
    """What the public registry says, and when the site confirmed that it recruits (None: never)."""

    status: str
    last_verified: str
    url: str
    recruiting_confirmed: date | None = None

    @property
    def warning(self) -> str | None:
        """The sentence that must stand first on every card and page until the site has confirmed recruitment."""
        if self.recruiting_confirmed is not None:
            return None
        return (
            f"Registry status {self.status}, last verified {self.last_verified} — "
            "confirm with the site that the study is recruiting."
        )


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    city: str
    country: str


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    role: str
    detail: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial package. `gate_types`: the resource types that are asked for on every chart; none = all that the gate's
    define reads. `parameters`: the CQL parameters that a site may set, as `trial.toml` has them, with the
    rules that their values keep to (clinical-spec §8).
    """

    id: str
    nct: str
    version: str
    title: str
    short_title: str
    description: str
    library: str
    gate: str
    gate_types: tuple[str, ...]
    registry: Registry
    sites: tuple[Site, ...]
    contacts: tuple[Contact, ...]
    burden: tuple[str, ...]
    rows: tuple[Row, ...]
    criteria: tuple[Criterion, ...]
    orders: Mapping[str, Order]
    participation: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_rules: Mapping[str, Rule] = field(default_factory=dict)

    def criterion(self, criterion_id: str) -> Criterion:
        """The criterion of that id; KeyError when there is none."""
        return next(c for c in self.criteria if c.id == criterion_id)

    def configured(
        self, *, recruiting_confirmed: date | None, contact: str | None, parameters: Mapping[str, Any]
    ) -> Trial:
        """This trial with what the site's configuration says of it (design §5, `[trials.<id>]`).

        `parameters`: the values in force, as TOML has them: shown with each assessment, and the windows of the
        attestations may depend on them.
        """
        contacts = self.contacts
        if contact:
            contacts = (Contact(contact, "Study contact at this site", ""), *contacts)
        registry = replace(self.registry, recruiting_confirmed=recruiting_confirmed)
        in_force = {**self.parameters, **parameters}
        criteria = tuple(
            replace(c, attestation_days=in_force.get(c.attestation_window or "", c.attestation_days))
            for c in self.criteria
        )
        return replace(self, registry=registry, contacts=contacts, criteria=criteria, parameters=in_force)


def read_trial(source: Traversable) -> Trial:
    """The trial of one `trial.toml`. Raises AuthoringError with the place of whatever is wrong."""
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AuthoringError(f"{source.name}: not readable as TOML: {error}") from error
    table = Table(data, source.name)
    rows = tuple(_row(entry) for entry in table.tables("rows"))
    texts = {row.id: row for row in rows}
    parameters = table.optional("parameters", (dict,), {})
    criteria = tuple(_criterion(entry, texts, parameters) for entry in table.tables("criteria"))
    orders = {order.code: order for order in (_order(entry) for entry in table.tables("orders"))}
    registry = table.table("registry")
    gate = table.table("gate")
    trial = Trial(
        id=table.text("id"),
        nct=table.text("nct"),
        version=table.text("version"),
        title=table.text("title"),
        short_title=table.text("short_title"),
        description=table.text("description"),
        library=table.text("library"),
        gate=gate.text("criterion"),
        gate_types=gate.texts("resources", required=False),
        registry=Registry(
            status=registry.text("status"),
            last_verified=registry.text("last_verified"),
            url=registry.text("url"),
        ),
        sites=tuple(Site(s.text("name"), s.text("city"), s.text("country")) for s in table.tables("sites")),
        contacts=tuple(
            Contact(c.text("name"), c.text("role"), c.text("detail")) for c in table.tables("contacts")
        ),
        burden=table.texts("burden"),
        rows=rows,
        criteria=criteria,
        orders=orders,
        participation=table.optional_text("participation"),
        parameters=parameters,
        parameter_rules=read_rules(table.optional_table("parameter_rules"), parameters),
    )
    gate.done()
    registry.done()
    table.done()
    _check(trial, source.name)
    return trial


def _row(entry: Table) -> Row:
    row = Row(entry.text("id"), entry.choice("kind", KINDS), entry.text("text"))
    entry.done()
    return row


def _order(entry: Table) -> Order:
    order = Order(
        entry.text("code"), entry.text("system"), entry.text("display"), entry.optional_text("sensitive")
    )
    entry.done()
    return order


def _criterion(entry: Table, rows: Mapping[str, Row], parameters: Mapping[str, Any]) -> Criterion:
    group = entry.text("group")
    if group not in rows:
        raise AuthoringError(f"{entry.place}: group {group!r} is no row of the trial")
    days = entry.optional("attestation_days", (int, str), 30)
    window = days if isinstance(days, str) and days != "unlimited" else None
    if window is not None:
        days = parameters.get(window)
        if not isinstance(days, int) or isinstance(days, bool):
            raise AuthoringError(
                f"{entry.place}.attestation_days: a number of days, 'unlimited', or the name of a parameter in days"
            )
    criterion = Criterion(
        id=entry.text("id"),
        kind=rows[group].kind,
        tier=entry.choice("tier", TIERS),
        group=group,
        text=entry.optional_text("text") or rows[group].text,
        label=entry.text("label"),
        computed_from=entry.text("computed_from"),
        define=entry.optional_text("define"),
        same_as=entry.optional_text("same_as"),
        question=entry.optional_text("question"),
        attestable=entry.optional("attestable", (bool,), True),
        attestation_days=None if days == "unlimited" else int(days),
        attestation_window=window,
        asked=entry.optional("asked", (bool,), True),
        lazy=entry.optional("lazy", (bool,), False),
        reads=entry.texts("reads", required=False) or None,
        sensitive=entry.optional_text("sensitive"),
        missing_as=entry.optional_text("missing_as"),
        orders=entry.texts("orders", required=False),
        reflex_orders=entry.texts("reflex_orders", required=False),
    )
    entry.done()
    return criterion


def _check(trial: Trial, place: str) -> None:
    ids = [criterion.id for criterion in trial.criteria]
    if doubled := {i for i in ids if ids.count(i) > 1}:
        raise AuthoringError(f"{place}: criterion ids stand twice: {sorted(doubled)}")
    if trial.gate not in ids:
        raise AuthoringError(f"{place}: the gate criterion {trial.gate!r} is no criterion of the trial")
    for criterion in trial.criteria:
        if criterion.same_as is not None and criterion.same_as not in ids:
            raise AuthoringError(
                f"{place}: {criterion.id} repeats {criterion.same_as!r}, which is no criterion"
            )
        if missing := [
            code for code in (*criterion.orders, *criterion.reflex_orders) if code not in trial.orders
        ]:
            raise AuthoringError(f"{place}: {criterion.id} suggests orders that stand nowhere: {missing}")
    if empty := {row.id for row in trial.rows} - {c.group for c in trial.criteria}:
        raise AuthoringError(f"{place}: rows without a criterion: {sorted(empty)}")
