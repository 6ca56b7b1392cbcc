"""Print the full names of the gRPC services that the gateway offers to clients, one a line."""

from flowmesh.gateway.grpc_proxy import PUBLIC


def names() -> list[str]:
    """Return the names in the order of the gateway."""
    return [file.DESCRIPTOR.services_by_name[name].full_name for _, file, name in PUBLIC]


if __name__ == "__main__":
    print("\n".join(names()))
