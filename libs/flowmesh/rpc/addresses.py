"""Network addresses of gRPC peers."""

from urllib.parse import unquote


def address_of(peer: str) -> str:
    """Return the IP address of a peer such as `ipv4:127.0.0.1:5000`; empty for a local one."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return unquote(rest.rpartition(":")[0]).strip("[]")


def peer_of(address: str) -> str:
    """Return the peer of an IP address, without a port."""
    return f"ipv6:[{address}]:0" if ":" in address else f"ipv4:{address}:0"
