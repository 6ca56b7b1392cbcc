"""Drafts and explanations of the assistant."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from flowmesh.api.assistant.v1 import assistant_service_pb2 as pb
from flowmesh.api.assistant.v1.assistant_service_pb2_grpc import AssistantServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.definitions.sources import file_text

if TYPE_CHECKING:
    from flowmesh.sdk import Client

# A provider may take a minute for each of its drafts.
TIMEOUT_S = 300.0


@command
async def generate(
    prompt: str,
    /,
    *,
    change: Path | None = None,
    app: str = "",
    provider: str = "",
    common: Common = COMMON,
) -> int:
    """Write a workflow for a prompt in English to standard output; nothing is stored.

    The draft is checked as `apply` would and rehearsed; questions and problems are on standard
    error.

    Args:
        change: File with a definition to change.
        app: Name of an application; its document is written in place of a workflow.
        provider: Provider to use; the first available one by default.
    """
    source = file_text(change) if change is not None else ""
    async with connected(common) as client:
        request = pb.GenerateDefinitionRequest(
            namespace=client.namespace, prompt=prompt, source=source, provider=provider, app=app
        )
        found = await _call(client, "GenerateDefinition", request)
    return _show(found.draft, common)


@command
async def repair(file: Path, /, *, provider: str = "", common: Common = COMMON) -> int:
    """Write a definition without its problems to standard output; nothing is stored.

    A model service repairs it; without one the definition is written as it is.

    Args:
        file: File with the definition.
        provider: Provider to use; the first available one by default.
    """
    source = file_text(file)
    async with connected(common) as client:
        request = pb.RepairDefinitionRequest(
            namespace=client.namespace, source=source, provider=provider
        )
        found = await _call(client, "RepairDefinition", request)
    return _show(found.draft, common)


@command
async def describe(
    file: Path, /, *, question: str = "", provider: str = "", common: Common = COMMON
) -> None:
    """Explain the steps of a definition in words.

    Args:
        file: File with the definition.
        question: Question about it, answered by a model service.
        provider: Provider to use; the first available one by default.
    """
    source = file_text(file)
    async with connected(common) as client:
        request = pb.ExplainDefinitionRequest(
            namespace=client.namespace, source=source, question=question, provider=provider
        )
        found = await _call(client, "ExplainDefinition", request)
    _tell(found.answer, common)


@command
async def investigate(
    execution: str, /, *, question: str = "", provider: str = "", common: Common = COMMON
) -> None:
    """Explain in words why an execution waits or failed.

    Inputs and outputs of tasks are not sent to model services.

    Args:
        execution: Id of the execution.
        question: Question about it, answered by a model service.
        provider: Provider to use; the first available one by default.
    """
    async with connected(common) as client:
        request = pb.InvestigateExecutionRequest(
            namespace=client.namespace,
            execution_id=execution,
            question=question,
            provider=provider,
        )
        found = await _call(client, "InvestigateExecution", request)
    _tell(found.answer, common)


async def _call(client: "Client", method: str, request: Message) -> Any:
    stub = AssistantServiceStub(client.caller.channel)
    return await client.caller.call(getattr(stub, method), request, timeout_s=TIMEOUT_S)


def _tell(answer: pb.Answer, common: Common) -> None:
    """Write an answer, and why model services did not give it."""
    if common.structured:
        output.document(document_of(answer))
        return
    output.block(answer.text)
    for each in answer.passed_over:
        output.problem(each)


def _show(draft: pb.Draft, common: Common) -> int:
    """Write a draft to standard output, its questions and problems to standard error."""
    if common.structured:
        output.document(document_of(draft))
    elif draft.source:
        output.block(draft.source.rstrip())
    for text in (draft.note, *(f"? {each}" for each in draft.questions)):
        if text:
            output.problem(text)
    for problem in draft.problems:
        output.problem(f"{problem.path}: {problem.message} [{problem.code}]")
    return exit_codes.DONE if draft.valid else exit_codes.FAILED
