"""AssistantService over gRPC: messages to arguments and back."""

from typing import Any

import grpc

from flowmesh.api.assistant.v1 import assistant_service_pb2 as pb
from flowmesh.api.assistant.v1 import assistant_service_pb2_grpc
from flowmesh.assistant.explaining import Explainer
from flowmesh.assistant.generation import Generated, Generator
from flowmesh.errors import Invalid
from flowmesh.models.port import Usage
from flowmesh.models.selection import Chosen, Providers
from flowmesh.rpc import namespace_of

Context = grpc.aio.ServicerContext[Any, Any]
PROMPT_CHARACTERS_MAX = 16_384


class AssistantServer(assistant_service_pb2_grpc.AssistantServiceServicer):
    """Translates messages; has no logic."""

    def __init__(self, *, generator: Generator, explainer: Explainer, providers: Providers) -> None:
        self._generator, self._explainer = generator, explainer
        self._providers = providers

    async def GenerateDefinition(
        self, request: pb.GenerateDefinitionRequest, context: Context
    ) -> pb.GenerateDefinitionResponse:
        if not request.prompt.strip():
            _refuse("prompt")
        _check("prompt", request.prompt)
        self._providers.check(request.provider)
        namespace = namespace_of(request)
        given = (request.prompt, request.source, request.provider)
        if request.app:
            found = await self._generator.app(namespace, request.app, *given)
        else:
            found = await self._generator.generate(namespace, *given)
        return pb.GenerateDefinitionResponse(draft=_draft(found))

    async def RepairDefinition(
        self, request: pb.RepairDefinitionRequest, context: Context
    ) -> pb.RepairDefinitionResponse:
        self._providers.check(request.provider)
        found = await self._generator.repair(
            namespace_of(request), request.source, request.provider
        )
        return pb.RepairDefinitionResponse(draft=_draft(found))

    async def ExplainDefinition(
        self, request: pb.ExplainDefinitionRequest, context: Context
    ) -> pb.ExplainDefinitionResponse:
        _check("question", request.question)
        self._providers.check(request.provider)
        answer = await self._explainer.definition(
            namespace_of(request), request.source, request.question, request.provider
        )
        return pb.ExplainDefinitionResponse(answer=_answer(*answer))

    async def InvestigateExecution(
        self, request: pb.InvestigateExecutionRequest, context: Context
    ) -> pb.InvestigateExecutionResponse:
        _check("question", request.question)
        self._providers.check(request.provider)
        answer = await self._explainer.execution(
            namespace_of(request), request.execution_id, request.question, request.provider
        )
        return pb.InvestigateExecutionResponse(answer=_answer(*answer))

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


def _check(field: str, text: str) -> None:
    if len(text) > PROMPT_CHARACTERS_MAX:
        _refuse(field)


def _refuse(field: str) -> None:
    most = PROMPT_CHARACTERS_MAX
    raise Invalid("REQUEST_INVALID", f"{field}: a text of 1 to {most} characters")


def _draft(found: Generated) -> pb.Draft:
    provider = found.chosen.provider if found.chosen else None
    return pb.Draft(
        source=found.source,
        valid=found.valid,
        problems=found.problems,
        questions=found.questions,
        rehearsal=found.rehearsal,
        rounds=found.rounds,
        provider=provider.name if provider else "",
        model=provider.model if provider else "",
        passed_over=found.chosen.passed_over if found.chosen else (),
        usage=_usage(found.usage),
        note=found.note,
    )


def _answer(text: str, chosen: Chosen) -> pb.Answer:
    return pb.Answer(
        text=text,
        provider=chosen.provider.name,
        model=chosen.provider.model,
        passed_over=chosen.passed_over,
        usage=_usage(chosen.turn.usage),
    )


def _usage(used: Usage) -> pb.Usage:
    return pb.Usage(input_tokens=used.input_tokens, output_tokens=used.output_tokens)
