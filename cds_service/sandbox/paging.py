"""Page tokens of the FHIR endpoint: they carry the search and the offset, signed, so that no state is kept.

A token that this sandbox did not make raises InputError.
"""

from __future__ import annotations

import hmac
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from secrets import token_bytes
from typing import Final

import orjson

from cds_service.errors import InputError
from cds_service.sandbox.search import Query, parse_query

_SIGNATURE: Final = 16


class Pager:
    """Makes and reads page tokens. The key lives as long as the sandbox; tokens of an earlier run are
    refused.
    """

    def __init__(self) -> None:
        self._key = token_bytes(32)

    def token(self, query: Query, offset: int) -> str:
        """The opaque token of the page that starts at `offset`."""
        # Packed, because a search for hundreds of codes would not fit into the request line of many servers.
        payload = zlib.compress(orjson.dumps([query.resource_type, query.pairs, offset]))
        return urlsafe_b64encode(self._sign(payload) + payload).decode("ascii").rstrip("=")

    def read(self, token: str) -> tuple[Query, int]:
        """The search and the offset that a token stands for."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (Base64Error, ValueError) as error:
            raise InputError("This page token is none of this server's.", expression="_page") from error
        signature, payload = raw[:_SIGNATURE], raw[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._sign(payload)):
            raise InputError("This page token is none of this server's.", expression="_page")
        resource_type, pairs, offset = orjson.loads(zlib.decompress(payload))
        return parse_query(resource_type, [(name, value) for name, value in pairs]), offset

    def _sign(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, sha256).digest()[:_SIGNATURE]
