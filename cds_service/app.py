"""The web application: settings in, parts joined, routes registered. Everything is built here once,
nothing per call.

Error policy: whatever is wrong with settings, trials or keys raises ConfigurationError or AuthoringError
and no application comes into being; at run time `hooks.problems` turns every error into an
OperationOutcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, Response, request

from cds_service import __version__
from cds_service.audit import open_sink
from cds_service.eligibility.catalog import SiteTrial
from cds_service.errors import ConfigurationError, RetryLaterError
from cds_service.hooks.admission import Rates
from cds_service.hooks.auth import Client
from cds_service.hooks.body import ENTRIES
from cds_service.hooks.cards import CardOptions
from cds_service.hooks.fetching import FetchWatch
from cds_service.hooks.health import health_blueprint
from cds_service.hooks.jwk import BadKeys
from cds_service.hooks.keys import FileKeys, Keys, PublishedKeys, fetch_jwk_set
from cds_service.hooks.local import ONLY_THIS_MACHINE, local_only
from cds_service.hooks.observed import REQUEST_ID, observe, within_requests
from cds_service.hooks.orders import order_set
from cds_service.hooks.pages import pages_blueprint
from cds_service.hooks.problems import register_problems
from cds_service.hooks.servers import check_listed
from cds_service.hooks.service import Service
from cds_service.hooks.turns import InTurn
from cds_service.hooks.views import hooks_blueprint
from cds_service.logs import Log, json_log
from cds_service.metrics import Metrics
from cds_service.records.fhir_transport import Bounds, Transport
from cds_service.records.origins import secure
from cds_service.records.token_file import read_token
from cds_service.screening import Screener
from cds_service.settings import ClientSettings, Settings
from cds_service.storage import Pseudonyms, Retention, Store

# Browser clients may use these; /assessments is for servers.
_CORS_PATHS: Final = ("/cds-services", "/trials/", "/openapi.json", "/healthz", "/readyz")
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept",
    "Access-Control-Expose-Headers": f"{REQUEST_ID}, Retry-After",
    "Access-Control-Max-Age": "600",
}
_SHORTEST_TOKEN: Final = 16


def create_app(
    settings: Settings,
    *,
    base_url: str | None = None,
    sandbox: Iterable[Blueprint] = (),
    screener: Screener | None = None,
    log: Log | None = None,
    now: Callable[[], datetime] | None = None,
    draining: Callable[[], bool] = lambda: False,
    metrics_folder: Path | None = None,
) -> Flask:
    """The application. Raises ConfigurationError, AuthoringError.

    base_url: the bound address, where service.base_url is not set; needed beside [[clients]]. sandbox:
    blueprints of the embedded demo EHR. screener, log: as already loaded elsewhere, otherwise made from
    the settings. now: the clock of what is recorded, otherwise the machine's. draining: whether the server stops,
    for /readyz. metrics_folder: `metrics.shared_folder()`, where several processes serve.
    """
    write = log or json_log()
    loaded = screener or load_screener(settings)
    service = join(
        settings,
        loaded,
        within_requests(write),
        base_url=base_url,
        sandbox=bool(sandbox),
        now=now,
        draining=draining,
        metrics_folder=metrics_folder,
    )
    app = Flask("cds_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.body_bytes
    app.config[ENTRIES] = settings.limits.entries
    # Flask's own limit of form parts does not concern JSON; unread bodies are never parsed as forms here.
    app.url_map.strict_slashes = False
    # A redirect would repeat the address, which may carry an id, and lead to whatever Host the request names.
    app.url_map.merge_slashes = False
    observe(app, write, service.meter)
    register_problems(app, service.log)
    if service.audit is not None:
        app.before_request(service.audit.start)
    if not service.clients:
        app.before_request(lambda: local_only(request))
    app.before_request(_retention(service.store, settings.feedback.retention_days))
    app.after_request(_headers)
    app.register_blueprint(hooks_blueprint(service))
    app.register_blueprint(pages_blueprint(service))
    app.register_blueprint(health_blueprint(service))
    for blueprint in sandbox:
        app.register_blueprint(blueprint)
    app.extensions["cds_service"] = service
    write("started", version=service.version, trials=list(service.trials))
    if not service.clients:
        write("loopback-only", reason=ONLY_THIS_MACHINE)
    return app


def load_screener(settings: Settings) -> Screener:
    """The trials, mappings and value sets that the settings name, loaded and compiled."""
    service = settings.service
    return Screener.load(
        trials_dir=service.trials_dir,
        concept_maps_dir=service.concept_maps_dir,
        timezone=service.timezone,
        sites={
            trial: SiteTrial(chosen.recruiting_confirmed, chosen.contact, chosen.parameters, chosen.origins)
            for trial, chosen in settings.trials.items()
        },
    )


def join(
    settings: Settings,
    screener: Screener,
    log: Log,
    *,
    base_url: str | None = None,
    sandbox: bool = False,
    now: Callable[[], datetime] | None = None,
    draining: Callable[[], bool] = lambda: False,
    metrics_folder: Path | None = None,
) -> Service:
    """The parts behind the routes."""
    trials = screener.catalog.trials
    meter = Metrics(
        {trial_id: [criterion.id for criterion in trial.criteria] for trial_id, trial in trials.items()},
        (screener.wanted() | screener.wanted_by_gates()).types,
        version=__version__,
        folder=metrics_folder,
    )
    base = settings.service.base_url or base_url
    if settings.clients:
        check_base_url(base)
    check_listed(settings.service.fhir_servers, "service.fhir_servers")
    for client in settings.clients:
        check_listed(client.fhir_servers, f"clients ({client.name}): fhir_servers")
    store, pseudonyms = _store(settings, log)
    return Service(
        trials=trials,
        screener=InTurn(screener),
        orders={
            trial_id: order_set(trial, sensitive_orders=settings.cards.sensitive_orders)
            for trial_id, trial in trials.items()
        },
        transport=_transport(settings, FetchWatch(meter, log)),
        store=store,
        log=log,
        today=today(settings),
        now=now or (lambda: datetime.now(UTC)),
        pseudonyms=pseudonyms,
        cards=CardOptions(
            show_excluded=settings.cards.show_excluded,
            max_cards=settings.cards.max_cards,
            fixed_date=settings.service.as_of is not None,
            rest_after_views=settings.cards.rest_after_views,
            rest_days=settings.cards.rest_days,
        ),
        clients=tuple(_client(client, settings.service.ca_file, log) for client in settings.clients),
        version=__version__,
        base_url=base.rstrip("/") if base else None,
        full_prefetch=settings.service.prefetch == "full",
        fetch_seconds=settings.limits.fetch_seconds,
        fhir_servers=settings.service.fhir_servers,
        private_networks=settings.service.private_networks,
        own_fhir="/sandbox/fhir" if sandbox else None,
        unavailable=settings.service.unavailable,
        by_code=settings.service.observations == "codes",
        draining=draining,
        rates=Rates([client.name for client in settings.clients], settings.limits.requests_per_minute),
        meter=meter,
        audit=open_sink(
            settings.audit.sink,
            token_file=settings.audit.token_file,
            ca_file=settings.service.ca_file,
            spool_dir=settings.audit.spool_dir,
            log=log,
            meter=meter,
        ),
        metrics_token=metrics_token(settings.service.metrics_token_file),
    )


def fetch_bounds(settings: Settings) -> Bounds:
    """What one call, or one `assess`, may read from a FHIR server."""
    limits = settings.limits
    return Bounds(resources=limits.fetched_resources, search_seconds=limits.search_seconds)


def _transport(settings: Settings, watch: FetchWatch) -> Transport:
    """How FHIR servers are asked; each request that can be under way finds room in the pool of connections."""
    bounds = fetch_bounds(settings)
    return Transport(
        pool=settings.limits.concurrency * bounds.parallel,
        bounds=bounds,
        ca_file=settings.service.ca_file,
        watch=watch,
    )


def check_base_url(base: str | None) -> None:
    """What clients need of the service's own address. Raises ConfigurationError."""
    if base is None:
        raise ConfigurationError(
            "service.base_url is missing: with [[clients]] their tokens name it as audience."
        )
    if not secure(base):
        raise ConfigurationError(
            "service.base_url must be https (http only on this machine): with [[clients]] patients' data and tokens "
            "travel to it. Set it to the address under which clients call the service, for example that of the proxy "
            "that ends TLS in front of it."
        )


def _store(settings: Settings, log: Log) -> tuple[Store, Pseudonyms]:
    """The database and the key that its hashes are made with; a new key only where none was used yet."""
    store = Store(settings.service.database_url, report=lambda kind: log("database-failed", problem=kind))
    with _at_the_start():
        pseudonyms = Pseudonyms.load(settings.feedback.pseudonym_key_file, make=not store.knows_key())
        store.hold_key(pseudonyms.check())
    return store, pseudonyms


@contextmanager
def _at_the_start() -> Iterator[None]:
    """A database that can't be used now stops the start."""
    try:
        yield
    except RetryLaterError:
        raise ConfigurationError(
            "service.database_url: the database does not answer, or can't be written: check its permissions and the "
            "room on its disk, or try again when it answers."
        ) from None


def _retention(store: Store, days: int) -> Callable[[], None]:
    """Deletes what is too old now; and what each request calls, so that its process goes on with it hourly."""
    retention = Retention(store, days)
    with _at_the_start():
        retention.apply()
    # Whoever serves forks from here: with no connection open.
    store.release()
    return retention.begin


def today(settings: Settings) -> Callable[[], date]:
    """The day of an assessment: the fixed one, or today at the site."""
    fixed, zone = settings.service.as_of, ZoneInfo(settings.service.timezone)
    return lambda: fixed or datetime.now(zone).date()


def metrics_token(path: Path | None) -> str | None:
    """The token in service.metrics_token_file. Raises ConfigurationError."""
    if path is None:
        return None
    token = read_token(path, "service.metrics_token_file")
    if len(token) < _SHORTEST_TOKEN:
        raise ConfigurationError(
            f"service.metrics_token_file: the token in {path} can be guessed: "
            f"make one of at least {_SHORTEST_TOKEN} characters."
        )
    return token


def _client(client: ClientSettings, ca_file: Path | None, log: Log) -> Client:
    published = (client.jwks_url,) if client.jwks_url else ()
    return Client(
        client.name,
        client.issuer,
        _keys(client, ca_file, log),
        (*published, *client.jku),
        client.tenants,
        client.audiences,
        client.fhir_servers,
        client.private_networks,
        client.cds_hooks,
    )


def _keys(client: ClientSettings, ca_file: Path | None, log: Log) -> Keys:
    """The client's keys, from its file or its address. What goes wrong with them later goes to the log."""

    def report(problem: str) -> None:
        log("keys-refused", client=client.name, reason=problem)

    if client.jwks_file is not None:
        try:
            return FileKeys(client.jwks_file, report)
        except BadKeys as bad:
            raise ConfigurationError(
                f"clients ({client.name}): jwks_file: {client.jwks_file}: {bad}."
            ) from None
    if client.jwks_url is None or not secure(client.jwks_url):
        raise ConfigurationError(
            f"clients ({client.name}): jwks_url must be https (http only on this machine): "
            "whoever can change the keys on their way can sign as this client."
        )
    return PublishedKeys(client.jwks_url, report, fetch=partial(fetch_jwk_set, ca_file=ca_file))


def _headers(response: Response) -> Response:
    """What every answer carries; CORS for browser clients, who may be asked before they reach a private
    network.
    """
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.path.startswith(_CORS_PATHS):
        response.headers.update(_CORS)
        if request.headers.get("Access-Control-Request-Private-Network") == "true":
            response.headers["Access-Control-Allow-Private-Network"] = "true"
    return response
