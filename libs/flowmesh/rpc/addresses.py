"""Network addresses of gRPC peers."""

from urllib.parse import unquote


def address_of(peer: str) -> str:
    """Return the IP address of a peer such as `ipv4:127.0.0.1:5000`; empty for a local one."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return unquote(rest.rpartition(":")[0]).strip("[]")
