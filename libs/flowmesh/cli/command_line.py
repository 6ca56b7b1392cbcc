"""The commands by name. Each is imported when it is called, so `flowmesh --help` is quick."""

import re
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cyclopts import App, CycloptsError, Group

from flowmesh import core
from flowmesh.cli import output
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.tokens import in_order

DEFINITIONS = Group("Definitions", sort_key=1)
EXECUTIONS = Group("Executions", sort_key=2)
SUITE = Group("Suite", sort_key=3)

EPILOGUE = """\
Client commands take, before or behind the command: -o json|yaml|wide, --json,
--utc, --address, --namespace (-n) and --profile. FLOWMESH_ADDRESS,
FLOWMESH_NAMESPACE and FLOWMESH_PROFILE set the last three; without an address
the suite that runs in this folder is used. `flowmesh config` shows what holds.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 nothing answers."""

# What a value is that could not be read, in place of the name that it has in Python.
_KINDS = {
    "datetime.": "a time such as 2026-01-31T12:00:00Z.",
    "float.": "a number such as 1.5.",
    "int.": "a whole number.",
    "bool.": "true or false.",
}
_TYPE = re.compile(rf"(?<=\" into )({'|'.join(map(re.escape, _KINDS))})$")


class CommandLine(App):
    """An App whose usage errors are one line and exit code 2."""

    def __call__(self, tokens: str | Iterable[str] | None = None, **options: Any) -> Any:
        options.setdefault("exit_on_error", False)
        options.setdefault("print_error", False)
        options.setdefault("result_action", "return_int_as_exit_code_else_zero")
        given = sys.argv[1:] if tokens is None else tokens
        given = shlex.split(given) if isinstance(given, str) else list(given)
        try:
            return super().__call__(in_order(self, given), **options)
        except CycloptsError as error:
            text = _TYPE.sub(lambda found: _KINDS[found[0]], " ".join(str(error).split()))
            where = " ".join(["flowmesh", *(error.command_chain or ())])
            output.problem(f"flowmesh: {text} (see `{where} --help`)")
            return USAGE


def _version() -> str:
    """The version, and which execution core runs: pure Python or compiled."""
    try:
        found = version("flowmesh")
    except PackageNotFoundError:
        from flowmesh.telemetry import VERSION as found  # a clone is not installed
    return f"{found} (core: {core.kind()})"


Row = tuple[str, str, str]
# Name, where its function is, what it does.
_DEFINITIONS: tuple[Row, ...] = (
    ("apply", "definitions:apply", "Register definitions from files."),
    ("validate", "definitions:validate", "Check definitions and store nothing."),
    ("lint", "checking:lint", "Warn of what is likely to be regretted."),
    ("dry-run", "rehearsals:dry_run", "Run a workflow with no call leaving."),
    ("test", "testing:run_tests", "Run tests of workflows."),
    ("schema", "checking:schema", "JSON Schemas for editors."),
    ("errors", "reasons:errors", "What an error code or a cause of waiting means."),
    ("transform", "transforms:transform", "Try a pipeline of operations on a value."),
    ("convert", "formats:convert", "Write definitions in another format."),
    ("graph", "formats:graph", "Draw a workflow: SVG, Mermaid, DOT or JSON."),
    ("diff", "versions:diff", "What differs between two versions, or two files."),
    ("compat", "versions:compat", "Whether a version can take another's place."),
    ("changes", "versions:changes", "Who changed a workflow or task, and how."),
    ("rollback", "versions:rollback", "Point a label to where it pointed before."),
)
_LIBRARY: tuple[Row, ...] = (
    ("list", "library:list_library", "What is there."),
    ("show", "library:show_library", "One task, workflow or template."),
    ("install", "library:install_library", "Apply some or all of it."),
)
_TEMPLATE: tuple[Row, ...] = (
    ("list", "templates:list_templates", "What is there to start from."),
    ("show", "templates:show_template", "A template and its parameters."),
    ("new", "templates:new_workflow", "Make a workflow of a template."),
)
_LABEL: tuple[Row, ...] = (
    ("set", "versions:set_label", "Point a label to a version."),
    ("list", "versions:list_labels", "Labels of a workflow."),
    ("rm", "versions:remove_label", "Remove a label."),
)
_TRIGGER: tuple[Row, ...] = (
    ("list", "triggers:list_triggers", "When they fire next, what they did last."),
    ("pause", "triggers:pause", "Let a trigger start nothing."),
    ("resume", "triggers:resume", "Let a paused trigger go on."),
    ("fire", "triggers:fire", "Start an execution as if it had fired."),
)
_GET: tuple[Row, ...] = (
    ("workflow", "definitions:workflows", "A workflow, or all."),
    ("task", "definitions:tasks", "A reusable task, or all."),
    ("execution", "executions:executions", "An execution, or all, newest first."),
    ("service", "services:services", "Registered service instances."),
    ("operation", "transforms:operations", "An operation of pipelines, or all."),
)
_LIST: tuple[Row, ...] = (
    ("workflows", "definitions:workflows", "Registered workflows."),
    ("tasks", "definitions:tasks", "Reusable tasks."),
    ("executions", "executions:executions", "Executions, newest first."),
    ("services", "services:services", "Registered service instances."),
    ("users", "definitions:task_users", "Workflows that use a task."),
    ("operations", "transforms:operations", "Operations of pipelines."),
)
_EXECUTIONS: tuple[Row, ...] = (
    ("start", "executions:start", "Start an execution."),
    ("watch", "watching:watch", "Follow an execution live."),
    ("history", "histories:history", "The events of an execution."),
    ("logs", "logs:logs", "Log lines and failures of an execution's tasks."),
    ("trace", "histories:trace", "Where an execution's time went."),
    ("explain", "insights:explain", "Why an execution or a task waits."),
    ("state-at", "insights:state_at", "An execution as it was."),
    ("compare", "insights:compare", "Two executions side by side."),
    ("watch-variable", "insights:watch_variable", "A value along the chain of tasks."),
    ("bottlenecks", "insights:bottlenecks", "What costs a workflow its time."),
    ("stats", "stats:stats", "Counts and latencies of workflows and tasks."),
    ("cancel", "executions:cancel", "Cancel an execution."),
    ("terminate", "executions:terminate", "End an execution at once."),
    ("pause", "executions:pause", "Let nothing of an execution begin any more."),
    ("resume", "executions:resume", "Let a paused execution go on."),
    ("step", "control:step", "Go through an execution step by step."),
    ("retry", "control:retry", "Try a task again that failed."),
    ("skip", "control:skip", "Skip a task; those behind it go on."),
    ("complete", "control:complete", "Complete a task by hand."),
    ("override", "control:override", "Replace an output that nobody has seen yet."),
    ("fail", "control:fail", "Fail a task that is held."),
    ("approvals", "control:approvals", "What waits for people."),
    ("approve", "control:approve", "Approve what a task asks."),
    ("reject", "control:reject", "Reject what a task asks."),
    ("approval-link", "links:approval_link", "A link by which somebody decides."),
    ("rerun", "control:rerun", "Run an execution again, from some tasks on."),
    ("replay", "control:rerun", "The same as rerun."),
    ("signal", "executions:signal", "Send a signal to an execution."),
    ("signal-by-key", "keyed_signals:signal_by_key", "Send a signal to who waits with a key."),
    ("tree", "trees:tree", "An execution and those it has started."),
    ("hooks", "triggers:hooks", "URLs that tasks wait for a call of."),
    ("publish", "triggers:publish", "Publish an event."),
    ("backfill", "triggers:backfill", "Start many executions, some at a time."),
    ("search", "searching:search", "Executions that a filter takes."),
    ("attributes", "searching:attributes", "Set what an execution is found by."),
    ("delete", "keeping:delete", "Delete an ended execution."),
    ("erase", "keeping:erase", "Erase the values of an ended execution."),
)
_BULK: tuple[Row, ...] = (
    ("start", "bulks:start", "Cancel, pause, signal … all that a filter takes."),
    ("show", "bulks:show", "How far a bulk is."),
    ("list", "bulks:list_bulks", "Bulks, newest first."),
    ("cancel", "bulks:cancel", "Stop a bulk."),
)
_VARIABLES: tuple[Row, ...] = (
    ("show", "variables:show_variables", "The variables of an execution."),
    ("set", "variables:set_variable", "Give one another value."),
)
_ARCHIVE: tuple[Row, ...] = (
    ("list", "keeping:list_archived", "What is in the archive."),
    ("show", "keeping:show_archived", "An execution as its file has it: JSON lines."),
    ("restore-view", "keeping:restore_view", "An archived execution as it was shown."),
)
_RETENTION: tuple[Row, ...] = (
    ("show", "keeping:show_retention", "How long ended executions are kept."),
    ("set", "keeping:set_retention", "Set it for a namespace."),
)
_LIMITS: tuple[Row, ...] = (
    ("set", "limits:set_limit", "Set a limit while tasks run."),
    ("list", "limits:list_limits", "Limits, what is in use, what is stopped."),
    ("rm", "limits:remove_limit", "Remove a limit."),
    ("changes", "limits:limit_changes", "Who changed limits, and why."),
)
_LINK_KEYS: tuple[Row, ...] = (
    ("rotate", "links:rotate_key", "Make a new key, and revoke older ones."),
    ("list", "links:list_keys", "Keys, who made them, until when they are good."),
)
_PROFILE: tuple[Row, ...] = (
    ("list", "profiles:list_profiles", "List the profiles."),
    ("show", "profiles:show_profile", "Show a profile, by default the one in use."),
    ("set", "profiles:set_profile", "Make a profile, or change some of its fields."),
    ("use", "profiles:use_profile", "Use a profile from now on; without a name none."),
    ("delete", "profiles:delete_profile", "Delete a profile."),
)
_SUITE: tuple[Row, ...] = (
    ("services", "services:services", "Who is there, and how they are."),
    ("queues", "limits:queues", "How full the queues are, and why tasks wait."),
    ("dead-letters", "limits:dead_letters", "Tasks that were given up."),
    ("breakers", "limits:breakers", "Circuit breakers that are not closed."),
    ("stop-dispatch", "limits:stop_dispatch", "Let no task leave any more."),
    ("start-dispatch", "limits:start_dispatch", "Undo a stop of dispatch."),
    ("config", "configuration:config", "Every setting, its value and source."),
    ("doctor", "doctor:doctor", "Check this machine and the suite."),
    ("completion", "completion:completion", "Completion for your shell."),
)


def _make() -> App:
    made = CommandLine(
        name="flowmesh",
        help="Durable workflow orchestration.",
        help_epilogue=EPILOGUE,
        version=_version,
    )
    for group, rows in ((DEFINITIONS, _DEFINITIONS), (EXECUTIONS, _EXECUTIONS), (SUITE, _SUITE)):
        _add(made, rows, group=group)
    for name, text, rows in (
        ("get", "Show one thing by its name, or list all.", _GET),
        ("list", "List what is there.", _LIST),
        ("library", "Tasks and workflows that come with Flowmesh.", _LIBRARY),
        ("template", "Templates to start from.", _TEMPLATE),
        ("trigger", "Schedules, events and webhooks.", _TRIGGER),
        ("label", "Labels that point to versions of a workflow.", _LABEL),
    ):
        parent = App(name=name, help=text, group=DEFINITIONS)
        _add(parent, rows)
        made.command(parent)
    for name, text, rows in (
        ("bulk", "One action on all executions that a filter takes.", _BULK),
        ("variables", "Values that people change while an execution runs.", _VARIABLES),
        ("archive", "Executions past their retention.", _ARCHIVE),
        ("retention", "How long ended executions are kept.", _RETENTION),
    ):
        parent = App(name=name, help=text, group=EXECUTIONS)
        _add(parent, rows)
        made.command(parent)
    for name, text, rows in (
        ("profile", "Named addresses, namespaces and output formats.", _PROFILE),
        ("limits", "What holds tasks back at run time.", _LIMITS),
        ("link-keys", "What links to decide are signed with.", _LINK_KEYS),
    ):
        parent = App(name=name, help=text, group=SUITE)
        _add(parent, rows)
        made.command(parent)
    return made


def _add(parent: App, rows: tuple[Row, ...], **options: Any) -> None:
    """A command has no version of its own: where it takes a `--version`, that is of a workflow."""
    for name, place, text in rows:
        where = f"flowmesh.cli.{place}"
        parent.command(where, name=name, help=text, version_flags=(), **options)


app = _make()
