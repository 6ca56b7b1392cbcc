"""The assistant: drafts of workflows from prompts."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.assistant.v1 import assistant_service_pb2 as pb
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.http.limits import TEXT_CHARACTERS_MAX
from flowmesh.gateway.http.operation_docs import TEST, Answer, Body
from flowmesh.gateway.routes.rpc_route import rpc_route

_EXAMPLE = "Every Monday at 9, fetch the report from https://example.com/report."


class GenerateRequest(Envelope, frozen=True, kw_only=True):
    """A prompt in English; `source` is a definition to change or to repair."""

    prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=4 * TEXT_CHARACTERS_MAX)]
    source: str = ""
    provider: str = ""


class TokenUsage(answers.Answer, kw_only=True):
    """The tokens of the calls of a provider."""

    input_tokens: int
    output_tokens: int


class Generated(answers.Answer, kw_only=True):
    """A draft; `questions` are what the prompt leaves open, `rehearsal` the status of its run."""

    source: str
    valid: bool
    problems: list[answers.ProblemValue]
    questions: list[str]
    rehearsal: str
    rounds: int
    provider: str
    model: str
    passed_over: list[str]
    usage: TokenUsage


class ProviderValue(answers.Answer, kw_only=True):
    """A provider; prompts leave the installation with `remote` ones."""

    name: str
    model: str
    remote: bool
    unavailable: str | UnsetType = UNSET


class ProviderList(answers.Answer, kw_only=True):
    """Providers in the order of their use."""

    providers: list[ProviderValue]


ROUTES = (
    rpc_route(
        "POST",
        "/api/v1/workflows:generate",
        pb.GenerateDefinitionRequest,
        tag=TEST,
        summary="Write a workflow for a prompt",
        description="Drafts are checked as by an apply and rehearsed in memory. Nothing is stored.",
        body=Body(GenerateRequest, example={"prompt": _EXAMPLE}),
        answers=(Answer(200, "The best draft, with its problems if it is not valid.", Generated),),
    ),
    rpc_route(
        "GET",
        "/api/v1/assistant/providers",
        pb.ListProvidersRequest,
        tag=TEST,
        summary="List the providers of the assistant",
        answers=(Answer(200, "In the order of their use.", ProviderList),),
    ),
)
