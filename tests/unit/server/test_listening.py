"""A listening socket that is about to close: nobody connects any more, and whoever has connected is still there."""

from __future__ import annotations

import socket
import sys

import pytest

from cds_service.errors import ConfigurationError
from cds_service.server import check_free
from cds_service.server.listening import refuse_new


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can filter what a listening socket sees")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_no_new_connection_is_made_and_those_made_before_can_still_be_accepted(
    family: socket.AddressFamily, host: str
) -> None:
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        listener.listen()
        address = listener.getsockname()
        with socket.socket(family) as before, socket.socket(family) as late:
            before.settimeout(60)
            before.connect(address)
            refuse_new(listener)
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect(address)
            before.sendall(b"here")
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(60)
                assert accepted.recv(4) == b"here"
                accepted.sendall(b"and there")
                assert before.recv(9) == b"and there"


def test_an_address_that_is_taken_or_not_ours_is_refused_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1 port {port} can't be listened on"):
            check_free("127.0.0.1", port)
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1 port 8000"):
        check_free("192.0.2.1", 8000)
