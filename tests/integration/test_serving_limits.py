"""`serve` under clients that are slow, greedy, many or wrong: others are answered, and who is refused learns it."""

from __future__ import annotations

import ipaddress
import json
import os
import select
import signal
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cds_service.server import tls_context
from tests.support.answers import free_port
from tests.support.serving import SERVICE, Served, Wire, call_body, held_fhir, post, process, serving

OPEN = ("/healthz", "/readyz", "/cds-services")
DEADLINE = 60


def _good_call(served: Served) -> None:
    """A call on a connection of its own is answered."""
    with served.connect() as wire:
        wire.send(post(call_body()))
        assert wire.answer()[0] == 200


def _words(answer: tuple[int, dict[str, str], bytes], status: int) -> str:
    found, headers, body = answer
    assert found == status
    assert headers["content-type"] == "application/fhir+json"
    assert headers["connection"] == "close"
    outcome = json.loads(body)
    assert outcome["resourceType"] == "OperationOutcome"
    return str(outcome["issue"][0]["diagnostics"])


SLOW = {
    "nothing": b"",
    "part of a line": b"POST /cds-serv",
    "part of a head": post(b"", length=1000)[:-2],
    "part of a body": post(b'{"hook": ', length=1000),
    "part of a chunk": b"POST /assessments HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab",
    "a refused upload": post(b"x" * 10_000, length=50_000_000),
}


def test_hundreds_of_slow_connections_hold_up_no_call(tmp_path: Path) -> None:
    config = "[limits]\nrequest_seconds = 120.0\nconcurrency = 2\n"
    with serving(tmp_path, "--threads", "2", config=config) as served:
        for part in list(SLOW.values()) * 50:
            served.connect().send(part)
        for _ in range(5):
            _good_call(served)
        for path in OPEN:
            assert requests.get(served.base + path, timeout=DEADLINE).status_code == 200


def test_ten_refused_uploads_left_open_freeze_no_worker(tmp_path: Path) -> None:
    with serving(tmp_path, config="[limits]\nbody_bytes = 1000\nrequest_seconds = 120.0\n") as served:
        wires = [served.connect() for _ in range(60)]
        for wire in wires:
            wire.send(post(b"x" * 10_000, length=50_000_000))
        for wire in wires:
            assert "limits.body_bytes" in _words(wire.answer(), 413)
        _good_call(served)


def test_what_does_not_arrive_in_time_is_told_and_ended(tmp_path: Path) -> None:
    with serving(tmp_path, config="[limits]\nrequest_seconds = 1.0\n") as served:
        wires = {name: served.connect() for name in SLOW if name != "a refused upload"}
        for name, wire in wires.items():
            wire.send(SLOW[name])
        assert wires["nothing"].ended(), "a connection that never said anything is just closed"
        del wires["nothing"]
        for wire in wires.values():
            assert "limits.request_seconds" in _words(wire.answer(), 408)
            assert wire.ended()
        with served.connect() as trickling:  # a byte now and then does not lengthen it
            trickling.send(post(b"", length=1000))
            begun = monotonic()
            with pytest.raises(OSError, match=r"."):  # noqa: PT012 - the answer comes, then the reset
                while monotonic() - begun < DEADLINE:
                    trickling.send(b" ")
                    sleep(0.1)
        _good_call(served)


def test_a_new_connection_finds_a_place_when_idle_ones_have_taken_all(tmp_path: Path) -> None:
    with serving(tmp_path, config="[limits]\nrequest_seconds = 120.0\n") as served:
        wires = [served.connect() for _ in range(1100)]
        wires[-1].send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wires[-1].answer()[0] == 200
        _good_call(served)
        assert wires[0].ended(), "the oldest that said nothing had to go"


WRONG = {
    414: b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    431: b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 100 + b"\r\n",
    400: post(b"{}", "Transfer-Encoding: chunked"),
    501: b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    505: b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n",
    413: b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
}


def test_bodies_and_heads_beyond_the_rules_and_those_within(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for status, data in WRONG.items():
            with served.connect() as wire:
                wire.send(data)
                assert _words(wire.answer(), status)
                wire.sock.shutdown(1)
                assert wire.ended()
        with served.connect() as wire:  # one connection, several requests, one of them in chunks, two at once
            body = call_body()
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:7], body[7:200], body[200:]))
            head = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            wire.send(post(body))
            assert wire.answer()[0] == 200
            wire.send(
                head
                + chunks
                + b"0\r\n\r\n"
                + post(body)
                + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            assert [wire.answer()[0] for _ in range(3)] == [200, 200, 200]
        with served.connect() as wire:
            wire.send(post(b"", "Expect: 100-continue", length=len(body)))
            assert wire.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.send(body)
            assert wire.answer()[0] == 200
        with (
            served.connect() as wire
        ):  # a header that could be taken for a proxy's is refused, least of all obeyed
            wire.send(post(body, "SCRIPT_NAME: /cds-services"))
            assert wire.answer()[0] == 400
    assert "Traceback" not in served.told()


BUSY = """
[limits]
concurrency = 2
fetch_seconds = 60.0
"""


def test_calls_beyond_the_concurrency_are_told_to_come_back_before_they_send_their_body(
    tmp_path: Path,
) -> None:
    with held_fhir() as fhir, serving(tmp_path, config=BUSY) as served:
        working = [served.connect() for _ in range(2)]
        for wire in working:
            wire.send(post(fhir.body()))
        fhir.wait_for(2)
        waiting = [served.connect() for _ in range(2)]
        for wire in waiting:
            wire.send(post(fhir.body()))
        told = [_words(wire.answer(), 503) for wire in waiting]
        assert all("try again" in words for words in told), "a short wait, then the refusal"
        # While two work and two wait, a further one is refused as soon as it says what it wants.
        with ThreadPoolExecutor(1) as pool:
            stop = threading.Event()
            queued = pool.submit(_keep_two_waiting, served, fhir.body(), stop)
            refused = _refused_without_body(served)
            stop.set()
            queued.result(DEADLINE)
        assert refused["retry-after"] == "1"
        for path in OPEN:
            assert requests.get(served.base + path, timeout=DEADLINE).status_code == 200
        # A client that sends all the same reads the answer: no reset while it is sending.
        large = requests.post(served.base + SERVICE, data=b" " * 8_000_000, timeout=DEADLINE)
        assert large.status_code == 503
        fhir.go.set()
        assert [wire.answer()[0] for wire in working] == [412, 412]
        _good_call(served)
    assert any(line["event"] == "refused-by-server" and line["status"] == 503 for line in served.lines())


LARGE = """
[limits]
body_bytes = 100_000
concurrency = 8
fetch_seconds = 60.0
"""


def test_few_large_bodies_are_worked_on_at_once_and_small_ones_beside_them(tmp_path: Path) -> None:
    with held_fhir() as fhir, serving(tmp_path, config=LARGE) as served:
        large = call_body(prefetch={}, fhirServer=fhir.base, extension={"padding": "x" * 90_000})
        wires = [served.connect() for _ in range(3)]
        for wire in wires:
            wire.send(post(large))
        fhir.wait_for(2)
        for _ in range(3):
            _good_call(served)
        answers = [wire for wire in wires if _answered_within(wire, 2.0)]
        assert len(answers) == 1, "two are worked on, the third is told to come back"
        _words(answers[0].answer(), 503)
        fhir.go.set()
        assert [wire.answer()[0] for wire in wires if wire not in answers] == [412, 412]


def _answered_within(wire: Wire, seconds: float) -> bool:
    return bool(select.select([wire.sock], [], [], seconds)[0])


def test_blank_lines_keep_no_connection_open(tmp_path: Path) -> None:
    with serving(tmp_path, config="[limits]\nrequest_seconds = 1.0\n") as served, served.connect() as wire:
        begun = monotonic()
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 - it is closed while sending
            while monotonic() - begun < DEADLINE:
                wire.send(b"\r\n")
                sleep(0.1)


def _keep_two_waiting(served: Served, body: bytes, stop: threading.Event) -> None:
    """Two calls that wait for their turn, again and again."""

    def wait_and_again() -> None:
        while not stop.is_set():
            with served.connect() as wire:
                wire.send(post(body))
                wire.answer()

    threads = [threading.Thread(target=wait_and_again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _refused_without_body(served: Served) -> dict[str, str]:
    """The headers of the first refusal of a call that sends its head alone."""
    until = monotonic() + DEADLINE
    while monotonic() < until:
        with served.connect() as wire:
            wire.send(post(b"", length=10))
            wire.sock.settimeout(0.3)
            try:
                status, headers, _ = wire.answer()
            except TimeoutError:
                continue
            assert status == 503
            return headers
    raise AssertionError("a head alone was never refused")


def test_a_worker_that_dies_is_replaced_and_takes_no_other_with_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as served:
        first, second = served.wait_for_workers(2)
        os.kill(first, signal.SIGKILL)
        until = monotonic() + DEADLINE
        while first in served.workers() or len(served.workers()) < 2:
            assert monotonic() < until
            _good_call(served)
        assert second in served.workers()
        for _ in range(5):
            _good_call(served)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(DEADLINE) == 0


def test_the_rate_holds_over_all_workers(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", config="[limits]\nrequests_per_minute = 12\n") as served:
        begun = monotonic()
        with ThreadPoolExecutor(8) as pool:
            calls = [
                pool.submit(requests.post, served.base + SERVICE, data=call_body(), timeout=DEADLINE)
                for _ in range(60)
            ]
            answers = [call.result() for call in calls]
        refilled = int((monotonic() - begun) / 5) + 1
        passed = sum(answer.status_code == 200 for answer in answers)
        assert 12 <= passed <= 12 + refilled
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 1 <= int(refused.headers["Retry-After"]) <= 5
        assert sum(answer.status_code == 429 for answer in answers) == 60 - passed


# ── https ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("checklist:1", "cds-hooks_2.0@2", "cds-hooks_2.0@168")
def test_https_is_served_with_the_certificate_given(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    arguments = ["--tls-certificate", str(certificate), "--tls-key", str(key), "--workers", "2"]
    port_argument = free_port()
    with process(["serve", "--port", str(port_argument), *arguments], tmp_path) as started:
        served = Served(started, port_argument, tmp_path, "https")
        served.wait(verify=str(certificate))
        session = requests.Session()
        session.trust_env = False  # a bundle in the environment would take the place of this certificate
        session.verify = str(certificate)
        for _ in range(3):
            answer = session.post(served.base + SERVICE, data=call_body(), timeout=DEADLINE)
            assert answer.status_code == 200
        document = session.get(f"{served.base}/openapi.json", timeout=DEADLINE).json()
        assert document["servers"][0]["url"] == served.base
        large = session.post(served.base + SERVICE, data=b" " * 15_000_000, timeout=DEADLINE)
        assert large.status_code == 400, "a body of many records is read whole"
        assert tls_context(certificate, key).minimum_version == ssl.TLSVersion.TLSv1_2
        with served.connect() as plain:
            plain.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with suppress(ConnectionResetError):
                assert plain.ended(), "there is nothing to say to who speaks no TLS"
        assert session.get(f"{served.base}/healthz", timeout=DEADLINE).ok
        session.close()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(DEADLINE) == 0


def test_a_certificate_that_cannot_be_served_is_one_sentence(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, other_key = _certificate(other)
    wrong = {
        "not its key": (str(certificate), str(other_key), "not a PEM certificate with its key"),
        "no file": (str(certificate), str(tmp_path / "none.pem"), "can't be read"),
        "no certificate": (str(key), str(key), "not a PEM certificate with its key"),
    }
    for first, second, words in wrong.values():
        with process(["serve", "--tls-certificate", first, "--tls-key", second], tmp_path) as started:
            assert started.wait(DEADLINE) == 2
        told = (tmp_path / "out.log").read_text()
        assert words in told
        assert told.count("\n") == 1
    with process(["serve", "--tls-key", str(key)], tmp_path) as started:
        assert started.wait(DEADLINE) == 2
    assert "belong together" in (tmp_path / "out.log").read_text()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return paths
