"""Link-local addresses, at which clouds serve the secrets of a machine."""

from ipaddress import ip_address


def is_link_local(host: str) -> bool:
    """Return whether a numeric address is link-local, as the metadata services of clouds are."""
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_link_local or (mapped is not None and mapped.is_link_local)
