"""Commands on executions and approvals."""

from flowmesh.cli.commands.entries import Command, Entry, Group

_VARIABLES: tuple[Entry, ...] = (
    Command("show", "executions.variables:show_variables", "Show the variables of an execution."),
    Command("set", "executions.variables:set_variable", "Set a variable of an execution."),
)
_BULK: tuple[Entry, ...] = (
    Command(
        "start", "executions.bulks:start", "Apply an action to all executions that match a filter."
    ),
    Command("show", "executions.bulks:show", "Show the progress of a bulk."),
    Command("list", "executions.bulks:list_bulks", "List bulks, newest first."),
    Command("cancel", "executions.bulks:cancel", "Stop a bulk."),
)
_ARCHIVE: tuple[Entry, ...] = (
    Command("list", "executions.retention:list_archived", "List archived executions."),
    Command(
        "show", "executions.retention:show_archived", "Print the archive of an execution as JSON."
    ),
    Command("restore-view", "executions.retention:restore_view", "Show an archived execution."),
)
_RETENTION: tuple[Entry, ...] = (
    Command(
        "show", "executions.retention:show_retention", "Show the retention of ended executions."
    ),
    Command("set", "executions.retention:set_retention", "Set the retention of a namespace."),
)
_EXECUTION: tuple[Entry, ...] = (
    Command("list", "executions.executions:executions", "List executions, newest first."),
    Command("show", "executions.executions:executions", "Show an execution with its tasks."),
    Command("start", "executions.executions:start", "Start an execution."),
    Command("search", "executions.searching:search", "List the executions that match a filter."),
    Command("watch", "executions.watching:watch", "Follow an execution live."),
    Command("history", "executions.histories:history", "Print the events of an execution."),
    Command(
        "logs", "executions.logs:logs", "Print log lines and failures of an execution's tasks."
    ),
    Command(
        "trace",
        "executions.histories:trace",
        "Show the tasks of an execution with their durations.",
    ),
    Command("tree", "executions.trees:tree", "Show an execution and its children as a tree."),
    Command("explain", "executions.insights:explain", "Explain why an execution or a task waits."),
    Command(
        "investigate",
        "definitions.generation:investigate",
        "Explain in words why an execution waits or failed.",
    ),
    Command(
        "state-at", "executions.insights:state_at", "Show an execution at an earlier event or time."
    ),
    Command("compare", "executions.insights:compare", "Compare two executions."),
    Command(
        "watch-variable", "executions.insights:watch_variable", "Trace a value through the tasks."
    ),
    Command("cancel", "executions.executions:cancel", "Cancel an execution."),
    Command(
        "terminate", "executions.executions:terminate", "End an execution without compensation."
    ),
    Command("pause", "executions.executions:pause", "Pause an execution; no new task starts."),
    Command("resume", "executions.executions:resume", "Resume a paused execution."),
    Command("step", "executions.control:step", "Set breakpoints and continue tasks one by one."),
    Command("retry", "executions.control:retry", "Retry a failed task."),
    Command("skip", "executions.control:skip", "Skip a task; dependent tasks run."),
    Command("complete", "executions.control:complete", "Complete a task with an output."),
    Command("override", "executions.control:override", "Replace an output before it is used."),
    Command("fail", "executions.control:fail", "Fail a held task."),
    Command(
        "rerun", "executions.control:rerun", "Run an execution again, completely or from a task."
    ),
    Command("signal", "executions.executions:signal", "Send a signal to an execution."),
    Command(
        "signal-by-key",
        "executions.keyed_signals:signal_by_key",
        "Send a signal to the executions that wait for a key.",
    ),
    Command("hooks", "executions.triggers:hooks", "List the callback URLs of waiting tasks."),
    Command("diagnose", "messages.sagas:diagnose", "Explain why a saga is not compensated."),
    Command(
        "attributes", "executions.searching:attributes", "Set search attributes of an execution."
    ),
    Group("variables", "Show and change the variables of an execution.", _VARIABLES),
    Group("bulk", "Apply an action to all executions that match a filter.", _BULK),
    Command("delete", "executions.retention:delete", "Delete an ended execution."),
    Command("erase", "executions.retention:erase", "Erase the values of an ended execution."),
    Group("retention", "Show and set the retention of ended executions.", _RETENTION),
    Group("archive", "Read archived executions.", _ARCHIVE),
    Command("rebuild", "executions.retention:rebuild", "Rebuild ended executions from histories."),
)
_LINK_KEY: tuple[Entry, ...] = (
    Command(
        "rotate",
        "executions.approval_links:rotate_key",
        "Create a key; optionally revoke older ones.",
    ),
    Command(
        "list", "executions.approval_links:list_keys", "List the keys with their actors and expiry."
    ),
)
_APPROVAL: tuple[Entry, ...] = (
    Command("list", "executions.control:approvals", "List pending approvals."),
    Command("approve", "executions.control:approve", "Approve a task."),
    Command("reject", "executions.control:reject", "Reject a task."),
    Command(
        "link",
        "executions.approval_links:approval_link",
        "Create a signed link for deciding an approval.",
    ),
    Group("link-key", "Manage the keys that sign approval links.", _LINK_KEY),
)
EXECUTIONS: tuple[Entry, ...] = (
    Group("execution", "Show and control executions.", _EXECUTION),
    Group("approval", "Show and decide approvals.", _APPROVAL),
)
