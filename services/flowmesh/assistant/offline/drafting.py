"""Steps to a workflow: nodes, their order, their inputs, and the tasks that do not exist yet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowmesh.assistant.offline.approvals import approval_of
from flowmesh.assistant.offline.clauses import Step
from flowmesh.assistant.offline.conditions import camel, condition_of
from flowmesh.assistant.offline.inputs import Inputs
from flowmesh.assistant.offline.kinds import special
from flowmesh.assistant.offline.matching import Tasks
from flowmesh.assistant.offline.words import STOP_WORDS
from flowmesh.contract.json_value import Json

API = "workflow.io/v1"
ID_WORDS, NAME_WORDS, TITLE_CHARACTERS = 3, 5, 500


@dataclass(frozen=True, slots=True)
class Ends:
    """The nodes that the next one follows; `any` of them if some may be skipped."""

    ids: tuple[str, ...] = ()
    optional: bool = False


@dataclass(slots=True)
class Draft:
    """The documents of a draft, and what the prompt leaves open."""

    documents: list[Json]
    questions: list[str]


@dataclass(slots=True)
class _Body:
    """The nodes of a workflow or of a loop; `item` is true inside a loop."""

    nodes: list[dict[str, Json]] = field(default_factory=list)
    inputs: Inputs = field(default_factory=Inputs)
    item: bool = False


class Drafter:
    """Writes one workflow."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._ids: set[str] = set()
        self._documents: dict[str, Json] = {}
        self._questions: list[str] = []

    def draft(self, prompt: str, steps: Sequence[Step], trigger: Json | None) -> Draft:
        """Return the workflow of these steps, and tasks of its own."""
        body = _Body()
        self._sequence(body, steps, Ends(), "")
        spec: dict[str, Json] = {"description": prompt[:TITLE_CHARACTERS]}
        if trigger is not None:
            spec["triggers"] = [_filled(trigger, body.inputs)]
        if body.inputs.schema["properties"]:
            spec["inputSchema"] = body.inputs.schema
        spec["tasks"] = body.nodes
        name = slug(" ".join(_texts(steps)), NAME_WORDS) or "workflow"
        workflow = {"apiVersion": API, "kind": "Workflow", "metadata": {"name": name}, "spec": spec}
        return Draft([workflow, *self._documents.values()], self._questions)

    def _sequence(self, body: _Body, steps: Sequence[Step], ends: Ends, condition: str) -> Ends:
        for number, step in enumerate(steps):
            ends = self._place(body, step, ends, condition if number == 0 else "")
        return ends

    def _place(self, body: _Body, step: Step, ends: Ends, condition: str) -> Ends:
        match step.kind:
            case "if":
                return self._choice(body, step, ends, condition)
            case "together":
                found = [self._place(body, each, ends, condition) for each in step.steps]
                ids = tuple(dict.fromkeys(one for each in found for one in each.ids))
                return Ends(ids, any(each.optional for each in found)) if ids else ends
            case "failure":
                return self._failure(body, step, ends)
        node = self._node(body, step)
        self._link(body, node, ends, condition)
        return Ends((str(node["id"]),))

    def _link(self, body: _Body, node: dict[str, Json], ends: Ends, condition: str) -> None:
        if ends.ids:
            node["dependsOn"] = [*ends.ids]
        if ends.optional:
            node["join"] = "ALL"
        if condition:
            node["condition"] = condition
        body.nodes.append(node)

    def _choice(self, body: _Body, step: Step, ends: Ends, outer: str) -> Ends:
        found = condition_of(step.about)
        if not found.understood:
            self._questions.append(
                f"What decides whether {step.about!r} holds? The draft reads input.{found.name}."
            )
        expression = found.expression
        if body.item:
            body.inputs.item(found.name, found.schema)
            expression = expression.replace("input.", "item.", 1)
        else:
            body.inputs.add(found.name, found.schema)
        if not ends.ids and not (step.steps and step.others):
            begin = {"id": self._new_id("begin"), "taskRef": "noop", "input": None}
            body.nodes.append(begin)
            ends = Ends((str(begin["id"]),))
        around = f"({outer}) && " if outer else ""
        taken = self._sequence(body, step.steps, ends, f"{around}{expression}")
        other = self._sequence(body, step.others, ends, f"{around}!({expression})")
        ids = tuple(dict.fromkeys((*taken.ids, *other.ids)))
        return Ends(ids, optional=True)

    def _failure(self, body: _Body, step: Step, ends: Ends) -> Ends:
        if not ends.ids:
            self._questions.append("Which step is it that may fail?")
            return ends
        watched = ends.ids[-1]
        edge = Ends()
        for number, each in enumerate(step.steps):
            edge = self._place(body, each, edge, "")
            if number == 0:
                for node in body.nodes:
                    if node["id"] in edge.ids:
                        node["dependsOn"] = [{"task": watched, "on": "failure"}]
        return ends

    def _node(self, body: _Body, step: Step) -> dict[str, Json]:
        match step.kind:
            case "delay":
                duration = step.text or "1m"
                if not step.text:
                    self._questions.append("How long is the wait? The draft waits a minute.")
                return {
                    "id": self._new_id("wait"),
                    "taskRef": "delay",
                    "input": {"duration": duration},
                }
            case "wait":
                event = slug(step.text, 2)
                node: dict[str, Json] = {
                    "id": self._new_id(f"await-{event}"),
                    "wait": {"event": event},
                }
                return node | ({"totalTimeout": step.timeout} if step.timeout else {})
            case "approval":
                return {"id": self._new_id("approve"), "approval": approval_of(step)}
            case "each":
                return self._loop(body, step)
        return self._task(body, step)

    def _loop(self, body: _Body, step: Step) -> dict[str, Json]:
        inner = _Body(item=True)
        self._sequence(inner, step.steps, Ends(), "")
        name = camel(step.about)
        body.inputs.add(name, {"type": "array", "items": inner.inputs.item_schema})
        body.inputs.merge(inner.inputs)
        loop = {"items": f"{{{{input.{name}}}}}", "tasks": inner.nodes}
        return {"id": self._new_id(f"each-{slug(step.about, 1)}"), "map": loop}

    def _task(self, body: _Body, step: Step) -> dict[str, Json]:
        node: dict[str, Json] = {"id": self._new_id(slug(step.text, ID_WORDS) or "step")}
        if step.attempts:
            node["retry"] = {"maxAttempts": step.attempts}
        if step.timeout:
            node["timeout"] = step.timeout
        if made := special(step.text, body.inputs):
            if made.document is not None:
                name = self._own(str(node["id"]), made.document)
                return node | {"taskRef": name, "input": made.input}
            return node | made.node
        if (known := self._tasks.meant(step.text)) is not None:
            given = body.inputs.of_task(known, step.text, body.nodes, item=body.item)
            return node | {"taskRef": known.name, "input": given}
        name = self._own(str(node["id"]), {"type": slug(step.text, ID_WORDS) or "step"})
        self._questions.append(
            f"Which task does {step.text!r}? None is registered; the draft declares {name}, which"
            " a worker must serve."
        )
        given = {"item": "{{item}}"} if body.item else {"request": "{{input}}"}
        return node | {"taskRef": name, "input": given}

    def _own(self, name: str, spec: Json) -> str:
        """Declare a task of the draft; return its name."""
        document = {
            "apiVersion": API,
            "kind": "WorkflowTask",
            "metadata": {"name": name},
            "spec": spec,
        }
        self._documents[name] = document
        return name

    def _new_id(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._ids:
            number += 1
            name = f"{wanted}-{number}"
        self._ids.add(name)
        return name


def slug(text: str, words: int) -> str:
    """Return the first meaningful words of a text as an id."""
    found = [
        word.lower()
        for word in re.findall(r"[A-Za-z0-9]+", re.sub(r"https?://\S+|'s\b", " ", text))
        if word.lower() not in STOP_WORDS
    ]
    name = "-".join(found[:words])[:60]
    return name if not name or name[0].isalpha() else f"n{name}"


def _texts(steps: Sequence[Step]) -> list[str]:
    return [text for step in steps for text in (step.text, *_texts(step.steps)) if text]


def _filled(trigger: Json, inputs: Inputs) -> Json:
    """Return the trigger with an input for executions that it starts, where they need one."""
    (kind,) = (name for name in trigger if name != "id")
    needed = inputs.schema["properties"]
    if kind == "cron":
        given = {name: inputs.example(name) for name in needed}
    else:
        root = {"event": "event.data", "webhook": "payload", "queue": "message.body"}[kind]
        given = {name: f"{{{{{root}.{name}}}}}" for name in needed}
    body = {name: value for name, value in trigger[kind].items() if name != "input"}
    return {"id": trigger["id"], kind: body | ({"input": given} if given else {})}
