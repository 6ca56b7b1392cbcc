"""Middlewares around a handler, composed once per route."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from flowmesh.apps.http.messages import Handle, Request, Response


class Middleware(Protocol):
    """Code before and after a handler.

    `before` may answer itself; `after` may change the answer. Both run in the event loop.
    """

    def before(self, request: Request) -> Response | Awaitable[Response | None] | None: ...

    def after(self, request: Request, response: Response) -> None: ...


class Chain:
    """A handler within its middlewares, in written order."""

    def __init__(self, middlewares: Sequence[Middleware], handle: Handle) -> None:
        self.middlewares = tuple(middlewares)
        self._handle = handle

    async def __call__(self, request: Request) -> Response:
        """Answer a request; errors of the handler are raised."""
        response = None
        for each in self.middlewares:
            early = each.before(request)
            if early is not None:
                response = early if isinstance(early, Response) else await early
                if response is not None:
                    return response
        answer = self._handle(request)
        return answer if answer.__class__ is Response else await answer  # type: ignore[misc]

    def finish(self, request: Request, response: Response) -> None:
        """Let every middleware complete the answer, also that of an error."""
        for each in reversed(self.middlewares):
            each.after(request, response)
