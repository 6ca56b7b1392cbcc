"""The commands of the first steps."""

from flowmesh.cli.commands.entries import Command, Entry, Group

_GET: tuple[Entry, ...] = (
    Command("workflow", "definitions.definitions:workflows", "Show a workflow, or list all."),
    Command("task", "definitions.definitions:tasks", "Show a reusable task, or list all."),
    Command("execution", "executions.executions:executions", "Show an execution, or list all."),
    Command("service", "operations.services:services", "List the registered service instances."),
    Command(
        "operation", "definitions.transforms:operations", "Show a pipeline operation, or list all."
    ),
)
_LIST: tuple[Entry, ...] = (
    Command("workflows", "definitions.definitions:workflows", "List the registered workflows."),
    Command("tasks", "definitions.definitions:tasks", "List the reusable tasks."),
    Command("executions", "executions.executions:executions", "List executions, newest first."),
    Command("services", "operations.services:services", "List the registered service instances."),
    Command("users", "definitions.definitions:task_users", "List the workflows that use a task."),
    Command("operations", "definitions.transforms:operations", "List the operations of pipelines."),
)
FIRST: tuple[Entry, ...] = (
    Command("dev", "flowmesh.suite.commands:dev", "Start the whole suite on this machine."),
    Command("apply", "definitions.definitions:apply", "Register definitions from files."),
    Command("start", "executions.executions:start", "Start an execution."),
    Command("watch", "executions.watching:watch", "Follow an execution live."),
    Command("explain", "executions.insights:explain", "Explain why an execution or a task waits."),
    Group("list", "List objects.", _LIST),
    Group("get", "Show an object by its name, or list all.", _GET),
    Command("open", "operations.console:open_console", "Open the console in the browser."),
)
