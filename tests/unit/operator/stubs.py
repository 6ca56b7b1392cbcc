"""Services of the suite that answer from a table, and objects of a cluster."""

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from flowmesh.operator.kinds import FINALIZER, Key


class Stub:
    """Answers each method by its message or error, and keeps the requests.

    A list of answers is used up to the last, which stays.
    """

    def __init__(self, **answers: Message | Exception | list[Message | Exception]) -> None:
        self.answers: dict[str, Any] = answers
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, method: str) -> Callable[[Any], Awaitable[Any]]:
        if not method[0].isupper():
            raise AttributeError(method)

        async def call(request: Any) -> Any:
            self.calls.append((method, request))
            answer = self.answers[method]
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    def last(self, method: str) -> Any:
        """Return the newest request of a method."""
        return next(request for name, request in reversed(self.calls) if name == method)


def made(kind: str, name: str, spec: Any = None, **metadata: Any) -> dict[str, Any]:
    """Return an object that has its finalizer, and no status."""
    known = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "generation": 1}
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {**known, "finalizers": [FINALIZER], **metadata},
        "spec": spec if spec is not None else {},
    }


def ready(found: dict[str, Any], reason: str, status: str = "True") -> dict[str, Any]:
    """Return an object with a condition Ready of its generation."""
    generation = found["metadata"]["generation"]
    condition = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": "",
        "observedGeneration": generation,
    }
    return {**found, "status": {"observedGeneration": generation, "conditions": [condition]}}


def key(found: dict[str, Any]) -> Key:
    return Key(found["kind"], found["metadata"]["namespace"], found["metadata"]["name"])
