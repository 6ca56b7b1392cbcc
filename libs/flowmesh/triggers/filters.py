"""Filters of users over events and messages, evaluated in services that all namespaces share."""

from typing import Final

from flowmesh.contract.json_value import Json
from flowmesh.errors import Overloaded
from flowmesh.expressions import RenderError, compile_condition
from flowmesh.jsontext import dump_json
from flowmesh.sandbox import Sandbox, SandboxFailure, on_behalf_of

# The time of one evaluation in a child process, including the wait for its turn.
TIMEOUT_MS: Final = 5_000


class Filter:
    """A compiled filter in CEL over the variable `root`; an empty one holds always.

    A filter that may take more than a few ms over a value is evaluated in a child process, in turn
    with other namespaces.
    """

    def __init__(self, text: str, root: str, namespace: str, sandbox: Sandbox) -> None:
        self._text = text
        self._root = root
        self._namespace = namespace
        self._sandbox = sandbox
        self._condition = compile_condition(text, dialect="cel", roots=(root,)) if text else None

    async def holds(self, value: Json) -> bool:
        """Return whether the filter holds. Raises RenderError."""
        if self._condition is None:
            return True
        scope = {self._root: value}
        if self._condition.is_prompt(scope):
            return self._condition.evaluate(scope)
        asked = {"source": self._text, "dialect": "cel", "steps": [], "roots": [self._root]}
        try:
            with on_behalf_of(self._namespace):
                return await self._sandbox.meets(asked, dump_json(value), TIMEOUT_MS)
        except (SandboxFailure, Overloaded) as failure:
            raise RenderError("", failure.message, code="EXPRESSION_BUDGET") from failure
