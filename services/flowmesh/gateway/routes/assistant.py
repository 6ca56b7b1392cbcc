"""The assistant: drafts, repairs and explanations of workflows."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.assistant.v1 import assistant_service_pb2 as pb
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.http.limits import TEXT_CHARACTERS_MAX
from flowmesh.gateway.http.operation_docs import TEST, Answer, Body
from flowmesh.gateway.routes.rpc_route import rpc_route

_Question = Annotated[str, msgspec.Meta(max_length=4 * TEXT_CHARACTERS_MAX)]
_EXAMPLE = "Every Monday at 9, fetch the report from https://example.com/report."


class GenerateRequest(Envelope, frozen=True, kw_only=True):
    """A prompt in English; `source` is a definition to change.

    With `app`, the name of an application, the draft is its document.
    """

    prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=4 * TEXT_CHARACTERS_MAX)]
    source: str = ""
    provider: str = ""
    app: str = ""


class RepairRequest(Envelope, frozen=True, kw_only=True):
    """A definition with problems."""

    source: Annotated[str, msgspec.Meta(min_length=1)]
    provider: str = ""


class ExplainRequest(Envelope, frozen=True, kw_only=True):
    """A definition; without a question its steps are explained."""

    source: Annotated[str, msgspec.Meta(min_length=1)]
    question: _Question = ""
    provider: str = ""


class InvestigateRequest(Envelope, frozen=True, kw_only=True):
    """A question about an execution; without one, why it waits or failed."""

    question: _Question = ""
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
    note: Annotated[str, msgspec.Meta(description="Text of the provider if it made no draft.")]


class AssistantAnswer(answers.Answer, kw_only=True):
    """A text in English, of a model service or of rules."""

    text: str
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


_SOURCE = (
    "apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: wait}\nspec:\n  tasks:\n"
    "  - {id: wait, taskRef: delay, input: {duration: 5m}}\n"
)
_DRAFT = (Answer(200, "The best draft, with its problems if it is not valid.", Generated),)
_ANSWER = (Answer(200, "The explanation.", AssistantAnswer),)
ROUTES = (
    rpc_route(
        "POST",
        "/api/v1/workflows:generate",
        pb.GenerateDefinitionRequest,
        part="draft",
        tag=TEST,
        summary="Write a workflow for a prompt",
        description="Drafts are checked as by an apply and rehearsed in memory. Nothing is stored.",
        body=Body(GenerateRequest, example={"prompt": _EXAMPLE}),
        answers=_DRAFT,
    ),
    rpc_route(
        "POST",
        "/api/v1/workflows:repair",
        pb.RepairDefinitionRequest,
        part="draft",
        tag=TEST,
        summary="Repair the problems of a definition",
        description="By a model service; without one the answer is the definition with its"
        " problems. Nothing is stored.",
        body=Body(RepairRequest, example={"source": _SOURCE}),
        answers=_DRAFT,
    ),
    rpc_route(
        "POST",
        "/api/v1/workflows:explain",
        pb.ExplainDefinitionRequest,
        part="answer",
        tag=TEST,
        summary="Explain a definition in words",
        body=Body(ExplainRequest, example={"source": _SOURCE}),
        answers=_ANSWER,
    ),
    rpc_route(
        "POST",
        "/api/v1/executions/{executionId}:investigate",
        pb.InvestigateExecutionRequest,
        part="answer",
        tag=TEST,
        summary="Explain in words why an execution waits or failed",
        description="Inputs and outputs of tasks are not sent to model services.",
        body=Body(InvestigateRequest),
        answers=_ANSWER,
        errors=(404,),
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
