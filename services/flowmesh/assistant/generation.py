"""The loop from a prompt to a draft: write, check, rehearse, repair."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from flowmesh.api.apphost.v1 import app_pb2
from flowmesh.api.apphost.v1 import app_service_pb2 as apps
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.assistant import context
from flowmesh.assistant.asking import Asker
from flowmesh.assistant.offline.matching import KnownTask, Tasks
from flowmesh.assistant.offline.provider import DraftConversation
from flowmesh.assistant.rehearsal import SOURCE_BYTES_MAX, Rehearsal, Rehearser
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.models.port import Conversation, Message, Text, ToolResult, ToolUse, Usage
from flowmesh.models.selection import Chosen

SUBMISSIONS_MAX = 5
TURNS_MAX = 12
PROBLEMS_MAX = 20
TASKS_MAX = 1_000
PAGE_SIZE = 200

Check = Callable[[str], Awaitable[Rehearsal]]


class Definitions(Protocol):
    """The calls of DefinitionService that the loop makes, as its caller."""

    async def ListTasks(self, request: definitions.ListTasksRequest) -> Any: ...

    async def ValidateWorkflow(self, request: definitions.ValidateWorkflowRequest) -> Any: ...

    async def DryRunWorkflow(self, request: definitions.DryRunWorkflowRequest) -> Any: ...


class Apps(Protocol):
    """The call of AppService that checks a document, as its caller."""

    async def ValidateApp(self, request: apps.ValidateAppRequest) -> Any: ...


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
    note: str = ""

    @property
    def valid(self) -> bool:
        return bool(self.source) and not self.problems


@dataclass(frozen=True, slots=True)
class Job:
    """One draft to write: for which namespace and feature, by whom, and how it is checked."""

    namespace: str
    feature: str
    provider: str
    check: Check
    tasks: Sequence[KnownTask] = ()


class Generator:
    """Runs the loop for one prompt at a time; nothing is stored."""

    def __init__(self, definitions: Definitions, apps: Apps, asker: Asker) -> None:
        self._definitions, self._apps, self._asker = definitions, apps, asker
        self._rehearser = Rehearser(definitions)

    async def generate(
        self, namespace: str, prompt: str, source: str = "", provider: str = ""
    ) -> Generated:
        """Return the draft of a workflow with the fewest problems. Raises NoAnswer."""
        tasks = await self._tasks(namespace)
        conversation = DraftConversation(
            context.SYSTEM,
            (_opening(context.opening(prompt, source, tasks)),),
            (context.SEARCH, context.SUBMIT),
            prompt=prompt,
            tasks=tasks,
        )
        check = self._check_of(namespace, tasks)
        return await self._drafted(Job(namespace, "generate", provider, check, tasks), conversation)

    async def app(
        self, namespace: str, app: str, prompt: str, source: str = "", provider: str = ""
    ) -> Generated:
        """Return the document of an application. Raises NoAnswer, Forbidden."""

        async def check(document: str) -> Rehearsal:
            request = apps.ValidateAppRequest(namespace=namespace, app=app, document=document)
            found = (await self._apps.ValidateApp(request)).findings
            return Rehearsal([_problem(each) for each in found if not each.warning])

        # Refuses a caller who may not deploy it, before a model is asked.
        await check(source or "modules: []")
        conversation = Conversation(
            context.APP_SYSTEM,
            (_opening(context.opening_of_app(prompt, source)),),
            (context.SUBMIT,),
        )
        return await self._drafted(Job(namespace, "generate", provider, check), conversation)

    async def repair(self, namespace: str, source: str, provider: str = "") -> Generated:
        """Return a definition with fewer problems. Raises Invalid, NoAnswer."""
        if not 0 < len(source.encode()) <= SOURCE_BYTES_MAX:
            raise Invalid("REQUEST_INVALID", "source: a definition of at most 256 KiB")
        tasks = await self._tasks(namespace)
        check = self._check_of(namespace, tasks)
        before = await check(source)
        given = Generated(source, before.problems, rehearsal=before.status)
        if given.valid:
            return given
        conversation = Conversation(
            context.SYSTEM,
            (_opening(context.opening_of_repair(source, _listed(before), tasks)),),
            (context.SEARCH, context.SUBMIT),
        )
        job = Job(namespace, "repair", provider, check, tasks)
        return await self._drafted(job, conversation, given)

    def _check_of(self, namespace: str, tasks: Sequence[KnownTask]) -> Check:
        """Return the check of a definition: as Apply would, then a run in memory."""
        outputs = {each.name: each.output_schema for each in tasks}
        return lambda source: self._rehearser.rehearse(namespace, source, outputs)

    async def _drafted(
        self, job: Job, conversation: Conversation, given: Generated | None = None
    ) -> Generated:
        found, seen = given or Generated(), ""
        for _ in range(TURNS_MAX):
            wanted = found.chosen.provider.name if found.chosen else job.provider
            chosen = await self._asker.turn(job.namespace, job.feature, conversation, wanted)
            found.chosen = found.chosen or chosen
            found.usage += chosen.turn.usage
            calls = [each for each in chosen.turn.blocks if isinstance(each, ToolUse)]
            if not calls or chosen.turn.refused:
                if not found.rounds:
                    found.note = _text(chosen)
                break
            results = [await self._served(job, call, found) for call in calls]
            if found.valid or found.rounds >= SUBMISSIONS_MAX:
                break
            said = (Message("assistant", chosen.turn.blocks), Message("user", results))
            conversation = replace(conversation, messages=(*conversation.messages, *said))
            problems = "\n".join(each.text for each in results if each.is_error)
            if problems and problems == seen:
                break
            seen = problems
        return found

    async def _served(self, job: Job, call: ToolUse, found: Generated) -> ToolResult:
        """Return the result of a tool; others than those offered are refused."""
        if call.name == context.SEARCH.name:
            best = Tasks(job.tasks).best(str(call.arguments.get("query")), context.TASKS_MAX)
            return ToolResult(call.id, context.data(context.described(best)))
        source = call.arguments.get("source")
        if call.name != context.SUBMIT.name or not isinstance(source, str):
            return ToolResult(call.id, f"there is no tool {call.name} with such arguments", True)
        found.rounds += 1
        checked = await job.check(source)
        if not found.source or len(checked.problems) < len(found.problems):
            found.source, found.problems = source, checked.problems
            found.rehearsal = checked.status
            questions = call.arguments.get("questions")
            found.questions = [str(each) for each in questions or ()]
        if not checked.problems:
            return ToolResult(call.id, "valid")
        return ToolResult(call.id, context.data(_listed(checked)), True)

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


def _opening(text: str) -> Message:
    return Message("user", [Text(text)])


def _text(chosen: Chosen) -> str:
    return "\n".join(each.text for each in chosen.turn.blocks if isinstance(each, Text)).strip()


def _listed(checked: Rehearsal) -> str:
    lines = (f"{p.path}: {p.message} [{p.code}]" for p in checked.problems[:PROBLEMS_MAX])
    return "\n".join(lines)


def _problem(found: app_pb2.AppFinding) -> definition_pb2.Problem:
    return definition_pb2.Problem(
        code=found.code,
        severity=definition_pb2.SEVERITY_ERROR,
        message=found.message,
        path=found.path,
        line=found.line,
        column=found.column,
    )
