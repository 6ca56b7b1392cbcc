"""The step that calls a module of another type, in a flow of modules."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from flowmesh.apps.http.messages import Request, Response, json_or_text
from flowmesh.apps.messaging.messages import encoded
from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.apps.wiring.ports import Port
from flowmesh.contract.json_value import Json

# Names in `meta` of a flow: views that are in its data for expressions, and are not passed on.
VIEWS = "views"
_BRANCHING = frozenset({"matched_value", "next_step", "used_default"})


@dataclass(frozen=True, slots=True)
class NewData:
    """The result of a transformer or component, which becomes the data of a flow."""

    value: Json


FlowCall = Callable[[dict[str, Json], Request | None], Awaitable[Response | NewData | Output]]
"""Calls a module with the data of a flow; a plain output is added to the data."""


def payload_of(run: Run) -> dict[str, Json]:
    """Return the data of a flow without its views and what branches have added."""
    views = run.meta.get(VIEWS) or {}
    return {
        key: value
        for key, value in run.current.items()
        if key not in _BRANCHING and not (key in views and views[key] is value)
    }


def call_module(context: StepContext) -> StepCall:
    """Compile the call of a module by what it offers, which is known when the application runs."""
    name, ends = str(context.spec.config["module"]), bool(context.spec.config["ends"])
    find: Callable[[], FlowCall] = context.services.later(FLOW_CALL, name)

    async def call(run: Run) -> Output:
        result = await find()(payload_of(run), run.request)
        if isinstance(result, NewData):
            value = result.value
            views = run.meta.get(VIEWS) or {}
            run.current = {**views, **(value if isinstance(value, dict) else {"input": value})}
            return {}
        if not isinstance(result, Response):
            return result
        if ends:
            run.response = result
            return {}
        return {"response": _seen(result)}

    return call


def request_for(value: Json) -> Request:
    """Return the request of a handler that a message has reached."""
    headers = [(b"content-type", b"application/json")]
    request = Request(method="POST", path="/", headers=headers, client="local")
    request.body, request.id = encoded(value), secrets.token_hex(8)
    return request


def _seen(response: Response) -> dict[str, Json]:
    """Return an answer as later expressions see it."""
    body = json_or_text(response.body) if response.body else None
    headers = {str(k, "latin-1"): str(v, "latin-1") for k, v in response.headers}
    return {"statusCode": response.status, "headers": headers, "body": body}


FLOW_CALL: Port[FlowCall] = Port("FlowCall")
