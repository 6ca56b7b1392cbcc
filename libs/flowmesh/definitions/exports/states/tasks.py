"""Single nodes as states: tasks, timers, and nodes without work."""

import re

from flowmesh.contract.json_value import Json
from flowmesh.definitions.builtins import BUILT_IN_EXECUTORS, BUILT_IN_NAMES
from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.states.errors import retriers_of, whole_seconds
from flowmesh.definitions.exports.states.refused import add_refused
from flowmesh.definitions.exports.states.values import HasEnded, Values
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import NO_RETRY, Dialect, Node, OnFailure, Task
from flowmesh.definitions.planning.specs import delay_of, timeout_ms
from flowmesh.definitions.references import has_template
from flowmesh.definitions.sources import Resolve
from flowmesh.tasktypes import TASK_TYPES

_HTTP = "arn:aws:states:::http:invoke"
_EXECUTION = "arn:aws:states:::states:startExecution.sync:2"
_ARN = "arn:aws:states:us-east-1:000000000000:stateMachine"
_LIBRARY = "flowmesh:"
_SAID_OF_HTTP = frozenset({"url", "method", "headers", "body"})
_BODY_OF_TEXT = re.compile(r"\s*[{\[]")


class Tasks:
    """The writer of single nodes of one workflow."""

    def __init__(
        self, unsupported: UnsupportedFeatures, resolve: Resolve, *, foreign: bool
    ) -> None:
        self._unsupported = unsupported
        self._resolve = resolve
        # True if tasks written into nodes are those of step JSON.
        self._foreign = foreign

    def state(self, node: Node, has_ended: HasEnded | None) -> Document:
        """Return the state of a node without a body, without its transition."""
        task = node.task
        if task is not None:
            add_refused(task, self._unsupported, node.id)
        executor = task.executor if task is not None else node.task_ref
        if executor in ("noop", "delay"):
            return self._timed(node, task, executor)
        values = Values(self._unsupported, node.id, has_ended)
        if task is None:
            found = self._of_library(node, values)
        elif executor == "subworkflow":
            found = self._child(node, task, values)
        elif task.dialect is Dialect.STEPS and executor == "http.request":
            found = self._http(node, task, values)
        elif executor in BUILT_IN_EXECUTORS or executor in ("continueAsNew", "subworkflow"):
            self._add_unsupported(f"a task of type {task.type}", node)
            return {"Type": "Task"}
        else:
            found = self._remote(node, task, values)
        return found | self._limits(node, task)

    def _add_unsupported(self, feature: str, node: Node) -> None:
        self._unsupported.add(feature, node.id)

    def _timed(self, node: Node, task: Task | None, executor: str) -> Document:
        if node.retry is not None or node.timeout_ms:
            self._add_unsupported(f"retries and timeouts of a {executor}", node)
        if node.outcome.on_failure is not OnFailure.FAIL or node.outcome.fallback is not None:
            self._add_unsupported(f"failure handling of a {executor}", node)
        if executor == "noop":
            if node.has_input:
                self._add_unsupported("an input of a node without work", node)
            return {"Type": "Pass"}
        written = task or Task("delay", "delay", {}, Dialect.NATIVE)
        written_duration = written.config.get("duration")
        if written_duration is None and isinstance(node.input, dict):
            written_duration = node.input.get("duration")
        if set(node.input if isinstance(node.input, dict) else ()) - {"duration"}:
            self._add_unsupported("an input of a delay", node)
        if has_template(written_duration):
            self._add_unsupported("a delay that is computed", node)
            return {"Type": "Wait"}
        delay, instant = delay_of(node, written)
        if instant:
            return {"Type": "Wait", "Timestamp": written_duration}
        return {
            "Type": "Wait",
            "Seconds": whole_seconds(delay, "a delay", self._unsupported, node.id),
        }

    def _limits(self, node: Node, task: Task | None) -> Document:
        """Return the timeout and the retries."""
        found: Document = {}
        limit = node.timeout_ms
        if task is not None and task.executor != "subworkflow":
            limit = timeout_ms(node, task)
        if limit:
            seconds = whole_seconds(limit, "a timeout", self._unsupported, node.id)
            found["TimeoutSeconds"] = seconds
        native = not self._foreign and (task is None or task.executor != "subworkflow")
        if node.retry is None and (task is None or native):
            self._add_unsupported(
                "the retries of a task that its node does not repeat, by default from 100 ms (set "
                "a retry from 1s on, or maxAttempts: 1)",
                node,
            )
        retry = node.retry or NO_RETRY
        if task is not None and task.executor == "subworkflow" and retry.max_attempts > 1:
            self._add_unsupported("retries of another workflow", node)
            return found
        http = task is None or task.executor == "http.request"
        called = task if task is not None else self._resolve(node.task_ref)
        handled = called is None or called.executor not in TASK_TYPES
        if retriers := retriers_of(retry, self._unsupported, node.id, http=http, handled=handled):
            found["Retry"] = retriers
        return found

    def _of_library(self, node: Node, values: Values) -> Document:
        if node.task_ref in BUILT_IN_NAMES:
            self._add_unsupported(f"the built-in task {node.task_ref}", node)
            return {"Type": "Task"}
        task = self._resolve(node.task_ref)
        if task is not None and task.executor == "condition":
            self._add_unsupported(
                "a task that decides whether what is behind it runs (condition: can)", node
            )
        given = node.input if node.has_input else {}
        is_transform = task is None or task.executor == "transform"
        if is_transform and isinstance(given, dict) and "source" in given:
            self._add_unsupported(
                "an input whose source a transform of the library would read", node
            )
        return _called(f"{_LIBRARY}{node.task_ref}", given, values)

    def _remote(self, node: Node, task: Task, values: Values) -> Document:
        if task.executor.startswith((_LIBRARY, "arn:")):
            self._add_unsupported(f"a task type {task.executor}", node)
        native = task.dialect is Dialect.NATIVE
        given = (node.input if node.has_input else {}) if native else task.config
        return _called(task.executor, given, values)

    def _child(self, node: Node, task: Task, values: Values) -> Document:
        config = task.config
        name, version = config["workflow"], config["version"]
        if has_template(name):
            self._add_unsupported("a workflow whose name is computed", node)
        if not config["wait"] or config["onCancel"] != "CANCEL":
            self._add_unsupported("another workflow that outlives the node that starts it", node)
        if "project" in config:
            self._add_unsupported("a workflow of another project", node)
        machine = name if version == "latest" else f"{_ARN}:{name}:{version}"
        given = values.payload({"Input": node.input if node.has_input else None})
        return {
            "Type": "Task",
            "Resource": _EXECUTION,
            "Parameters": {"StateMachineArn": machine, **given},
            "ResultSelector": {"output.$": "$.Output"},
        }

    def _http(self, node: Node, task: Task, values: Values) -> Document:
        values.input_too = True
        config = task.config
        for key in sorted(config.keys() - _SAID_OF_HTTP):
            words = {"send_context": "a request that sends the context"}
            self._add_unsupported(words.get(key, f"{key} of a request"), node)
        for key in ("url", "headers"):
            if has_template(config.get(key)):
                self._add_unsupported(f"templates in the {key} of a request", node)
        given: Document = {"ApiEndpoint": config["url"], "Method": config["method"]}
        headers = config.get("headers") or {}
        if headers:
            given["Headers"] = headers
        kind = next((str(v).lower() for n, v in headers.items() if n.lower() == "content-type"), "")
        if config.get("body") is not None:
            self._check_body(config["body"], kind, node)
            given |= values.payload({"RequestBody": config["body"]})
        return {
            "Type": "Task",
            "Resource": _HTTP,
            "Parameters": given,
            "ResultSelector": {"output.$": "$.ResponseBody"},
        }

    def _check_body(self, body: Json, kind: str, node: Node) -> None:
        """Note unsupported bodies. A text that looks like JSON is written as JSON, and forms have
        no counterpart.
        """
        if isinstance(body, str):
            if has_template(body) or (not kind and _BODY_OF_TEXT.match(body)):
                self._add_unsupported(
                    "a body that is text with templates, or looks like JSON", node
                )
        elif kind.startswith("application/x-www-form-urlencoded"):
            self._add_unsupported("a form", node)


def _called(resource: str, given: Json, values: Values) -> Document:
    """Return a task of Flowmesh; its input is an object, or one reference."""
    found: Document = {"Type": "Task", "Resource": resource}
    if isinstance(given, dict):
        return found | {"Parameters": values.payload(given)}
    path = values.whole(given)
    if not path:
        values.add_unsupported("an input that is neither an object nor one reference")
    return found | {"InputPath": path}
