"""Which addresses a server's name may lead to, and what counts as this machine."""

from __future__ import annotations

import pytest

from cds_service.records.addresses import ANYWHERE, LOOPBACK, PUBLIC, Reach, is_loopback, reach_of


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:7f00:1", True),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("evil.localhost", False),
        ("127.0.0.1.evil.example", False),
        ("2130706433", False),
        ("0x7f.1", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback(host: str | None, expected: bool) -> None:
    assert is_loopback(host) is expected


PUBLIC_ADDRESSES = ("8.8.8.8", "93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e")
SPECIAL_ADDRESSES = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.5",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.1.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.5",
    "::ffff:a9fe:a9fe",
    "::ffff:0:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:5",
    "64:ff9b:1::a00:5",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
)
NO_ADDRESSES = ("", "x", "2130706433", "0x7f.1", "127.1", "010.0.0.1", "1.2.3.4.5")


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_name_may_lead_to_the_public_internet(address: str) -> None:
    assert PUBLIC.allows(address)
    assert reach_of("ehr.example.org").allows(address)
    assert not LOOPBACK.allows(address)


@pytest.mark.parametrize("address", [*SPECIAL_ADDRESSES, *NO_ADDRESSES])
def test_a_name_leads_nowhere_else_unless_listed(address: str) -> None:
    assert not PUBLIC.allows(address)


def test_an_ipv4_address_in_ipv6_notation_is_judged_by_what_it_means() -> None:
    assert PUBLIC.allows("::ffff:8.8.8.8")
    assert PUBLIC.allows("64:ff9b::808:808")
    listed = reach_of("ehr.example.org", ("10.20.0.0/16",))
    assert listed.allows("::ffff:10.20.0.5")
    assert not listed.allows("::ffff:10.21.0.5")


def test_a_listed_network_opens_itself_and_nothing_beside_it() -> None:
    reach = reach_of("ehr.hospital", ("10.20.0.0/16", "fd12:3456::/32"))
    for address in ("10.20.0.1", "10.20.255.255", "fd12:3456::1", "8.8.8.8"):
        assert reach.allows(address)
    for address in ("10.21.0.1", "127.0.0.1", "169.254.169.254", "fd12:3457::1", "::1"):
        assert not reach.allows(address)


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("169.254.0.0/16", "169.254.169.254"),
        ("100.64.0.0/10", "100.100.100.200"),
        ("fd00::/8", "fd00:ec2::254"),
        ("0.0.0.0/0", "168.63.129.16"),
        ("169.254.0.0/16", "::ffff:169.254.169.254"),
    ],
)
def test_a_listed_network_does_not_open_a_clouds_metadata(network: str, address: str) -> None:
    assert not reach_of("ehr.hospital", (network,)).allows(address)


def test_a_clouds_metadata_address_is_open_where_it_is_listed_itself() -> None:
    assert reach_of("169.254.169.254").allows("169.254.169.254")
    assert reach_of("ehr.hospital", ("fd00:ec2::254/128",)).allows("fd00:ec2::254")


@pytest.mark.parametrize("literal", ["10.0.0.5", "[fd00::5]", "8.8.8.8", "127.0.0.1", "[::ffff:10.0.0.5]"])
def test_a_listed_address_opens_that_address_only(literal: str) -> None:
    reach = reach_of(literal, ("10.20.0.0/16",))
    assert reach.allows(literal.strip("[]"))
    for other in ("10.0.0.6", "10.20.0.1", "9.9.9.9", "127.0.0.2", "fd00::6", "::1"):
        assert not reach.allows(other)


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost."])
def test_localhost_is_this_machine_and_nothing_else(name: str) -> None:
    reach = reach_of(name, ("10.20.0.0/16",))
    assert reach is LOOPBACK
    assert reach.allows("127.0.0.1")
    assert reach.allows("::1")
    for other in ("10.20.0.1", "8.8.8.8", "0.0.0.0"):
        assert not reach.allows(other)


def test_an_operators_own_choice_may_have_any_address() -> None:
    assert all(ANYWHERE.allows(address) for address in (*PUBLIC_ADDRESSES, *SPECIAL_ADDRESSES))


def test_rules_are_told_apart_by_what_they_allow() -> None:
    """They are the keys of the connection pools."""
    assert reach_of("a.example", ("10.0.0.0/8",)) == reach_of("b.example", ("10.0.0.0/8",))
    assert reach_of("a.example", ("10.0.0.0/8",)) != reach_of("a.example")
    assert len({PUBLIC, Reach(), LOOPBACK, ANYWHERE}) == 3
