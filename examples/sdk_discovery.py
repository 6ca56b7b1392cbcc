"""Service discovery with blocking calls: register, discover by capability, react to changes.

Run it beside `flowmesh dev`: python examples/sdk_discovery.py
"""

from queue import Queue

from flowmesh.sdk import Service, ServiceDiscovery, ServiceEndpoint, ServiceStatus, ServiceType

CHANGES_S = 10


def main(address: str = "") -> list[str]:
    with ServiceDiscovery(address) as discovery:
        changes: Queue[tuple[str, str]] = Queue()

        def on_change(event: str, service: Service, before: Service | None) -> None:
            print(event, service.id, "after", before.status if before else "nothing")
            changes.put((event, service.id))

        discovery.on_change(on_change, service_type=ServiceType.MCP_SERVER)

        # Register MCP server with discovery
        service = Service(
            id="mcp-server-1",
            name="MCP Financial Server",
            type=ServiceType.MCP_SERVER,
            endpoint=ServiceEndpoint(port=8080),
            capabilities=["financial-analysis", "risk-calculation"],
        )
        discovery.register_service(service)
        while changes.get(timeout=CHANGES_S) != ("registered", "mcp-server-1"):
            pass

        agent = Service(
            id="agent-1",
            name="Data Agent",
            type=ServiceType.AGENT,
            endpoint=ServiceEndpoint(port=8081),
            capabilities=["data_processing"],
        )
        discovery.register_service(agent)
        discovery.on_change(on_change, name="Data Agent")
        while not discovery.discover_services(capabilities=["data_processing"]):
            changes.get(timeout=CHANGES_S)

        # Discover service
        services = discovery.discover_services(
            service_type=ServiceType.AGENT,
            status=ServiceStatus.HEALTHY,
            capabilities=["data_processing"],
        )

        # Use service
        endpoints = []
        for service in services:
            endpoint = service.endpoint.get_url()
            endpoints.append(endpoint)
        servers = discovery.discover_services(capabilities=["risk-calculation"])
        endpoints += [each.endpoint.get_url() for each in servers]
        print(endpoints, discovery.cache_info())
        return endpoints


if __name__ == "__main__":
    main()
