"""`mcp.call`: one call of a tool of an MCP server; its structured result is the output."""

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.failures import invalid
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.templates import Rendered
from flowmesh.executors.tools.calls import ToolCall, ToolCaller


class ToolStep(Step):
    def __init__(
        self, spec: TaskSpec, config: dict[str, Json], tools: ToolCaller, now_us: NowUs
    ) -> None:
        self._tools = tools
        self._tool = str(config["tool"])
        self._digest = str(config.get("digest") or "")
        # Without arguments, they are the input of the task.
        arguments = config.get("arguments")
        given = {
            "server": config.get("server", ""),
            "capability": config.get("capability", ""),
            "arguments": "{{input}}" if arguments is None else arguments,
            "headers": config.get("headers") or {},
        }
        self._given = Rendered(given, spec.dialect, now_us)

    async def run(self, attempt: Attempt) -> Output:
        given = self._given.over(attempt)
        arguments = given["arguments"]
        if arguments is not None and not isinstance(arguments, dict):
            raise invalid("the arguments of a tool are an object")
        call = ToolCall(
            tool=self._tool,
            arguments=arguments or {},
            timeout_ms=attempt.timeout_ms,
            server=str(given["server"]),
            capability=str(given["capability"]),
            namespace=attempt.task.namespace,
            headers={name: str(value) for name, value in given["headers"].items()},
            digest=self._digest,
        )
        return Output.of(await self._tools.call_tool(call))


def mcp_executor(tools: ToolCaller, now_us: NowUs) -> Executor:
    """Return the executor of `mcp.call`."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> ToolStep:
        return ToolStep(spec, config, tools, now_us)

    return prepare
