"""The provider without a model: always there, deterministic, without network."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from flowmesh.assistant.offline.clauses import steps_of
from flowmesh.assistant.offline.drafting import Draft, Drafter
from flowmesh.assistant.offline.matching import KnownTask, Tasks
from flowmesh.assistant.offline.schedules import trigger_of
from flowmesh.models.port import Conversation, Text, ToolResult, ToolUse, Turn

SUBMIT = "submit_definition"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftConversation(Conversation):
    """A conversation about a draft; the rules read the prompt and the tasks, and no message."""

    prompt: str
    tasks: Sequence[KnownTask] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainConversation(Conversation):
    """A conversation about a definition or an execution; `text` is the answer of the rules."""

    text: str


class OfflineProvider:
    """Submits one draft; it has no better one if that has problems. Explains by rules."""

    name = "offline"
    model = "rules"
    remote = False

    async def turn(self, conversation: Conversation) -> Turn:
        """Return the submission of the draft, or the end after its result."""
        if isinstance(conversation, ExplainConversation):
            return Turn([Text(conversation.text)])
        if not isinstance(conversation, DraftConversation):
            return Turn([Text("Repairs and applications need a model service.")])
        last = conversation.messages[-1].blocks[-1]
        if isinstance(last, ToolResult):
            return Turn([Text("The rules have no other draft.")])
        draft = await asyncio.to_thread(drafted, conversation)
        source = yaml.safe_dump_all(draft.documents, sort_keys=False, allow_unicode=True)
        arguments = {"source": source, "questions": draft.questions}
        return Turn([ToolUse("draft", SUBMIT, arguments)])


def drafted(conversation: DraftConversation) -> Draft:
    """Return the draft for the prompt of a conversation."""
    trigger, rest = trigger_of(conversation.prompt.strip())
    steps = steps_of(rest)
    draft = Drafter(Tasks(conversation.tasks)).draft(conversation.prompt, steps, trigger)
    if not steps:
        draft.questions.append("Which steps does the workflow have?")
    return draft
