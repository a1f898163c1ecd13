"""Which IP addresses a FHIR server's name may lead to. Pure: nothing is resolved or connected here.

Error policy: what can't be read as an address is not allowed. Whatever is not plainly of the public internet is
allowed only where the operator listed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


_LOOPBACK: Final = _networks("127.0.0.0/8", "::1/128")
# IANA's special-purpose registries and multicast, said here in full: what the standard library calls global differs
# from one Python to the next.
_SPECIAL: Final = _networks(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",  # shared by the customers of a carrier (CGNAT), RFC 6598
    "127.0.0.0/8",
    "169.254.0.0/16",  # link-local, and the metadata of most clouds
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",  # relays of 6to4, RFC 7526
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
    "2001:db8::/32",
    "2002::/16",  # 6to4: carries any IPv4 address, private ones too, RFC 3056
    "3fff::/20",
)
# Everything else of IPv6 is local, multicast, a tunnel or not assigned.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# Two notations of an IPv4 address: what is connected to in the end is that one (RFC 4291 §2.5.5.2, RFC 6052).
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
# Here a cloud hands its credentials to whoever asks. Some stand inside networks that sites use (fd00::/8,
# 100.64.0.0/10), so a listed network does not open them; only an entry for the one address does.
_METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google Cloud, OpenStack and others
        "169.254.170.2",  # AWS, credentials of containers
        "169.254.170.23",  # AWS, credentials of Kubernetes pods
        "fd00:ec2::254",  # AWS by IPv6
        "fd00:ec2::23",
        "fd20:ce::254",  # Google Cloud by IPv6
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's platform; a public address by its number
        "192.0.0.192",  # Oracle Cloud
    )
)


@dataclass(frozen=True, slots=True)
class Reach:
    """The addresses that may be connected to for one server: those of the public internet (`public`) and those in
    `networks`; with `anywhere`, every one.
    """

    public: bool = True
    networks: tuple[Network, ...] = ()
    anywhere: bool = False

    def allows(self, address: str) -> bool:
        """Whether this address, as a resolver returns it, may be connected to."""
        try:
            meant = _meant(ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if self.anywhere:
            return True
        holding = [network for network in self.networks if meant in network]
        if meant in _METADATA:
            return any(network.num_addresses == 1 for network in holding)
        return bool(holding) or (self.public and _is_public(meant))


PUBLIC: Final = Reach()
LOOPBACK: Final = Reach(public=False, networks=_LOOPBACK)
# For an operator's own command, who names the server on the command line.
ANYWHERE: Final = Reach(anywhere=True)


@lru_cache(maxsize=1024)
def reach_of(host: str, private_networks: Sequence[str] = ()) -> Reach:
    """Where a listed host may lead: an address literal to itself, `localhost` to this machine, any other name to the
    public internet and the listed private networks. `private_networks` is a tuple of texts (10.20.0.0/16).
    """
    if is_loopback_name(host):
        return LOOPBACK
    try:
        literal = _meant(ip_address(host.strip("[]")))
    except ValueError:
        return Reach(networks=tuple(ip_network(text) for text in private_networks))
    return Reach(public=False, networks=(ip_network(literal),))


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address literal is this machine itself; names are not resolved."""
    if not host:
        return False
    if is_loopback_name(host):
        return True
    try:
        # ::ffff:127.0.0.1 reaches this machine as 127.0.0.1 does.
        return _meant(ip_address(host.strip("[]"))).is_loopback
    except ValueError:
        return False


def is_loopback_name(host: str) -> bool:
    """Whether a host is the name `localhost`."""
    return host.lower().removesuffix(".") == "localhost"


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 notation of it; any other address as it is."""
    if isinstance(address, IPv6Address) and (address in _MAPPED or address in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not any(address in network for network in _SPECIAL)
