"""Composition root of the assistant."""

from contextlib import AsyncExitStack
from typing import cast

from flowmesh.api.assistant.v1 import assistant_service_pb2_grpc
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.assistant.generation import Definitions, Generator
from flowmesh.assistant.offline.provider import OfflineProvider
from flowmesh.assistant.server import AssistantServer
from flowmesh.models.configured import configured
from flowmesh.models.port import Provider
from flowmesh.models.selection import Providers
from flowmesh.runtime import Runtime, StartError

CALLS_MAX = 64
SERVICE = "flowmesh.api.assistant.v1.AssistantService"


async def serve_assistant(runtime: Runtime, stack: AsyncExitStack) -> None:
    """Offer the assistant in a process, until the stack closes."""
    found: list[Provider] = []
    if runtime.settings.ai_provider_names:
        from flowmesh.egress import Egress, Policy, Pool

        policy = Policy.named(runtime.settings.egress, runtime.settings.egress_networks)
        egress = await stack.enter_async_context(Egress(policy, pool=Pool.of_calls(CALLS_MAX)))
        try:
            found = configured(runtime.settings.ai_services, egress)
        except OSError as error:
            raise StartError(f"the key of a model service cannot be read: {error}") from None
    providers = Providers([*found, OfflineProvider()], runtime.clock.monotonic_ms)
    stub = runtime.stub(DefinitionServiceStub, "definition")
    server = AssistantServer(
        generator=Generator(cast(Definitions, stub), providers), providers=providers
    )
    runtime.serve(
        server, assistant_service_pb2_grpc.add_AssistantServiceServicer_to_server, SERVICE
    )
