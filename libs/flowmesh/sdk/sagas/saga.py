"""Sagas as classes, and their compilation to workflows."""

import inspect
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Final

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.handlers import TaskHandler
from flowmesh.sdk.workflows.declarations import Duration, Retry
from flowmesh.sdk.workflows.flow import TaskNode, Workflow
from flowmesh.sdk.workflows.resources import WorkflowTask

NO_EFFECT: Final = "NO_EFFECT"
"""The compensation of a step that changes nothing."""
STEPS_MAX: Final = 100
COMMAND_RETRY: Final = Retry(attempts=1)
COMPENSATION_RETRY: Final = Retry(attempts=5, initial="100ms", max="10s")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class SagaState(StrEnum):
    """The state of a saga."""

    STARTED = "STARTED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    COMPENSATING = "COMPENSATING"
    # All completed steps are undone.
    COMPENSATED = "COMPENSATED"
    # Some completed step is not undone.
    FAILED = "FAILED"


class StepStatus(StrEnum):
    """The outcome of the command of a step, or of its compensation."""

    SUCCESS = "Success"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class SagaCall:
    """The argument of a function of a saga: a command, or a compensation with the `output` of its
    command.

    `key` is the same for all attempts of the call: pass it to services that must act once.
    """

    saga_id: str
    step: str
    data: Json
    input: Json
    results: Mapping[str, Json]
    output: Json
    key: str
    attempt: int
    client: Client


Command = Callable[[SagaCall], Any]
"""`command(call)`, async or not; its return value is the output of the step."""


@dataclass(slots=True)
class Step:
    """A step: its command, and the compensation that undoes it.

    Each is a function or the name of a task type or task. `compensation` is NO_EFFECT for a step
    that changes nothing. `input` is passed to both. The statuses are set while the saga runs.
    """

    name: str
    command: Command | str
    compensation: Command | str | None = None
    input: Json = None
    retry: Retry = COMMAND_RETRY
    timeout: Duration | None = None
    compensation_retry: Retry = COMPENSATION_RETRY
    status: StepStatus | None = None
    compensation_status: StepStatus | None = None
    output: Json = None
    error: str = ""
    compensation_error: str = ""


class Saga:
    """A long-running transaction: if a step fails, the completed ones are undone in reverse.

    A subclass has `steps`, or overrides `plan`. Functions of its steps run in a process that has a
    `SagaManager`; they must be functions of a module or static methods, so that another process
    can run them after a crash. `data` is passed to all of them. Starting two sagas with the same
    `id` starts one.
    """

    # Functions that `plan` uses, if `steps` does not have them.
    functions: ClassVar[Sequence[Command]] = ()
    steps: Sequence[Step] = ()

    def __init__(self, data: Json = None, *, id: str = "") -> None:
        self.id = id or uuid.uuid4().hex
        self.data = data
        self.state = SagaState.STARTED
        self.steps = [replace(each) for each in self.plan()]

    @classmethod
    def saga_name(cls) -> str:
        """Return the name of the workflow: `saga-order` of the class OrderSaga."""
        words = _HUMPS.sub("-", cls.__name__.removesuffix("Saga") or cls.__name__)
        return f"saga-{words.lower()}"

    @property
    def workflow_name(self) -> str:
        """The name of its workflow, and the prefix of the tasks of its functions."""
        return self.saga_name()

    def plan(self) -> Sequence[Step]:
        """Return the steps in their order."""
        return type(self).steps

    def step(self, name: str) -> Step:
        """Return a step by its name; KeyError if there is none."""
        for each in self.steps:
            if each.name == name:
                return each
        raise KeyError(name)

    def input(self) -> dict[str, Json]:
        """Return the input of the workflow."""
        return {
            "sagaId": self.id,
            "data": self.data,
            "inputs": [each.input for each in self.steps],
        }


def compile_saga(saga: Saga) -> Workflow:
    """Return the workflow of a saga: one task per step, each with its undo. Raises Invalid.

    It depends on the names, commands and compensations of the steps, not on their data.
    """
    _check(saga)
    name = saga.workflow_name
    brought = {
        each.name: each
        for step in saga.steps
        for each in (_task(name, step.command), _task(name, step.compensation))
        if each is not None
    }
    flow = Workflow(
        name,
        brings=list(brought.values()),
        also={"compensation": {"order": "REVERSE"}, "onFailure": "STOP"},
    )
    before: list[TaskNode] = []
    for number, step in enumerate(saga.steps):
        call = {
            "sagaId": flow.input["sagaId"],
            "step": step.name,
            "data": flow.input["data"],
            "input": flow.input["inputs"][number],
            "results": {each.id: each.output for each in before},
        }
        also: dict[str, Json] = {}
        if step.compensation != NO_EFFECT:
            also["undo"] = {
                "taskRef": task_name(name, step.compensation),
                "input": {"call": "{{undo.input}}", "output": "{{undo.output}}"},
                "retry": step.compensation_retry.as_json(),
            }
        node = flow.use(
            step.name,
            task_name(name, step.command),
            input=call,
            depends_on=before[-1:],
            retry=step.retry,
            timeout=step.timeout,
            also=also,
        )
        before.append(node)
    return flow


def task_name(saga: str, action: Command | str | None) -> str:
    """Return the task that an action is: its name, or one made of the function's name."""
    if isinstance(action, str):
        return action
    assert action is not None
    return f"{saga}.{getattr(action, '__name__', type(action).__name__).strip('_')}"


def handlers_of(
    client: Client, name: str, steps: Sequence[Step], functions: Sequence[Command] = ()
) -> dict[str, TaskHandler]:
    """Return the handlers of the functions of a saga, by task type."""
    found: dict[str, Command] = {}
    actions = [action for step in steps for action in (step.command, step.compensation)]
    for action in (*actions, *functions):
        if callable(action):
            task = task_name(name, action)
            if found.setdefault(task, action) is not action:
                raise invalid(f"{name} has two functions for {task}")
    return {task: _handler(client, action) for task, action in found.items()}


def invalid(text: str) -> Invalid:
    return Invalid("SAGA_INVALID", text)


def _handler(client: Client, action: Command) -> TaskHandler:
    async def run(given: Any, context: TaskContext) -> Json:
        call = given.get("call", given)
        result = action(
            SagaCall(
                saga_id=call["sagaId"],
                step=call["step"],
                data=call["data"],
                input=call["input"],
                results=call["results"],
                output=given.get("output"),
                key=context.idempotency_key,
                attempt=context.attempt,
                client=client,
            )
        )
        return await result if inspect.isawaitable(result) else result

    return run


def _task(saga: str, action: Command | str | None) -> WorkflowTask | None:
    """Return the task of a function; names refer to tasks that exist."""
    if isinstance(action, str) or action is None:
        return None
    name = task_name(saga, action)
    return WorkflowTask(name, {"type": name})


def _check(saga: Saga) -> None:
    kind = type(saga).__name__
    if not saga.steps:
        raise invalid(f"{kind} has no steps")
    if len(saga.steps) > STEPS_MAX:
        raise invalid(f"{kind} has {len(saga.steps)} steps; at most {STEPS_MAX} are allowed")
    seen: set[str] = set()
    for step in saga.steps:
        if not _NAME.fullmatch(step.name):
            raise invalid(f"{kind}: the step {step.name!r} has no name of letters, digits, - and _")
        if step.name in seen:
            raise invalid(f"{kind} has two steps {step.name!r}")
        seen.add(step.name)
        if step.compensation is None:
            raise invalid(
                f"{kind}.{step.name} has no compensation; NO_EFFECT states that it changes nothing"
            )
        for action in (step.command, step.compensation):
            if isinstance(action, str) and action:
                continue
            if not callable(action):
                raise invalid(f"{kind}.{step.name}: {action!r} is neither a function nor a name")
            if inspect.ismethod(action) and isinstance(action.__self__, Saga):
                raise invalid(
                    f"{kind}.{step.name}: {action.__name__} needs its saga object, which another"
                    " process does not have; make it a static method"
                )
