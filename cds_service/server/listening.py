"""The listening socket: whether it can be had, and how it stops without losing who has just connected.

Error policy: an address that can't be listened on is a ConfigurationError; what the system can't do when stopping
leaves a window of microseconds in which a new connection may be reset.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import suppress
from typing import Any, Final

from cds_service.errors import ConfigurationError

_SO_ATTACH_FILTER: Final = 26
# Classic BPF over a TCP header: drop what has SYN without ACK (a new connection), pass everything else.
_NO_SYN: Final = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # ldb [13]: the flags
        (0x54, 0, 0, 0x12),  # and SYN|ACK
        (0x15, 0, 1, 0x02),  # jeq SYN
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # pass
    )
)


def check_free(host: str, port: int) -> None:
    """Raise ConfigurationError unless the address can be listened on; gunicorn would only try again and again."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"{host} port {port} can't be listened on ({reason}): choose another."
        ) from None


def refuse_new(listener: Any) -> None:
    """Lets a listening socket finish the connections begun and begin no others (Linux): a closed listener resets
    those that it has not accepted yet, one that sees no SYN has none after a moment.
    """
    program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
    described = struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(program))
    with suppress(OSError, AttributeError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
