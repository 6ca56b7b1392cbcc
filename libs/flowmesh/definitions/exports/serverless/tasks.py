"""Single nodes as tasks of Serverless Workflow, with retries and failure handling.

Each task puts its output into the context under the id of its node.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from flowmesh.contract import TEMPORARY
from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.serverless.conditions import condition_program
from flowmesh.definitions.exports.serverless.http import http_request
from flowmesh.definitions.exports.serverless.jq import (
    ProgramOf,
    literal,
    native_program,
    value_of,
    wrapped,
)
from flowmesh.definitions.exports.unsupported import UnsupportedExpression, UnsupportedFeatures
from flowmesh.definitions.formats.serverless.names import NAME, NAME_FORM, document_name
from flowmesh.definitions.formats.serverless.tasks import ATTEMPTS
from flowmesh.definitions.model import (
    NO_RETRY,
    Dialect,
    MapBody,
    Node,
    OnFailure,
    Outcome,
    Priority,
    Retry,
    StatesBody,
    Task,
)
from flowmesh.definitions.planning.specs import delay_of
from flowmesh.definitions.references import NATIVE_ROOTS
from flowmesh.standards.problem_details import type_uri

# Suffix of the node id for the context member that marks its failure.
FAILED = "!failed"
_NO_TASKS = frozenset({"http", "grpc", "openapi", "asyncapi", "a2a", "mcp"})
_NOT_CALLED = {
    "transform": "the built-in transform",
    "signal": "the built-in signal, in place of `wait`",
    "webhook.receive": "a node that waits for a webhook",
}
# Members of a task written into a node, apart from its work.
_OF_TASKS = (
    "input_schema",
    "output_schema",
    "retry",
    "timeout_ms",
    "queue",
    "permissions",
    "secrets",
    "labels",
)
_BODIES: dict[type, str] = {
    MapBody: "a map",
    StatesBody: "a loop, or a try",
}
# Retried failure classes with the errors that match them; the classes of one group share an error.
_TYPE, _STATUS = "$error.type", "$error.status"
_EXCEPTIONS = "exceptions of a handler"
_RETRIED_BY_DEFAULT = (*TEMPORARY, _EXCEPTIONS)
_RETRIED: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset({"Timeout"}),
        f'({_TYPE} == "{type_uri("timeout")}" or '
        f'({_TYPE} == "{type_uri("communication")}" and {_STATUS} == 408))',
    ),
    (
        frozenset({"RateLimitError"}),
        f'({_TYPE} == "{type_uri("communication")}" and {_STATUS} == 429)',
    ),
    (
        frozenset({"NetworkError", "ServerError", "CIRCUIT_OPEN"}),
        f'({_TYPE} == "{type_uri("communication")}" and {_STATUS} >= 500)',
    ),
    (frozenset({_EXCEPTIONS}), f'({_TYPE} == "{type_uri("runtime")}")'),
)


def exported(node_id: str) -> Document:
    return {"as": wrapped(f"$context + {{{literal(node_id)}: .}}")}


def ms(duration: int) -> Document:
    for unit, length in (("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000)):
        if duration and duration % length == 0:
            return {unit: duration // length}
    return {"milliseconds": duration}


@dataclass(frozen=True, slots=True)
class TaskWriter:
    """The writer of the nodes of one workflow."""

    unsupported: UnsupportedFeatures
    ids: Collection[str] = field(default_factory=frozenset)
    # Nodes with an edge that is taken on their failure.
    with_failure_edges: Collection[str] = field(default_factory=frozenset)

    def task(
        self,
        node: Node,
        condition: str,
        of_context: ProgramOf,
        about: Document,
        group: Document | None = None,
    ) -> Document:
        """Return the node as one task that runs if the condition holds."""
        self._refuse(node)
        if group is not None and (node.retry is not None or node.timeout_ms):
            self.unsupported.add("retries or a limit of a group", node.id)
        try:
            task = self._work(node, of_context) if group is None else group
        except UnsupportedExpression as error:
            self.unsupported.add(str(error), node.id)
            return {}
        task["export"] = exported(node.id)
        task = self._handled(node, self._tried(node, task))
        if condition:
            task = {"if": wrapped(condition), **task}
        if not node.critical:
            task = {"try": [{node.id: task}], "catch": {"as": "error"}}
        if about:
            task["metadata"] = about | task.get("metadata", {})
        return task

    def _refuse(self, node: Node) -> None:
        features = {
            "a queue": node.queue,
            "a priority": node.priority is not Priority.NORMAL,
            "limits of a node": node.limits is not None,
            "required labels of workers": node.requires,
            "permissions": node.permissions,
            "a repeatable task": node.repeatable,
            "a cache": node.cache is not None,
            "a heartbeat": node.heartbeat_ms,
            "nodes that are not in the document": node.hidden or node.follow is not None,
            "a total timeout of all attempts": node.outcome.total_timeout_ms,
            "a limit of the time until a worker starts": node.outcome.start_timeout_ms,
            "a compensation of a node": node.outcome.undo is not None,
            "a node with `onFailure: HOLD`": node.outcome.on_failure is OnFailure.HOLD,
            "a node with `onFailure: COMPENSATE`": node.outcome.on_failure is OnFailure.COMPENSATE,
            "a fallback without `onFailure: CONTINUE`": node.outcome.fallback is not None
            and node.outcome.on_failure is OnFailure.FAIL,
        }
        for feature, present in features.items():
            if present:
                self.unsupported.add(feature, node.id)

    def _work(self, node: Node, of_context: ProgramOf) -> Document:
        """Return the work of a node. Raises UnsupportedExpression."""
        task = node.task
        if node.body is not None:
            raise UnsupportedExpression(_BODIES[type(node.body)])
        if task is not None and any(getattr(task, name) for name in _OF_TASKS):
            raise UnsupportedExpression("a schema of a node, or retries and limits of its task")
        executor = task.executor if task is not None else node.task_ref
        if task is not None and executor == "noop" != task.type:
            raise UnsupportedExpression(f"a node of type {task.type}")
        if executor == "noop" and node.has_input:
            raise UnsupportedExpression("an input of a node that does nothing")
        if executor == "noop":
            return self._nothing(node, {"set": wrapped("null")})
        if executor == "delay":
            return self._nothing(node, self._delay(node))
        if executor == "http.request" and task is not None and task.dialect is Dialect.STEPS:
            return http_request(task.config, of_context) | self._timeout(node)
        if task is None:
            return self._call(node)
        if task.dialect is Dialect.NATIVE and executor == "subworkflow":
            return self._subworkflow(node, task.config)
        if task.dialect is Dialect.NATIVE and executor == "signal":
            return self._listen(node, task.config)
        if task.dialect is Dialect.NATIVE and executor == "decision" and not node.has_input:
            return {"set": wrapped(self._decision(task.config))} | self._timeout(node)
        raise UnsupportedExpression(f"a task that is written into the workflow ({task.type})")

    def _decision(self, config: Document) -> str:
        """Return the program of the ids of all conditions that hold, or of the first."""
        default = literal(config["default"])
        tests = [
            (condition_program(each["expression"], self.ids), each["id"])
            for each in config["conditions"]
        ]
        if config["match"] == "first":
            cases = [f"if {program} then {literal([name])} else " for program, name in tests]
            return "".join(cases) + default + " end" * len(tests)
        listed = ", ".join(
            f"(if {test} then {literal(name)} else empty end)" for test, name in tests
        )
        return f"[{listed}] | if length == 0 then {default} else . end"

    def _nothing(self, node: Node, task: Document) -> Document:
        """Return a task that cannot fail and so has neither retries nor a limit."""
        features = (node.retry is not None, node.timeout_ms, node.outcome != Outcome())
        if any(features):
            raise UnsupportedExpression(
                f"retries, limits or failure handling of a {node.task_ref or 'task'}"
            )
        return task

    def _delay(self, node: Node) -> Document:
        given = node.input if node.has_input else {}
        config = node.task.config if node.task is not None else given
        if node.task is None and set(given) - {"duration"}:
            raise UnsupportedExpression("more input of a delay than its duration")
        value = config.get("duration")
        found, template = delay_of(
            node, Task("delay", "delay", {"duration": value}, Dialect.NATIVE)
        )
        if template:
            raise UnsupportedExpression("a delay that is computed, or until an instant")
        return {"wait": ms(found), "output": {"as": wrapped("null")}}

    def _call(self, node: Node) -> Document:
        ref = node.task_ref
        if ref in _NOT_CALLED:
            raise UnsupportedExpression(_NOT_CALLED[ref])
        if ref in _NO_TASKS or "@" in ref or "/" in ref:
            raise UnsupportedExpression(f"a task of the library called {ref}")
        given = node.input if node.has_input else {}
        if not isinstance(given, dict):
            raise UnsupportedExpression("an input that is no object")
        task: Document = {"call": ref}
        if given:
            task["with"] = self._native(given)
        if node.retry is not None:
            # Without a retry policy of the node, that of the library applies.
            task["metadata"] = {ATTEMPTS: 1}
        return task | self._timeout(node)

    def _native(self, value: Json) -> Json:
        return value_of(value, NATIVE_ROOTS, native_program)

    def _timeout(self, node: Node) -> Document:
        return {"timeout": {"after": ms(node.timeout_ms)}} if node.timeout_ms else {}

    def _subworkflow(self, node: Node, config: Document) -> Document:
        if not config["wait"]:
            raise UnsupportedExpression("a sub-workflow with `wait: false`")
        if config["onCancel"] != "CANCEL":
            raise UnsupportedExpression(f"a sub-workflow with `onCancel: {config['onCancel']}`")
        if "project" in config:
            raise UnsupportedExpression("a sub-workflow of another project")
        if "{{" in config["workflow"]:
            raise UnsupportedExpression("a sub-workflow that is named by a template")
        if not isinstance(node.input, dict):
            raise UnsupportedExpression("a sub-workflow whose input is no object")
        if node.retry not in (None, NO_RETRY):
            raise UnsupportedExpression("retries of a sub-workflow")
        namespace, name = document_name(config["workflow"])
        if not (NAME.match(namespace) and NAME.match(name)):
            raise UnsupportedExpression(
                f"the name {config['workflow']!r} of a sub-workflow: {NAME_FORM}"
            )
        called = {
            "namespace": namespace,
            "name": name,
            "version": str(config["version"]),
            "input": self._native(node.input),
        }
        return {"run": {"workflow": called}} | self._timeout(node)

    def _listen(self, node: Node, config: Document) -> Document:
        if node.has_input or set(config) - {"name"}:
            raise UnsupportedExpression("a wait with a key, or with a value after a timeout")
        if node.retry is not None:
            raise UnsupportedExpression("retries of a wait")
        listen = {"to": {"one": {"with": {"type": config["name"]}}}}
        return {"listen": listen, "output": {"as": wrapped(".[0]")}} | self._timeout(node)

    def _tried(self, node: Node, task: Document) -> Document:
        retry = node.retry
        if retry is None or retry.max_attempts == 1:
            return task
        try:
            policy = _policy(retry)
            when = _when(retry)
        except UnsupportedExpression as error:
            self.unsupported.add(str(error), node.id)
            return task
        catch = {"as": "error", "when": wrapped(when), "retry": policy}
        return {"try": [{node.id: task}], "catch": catch}

    def _handled(self, node: Node, task: Document) -> Document:
        """Return the task with the failure handling for its successors."""
        finishes_others = node.outcome.on_failure is OnFailure.CONTINUE
        if finishes_others:
            made = {"set": wrapped(literal(node.outcome.fallback)), "export": exported(node.id)}
            name = f"fallback of {node.id}"
        elif node.id in self.with_failure_edges:
            made = {"set": wrapped("$error"), "export": exported(node.id + FAILED)}
            name = f"failure of {node.id}"
        else:
            return task
        if node.id in self.with_failure_edges and finishes_others:
            self.unsupported.add(
                "an edge on the failure of a node with `onFailure: CONTINUE`", node.id
            )
        return {"try": [{node.id: task}], "catch": {"as": "error", "do": [{name: made}]}}


def _policy(retry: Retry) -> Document:
    """Return the retry policy. Raises UnsupportedExpression."""
    if retry.max_elapsed_ms:
        raise UnsupportedExpression("a limit of the time for retries")
    delay, last = retry.initial_delay_ms, retry.max_attempts - 1
    grows = retry.multiplier != 1 and last > 1 and delay > 0
    if grows and retry.multiplier != 2:
        raise UnsupportedExpression(
            f"retries whose delays grow by {retry.multiplier:g}, and not by 2"
        )
    longest = delay * 2 ** (last - 1) if grows else delay
    if longest > retry.max_delay_ms:
        raise UnsupportedExpression("a longest delay between retries")
    if grows and retry.jitter:
        raise UnsupportedExpression("jitter of delays that grow")
    policy: Document = {"delay": ms(delay)}
    if retry.jitter and delay:
        least = round(delay * (1 - retry.jitter))
        jitter = {"from": {"milliseconds": 0}, "to": {"milliseconds": delay - least}}
        policy = {"delay": {"milliseconds": least}, "jitter": jitter}
    policy["backoff"] = {"exponential": {}} if grows else {"constant": {}}
    return policy | {"limit": {"attempt": {"count": last}}}


def _when(retry: Retry) -> str:
    """Return the program of the retried failures. Raises UnsupportedExpression."""
    wanted = frozenset(retry.retry_on or _RETRIED_BY_DEFAULT) - frozenset(retry.never_on)
    matching = [(classes, program) for classes, program in _RETRIED if classes <= wanted]
    if frozenset().union(*(classes for classes, _ in matching)) != wanted or not matching:
        raise UnsupportedExpression(
            "retries by failure classes that share one error of the standard"
        )
    return " or ".join(program for _, program in matching)
