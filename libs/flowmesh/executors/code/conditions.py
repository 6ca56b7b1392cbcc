"""Conditions over a task's input, with the names `context` and `input`."""

from collections.abc import Callable, Sequence

from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt
from flowmesh.executors.code.javascript import sandbox_failures, sandbox_timeout_ms
from flowmesh.executors.failures import invalid
from flowmesh.expressions import Condition, RenderError, compile_condition
from flowmesh.expressions.conditions import Dialect, truthy
from flowmesh.sandbox import Sandbox, SandboxFailure

ROOTS = ("context", "input")


class InputCondition:
    """A condition in any dialect; compiled here unless it needs the sandbox.

    `result_of` returns the members of an input that have `.result` in sandboxed JavaScript.
    Raises ExpressionInvalid.
    """

    def __init__(
        self,
        source: str,
        dialect: Dialect,
        steps: Sequence[str],
        sandbox: Sandbox,
        result_of: Callable[[Json], Sequence[str]],
    ) -> None:
        self._source = source
        self._dialect = dialect
        self._steps = steps
        self._sandbox = sandbox
        self._result_of = result_of
        # An invalid jq program fails when it runs.
        self._compiled: Condition | None = None
        if dialect != "jq":
            self._compiled = compile_condition(source, dialect=dialect, steps=steps)

    @property
    def is_inline(self) -> bool:
        """Return whether it can be evaluated in this process if its data is small."""
        return self._compiled is not None

    def is_prompt(self, attempt: Attempt, among: int = 1) -> bool:
        """Return whether it may block the event loop; `among` conditions share a few ms."""
        compiled = self._compiled
        return compiled is not None and compiled.is_prompt(_scope(attempt), among)

    def holds(self, attempt: Attempt) -> bool:
        """Evaluate the condition in this process. Raises TaskFailure."""
        assert self._compiled is not None
        try:
            return self._compiled.evaluate(_scope(attempt))
        except RenderError as error:
            raise invalid(str(error)) from error

    async def holds_off_loop(self, attempt: Attempt) -> bool:
        """Evaluate the condition, in a child process unless it is prompt. Raises TaskFailure."""
        if self.is_prompt(attempt):
            return self.holds(attempt)
        timeout_ms = sandbox_timeout_ms(attempt)
        with sandbox_failures():
            if self._dialect == "jq":
                outputs = await self._sandbox.evaluate(
                    "jq", self._source, attempt.value, {}, timeout_ms
                )
                return truthy(outputs)
            if self._compiled is None:
                return await self._sandbox.holds(
                    self._source,
                    _scope(attempt),
                    timeout_ms,
                    result_of=self._result_of(attempt.value),
                )
            return await self._meets(attempt, timeout_ms)

    async def _meets(self, attempt: Attempt, timeout_ms: int) -> bool:
        asked = {
            "source": self._source,
            "dialect": self._dialect,
            "steps": [*self._steps],
            "roots": ROOTS,
        }
        try:
            return await self._sandbox.meets(asked, attempt.input_bytes or b"null", timeout_ms)
        except SandboxFailure as failure:
            if failure.class_ == "RenderError":
                raise invalid(failure.message) from failure
            raise


def _scope(attempt: Attempt) -> dict[str, Json]:
    return dict.fromkeys(ROOTS, attempt.value)
