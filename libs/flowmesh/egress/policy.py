"""Which addresses may be called. The check is on the address a socket is about to connect to,
never on the text of a url: names, decimal and octal forms and redirects all end there."""

import ipaddress
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Ranges that `is_global` lets pass although they lead inside: forms that carry an IPv4 address
# (compatible, NAT64, 6to4, Teredo), retired site-local addresses, protocol assignments, relays.
_LEADS_INSIDE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "fec0::/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
    )
)


@dataclass(frozen=True, slots=True)
class Policy:
    """`public_only` denies whatever is not a public unicast address, except `allowed` networks."""

    public_only: bool
    allowed: tuple[Network, ...] = ()

    @classmethod
    def named(cls, name: str, allowed: tuple[str, ...] = ()) -> "Policy":
        """The policy of the setting `egress`: `open` or `public`."""
        if name not in ("open", "public"):
            raise ValueError(f"egress policy {name!r} is neither open nor public")
        networks = tuple(ipaddress.ip_network(network) for network in allowed)
        return cls(public_only=name == "public", allowed=networks)

    def admits(self, host: str) -> bool:
        """Whether a socket may connect to this numeric address."""
        if not self.public_only:
            return True
        try:
            address = _unwrapped(ipaddress.ip_address(host.partition("%")[0]))
        except ValueError:
            return False
        if any(address in network for network in self.allowed):
            return True
        if address.is_multicast or not address.is_global:
            return False
        return not any(address in network for network in _LEADS_INSIDE)


def _unwrapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


OPEN = Policy(public_only=False)
PUBLIC = Policy(public_only=True)
