"""The policy of callable addresses.

It checks the address that a socket connects to, never the text of a URL. So it covers host names,
decimal and octal forms, and redirects.
"""

import ipaddress
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Ranges that `is_global` admits although they can reach internal hosts: forms that embed an IPv4
# address (compatible, translated by SIIT, NAT64, 6to4, Teredo), site-local addresses, protocol
# assignments, relays, and the address at which a machine on Azure reaches its platform.
_LEADS_INSIDE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "fec0::/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
    )
)

LINK_LOCAL: tuple[Network, ...] = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
)
"""Networks at whose addresses clouds serve the secrets of a machine."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`public_only` admits public unicast addresses and the `allowed` networks only.

    The `refused` networks are never admitted.
    """

    public_only: bool
    allowed: tuple[Network, ...] = ()
    refused: tuple[Network, ...] = ()

    @classmethod
    def named(cls, name: str, allowed: tuple[str, ...] = ()) -> "Policy":
        """Return the policy of the setting `egress`: `open` or `public`."""
        if name not in ("open", "public"):
            raise ValueError(f"egress policy {name!r} is neither open nor public")
        networks = tuple(ipaddress.ip_network(network) for network in allowed)
        return cls(public_only=name == "public", allowed=networks)

    def admits(self, host: str) -> bool:
        """Return whether a socket may connect to a numeric address."""
        if not self.public_only and not self.refused:
            return True
        try:
            address = _unwrapped(ipaddress.ip_address(host.partition("%")[0]))
        except ValueError:
            return False
        if any(address in network for network in self.refused):
            return False
        if not self.public_only or any(address in network for network in self.allowed):
            return True
        if address.is_multicast or not address.is_global:
            return False
        return not any(address in network for network in _LEADS_INSIDE)


def _unwrapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


OPEN = Policy(public_only=False)
PUBLIC = Policy(public_only=True)
