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
    ("apply", "definitions.definitions:apply", "Register definitions from files."),
    ("validate", "definitions.definitions:validate", "Check definitions and store nothing."),
    ("lint", "definitions.checking:lint", "Warn of what is likely to be regretted."),
    ("dry-run", "definitions.dry_runs:dry_run", "Run a workflow with no call leaving."),
    ("test", "definitions.testing:run_tests", "Run tests of workflows."),
    ("schema", "definitions.checking:schema", "JSON Schemas for editors."),
    ("errors", "operations.reasons:errors", "What an error code or a cause of waiting means."),
    ("transform", "definitions.transforms:transform", "Try a pipeline of operations on a value."),
    ("convert", "definitions.formats:convert", "Write definitions in another format."),
    ("graph", "definitions.formats:graph", "Draw a workflow: SVG, Mermaid, DOT or JSON."),
    ("diff", "definitions.versions:diff", "What differs between two versions, or two files."),
    ("compat", "definitions.versions:compat", "Whether a version can take another's place."),
    ("changes", "definitions.versions:changes", "Who changed a workflow or task, and how."),
    ("rollback", "definitions.versions:rollback", "Point a label to where it pointed before."),
)
_LIBRARY: tuple[Row, ...] = (
    ("list", "definitions.library:list_library", "What is there."),
    ("show", "definitions.library:show_library", "One task, workflow or template."),
    ("install", "definitions.library:install_library", "Apply some or all of it."),
)
_TEMPLATE: tuple[Row, ...] = (
    ("list", "definitions.templates:list_templates", "What is there to start from."),
    ("show", "definitions.templates:show_template", "A template and its parameters."),
    ("new", "definitions.templates:new_workflow", "Make a workflow of a template."),
)
_LABEL: tuple[Row, ...] = (
    ("set", "definitions.versions:set_label", "Point a label to a version."),
    ("list", "definitions.versions:list_labels", "Labels of a workflow."),
    ("rm", "definitions.versions:remove_label", "Remove a label."),
)
_TRIGGER: tuple[Row, ...] = (
    ("list", "executions.triggers:list_triggers", "When they fire next, what they did last."),
    ("pause", "executions.triggers:pause", "Let a trigger start nothing."),
    ("resume", "executions.triggers:resume", "Let a paused trigger go on."),
    ("fire", "executions.triggers:fire", "Start an execution as if it had fired."),
)
_GET: tuple[Row, ...] = (
    ("workflow", "definitions.definitions:workflows", "A workflow, or all."),
    ("task", "definitions.definitions:tasks", "A reusable task, or all."),
    ("execution", "executions.executions:executions", "An execution, or all, newest first."),
    ("service", "operations.services:services", "Registered service instances."),
    ("operation", "definitions.transforms:operations", "An operation of pipelines, or all."),
)
_LIST: tuple[Row, ...] = (
    ("workflows", "definitions.definitions:workflows", "Registered workflows."),
    ("tasks", "definitions.definitions:tasks", "Reusable tasks."),
    ("executions", "executions.executions:executions", "Executions, newest first."),
    ("services", "operations.services:services", "Registered service instances."),
    ("users", "definitions.definitions:task_users", "Workflows that use a task."),
    ("operations", "definitions.transforms:operations", "Operations of pipelines."),
)
_EXECUTIONS: tuple[Row, ...] = (
    ("start", "executions.executions:start", "Start an execution."),
    ("watch", "executions.watching:watch", "Follow an execution live."),
    ("history", "executions.histories:history", "The events of an execution."),
    ("logs", "executions.logs:logs", "Log lines and failures of an execution's tasks."),
    ("trace", "executions.histories:trace", "Where an execution's time went."),
    ("explain", "executions.insights:explain", "Why an execution or a task waits."),
    ("state-at", "executions.insights:state_at", "An execution as it was."),
    ("compare", "executions.insights:compare", "Two executions side by side."),
    ("watch-variable", "executions.insights:watch_variable", "A value along the chain of tasks."),
    ("bottlenecks", "executions.insights:bottlenecks", "What costs a workflow its time."),
    ("stats", "executions.stats:stats", "Counts and latencies of workflows and tasks."),
    ("cancel", "executions.executions:cancel", "Cancel an execution."),
    ("terminate", "executions.executions:terminate", "End an execution at once."),
    ("pause", "executions.executions:pause", "Let nothing of an execution begin any more."),
    ("resume", "executions.executions:resume", "Let a paused execution go on."),
    ("step", "executions.control:step", "Go through an execution step by step."),
    ("retry", "executions.control:retry", "Try a task again that failed."),
    ("skip", "executions.control:skip", "Skip a task; those behind it go on."),
    ("complete", "executions.control:complete", "Complete a task by hand."),
    ("override", "executions.control:override", "Replace an output that nobody has seen yet."),
    ("fail", "executions.control:fail", "Fail a task that is held."),
    ("approvals", "executions.control:approvals", "What waits for people."),
    ("approve", "executions.control:approve", "Approve what a task asks."),
    ("reject", "executions.control:reject", "Reject what a task asks."),
    (
        "approval-link",
        "executions.approval_links:approval_link",
        "Make a link that decides an approval.",
    ),
    ("rerun", "executions.control:rerun", "Run an execution again, from some tasks on."),
    ("replay", "executions.control:rerun", "The same as rerun."),
    ("signal", "executions.executions:signal", "Send a signal to an execution."),
    (
        "signal-by-key",
        "executions.keyed_signals:signal_by_key",
        "Send a signal to waits with a key.",
    ),
    ("tree", "executions.trees:tree", "An execution and those it has started."),
    ("hooks", "executions.triggers:hooks", "URLs that tasks wait for a call of."),
    ("publish", "executions.triggers:publish", "Publish an event."),
    ("backfill", "executions.triggers:backfill", "Start many executions, some at a time."),
    ("search", "executions.searching:search", "Executions that a filter takes."),
    ("attributes", "executions.searching:attributes", "Set what an execution is found by."),
    ("delete", "executions.retention:delete", "Delete an ended execution."),
    ("erase", "executions.retention:erase", "Erase the values of an ended execution."),
)
_BULK: tuple[Row, ...] = (
    ("start", "executions.bulks:start", "Cancel, pause, signal … all that a filter takes."),
    ("show", "executions.bulks:show", "How far a bulk is."),
    ("list", "executions.bulks:list_bulks", "Bulks, newest first."),
    ("cancel", "executions.bulks:cancel", "Stop a bulk."),
)
_VARIABLES: tuple[Row, ...] = (
    ("show", "executions.variables:show_variables", "The variables of an execution."),
    ("set", "executions.variables:set_variable", "Give one another value."),
)
_ARCHIVE: tuple[Row, ...] = (
    ("list", "executions.retention:list_archived", "What is in the archive."),
    ("show", "executions.retention:show_archived", "An execution as its file has it: JSON lines."),
    ("restore-view", "executions.retention:restore_view", "An archived execution as it was shown."),
)
_RETENTION: tuple[Row, ...] = (
    ("show", "executions.retention:show_retention", "How long ended executions are kept."),
    ("set", "executions.retention:set_retention", "Set it for a namespace."),
)
_LIMITS: tuple[Row, ...] = (
    ("set", "operations.limits:set_limit", "Set a limit while tasks run."),
    ("list", "operations.limits:list_limits", "Limits, what is in use, what is stopped."),
    ("rm", "operations.limits:remove_limit", "Remove a limit."),
    ("changes", "operations.limits:limit_changes", "Who changed limits, and why."),
)
_LINK_KEYS: tuple[Row, ...] = (
    ("rotate", "executions.approval_links:rotate_key", "Make a new key, and revoke older ones."),
    (
        "list",
        "executions.approval_links:list_keys",
        "List keys with their makers and expiry.",
    ),
)
_PROFILE: tuple[Row, ...] = (
    ("list", "operations.profiles:list_profiles", "List the profiles."),
    ("show", "operations.profiles:show_profile", "Show a profile, by default the one in use."),
    ("set", "operations.profiles:set_profile", "Make a profile, or change some of its fields."),
    ("use", "operations.profiles:use_profile", "Use a profile from now on; without a name none."),
    ("delete", "operations.profiles:delete_profile", "Delete a profile."),
)
_IDENTITY: tuple[Row, ...] = (
    ("init", "access.installation:init", "Create the key file of an installation."),
    ("token", "access.installation:token", "Print a token for the first owner."),
)
_SUITE: tuple[Row, ...] = (
    ("services", "operations.services:services", "Who is there, and how they are."),
    ("queues", "operations.limits:queues", "How full the queues are, and why tasks wait."),
    ("dead-letters", "operations.limits:dead_letters", "Tasks that were given up."),
    ("breakers", "operations.limits:breakers", "Circuit breakers that are not closed."),
    ("stop-dispatch", "operations.limits:stop_dispatch", "Let no task leave any more."),
    ("start-dispatch", "operations.limits:start_dispatch", "Undo a stop of dispatch."),
    ("config", "operations.configuration:config", "Every setting, its value and source."),
    ("doctor", "operations.doctor:doctor", "Check this machine and the suite."),
    ("completion", "operations.completion:completion", "Completion for your shell."),
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
        ("identity", "Users, keys and the first owner of an installation.", _IDENTITY),
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
