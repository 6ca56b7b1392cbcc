"""AssistantService over gRPC: messages to arguments and back."""

from typing import Any

import grpc

from flowmesh.api.assistant.v1 import assistant_service_pb2 as pb
from flowmesh.api.assistant.v1 import assistant_service_pb2_grpc
from flowmesh.assistant.generation import Generator
from flowmesh.errors import Invalid
from flowmesh.models.selection import Providers
from flowmesh.rpc import namespace_of

Context = grpc.aio.ServicerContext[Any, Any]
PROMPT_CHARACTERS_MAX = 16_384


class AssistantServer(assistant_service_pb2_grpc.AssistantServiceServicer):
    """Translates messages; has no logic."""

    def __init__(self, *, generator: Generator, providers: Providers) -> None:
        self._generator = generator
        self._providers = providers

    async def GenerateDefinition(
        self, request: pb.GenerateDefinitionRequest, context: Context
    ) -> pb.GenerateDefinitionResponse:
        if not request.prompt.strip() or len(request.prompt) > PROMPT_CHARACTERS_MAX:
            most = PROMPT_CHARACTERS_MAX
            raise Invalid("REQUEST_INVALID", f"prompt: a text of 1 to {most} characters")
        self._providers.check(request.provider)
        found = await self._generator.generate(
            namespace_of(request), request.prompt, request.source, request.provider
        )
        assert found.chosen is not None
        usage = pb.Usage(
            input_tokens=found.usage.input_tokens, output_tokens=found.usage.output_tokens
        )
        return pb.GenerateDefinitionResponse(
            source=found.source,
            valid=found.valid,
            problems=found.problems,
            questions=found.questions,
            rehearsal=found.rehearsal,
            rounds=found.rounds,
            provider=found.chosen.provider.name,
            model=found.chosen.provider.model,
            passed_over=found.chosen.passed_over,
            usage=usage,
        )

    async def ListProviders(
        self, request: pb.ListProvidersRequest, context: Context
    ) -> pb.ListProvidersResponse:
        return pb.ListProvidersResponse(
            providers=[
                pb.Provider(
                    name=each.name, model=each.model, remote=each.remote, unavailable=reason
                )
                for each, reason in self._providers.listed()
            ]
        )
