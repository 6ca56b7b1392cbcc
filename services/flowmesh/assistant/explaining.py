"""Explanations of definitions and executions: by a model service, else by rules."""

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as executions
from flowmesh.api.history.v1 import insight_service_pb2 as insights
from flowmesh.assistant import context
from flowmesh.assistant.asking import Asker
from flowmesh.assistant.offline.provider import ExplainConversation
from flowmesh.assistant.rehearsal import SOURCE_BYTES_MAX, YAML
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.executors.completion.guard import Redaction
from flowmesh.models.port import Message, Text
from flowmesh.models.selection import Chosen

TOKENS_MAX = 2_048
NODES_MAX = 200


class Definitions(Protocol):
    async def AnalyzeWorkflow(self, request: definitions.AnalyzeWorkflowRequest) -> Any: ...


class Executions(Protocol):
    async def GetExecution(self, request: executions.GetExecutionRequest) -> Any: ...


class Insights(Protocol):
    async def ExplainExecution(self, request: insights.ExplainExecutionRequest) -> Any: ...


class Explainer:
    """Explains as the caller of the request that is served; the model has no tools."""

    def __init__(
        self,
        asker: Asker,
        definitions: Definitions,
        executions: Executions,
        insights: Insights,
    ) -> None:
        self._asker, self._definitions = asker, definitions
        self._executions, self._insights = executions, insights
        self._redaction = Redaction(("EMAILS", "CARDS", "KEYS"))

    async def definition(
        self, namespace: str, source: str, question: str, provider: str
    ) -> tuple[str, Chosen]:
        """Return the steps of a definition in words. Raises Invalid, NoAnswer."""
        if not 0 < len(source.encode()) <= SOURCE_BYTES_MAX:
            raise Invalid("REQUEST_INVALID", "source: a definition of at most 256 KiB")
        answer = await self._definitions.AnalyzeWorkflow(
            definitions.AnalyzeWorkflowRequest(
                namespace=namespace, source=source.encode(), content_type=YAML
            )
        )
        text = steps_in_words(answer.workflow_id, answer.analysis)
        return await self._explained(namespace, "explain", source, text, question, provider)

    async def execution(
        self, namespace: str, execution_id: str, question: str, provider: str
    ) -> tuple[str, Chosen]:
        """Return in words why an execution waits or failed. Raises NotFound, NoAnswer."""
        found = await self._executions.GetExecution(
            executions.GetExecutionRequest(namespace=namespace, execution_id=execution_id)
        )
        explained = await self._insights.ExplainExecution(
            insights.ExplainExecutionRequest(namespace=namespace, execution_id=execution_id)
        )
        report: Json = orjson.loads(explained.report)
        text = causes_in_words(found.execution, report)
        facts = orjson.dumps({"report": report, "nodes": _states(found.execution)}).decode()
        return await self._explained(namespace, "investigate", facts, text, question, provider)

    async def _explained(
        self, namespace: str, feature: str, subject: str, text: str, question: str, provider: str
    ) -> tuple[str, Chosen]:
        asked = question or context.QUESTIONS[feature]
        data = context.data(self._redaction.text(f"{text}\n\n{subject}"))
        conversation = ExplainConversation(
            context.EXPLAINS,
            (Message("user", [Text(f"{context.data(asked)}\n\n{data}")]),),
            (),
            tokens_max=TOKENS_MAX,
            text=text,
        )
        chosen = await self._asker.turn(namespace, feature, conversation, provider)
        texts = [each.text for each in chosen.turn.blocks if isinstance(each, Text)]
        said = "\n".join(texts).strip()
        if chosen.turn.refused or not said:
            chosen.passed_over.append(f"{chosen.provider.name}: it gave no answer")
            return text, chosen
        return said, chosen


def steps_in_words(name: str, analysis: definition_pb2.Analysis) -> str:
    """Return the levels of a graph as sentences."""
    levels = [list(each.nodes) for each in analysis.groups]
    count = sum(map(len, levels))
    lines = [f"{name} has {count} task{'s' * (count != 1)}."]
    for number, nodes in enumerate(levels):
        begins = "First" if number == 0 else "Then"
        beside = "" if len(nodes) == 1 else ", side by side"
        lines.append(f"{begins} {_listed(nodes)}{beside}.")
    if analysis.branch_points:
        lines.append(f"Paths part after {_listed(analysis.branch_points)}.")
    if analysis.convergence_points:
        lines.append(f"Paths meet at {_listed(analysis.convergence_points)}.")
    if len(analysis.critical_path) > 1:
        lines.append(f"The longest chain is {', '.join(analysis.critical_path)}.")
    return "\n".join(lines)


def causes_in_words(execution: execution_pb2.Execution, report: Json) -> str:
    """Return the state of an execution, its failure and the causes of its waits as sentences."""
    lines = [f"{execution.execution_id} of {report['workflow']} is {report['status']}."]
    if execution.failure.message:
        failure = execution.failure
        lines.append(f"It failed with {getattr(failure, 'class')}: {failure.message}")
    for each in report["findings"]:
        task = f"{each['taskId']}: " if each.get("taskId") else ""
        lines += [f"{task}{each['text']}", f"  {each['remedy']}"]
    return "\n".join(lines)


def _states(execution: execution_pb2.Execution) -> list[Json]:
    """Return the nodes with status and failure, without their inputs and outputs."""
    return [
        {
            "node": each.id,
            "status": execution_pb2.NodeStatus.Name(each.status),
            "attempts": each.attempts,
            "failure": each.failure.message,
        }
        for each in execution.nodes[:NODES_MAX]
    ]


def _listed(names: Sequence[str]) -> str:
    """Return names as in a sentence."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
