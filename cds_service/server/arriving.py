"""The bytes of one connection, cut into requests; no socket and no clock here.

The head is read by gunicorn's own parser, which is strict about what smuggles requests; what it lets pass and no
client of ours needs (two Host headers, stacked transfer codings) is refused beside it. Error policy: Refused, after
which nothing more can be understood of that connection.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from gunicorn.http import errors
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from cds_service.server.refusals import Refused

HEAD_BYTES: Final = 32_768
_LINE_BYTES: Final = 8_192
_CHUNK_LINE_BYTES: Final = 256
# Chunks cost more than their bytes: a body may have this many, or one for each of so many bytes of the limit.
_CHUNKS: Final = 10_000
_CHUNK_BYTES: Final = 256
_STATUSES: Final[tuple[tuple[type[Exception], int], ...]] = (
    (errors.LimitRequestLine, 414),
    (errors.LimitRequestHeaders, 431),
    (errors.UnsupportedTransferCoding, 501),
    (errors.InvalidHTTPVersion, 505),
)


class Arriving:
    """What has come on one connection and was not yet answered. `body_bytes`: the largest body."""

    def __init__(self, cfg: Any, peer: Any, body_bytes: int) -> None:
        self._cfg = cfg
        self._peer = peer
        self._limit = body_bytes
        self._buffer = bytearray()
        self._length = 0
        self._chunked: Chunked | None = None
        self._number = 0
        self.request: Any = None

    @property
    def held(self) -> int:
        """Bytes kept for what has not been answered yet."""
        return len(self._buffer) + (len(self._chunked.body) if self._chunked else 0)

    @property
    def begun(self) -> bool:
        """Whether anything of a next request has come."""
        return bool(self._buffer) or self.request is not None

    def starts_with(self, prefixes: tuple[bytes, ...]) -> bool:
        """Whether a head that has not been read yet begins so."""
        return self.request is None and self._buffer.startswith(prefixes)

    def add(self, data: bytes) -> None:
        """Bytes as they came."""
        self._buffer += data

    def head(self) -> Any:
        """gunicorn's Request once the head is whole, else None. Raises Refused."""
        if self.request is not None:
            return self.request
        while self._buffer.startswith(
            b"\r\n"
        ):  # some clients end a body with a line that does not belong to it
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES + 4)
        if end < 0:
            self._check_unfinished()
            return None
        head = bytes(self._buffer[: end + 4])
        del self._buffer[: end + 4]
        self._number += 1
        self.request = self._parsed(head)
        return self.request

    def _check_unfinished(self) -> None:
        """Refuses early what can't become a head any more."""
        line = self._buffer.find(b"\n")
        if line < 0 and len(self._buffer) > _LINE_BYTES:
            raise Refused(414)
        if len(self._buffer) > HEAD_BYTES:
            raise Refused(431)
        if line >= 0 and not self._buffer.endswith(b"\r", 0, line):
            raise Refused(400)
        first = self._buffer[0] if self._buffer else ord("\r")
        if first != ord("\r") and not ord("A") <= first <= ord(
            "Z"
        ):  # no method begins so: TLS, SSH, anything
            raise Refused(400)

    def _parsed(self, head: bytes) -> Any:
        try:
            request = Request(self._cfg, IterUnreader([head]), self._peer, self._number)
        except (errors.ParseException, StopIteration, ValueError) as error:
            status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 400)
            raise Refused(status) from None
        names = [name for name, _ in request.headers]
        if names.count("HOST") != 1 and (request.version >= (1, 1) or names.count("HOST") > 1):
            raise Refused(400)
        # Blanks of HTTP alone: what Python takes for one besides, a proxy in front may not.
        codings = [
            value.strip(" \t").lower() for name, value in request.headers if name == "TRANSFER-ENCODING"
        ]
        if codings not in ([], ["chunked"]):
            raise Refused(501)
        reader = request.body.reader
        self._chunked = Chunked(self._limit) if isinstance(reader, ChunkedReader) else None
        self._length = reader.length if isinstance(reader, LengthReader) else 0
        if self._length > self._limit:
            raise Refused(413)
        return request

    def wants_to_be_asked(self) -> bool:
        """Whether the client waits for a word (`Expect: 100-continue`) before it sends its body; asked once."""
        headers = self.request.headers
        asked = [h for h in headers if h[0] == "EXPECT"]
        self.request.headers = [h for h in headers if h[0] != "EXPECT"]
        return bool(asked) and asked[0][1].lower() == "100-continue" and not self._buffer

    def body(self) -> bytes | None:
        """The body once it is whole, else None. Raises Refused."""
        if self._chunked is not None:
            return bytes(self._chunked.body) if self._chunked.take(self._buffer) else None
        if len(self._buffer) < self._length:
            return None
        return bytes(memoryview(self._buffer)[: self._length])

    def next(self) -> None:
        """The request has been handed on: what remains belongs to the one after it."""
        if self._chunked is None:
            del self._buffer[: self._length]
        self._chunked = None
        self._length = 0
        self.request = None


class _Part(Enum):
    SIZE = "size"
    DATA = "data"
    END = "end of data"
    TRAILERS = "trailers"
    DONE = "done"


class Chunked:
    """A chunked body (RFC 9112 §7.1) as it comes. Extensions and trailers are read over."""

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self._limit = limit
        self._chunks = max(_CHUNKS, limit // _CHUNK_BYTES)
        self._part = _Part.SIZE
        self._left = 0
        self._trailers = 0

    def take(self, buffer: bytearray) -> bool:
        """Moves what it can from the front of `buffer`; True once the body is whole. Raises Refused."""
        while self._part is not _Part.DONE:
            if self._part is _Part.DATA:
                some = buffer[: self._left]
                self.body += some
                del buffer[: self._left]
                self._left -= len(some)
                if self._left:
                    return False
                self._part = _Part.END
            elif (line := self._line(buffer)) is None:
                return False
            elif self._part is _Part.SIZE:
                self._size(line)
            elif self._part is _Part.END:
                if line:
                    raise Refused(400)
                self._part = _Part.SIZE
            elif not line:
                self._part = _Part.DONE
        return True

    def _line(self, buffer: bytearray) -> bytes | None:
        """The next line without its end, or None while it has not come whole."""
        end = buffer.find(b"\r\n", 0, _LINE_BYTES)
        most = _LINE_BYTES if self._part is _Part.TRAILERS else _CHUNK_LINE_BYTES
        if (end if end >= 0 else len(buffer)) > most:
            raise Refused(400)
        if end < 0:
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        if self._part is _Part.TRAILERS:
            self._trailers += len(line) + 2
            if self._trailers > _LINE_BYTES:
                raise Refused(431)
        return line

    def _size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].rstrip(b" \t")
        if not digits or len(digits) > 16 or not all(d in b"0123456789abcdefABCDEF" for d in digits):
            raise Refused(400)
        self._left = int(digits, 16)
        self._chunks -= 1
        if len(self.body) + self._left > self._limit or self._chunks < 0:
            raise Refused(413)
        self._part = _Part.DATA if self._left else _Part.TRAILERS
