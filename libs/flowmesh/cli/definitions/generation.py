"""`generate`: a draft of a workflow for a prompt."""

import asyncio
from pathlib import Path
from typing import Any

from flowmesh.api.assistant.v1 import assistant_service_pb2 as pb
from flowmesh.api.assistant.v1.assistant_service_pb2_grpc import AssistantServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.common import COMMON, Common, command, connected

# A provider may take a minute for each of its drafts.
TIMEOUT_S = 300.0


@command
async def generate(
    prompt: str, /, *, change: Path | None = None, provider: str = "", common: Common = COMMON
) -> int:
    """Write a workflow for a prompt in English to standard output; nothing is stored.

    The draft is checked as `apply` would and rehearsed; questions and problems are on standard
    error.

    Args:
        change: File with a definition to change or to repair.
        provider: Provider to use; the first available one by default.
    """
    source = await asyncio.to_thread(change.read_text) if change is not None else ""
    async with connected(common) as client:
        request = pb.GenerateDefinitionRequest(
            namespace=client.namespace, prompt=prompt, source=source, provider=provider
        )
        stub: Any = AssistantServiceStub(client.caller.channel)
        found: pb.GenerateDefinitionResponse = await client.caller.call(
            stub.GenerateDefinition, request, timeout_s=TIMEOUT_S
        )
    if common.structured:
        output.document(document_of(found))
    elif found.source:
        output.block(found.source.rstrip())
    for question in found.questions:
        output.problem(f"? {question}")
    for problem in found.problems:
        output.problem(f"{problem.path}: {problem.message} [{problem.code}]")
    return exit_codes.DONE if found.valid else exit_codes.FAILED
