"""Composition root of the assistant."""

import uuid
from contextlib import AsyncExitStack
from typing import cast

from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceStub
from flowmesh.api.assistant.v1 import assistant_service_pb2_grpc
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.api.execution.v1.model_usage_service_pb2_grpc import ModelUsageServiceStub
from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceStub
from flowmesh.assistant.asking import Asker, UsageCalls
from flowmesh.assistant.explaining import Definitions as Analyses
from flowmesh.assistant.explaining import Executions, Explainer, Insights
from flowmesh.assistant.generation import Apps, Definitions, Generator
from flowmesh.assistant.offline.provider import OfflineProvider
from flowmesh.assistant.server import AssistantServer
from flowmesh.executors.completion.budgets import Spent
from flowmesh.models.configured import configured
from flowmesh.models.port import Provider
from flowmesh.models.prices import Prices
from flowmesh.models.selection import Providers
from flowmesh.runtime import Runtime, StartError

CALLS_MAX = 64
MICRO = 1_000_000
SERVICE = "flowmesh.api.assistant.v1.AssistantService"


async def serve_assistant(runtime: Runtime, stack: AsyncExitStack) -> None:
    """Offer the assistant in a process, until the stack closes."""
    settings = runtime.settings
    found: list[Provider] = []
    prices = Prices()
    if settings.ai_provider_names:
        from flowmesh.egress import Egress, Policy, Pool

        policy = Policy.named(settings.egress, settings.egress_networks)
        egress = await stack.enter_async_context(Egress(policy, pool=Pool.of_calls(CALLS_MAX)))
        try:
            found = configured(settings.ai_services, egress)
            prices = Prices(settings.ai_prices_file)
        except (OSError, ValueError) as error:
            text = "the key of a model service, or the file of prices, cannot be read"
            raise StartError(f"{text}: {error}") from None
    providers = Providers([*found, OfflineProvider()], runtime.clock.monotonic_ms, prices)
    usage = cast(UsageCalls, runtime.stub(ModelUsageServiceStub, "orchestrator"))
    day = Spent(settings.ai_tokens_per_day, round(settings.ai_usd_per_day * MICRO))
    asker = Asker(providers, usage, day, lambda: f"turn-{uuid.uuid4().hex}")
    definitions = runtime.stub(DefinitionServiceStub, "definition")
    apps = cast(Apps, runtime.stub(AppServiceStub, "apphost"))
    server = AssistantServer(
        generator=Generator(cast(Definitions, definitions), apps, asker),
        explainer=Explainer(
            asker,
            cast(Analyses, definitions),
            cast(Executions, runtime.stub(ExecutionServiceStub, "orchestrator")),
            cast(Insights, runtime.stub(InsightServiceStub, "orchestrator")),
        ),
        providers=providers,
    )
    runtime.serve(
        server, assistant_service_pb2_grpc.add_AssistantServiceServicer_to_server, SERVICE
    )
