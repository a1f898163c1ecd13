"""Where a FHIR server's base URL ends and everything else begins: URLs taken apart, compared and put together again.

A URL is read here once and strictly, and what is asked afterwards is built anew from the parts that were compared,
so that no other parser can read it differently. Error policy: a URL of any other form is no server's (ValueError,
None or False); nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

from cds_service.records.addresses import LOOPBACK, Reach, is_loopback, reach_of

_PORTS: Final = {"http": 80, "https": 443}
# No user, query or fragment has a place in it; a non-ASCII host must be sent as it goes over the wire (xn--…).
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>(?:/[a-z0-9._~!$&'()*+,;=:@%-]*)*)",
    re.ASCII | re.IGNORECASE,
)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# Where the last label is a number the host is an IPv4 address to every resolver, in whichever of its notations.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Never in a URL, and removed or replaced by some of its readers.
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\s]")


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A URL without query: lower-case `scheme` and `host` (IPv6 in brackets), `port`, and the `path`."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, as short as they can be written."""
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's segments."""
        return tuple(part for part in self.path.split("/") if part)

    def __str__(self) -> str:
        return "/".join((self.origin, *self.segments))

    def holds(self, other: ServerUrl) -> bool:
        """Whether `other` is this URL or below it, by whole segments, on the same origin."""
        return self.origin == other.origin and other.segments[: len(self.segments)] == self.segments


@dataclass(frozen=True, slots=True)
class AllowedServer:
    """A FHIR server that may be read: its base URL as requests are made of it, and the addresses it may have."""

    base_url: str
    reach: Reach


def parse_url(text: str) -> ServerUrl:
    """An absolute http(s) URL taken apart. Raises ValueError, which says what is wanted and repeats nothing."""
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("an absolute http or https URL without credentials, query or fragment is wanted")
    scheme = match["scheme"].lower()
    port = int(match["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise ValueError("a port from 1 to 65535 is wanted")
    if any(_leads_out(part) for part in match["path"].split("/")):
        raise ValueError("a path without dot segments and encoded slashes is wanted")
    # Servers differ in what an empty segment means to them.
    return ServerUrl(scheme, _host(match["host"].lower()), port, re.sub("/+", "/", match["path"]))


def _host(host: str) -> str:
    problem = ValueError(
        "an IP address in its usual notation, or a host name of letters, digits, '-' and '.', is wanted"
    )
    name = host.removesuffix(".")
    labels = name.split(".")
    try:
        if host.startswith("["):
            return f"[{IPv6Address(host[1:-1])}]"
        if _NUMBER.fullmatch(labels[-1]):
            return str(IPv4Address(name))
    except ValueError:
        raise problem from None
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise problem
    return name


def _leads_out(segment: str) -> bool:
    """Whether some server could read a segment as a way up, or as more than one segment.

    Some cut parameters (`;…`) off a segment before they look for dots; some decode twice.
    """
    plain = unquote(segment)
    return (
        plain.partition(";")[0] in (".", "..")
        or re.search(r"[/\\%\x00-\x1f\x7f]", plain) is not None
        or _PERCENT.search(segment) is not None
    )


def secure(url: str) -> bool:
    """Whether what is sent to this address can't be read or changed on its way: by https, or on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname)


def on_server(base_url: str, link: str) -> str | None:
    """`link` (absolute, or relative to the base) as a URL under `base_url`, or None where it leads elsewhere.

    Same scheme, host, port and whole path segments are wanted. Two names of this machine (127.0.0.1,
    localhost) are one host, but the request then goes to the base's own.
    """
    if _UNSAFE.search(link):
        return None
    try:
        base = parse_url(base_url)
        address, mark, query = urljoin(f"{base}/", link).partition("#")[0].partition("?")
        url = parse_url(address)
    except ValueError:
        return None
    finally:
        forget_urls()
    if is_loopback(base.host) and is_loopback(url.host):
        url = ServerUrl(url.scheme, base.host, url.port, url.path)
    return f"{url.origin}{url.path}{mark}{query}" if base.holds(url) else None


def forget_urls() -> None:
    """For whoever handed a URL, which may name a patient, to urllib or `requests`: urllib keeps what it took apart."""
    urlsplit.cache_clear()  # type: ignore[attr-defined]


def path_of(url: str) -> str:
    """The path of any URL, which may name a patient: nothing of it is kept. Raises ValueError."""
    return str(urlsplit.__wrapped__(url).path)  # type: ignore[attr-defined]


def allowed_server(
    fhir_server: str, listed: Sequence[str], private_networks: Sequence[str] = ()
) -> AllowedServer | None:
    """The server that a `fhirServer` names, where it is on the list or below an entry of it; otherwise None.

    An empty list stands for this machine's loopback addresses. Both are compared after normalisation: scheme, host,
    port, then whole path segments. `private_networks`: where the listed names may lead besides the public internet.
    """
    try:
        url = parse_url(fhir_server)
    except ValueError:
        return None
    if not listed:
        return AllowedServer(str(url), LOOPBACK) if is_loopback(url.host) else None
    if any(known.holds(url) for known in _parsed(tuple(listed))):
        return AllowedServer(str(url), reach_of(url.host, tuple(private_networks)))
    return None


@lru_cache(maxsize=256)
def _parsed(listed: tuple[str, ...]) -> tuple[ServerUrl, ...]:
    """The entries of a list, which was checked at the start."""
    return tuple(parse_url(entry) for entry in listed)
