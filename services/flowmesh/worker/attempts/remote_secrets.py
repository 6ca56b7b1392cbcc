"""Secrets in inputs of tasks that remote workers run.

A worker receives the secrets that its API key permits by `secrets.<name>`, or all of them by
`secrets.*`. Their values are masked in the result.
"""

from collections import OrderedDict
from collections.abc import Iterable

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.task_pb2 import Task, TaskResult
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.executors.failures import SECRET_UNAVAILABLE, TaskFailure, invalid
from flowmesh.executors.secrets import InputSecrets
from flowmesh.expressions.secrets import split_key
from flowmesh.jsontext.masks import texts_of, without, without_in_json
from flowmesh.worker import limits
from flowmesh.worker.attempts.secrets import Secrets
from flowmesh.worker.sets import Owner

PERMISSION = "secrets."
EVERY_NAME = "*"


class RemoteSecrets:
    """Fills inputs, and masks the results of the tasks that received secrets."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        # Of running tasks: token to the texts that their results must not hold.
        self._texts: OrderedDict[str, frozenset[str]] = OrderedDict()

    async def filled(self, task: Task, spec: TaskSpec, owner: Owner | None) -> Task:
        """Return the task with the values of its secrets. Raises TaskFailure."""
        inputs = InputSecrets(spec)
        _check_permitted(inputs, owner)
        if task.input.HasField("reference"):
            raise _too_large()
        secrets = await self._secrets.of(task.namespace, inputs.keys)
        data = inputs.filled(task.input.data, secrets)
        if len(data) > INLINE_BYTES_MAX:
            raise _too_large()
        filled = Task()
        filled.CopyFrom(task)
        filled.input.data = data
        self._texts[task.token] = frozenset(texts_of(dict(secrets)))
        if len(self._texts) > limits.TASKS_WITH_SECRETS_MAX:
            self._texts.popitem(last=False)
        return filled

    def masked(self, results: Iterable[TaskResult]) -> Iterable[TaskResult]:
        """Return the results without the values that their tasks received."""
        if not self._texts:
            return results
        return [
            _masked(result, texts) if (texts := self._texts.pop(result.token, None)) else result
            for result in results
        ]


def _check_permitted(inputs: InputSecrets, owner: Owner | None) -> None:
    if owner is None or EVERY_NAME in owner.secrets:
        return
    for name in sorted({split_key(key)[0] for key in inputs.keys} - owner.secrets):
        message = (
            f"the API key of the worker does not permit the secret {name!r}; create one with the"
            f" permission {PERMISSION}{name}"
        )
        raise TaskFailure(SECRET_UNAVAILABLE, message)


def _too_large() -> TaskFailure:
    return invalid(f"the input has secrets, and is larger than {INLINE_BYTES_MAX:,} bytes")


def _masked(result: TaskResult, texts: frozenset[str]) -> TaskResult:
    if result.output.data:
        result.output.data = without_in_json(result.output.data, texts)
    if result.HasField("failure"):
        result.failure.message = without(result.failure.message, texts)
        result.failure.details = without_in_json(result.failure.details, texts)
    result.metadata = without_in_json(result.metadata, texts)
    return result
