"""Every setting of the service, read once at the start from `cds-service.toml` and `CDS_*` variables, then
passed in.

A variable wins over the file. `CDS_CONFIG` names the file (default: `cds-service.toml` where present). A
setting of `[service]` is the variable `CDS_<KEY>` (`CDS_SERVICE_<KEY>` is the same), of another table
`CDS_<TABLE>_<KEY>`; lists are comma-separated; a trial's are `CDS_TRIALS_<ID>_RECRUITING_CONFIRMED`,
`…_CONTACT`, `…_PARAMETERS_<name>`. `[[clients]]` stand in the file only. Relative paths in the file are
relative to it.

Error policy: an unknown key, an unknown `CDS_*` variable or a bad value raises ConfigurationError with its
name and, for the file, its line; nothing is guessed and nothing is ignored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cds_service.errors import ConfigurationError
from cds_service.settings import values
from cds_service.settings.source import TomlSource, read_toml

DEFAULT_FILE: Final = "cds-service.toml"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """`[service]`: where the service stands and what it asks for.

    base_url: the public address, without a trailing slash; None = the bound address.
    timezone: the site's IANA zone. database_url: an SQLAlchemy URL (feedback, seen token ids).
    trials_dir, concept_maps_dir: folders of further trials and of the site's own ConceptMaps.
    prefetch: `gate` asks for Patient and Condition only, `full` for everything (sites without a FHIR server).
    as_of: a fixed assessment day for demo and tests, refused beside [[clients]]; None = today in the time
    zone. fhir_servers: the FHIR servers that may be asked while no client is configured; empty = loopback
    addresses. private_networks: networks that are not of the public internet to which the names of those servers
    may resolve, while no client is configured. ca_file: a PEM file of the authorities that may sign the certificates
    of FHIR servers, of audit.sink and of clients' jwks_url; None = the public ones. unavailable: resource types that
    this site does not offer. observations: `all` or `codes` (how they are searched). metrics_token_file: a file with
    the bearer token of whoever reads /metrics from another machine; None = this machine only.
    """

    base_url: str | None = None
    timezone: str = "America/Sao_Paulo"
    database_url: str = "sqlite:///cds-service.db"
    trials_dir: Path | None = None
    concept_maps_dir: Path | None = None
    prefetch: str = "gate"
    as_of: date | None = None
    fhir_servers: tuple[str, ...] = ()
    private_networks: tuple[str, ...] = ()
    ca_file: Path | None = None
    metrics_token_file: Path | None = None
    unavailable: tuple[str, ...] = ()
    observations: str = "all"


@dataclass(frozen=True, slots=True)
class CardSettings:
    """`[cards]`: which cards are shown. rest_after_views: 0 = a card never rests."""

    show_excluded: bool = False
    sensitive_orders: bool = False
    max_cards: int = 5
    rest_after_views: int = 5
    rest_days: int = 14


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """`[feedback]`: the key of the pseudonyms, and for how many days feedback is kept."""

    pseudonym_key_file: Path = Path("pseudonym.key")
    retention_days: int = 365


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """`[audit]`: where AuditEvents go (`file:<path>` or a FHIR base URL); None = nowhere.

    token_file: a file with the bearer token of that FHIR server. spool_dir: where events wait for it.
    """

    sink: str | None = None
    token_file: Path | None = None
    spool_dir: Path = Path("audit-spool")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """`[limits]`: request body in bytes, resources of one request, all searches of one call in seconds, one search of
    them (None: five sixths of that), resources that one call reads from a FHIR server, requests per client and minute,
    calls that one process works on at once, and seconds for a request to arrive whole.
    """

    body_bytes: int = 20_000_000
    fetch_seconds: float = 3.0
    search_seconds: float | None = None
    fetched_resources: int = 20_000
    requests_per_minute: int = 600
    entries: int = 10_000
    concurrency: int = 16
    request_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """`[trials.<id>]`: the day on which the site confirmed recruitment, its contact, CQL parameters
    (clinical-spec §8).

    origins: where each parameter was set (file and line, or the variable's name), by its dotted path.
    """

    recruiting_confirmed: date | None = None
    contact: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """`[[clients]]`: one CDS client that may call (its `iss`, its keys, what its tokens may say, its FHIR
    servers). private_networks: as in `[service]`. cds_hooks: the version of the specification it speaks.
    """

    name: str
    issuer: str
    jwks_file: Path | None = None
    jwks_url: str | None = None
    jku: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    fhir_servers: tuple[str, ...] = ()
    private_networks: tuple[str, ...] = ()
    cds_hooks: str = "2.0"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. places: where the file or a variable set one, by the name that errors begin with (`audit.sink`,
    `clients (hospital-a): jwks_file`, `[trials.nct02917681]`).
    """

    service: ServiceSettings = field(default_factory=ServiceSettings)
    cards: CardSettings = field(default_factory=CardSettings)
    feedback: FeedbackSettings = field(default_factory=FeedbackSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    trials: Mapping[str, TrialSettings] = field(default_factory=dict)
    clients: tuple[ClientSettings, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Within it, a ConfigurationError that begins with a setting's name is told with the place of that setting."""
        try:
            yield
        except ConfigurationError as error:
            told = str(error)
            named = [name for name in self.places if re.match(rf"{re.escape(name)}(?!\w)", told)]
            if not named:
                raise
            raise ConfigurationError(f"{self.places[max(named, key=len)]}: {told}") from None


Parse = Callable[[Any, Path], Any]
TABLES: Final[Mapping[str, Mapping[str, Parse]]] = MappingProxyType(
    {
        "service": {
            "base_url": values.base_url,
            "timezone": values.timezone,
            "database_url": values.database_url,
            "trials_dir": values.folder,
            "concept_maps_dir": values.folder,
            "prefetch": values.choice("gate", "full"),
            "as_of": values.day,
            "fhir_servers": values.list_of(values.base_url),
            "private_networks": values.list_of(values.network),
            "ca_file": values.certificates,
            "metrics_token_file": values.path,
            "unavailable": values.list_of(values.resource_type),
            "observations": values.choice("all", "codes"),
        },
        "cards": {
            "show_excluded": values.truth,
            "sensitive_orders": values.truth,
            "max_cards": values.integer(1),
            "rest_after_views": values.integer(0),
            "rest_days": values.integer(0, 3650),
        },
        "feedback": {"pseudonym_key_file": values.path, "retention_days": values.integer(1)},
        "audit": {"sink": values.sink, "token_file": values.path, "spool_dir": values.path},
        "limits": {
            "body_bytes": values.integer(1),
            "fetch_seconds": values.seconds,
            "search_seconds": values.seconds,
            "fetched_resources": values.integer(1),
            "requests_per_minute": values.integer(1),
            "entries": values.integer(1),
            "concurrency": values.integer(1),
            "request_seconds": values.seconds,
        },
    }
)
TRIAL_KEYS: Final[Mapping[str, Parse]] = MappingProxyType(
    {"recruiting_confirmed": values.day, "contact": values.text, "parameters": values.parameters}
)
CLIENT_KEYS: Final[Mapping[str, Parse]] = MappingProxyType(
    {
        "name": values.text,
        "issuer": values.text,
        "jwks_file": values.path,
        "jwks_url": values.url,
        "jku": values.list_of(values.url),
        "tenants": values.list_of(values.text),
        "audiences": values.list_of(values.text),
        "fhir_servers": values.list_of(values.base_url),
        "private_networks": values.list_of(values.network),
        "cds_hooks": values.choice("2.0", "3.0"),
    }
)


def load_settings(config: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of the file `config` (else CDS_CONFIG, else `cds-service.toml` where present) and the
    environment.

    Raises ConfigurationError, which names the setting and, for the file, the line.
    """
    variables = os.environ if environment is None else environment
    named = config or (Path(variables["CDS_CONFIG"]) if variables.get("CDS_CONFIG") else None)
    if named is not None and not named.is_file():
        raise ConfigurationError(f"The configuration file {named} does not exist, or is no file.")
    path = named or Path(DEFAULT_FILE)
    source = read_toml(path) if path.is_file() else TomlSource({}, "", path.name)
    settings = _with_environment(_from_file(source, path.parent), variables)
    with settings.located():
        _check(settings)
    return settings


def _from_file(source: TomlSource, folder: Path) -> Settings:
    parts: dict[str, Any] = {}
    for table, content in source.data.items():
        if table == "clients":
            parts["clients"] = _clients(source, content, folder)
        elif table == "trials":
            parts["trials"] = _trials(source, content, folder)
        elif table in TABLES:
            parts[table] = _parsed(source, (table,), content, TABLES[table], folder)
        else:
            raise source.error(
                (table,), f"unknown table; known are {', '.join([*TABLES, 'trials', 'clients'])}"
            )
    settings = Settings()
    for table in TABLES.keys() & parts.keys():
        settings = replace(settings, **{table: replace(getattr(settings, table), **parts[table])})
    return replace(
        settings,
        trials=MappingProxyType(parts.get("trials", {})),
        clients=parts.get("clients", ()),
        places=MappingProxyType(dict(_places(source))),
    )


def _places(source: TomlSource) -> Iterator[tuple[str, str]]:
    """Where each setting of a file that was read without an error stands, by the name that errors begin with."""
    for table, content in source.data.items():
        if table == "clients":
            for nth, client in enumerate(content):
                name = f"clients ({client['name']})"
                yield name, source.place((table,), nth=nth)
                yield from ((f"{name}: {key}", source.place((table, key), nth=nth)) for key in client)
        elif table == "trials":
            yield from ((f"[trials.{trial}]", source.place((table, trial))) for trial in content)
        else:
            yield from ((f"{table}.{key}", source.place((table, key))) for key in content)


def _parsed(
    source: TomlSource,
    place: tuple[str, ...],
    content: Any,
    keys: Mapping[str, Parse],
    folder: Path,
    nth: int = 0,
) -> dict[str, Any]:
    """One table's values, each checked. `nth` counts the occurrences of an array of tables, for the line."""
    if not isinstance(content, dict):
        raise source.error(place, "a table is wanted here", nth=nth)
    parsed: dict[str, Any] = {}
    for key, value in content.items():
        where = (*place, key)
        if key not in keys:
            raise source.error(where, f"unknown key; known are {', '.join(keys)}", nth=nth)
        try:
            parsed[key] = keys[key](value, folder)
        except ValueError as error:
            raise source.error(where, str(error), nth=nth) from None
    return parsed


def _trials(source: TomlSource, content: Any, folder: Path) -> dict[str, TrialSettings]:
    if not isinstance(content, dict):
        raise source.error(("trials",), "tables [trials.<id>] are wanted here")
    trials = {}
    for trial, table in content.items():
        parsed = _parsed(source, ("trials", trial), table, TRIAL_KEYS, folder)
        origins = dict(_origins(source, ("trials", trial, "parameters"), parsed.get("parameters", {})))
        trials[trial] = TrialSettings(**parsed, origins=origins)
    return trials


def _origins(
    source: TomlSource, place: tuple[str, ...], parameters: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, str]]:
    """Where each parameter stands in the file, and each element of one that is a table."""
    for name, value in parameters.items():
        where = (*place, name)
        yield f"{path}{name}", source.place(where)
        if isinstance(value, dict):
            yield from _origins(source, where, value, f"{path}{name}.")


def _clients(source: TomlSource, content: Any, folder: Path) -> tuple[ClientSettings, ...]:
    if not isinstance(content, list):
        raise source.error(("clients",), "a client is an array of tables: write [[clients]]")
    clients = []
    for nth, table in enumerate(content):
        parsed = _parsed(source, ("clients",), table, CLIENT_KEYS, folder, nth)
        for key in ("name", "issuer"):
            if key not in parsed:
                raise source.error(("clients",), f"{key} is missing", nth=nth)
        if ("jwks_file" in parsed) == ("jwks_url" in parsed):
            raise source.error(("clients",), "exactly one of jwks_file and jwks_url is wanted", nth=nth)
        clients.append(ClientSettings(**parsed))
    for key in ("name", "issuer"):
        known = [getattr(client, key) for client in clients]
        if len(set(known)) != len(known):
            raise source.error(("clients",), f"two clients have the same {key}")
    return tuple(clients)


def _with_environment(settings: Settings, variables: Mapping[str, str]) -> Settings:
    """The settings with the CDS_* variables over them; a relative path in a variable is relative to the
    working folder.
    """
    chosen: dict[tuple[str, str], str] = {}
    for name in sorted(variables):
        if not name.startswith("CDS_") or name == "CDS_CONFIG":
            continue
        if name.startswith("CDS_TRIALS_") and name != "CDS_TRIALS_DIR":
            settings = _with_trial_variable(settings, name, variables[name])
            continue
        table, key = _place_of(name)
        if (other := chosen.setdefault((table, key), name)) != name and variables[other] != variables[name]:
            raise ConfigurationError(
                f"{other} and {name} are the same setting with two values; set one of them."
            )
        value = _of_variable(name, TABLES[table][key], variables[name])
        changed = replace(getattr(settings, table), **{key: value})
        settings = replace(settings, **{table: changed}, places={**settings.places, f"{table}.{key}": name})
    return settings


def _place_of(name: str) -> tuple[str, str]:
    rest = name.removeprefix("CDS_").lower()
    table, _, key = rest.partition("_")
    if table in TABLES and key in TABLES[table]:
        return table, key
    if rest in TABLES["service"]:
        return "service", rest
    raise ConfigurationError(
        f"{name}: unknown setting; see `cds-service.toml` in the documentation for what is known."
    )


def _with_trial_variable(settings: Settings, name: str, text: str) -> Settings:
    trial, _, parameter = name.removeprefix("CDS_TRIALS_").partition("_PARAMETERS_")
    changes: dict[str, Any]
    if parameter:
        trial = trial.lower()
        known = settings.trials.get(trial, TrialSettings())
        kept = {path: o for path, o in known.origins.items() if path.partition(".")[0] != parameter}
        changes = {
            "parameters": {**known.parameters, parameter: values.toml_value(text)},
            "origins": {**kept, parameter: name},
        }
    else:
        for key in ("recruiting_confirmed", "contact"):
            if trial.lower().endswith(f"_{key}"):
                trial = trial.lower().removesuffix(f"_{key}")
                changes = {key: _of_variable(name, TRIAL_KEYS[key], text)}
                break
        else:
            raise ConfigurationError(
                f"{name}: unknown setting of a trial; known are {', '.join(TRIAL_KEYS)}."
            )
    known = settings.trials.get(trial, TrialSettings())
    trials = {**settings.trials, trial: replace(known, **changes)}
    places = {**settings.places, f"[trials.{trial}]": name}
    return replace(settings, trials=MappingProxyType(trials), places=places)


def _of_variable(name: str, parse: Parse, text: str) -> Any:
    try:
        return parse(values.Variable(text), Path())
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _check(settings: Settings) -> None:
    """What only several settings together can get wrong."""
    if settings.clients and settings.service.as_of is not None:
        raise ConfigurationError(
            "service.as_of is for demo and tests and is refused beside [[clients]]; remove one of them."
        )
    if settings.clients and settings.service.fhir_servers:
        raise ConfigurationError(
            "service.fhir_servers holds only while no client is configured; name each client's under [[clients]]."
        )
    limits = settings.limits
    if limits.search_seconds is not None and limits.search_seconds > limits.fetch_seconds:
        raise ConfigurationError(
            "limits.search_seconds is more than limits.fetch_seconds, which is for all searches of one call together; "
            "lower it, raise the other, or leave it out (five sixths)."
        )
    if settings.clients and settings.service.private_networks:
        raise ConfigurationError(
            "service.private_networks holds only while no client is configured; name each client's under [[clients]]."
        )
