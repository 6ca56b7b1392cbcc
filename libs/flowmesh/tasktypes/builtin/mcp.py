"""`mcp.call`: one call of a tool of an MCP server."""

from flowmesh.tasktypes.record import Effect, InputMode, TaskType, Upstream

MCP_CALL = TaskType(
    name="mcp.call",
    summary="One call of a tool of an MCP server.",
    effect=Effect.UNKNOWN,
    executor="flowmesh.executors.tools.task:mcp_executor",
    parameters="flowmesh.definitions.editor.calls:mcp_parameters",
    native="mcp.call",
    block="mcp",
    reader="flowmesh.definitions.formats.native.calls:mcp",
    action="read",
    input_mode=InputMode.RENDERED,
    upstream=Upstream("url", "server"),
)
TASK_TYPES = (MCP_CALL,)
