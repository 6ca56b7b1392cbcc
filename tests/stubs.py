"""A gRPC stub that answers from a table."""

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message


class Stub:
    """Answers each method by its message or error, and keeps the requests.

    A list of answers is used up to the last, which stays.
    """

    def __init__(self, **answers: Message | Exception | list[Message | Exception]) -> None:
        self.answers: dict[str, Any] = answers
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        if not method[0].isupper():
            raise AttributeError(method)

        async def call(request: Any, timeout: float | None = None) -> Any:
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
