"""A load with all that an execution can wait for: a timer, a signal, a child, and its undoing.

Twelve steps: it reserves (HTTP), rests (a timer) while it is priced (HTTP), waits until it is paid
(a signal), is billed by a workflow of its own (a child that charges and sends a receipt), packed
in three boxes side by side (HTTP), labeled, checked, shipped (HTTP) and closed. What reserves,
packs and charges can be undone. One of the steps may be refused for good: `ship`, and all that was
done is undone, or `receipt`, and the child undoes what it did before its parent does.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp

from flowmesh.api.execution.v1.execution_pb2 import (
    EXECUTION_STATUS_COMPLETED,
    EXECUTION_STATUS_FAILED,
)
from flowmesh.contract.json_value import Json
from flowmesh.testing.checker import Stored, value_of
from flowmesh.testing.polling import until
from flowmesh.testing.world import World
from tests.drills.orders import BOXES, RETRY, UNDER_WAY_WITHIN_S, Orders
from tests.features.natives import http_task, text, workflow

UNDONE = ("reserve", *BOXES, "charge")
REFUSED, REFUSED_STATUS = "refused", 422
REST = "200ms"
PAID = "paid"
RETRIES = {**RETRY, "initialDelay": "20ms", "maxDelay": "200ms"}
REFUSABLE = ("", "ship", "receipt")


class Sagas(Orders):
    """Starts them and pays each; `refused` is the step that is."""

    def __init__(self, http_url: Callable[[], str], world: World, refused: str = "") -> None:
        super().__init__(http_url, world)
        self._refused = refused

    def script(self) -> None:
        self._world.answers(REFUSED, status=REFUSED_STATUS)

    @property
    def _child_id(self) -> str:
        return f"{self.workflow_id}-bill"

    @property
    def workflow_ids(self) -> tuple[str, ...]:
        return (self.workflow_id, self._child_id)

    @property
    def called(self) -> tuple[str, ...]:
        undoing = tuple(f"{step}:undo" for step in UNDONE)
        return ("reserve", "price", "charge", "receipt", *BOXES, "label", "ship", *undoing)

    # --- what is sent ---

    async def define(self, **options: Any) -> None:
        """Registers both workflows; there are no options."""
        async with self._session() as session:
            for resources in (self._child(), self._parent()):
                await self._sent(session, "/api/v1/workflows", text(*resources).encode())

    async def under_way(self, count: int, within_s: float = UNDER_WAY_WITHIN_S) -> None:
        """Pays all of them, each once it waits for that."""
        async with self._session() as session:
            for execution_id in self.ids[:count]:
                path = f"/api/v1/executions/{execution_id}"

                async def waits(path: str = path) -> bool:
                    with suppress(aiohttp.ClientError, TimeoutError):
                        async with session.get(f"{self._http_url()}{path}") as answer:
                            known = await answer.json()
                            task = known.get("tasks", {}).get(PAID, {})
                            return bool(task.get("status") == "running")
                    return False

                await until("waits to be paid", waits, within_s=within_s)
                signal = {"name": PAID, "payload": {"by": "card"}, "requestId": f"{PAID}-once"}
                await self._sent(session, f"{path}:signal", signal)
                self.signals[execution_id] = f"{PAID}-once"

    # --- what they are ---

    def _http(self, step: str, *after: str, **more: Json) -> Json:
        task = {
            "id": step,
            "taskRef": self._task_name(step),
            "input": {"order": "{{input.order}}"},
            "dependsOn": list(after),
            **more,
        }
        if step in UNDONE:
            task["undo"] = {
                "taskRef": self._task_name(f"{step}:undo"),
                "input": {"order": "{{undo.input.order}}"},
            }
        return task

    def _task_name(self, step: str) -> str:
        return f"{self.workflow_id}-{step.replace(':', '-')}"

    def _library(self, *steps: str) -> list[Json]:
        """What calls the receiver for these steps."""
        undoing = [f"{step}:undo" for step in steps if step in UNDONE]
        return [
            http_task(
                self._task_name(step),
                self._world.url(REFUSED if step == self._refused else step),
                retry=RETRIES,
            )
            for step in (*steps, *undoing)
        ]

    def _child(self) -> list[Json]:
        tasks = [self._http("charge"), self._http("receipt", "charge")]
        output = {"charged": "{{input.order}}"}
        child = workflow(self._child_id, *tasks, output=output)
        return [*self._library("charge", "receipt"), child]

    def _parent(self) -> list[Json]:
        bill = {"workflow": self._child_id, "input": {"order": "{{input.order}}"}}
        tasks = [
            self._http("reserve"),
            _own("rest", "delay", "reserve", input={"duration": REST}),
            self._http("price", "reserve"),
            _own(PAID, "signal", "rest", "price", input={"name": PAID}),
            {"id": "bill", "subworkflow": bill, "dependsOn": [PAID]},
            *(self._http(box, "bill") for box in BOXES),
            self._http("label", *BOXES),
            _own("check", "noop", "label"),
            self._http("ship", "check"),
            _own("close", "noop", "ship"),
        ]
        billed, paid = "{{tasks.bill.output.charged}}", "{{tasks.paid.output.by}}"
        output = {"order": "{{input.order}}", "billed": billed, "paid": paid}
        parent = workflow(self.workflow_id, *tasks, output=output)
        return [*self._library("reserve", "price", *BOXES, "label", "ship"), parent]

    # --- what they come to ---

    def wrong(self, one: Stored) -> str:
        state = one.replayed()
        child = "charge" in one.plan.by_id
        failed = bool(self._refused) and not (child and self._refused == "ship")
        right = EXECUTION_STATUS_FAILED if failed else EXECUTION_STATUS_COMPLETED
        if state.status != right:
            return f"ended with {state.status}, right is {right}"
        if child or failed:
            return ""
        order = self.order_of.get(one.id, -1)
        answer = value_of(state.output)
        expected = {"order": order, "billed": order, "paid": "card"}
        return "" if answer == expected else f"output {answer}, right is {expected}"


def _own(step: str, kind: str, *after: str, **more: Json) -> Json:
    """A step that calls nobody."""
    return {"id": step, "taskRef": kind, "dependsOn": list(after), **more}
