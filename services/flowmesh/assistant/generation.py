"""The loop from a prompt to a definition: draft, check, rehearse, repair."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.assistant import context
from flowmesh.assistant.offline.matching import KnownTask, Tasks
from flowmesh.assistant.offline.provider import DraftConversation
from flowmesh.assistant.rehearsal import Rehearsal, Rehearser
from flowmesh.contract.json_value import Json
from flowmesh.models.port import (
    Message,
    Text,
    ToolResult,
    ToolUse,
    Usage,
)
from flowmesh.models.selection import Chosen, Providers

SUBMISSIONS_MAX = 5
TURNS_MAX = 12
PROBLEMS_MAX = 20
TASKS_MAX = 1_000
PAGE_SIZE = 200


class Definitions(Protocol):
    """The calls of DefinitionService that the loop makes, as its caller."""

    async def ListTasks(self, request: definitions.ListTasksRequest) -> Any: ...

    async def ValidateWorkflow(self, request: definitions.ValidateWorkflowRequest) -> Any: ...

    async def DryRunWorkflow(self, request: definitions.DryRunWorkflowRequest) -> Any: ...


@dataclass(slots=True)
class Generated:
    """The best draft, with its findings."""

    source: str = ""
    problems: list[definition_pb2.Problem] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    rehearsal: str = ""
    rounds: int = 0
    usage: Usage = field(default_factory=Usage)
    chosen: Chosen | None = None

    @property
    def valid(self) -> bool:
        return bool(self.source) and not self.problems


class Generator:
    """Runs the loop for one prompt at a time; nothing is stored."""

    def __init__(self, definitions: Definitions, providers: Providers) -> None:
        self._definitions = definitions
        self._providers = providers
        self._rehearser = Rehearser(definitions)

    async def generate(
        self, namespace: str, prompt: str, source: str = "", provider: str = ""
    ) -> Generated:
        """Return the draft with the fewest problems. Raises Unavailable without a provider."""
        tasks = await self._tasks(namespace)
        opening = Message("user", [Text(context.opening(prompt, source, tasks))])
        messages, found, seen = [opening], Generated(), ""
        for _ in range(TURNS_MAX):
            conversation = DraftConversation(
                context.SYSTEM,
                messages,
                (context.SEARCH, context.SUBMIT),
                prompt=prompt,
                tasks=tasks,
            )
            wanted = found.chosen.provider.name if found.chosen else provider
            chosen = await self._providers.turn(conversation, wanted)
            found.chosen = found.chosen or chosen
            found.usage += chosen.turn.usage
            calls = [each for each in chosen.turn.blocks if isinstance(each, ToolUse)]
            if not calls or chosen.turn.refused:
                break
            results = [await self._served(namespace, call, tasks, found) for call in calls]
            if found.valid or found.rounds >= SUBMISSIONS_MAX:
                break
            messages += [Message("assistant", chosen.turn.blocks), Message("user", results)]
            problems = "\n".join(each.text for each in results if each.is_error)
            if problems and problems == seen:
                break
            seen = problems
        return found

    async def _served(
        self, namespace: str, call: ToolUse, tasks: Sequence[KnownTask], found: Generated
    ) -> ToolResult:
        """Return the result of a tool; others than those offered are refused."""
        if call.name == context.SEARCH.name:
            best = Tasks(tasks).best(str(call.arguments.get("query")), context.TASKS_MAX)
            return ToolResult(call.id, context.data(context.described(best)))
        source = call.arguments.get("source")
        if call.name != context.SUBMIT.name or not isinstance(source, str):
            return ToolResult(call.id, f"there is no tool {call.name} with such arguments", True)
        found.rounds += 1
        rehearsed = await self._rehearser.rehearse(
            namespace, source, {each.name: each.output_schema for each in tasks}
        )
        if not found.source or len(rehearsed.problems) < len(found.problems):
            found.source, found.problems = source, rehearsed.problems
            found.rehearsal = rehearsed.status
            questions = call.arguments.get("questions")
            found.questions = [str(each) for each in questions or ()]
        if not rehearsed.problems:
            return ToolResult(call.id, "valid")
        return ToolResult(call.id, context.data(_told(rehearsed)), True)

    async def _tasks(self, namespace: str) -> list[KnownTask]:
        found: list[KnownTask] = []
        request = definitions.ListTasksRequest(namespace=namespace, page_size=PAGE_SIZE)
        while len(found) < TASKS_MAX:
            page = await self._definitions.ListTasks(request)
            for task in page.tasks:
                spec: Json = orjson.loads(task.definition).get("spec") or {}
                found.append(KnownTask.of(task.name, spec))
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        return found


def _told(rehearsed: Rehearsal) -> str:
    lines = (f"{p.path}: {p.message} [{p.code}]" for p in rehearsed.problems[:PROBLEMS_MAX])
    return "\n".join(lines)
