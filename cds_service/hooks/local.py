"""Without configured clients the service answers this machine only: nothing that was forwarded, nothing that a web
page had sent to a name of its own.

What stands in for authentication then is that only programs of this machine can connect. Two things get around that,
and both are looked for here: a proxy on this machine that passes on others' requests (it leaves a header), and the
browser on this machine, whose pages are others' programs (it sends Host, and Origin). Nothing fails.
"""

from __future__ import annotations

import re
from typing import Final

from flask import Request, Response

from cds_service.hooks.problems import problem
from cds_service.records.addresses import is_loopback
from cds_service.records.origins import parse_url

ONLY_THIS_MACHINE: Final = (
    "No client is configured, so this service answers this machine only, addressed as localhost and without a "
    "proxy. To serve others, configure [[clients]]."
)
# What proxies, load balancers and content networks add. Neither browsers nor EHRs send any of these themselves.
_FORWARDED: Final = frozenset(
    {
        "cdn-loop",
        "client-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "forwarded",
        "front-end-https",
        "remote-addr",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cloud-trace-context",
        "x-cluster-client-ip",
        "x-coming-from",
        "x-host",
        "x-originating-ip",
        "x-proxyuser-ip",
        "x-rewrite-url",
        "x-scheme",
        "x-url-scheme",
        "x-varnish",
        "x-via",
    }
)
_FORWARDED_PREFIXES: Final = (
    "cf-",
    "x-amzn-",
    "x-appengine-",
    "x-arr-",
    "x-azure-",
    "x-envoy-",
    "x-forward",
    "x-http-host",
    "x-original-",
    "x-proxy-",
    "x-real-",
    "x-remote-",
)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")


def local_only(request: Request) -> Response | None:
    """The refusal of a request that does not come straight from this machine, or None."""
    host = _HOST.fullmatch(request.headers.get("Host", ""))
    # A whole URL as the request's target is how a proxy is asked; it stands above Host (RFC 9112 §3.2.2).
    to_proxy = "://" in str(request.environ.get("RAW_URI", "")).partition("?")[0]
    forwarded = to_proxy or any(_is_forwarding(name.lower()) for name, _ in request.headers)
    remote = request.remote_addr
    if host and is_loopback(host[1]) and not forwarded and (not remote or is_loopback(remote)):
        return None
    return problem(403, "forbidden", ONLY_THIS_MACHINE)


def _is_forwarding(name: str) -> bool:
    return name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES)


def from_foreign_page(request: Request) -> bool:
    """Whether a browser says that a web page sent this request, and not one that this machine itself serves."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    try:
        return not is_loopback(parse_url(origin).host)
    except ValueError:
        return True  # `null` of files and sandboxed frames, extensions, several at once
