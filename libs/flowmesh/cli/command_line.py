"""The table of commands. A command is imported when it is called, to keep `--help` fast."""

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
MESSAGES = Group("Messages", sort_key=3)
APPS = Group("Applications", sort_key=4)
ACCESS = Group("Access", sort_key=5)
SUITE = Group("Suite", sort_key=6)

EPILOGUE = """\
Client commands accept, before or after the command: -o json|yaml|wide, --json,
--utc, --address, --namespace (-n) and --profile. FLOWMESH_ADDRESS,
FLOWMESH_NAMESPACE and FLOWMESH_PROFILE set the last three. The default address
is that of the suite running in this folder; `flowmesh config` shows it.
Exit codes: 0 done, 1 rejected or failed, 2 wrong usage, 3 no response."""

# The expected form of an invalid value, in place of the name of its Python type.
_KINDS = {
    "datetime.": "a time such as 2026-01-31T12:00:00Z.",
    "float.": "a number such as 1.5.",
    "int.": "a whole number.",
    "bool.": "true or false.",
}
_TYPE = re.compile(rf"(?<=\" into )({'|'.join(map(re.escape, _KINDS))})$")


class CommandLine(App):
    """An App that reports a usage error in one line, with exit code 2."""

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
    """Return the version and the execution core in use, pure Python or compiled."""
    try:
        found = version("flowmesh")
    except PackageNotFoundError:
        from flowmesh.telemetry import VERSION as found  # no package is installed
    return f"{found} (core: {core.kind()})"


Row = tuple[str, str, str]
# Name, module and function, help.
_DEFINITIONS: tuple[Row, ...] = (
    ("apply", "definitions.definitions:apply", "Register definitions from files."),
    ("validate", "definitions.definitions:validate", "Check definitions without storing them."),
    ("lint", "definitions.checking:lint", "Report likely mistakes."),
    ("dry-run", "definitions.dry_runs:dry_run", "Run a workflow in memory, without calls."),
    ("test", "definitions.testing:run_tests", "Run workflow tests."),
    ("schema", "definitions.checking:schema", "Print a JSON Schema for editors."),
    ("errors", "operations.reasons:errors", "Explain an error code or a cause of waiting."),
    ("transform", "definitions.transforms:transform", "Run a pipeline of operations on a value."),
    ("convert", "definitions.formats:convert", "Convert definitions to another format."),
    ("graph", "definitions.formats:graph", "Draw a workflow: SVG, Mermaid, DOT or JSON."),
    ("diff", "definitions.versions:diff", "Compare two versions of a workflow, or two files."),
    ("compat", "definitions.versions:compat", "Check the compatibility of two versions."),
    ("changes", "definitions.versions:changes", "List the changes of a workflow or task."),
    ("rollback", "definitions.versions:rollback", "Point a label to its previous version."),
)
_APP: tuple[Row, ...] = (
    ("run", "apps.running:run", "Run applications of configuration files."),
    ("validate", "apps.checking:validate", "Check applications; every finding with its place."),
    ("inspect", "apps.checking:inspect", "Show modules, partners, routes and the order of starts."),
    ("modules", "apps.checking:modules", "List the module types, or show one."),
    ("schema", "apps.checking:schema", "Print the JSON Schema of applications."),
    ("init", "apps.documents:init", "Write the file of a new application."),
    ("openapi", "apps.documents:openapi", "Print the OpenAPI document of an application."),
    ("diff", "apps.documents:diff", "Compare two applications."),
    ("test", "apps.documents:run_tests", "Run tests of applications."),
    ("call", "apps.running:call", "Send a request to an application without a socket."),
    ("lint", "apps.checking:lint", "Report likely mistakes of valid applications."),
    ("run-pipeline", "apps.running:run_pipeline", "Run a pipeline of an application once."),
    ("deploy", "apps.hosting:deploy", "Deploy a release of an application to the host."),
    ("list", "apps.hosting:list_apps", "List the hosted applications."),
    ("status", "apps.hosting:status", "Show a hosted application."),
    ("releases", "apps.hosting:releases", "List the releases of an application."),
    ("rollback", "apps.hosting:rollback", "Return to a release that served before."),
    ("logs", "apps.hosting:logs", "Print the log of a hosted application."),
    ("stop", "apps.hosting:stop", "Stop a hosted application."),
    ("start", "apps.hosting:start", "Start a stopped application."),
    ("delete", "apps.hosting:delete", "Delete a hosted application with its data."),
)
_LIBRARY: tuple[Row, ...] = (
    ("list", "definitions.library:list_library", "List the bundled tasks and workflows."),
    ("show", "definitions.library:show_library", "Show a bundled task, workflow or template."),
    ("install", "definitions.library:install_library", "Register bundled tasks and workflows."),
)
_TEMPLATE: tuple[Row, ...] = (
    ("list", "definitions.templates:list_templates", "List the templates."),
    ("show", "definitions.templates:show_template", "Show a template and its parameters."),
    ("new", "definitions.templates:new_workflow", "Create a workflow from a template."),
)
_LABEL: tuple[Row, ...] = (
    ("set", "definitions.versions:set_label", "Point a label to a version."),
    ("list", "definitions.versions:list_labels", "List the labels of a workflow."),
    ("rm", "definitions.versions:remove_label", "Remove a label."),
)
_TRIGGER: tuple[Row, ...] = (
    ("list", "executions.triggers:list_triggers", "List triggers with their next and last firing."),
    ("pause", "executions.triggers:pause", "Pause a trigger."),
    ("resume", "executions.triggers:resume", "Resume a paused trigger."),
    ("fire", "executions.triggers:fire", "Fire a trigger now."),
)
_GET: tuple[Row, ...] = (
    ("workflow", "definitions.definitions:workflows", "Show a workflow, or list all."),
    ("task", "definitions.definitions:tasks", "Show a reusable task, or list all."),
    ("execution", "executions.executions:executions", "Show an execution, or list all."),
    ("service", "operations.services:services", "List the registered service instances."),
    ("operation", "definitions.transforms:operations", "Show a pipeline operation, or list all."),
)
_LIST: tuple[Row, ...] = (
    ("workflows", "definitions.definitions:workflows", "List the registered workflows."),
    ("tasks", "definitions.definitions:tasks", "List the reusable tasks."),
    ("executions", "executions.executions:executions", "List executions, newest first."),
    ("services", "operations.services:services", "List the registered service instances."),
    ("users", "definitions.definitions:task_users", "List the workflows that use a task."),
    ("operations", "definitions.transforms:operations", "List the operations of pipelines."),
)
_EXECUTIONS: tuple[Row, ...] = (
    ("start", "executions.executions:start", "Start an execution."),
    ("watch", "executions.watching:watch", "Follow an execution live."),
    ("history", "executions.histories:history", "Print the events of an execution."),
    ("logs", "executions.logs:logs", "Print log lines and failures of an execution's tasks."),
    ("trace", "executions.histories:trace", "Show the tasks of an execution with their durations."),
    ("explain", "executions.insights:explain", "Explain why an execution or a task waits."),
    ("state-at", "executions.insights:state_at", "Show an execution at an earlier event or time."),
    ("compare", "executions.insights:compare", "Compare two executions."),
    ("watch-variable", "executions.insights:watch_variable", "Trace a value through the tasks."),
    ("bottlenecks", "executions.insights:bottlenecks", "Rank the tasks of a workflow by time."),
    ("stats", "executions.stats:stats", "Show counts and latencies of workflows and tasks."),
    ("cancel", "executions.executions:cancel", "Cancel an execution."),
    ("terminate", "executions.executions:terminate", "End an execution without compensation."),
    ("pause", "executions.executions:pause", "Pause an execution; no new task starts."),
    ("resume", "executions.executions:resume", "Resume a paused execution."),
    ("step", "executions.control:step", "Set breakpoints and continue tasks one by one."),
    ("retry", "executions.control:retry", "Retry a failed task."),
    ("skip", "executions.control:skip", "Skip a task; dependent tasks run."),
    ("complete", "executions.control:complete", "Complete a task with an output."),
    ("override", "executions.control:override", "Replace an output before it is used."),
    ("fail", "executions.control:fail", "Fail a held task."),
    ("approvals", "executions.control:approvals", "List pending approvals."),
    ("approve", "executions.control:approve", "Approve a task."),
    ("reject", "executions.control:reject", "Reject a task."),
    (
        "approval-link",
        "executions.approval_links:approval_link",
        "Create a signed link for deciding an approval.",
    ),
    ("rerun", "executions.control:rerun", "Run an execution again, completely or from a task."),
    ("replay", "executions.control:rerun", "Run an execution again; the same as rerun."),
    ("signal", "executions.executions:signal", "Send a signal to an execution."),
    (
        "signal-by-key",
        "executions.keyed_signals:signal_by_key",
        "Send a signal to the executions that wait for a key.",
    ),
    ("tree", "executions.trees:tree", "Show an execution and its children as a tree."),
    ("hooks", "executions.triggers:hooks", "List the callback URLs of waiting tasks."),
    ("publish", "executions.triggers:publish", "Publish an event."),
    ("backfill", "executions.triggers:backfill", "Start many executions with limited concurrency."),
    ("search", "executions.searching:search", "List the executions that match a filter."),
    ("attributes", "executions.searching:attributes", "Set search attributes of an execution."),
    ("delete", "executions.retention:delete", "Delete an ended execution."),
    ("erase", "executions.retention:erase", "Erase the values of an ended execution."),
    ("rebuild", "executions.retention:rebuild", "Rebuild ended executions from histories."),
)
_BULK: tuple[Row, ...] = (
    ("start", "executions.bulks:start", "Apply an action to all executions that match a filter."),
    ("show", "executions.bulks:show", "Show the progress of a bulk."),
    ("list", "executions.bulks:list_bulks", "List bulks, newest first."),
    ("cancel", "executions.bulks:cancel", "Stop a bulk."),
)
_VARIABLES: tuple[Row, ...] = (
    ("show", "executions.variables:show_variables", "Show the variables of an execution."),
    ("set", "executions.variables:set_variable", "Set a variable of an execution."),
)
_ARCHIVE: tuple[Row, ...] = (
    ("list", "executions.retention:list_archived", "List archived executions."),
    ("show", "executions.retention:show_archived", "Print the archive of an execution as JSON."),
    ("restore-view", "executions.retention:restore_view", "Show an archived execution."),
)
_RETENTION: tuple[Row, ...] = (
    ("show", "executions.retention:show_retention", "Show the retention of ended executions."),
    ("set", "executions.retention:set_retention", "Set the retention of a namespace."),
)
_LIMITS: tuple[Row, ...] = (
    ("set", "operations.limits:set_limit", "Set a limit at run time."),
    ("list", "operations.limits:list_limits", "List limits, their use, and stops."),
    ("rm", "operations.limits:remove_limit", "Remove a limit."),
    ("changes", "operations.limits:limit_changes", "List the changes of limits."),
)
_LINK_KEYS: tuple[Row, ...] = (
    (
        "rotate",
        "executions.approval_links:rotate_key",
        "Create a key; optionally revoke older ones.",
    ),
    (
        "list",
        "executions.approval_links:list_keys",
        "List the keys with their actors and expiry.",
    ),
)
_PROFILE: tuple[Row, ...] = (
    ("list", "operations.profiles:list_profiles", "List the profiles."),
    ("show", "operations.profiles:show_profile", "Show a profile, by default the one in use."),
    ("set", "operations.profiles:set_profile", "Create a profile, or change some of its fields."),
    ("use", "operations.profiles:use_profile", "Set the current profile; without a name, none."),
    ("delete", "operations.profiles:delete_profile", "Delete a profile."),
)
_IDENTITY: tuple[Row, ...] = (
    ("init", "access.installation:init", "Create the key file of an installation."),
    ("token", "access.installation:token", "Print a token for the first owner."),
    ("bootstrap", "access.login:bootstrap", "Make the first owner, and log in."),
    ("register", "access.login:register", "Register a user, and log in."),
    ("users", "access.members:list_users", "List the users of a company."),
    ("members", "access.members:list_members", "List the users with a role on a level."),
    ("invite", "access.members:invite", "Invite a person."),
    ("set-role", "access.members:set_role", "Set the role of a user on a level."),
)
_ACCESS: tuple[Row, ...] = (
    ("login", "access.login:login", "Open a session with a password."),
    ("logout", "access.login:logout", "End the session."),
    ("whoami", "access.login:whoami", "Show the caller and its permissions."),
    ("usage", "access.quotas:usage", "Show the executions of a project per hour."),
)
_FILES: tuple[Row, ...] = (
    ("put", "access.files:put_file", "Upload a file."),
    ("get", "access.files:get_file", "Download a file."),
    ("list", "access.files:list_files", "List the files of a project."),
    ("rm", "access.files:remove_file", "Delete a file with all its versions."),
)
_QUOTA: tuple[Row, ...] = (
    ("show", "access.quotas:show_quota", "Show the quota of a project and its use."),
    ("set", "access.quotas:set_quota", "Set the quota of a project."),
)
_KEYS: tuple[Row, ...] = (
    ("create", "access.keys:create_key", "Create an API key."),
    ("list", "access.keys:list_keys", "List the API keys of a project."),
    ("rotate", "access.keys:rotate_key", "Add a secret to an API key."),
    ("delete", "access.keys:delete_key", "Delete an API key."),
)
_COMPANIES: tuple[Row, ...] = (
    ("list", "access.tenants:list_companies", "List companies."),
    ("create", "access.tenants:create_company", "Create a company."),
    ("delete", "access.tenants:delete_company", "Delete a company."),
)
_ORGANIZATIONS: tuple[Row, ...] = (
    ("list", "access.tenants:list_organizations", "List organizations."),
    ("create", "access.tenants:create_organization", "Create an organization."),
    ("delete", "access.tenants:delete_organization", "Delete an organization."),
)
_PROJECTS: tuple[Row, ...] = (
    ("list", "access.tenants:list_projects", "List projects and their namespaces."),
    ("create", "access.tenants:create_project", "Create a project and its namespace."),
    ("delete", "access.tenants:delete_project", "Delete a project."),
)
_CERTS: tuple[Row, ...] = (
    ("init", "access.certificates:init", "Create a certificate authority."),
    ("issue", "access.certificates:issue", "Issue a certificate."),
    ("renew", "access.certificates:renew", "Renew certificates at half of their life."),
    ("show", "access.certificates:show", "Show certificates, their names and expiry."),
)
_AUDIT: tuple[Row, ...] = (
    ("search", "access.audit:search", "Show changes and refusals, newest first."),
    ("verify", "access.audit:verify", "Check that no entry was changed or removed."),
    ("export", "access.audit:export", "Write all entries as JSON lines."),
)
_SECRETS: tuple[Row, ...] = (
    ("set", "access.secrets:set_secret", "Store a secret; its value comes from standard input."),
    ("list", "access.secrets:list_secrets", "List the names of secrets."),
    ("delete", "access.secrets:delete_secret", "Delete a secret with all its versions."),
)
_QUEUE: tuple[Row, ...] = (
    ("list", "messages.queues:list_queues", "List queues of messages with their depths."),
    ("show", "messages.queues:show", "Show a queue, its content and its bindings."),
    ("watch", "messages.queues:watch", "Follow the depths of queues."),
    ("declare", "messages.queues:declare", "Declare a queue or a stream."),
    ("delete", "messages.queues:delete", "Delete a queue with its messages."),
    ("bind", "messages.queues:bind", "Bind a queue to an exchange."),
    ("unbind", "messages.queues:unbind", "Remove a binding of a queue."),
    ("publish", "messages.exchanges:publish_to_queue", "Publish a message to a queue."),
    ("consume", "messages.exchanges:consume", "Receive and acknowledge messages."),
    ("peek", "messages.queues:peek", "Show messages without locking them."),
    ("redrive", "messages.queues:redrive", "Move dead letters back to their queues."),
    ("discard", "messages.queues:discard", "Delete single messages."),
    ("purge", "messages.queues:purge", "Delete all messages of a queue."),
    ("seek", "messages.queues:seek", "Move a group of a stream to a position."),
)
_EXCHANGE: tuple[Row, ...] = (
    ("list", "messages.exchanges:list_exchanges", "List exchanges with their bindings."),
    ("declare", "messages.exchanges:declare", "Declare an exchange."),
    ("delete", "messages.exchanges:delete", "Delete an exchange with its bindings."),
    ("publish", "messages.exchanges:publish", "Publish a message to an exchange."),
)
_STREAM: tuple[Row, ...] = (
    ("list", "messages.streams:list_streams", "List streams of events with their versions."),
    ("show", "messages.streams:show", "Show a stream, its snapshot and its bounds."),
    ("read", "messages.streams:read", "Print the events of a stream."),
    ("append", "messages.streams:append", "Append an event to a stream."),
    ("tail", "messages.streams:tail", "Print events as they are appended."),
    ("delete", "messages.streams:delete", "Delete the events of a stream for good."),
    ("retention", "messages.streams:retention", "Set the bounds of a stream."),
)
_EVENT_GROUP: tuple[Row, ...] = (
    ("list", "messages.projections:list_groups", "List groups of consumers of events."),
    ("put", "messages.projections:put_group", "Create a group, or change its settings."),
    ("delete", "messages.projections:delete_group", "Delete a group."),
    ("parked", "messages.projections:parked", "List parked events with their errors."),
    ("replay", "messages.projections:replay", "Deliver parked events again."),
)
_PROJECTION: tuple[Row, ...] = (
    ("list", "messages.projections:list_projections", "List projections with checkpoints."),
    ("show", "messages.projections:show", "Show a projection and its rebuild."),
    ("states", "messages.projections:states", "Print states of a projection by key."),
    ("delete", "messages.projections:delete", "Delete a projection with its states."),
)
_SUBSCRIPTION: tuple[Row, ...] = (
    ("list", "messages.subscriptions:list_subscriptions", "List durable subscriptions."),
    ("show", "messages.subscriptions:show", "Show a subscription and its state."),
    ("create", "messages.subscriptions:create", "Create or change a subscription."),
    ("delete", "messages.subscriptions:delete", "Delete a subscription."),
    ("pause", "messages.subscriptions:pause", "Pause a subscription; events are stored."),
    ("resume", "messages.subscriptions:resume", "Resume a subscription; close its breaker."),
    ("rotate", "messages.subscriptions:rotate", "Replace the secret of a subscription."),
    ("test", "messages.subscriptions:send_test", "Send a test event to a subscription."),
    ("log", "messages.subscriptions:log", "List the notifications of a subscription."),
    ("resend", "messages.subscriptions:resend", "Send notifications again."),
)
_DIAGNOSE: tuple[Row, ...] = (
    ("messages", "messages.queues:diagnose", "Explain why messages are not processed."),
    ("saga", "messages.sagas:diagnose", "Explain why a saga is not compensated."),
)
_MESSAGES: tuple[Row, ...] = (
    ("bridge", "messages.bridges:bridge", "Run bridges to other brokers and systems."),
)
_SERVICE: tuple[Row, ...] = (
    ("list", "operations.services:services", "List service instances and their health."),
    ("show", "operations.registrations:show", "Show an instance of a service."),
    ("register", "operations.registrations:register", "Register an instance of a service."),
    ("drain", "operations.registrations:drain", "Take an instance out of service, or back in."),
    ("deregister", "operations.registrations:deregister", "Turn an instance OFFLINE."),
    ("watch", "operations.registrations:watch", "Follow the instances and their health."),
)
_OUTBOX: tuple[Row, ...] = (
    ("install", "operations.outboxes:install", "Create the outbox in a database of yours."),
    ("show", "operations.outboxes:show", "Show the waiting and refused requests of an outbox."),
)
_SUITE: tuple[Row, ...] = (
    ("services", "operations.services:services", "List service instances and their health."),
    ("topology", "operations.registrations:topology", "Show the calls between services."),
    ("queues", "operations.limits:queues", "Show queues with the reasons for waiting."),
    ("workers", "operations.limits:workers", "List attached workers with their tasks."),
    ("open", "operations.console:open_console", "Open the console in the browser."),
    ("dead-letters", "operations.limits:dead_letters", "List tasks whose last attempt failed."),
    (
        "discard-dead-letters",
        "operations.limits:discard_dead_letters",
        "Take dead letters off the list.",
    ),
    (
        "restore-dead-letters",
        "operations.limits:restore_dead_letters",
        "Put dead letters back on the list.",
    ),
    ("breakers", "operations.limits:breakers", "List circuit breakers that are not closed."),
    ("stop-dispatch", "operations.limits:stop_dispatch", "Stop dispatching tasks."),
    ("start-dispatch", "operations.limits:start_dispatch", "Start dispatching tasks again."),
    ("config", "operations.configuration:config", "Show settings with values and sources."),
    ("doctor", "operations.doctor:doctor", "Check this machine and the suite."),
    ("completion", "operations.completion:completion", "Print or install a completion script."),
)

# Commands with subcommands: group, name, help, subcommands.
FAMILIES: tuple[tuple[Group, str, str, tuple[Row, ...]], ...] = (
    (DEFINITIONS, "get", "Show an object by its name, or list all.", _GET),
    (DEFINITIONS, "list", "List objects.", _LIST),
    (
        DEFINITIONS,
        "library",
        "Use the tasks and workflows that are bundled with Flowmesh.",
        _LIBRARY,
    ),
    (DEFINITIONS, "template", "Create workflows from templates.", _TEMPLATE),
    (DEFINITIONS, "trigger", "Manage triggers: schedules, events and webhooks.", _TRIGGER),
    (DEFINITIONS, "label", "Manage the labels that point to versions of a workflow.", _LABEL),
    (EXECUTIONS, "bulk", "Apply an action to all executions that match a filter.", _BULK),
    (EXECUTIONS, "variables", "Show and change the variables of an execution.", _VARIABLES),
    (EXECUTIONS, "archive", "Read archived executions.", _ARCHIVE),
    (EXECUTIONS, "retention", "Show and set the retention of ended executions.", _RETENTION),
    (MESSAGES, "queue", "Manage queues of messages, and dead letters.", _QUEUE),
    (MESSAGES, "exchange", "Manage exchanges, which lead messages to queues.", _EXCHANGE),
    (MESSAGES, "stream", "Manage streams of events.", _STREAM),
    (MESSAGES, "event-group", "Manage groups of consumers of events.", _EVENT_GROUP),
    (MESSAGES, "projection", "Show states that are computed from events.", _PROJECTION),
    (
        MESSAGES,
        "subscription",
        "Manage durable subscriptions to events, and alert rules.",
        _SUBSCRIPTION,
    ),
    (MESSAGES, "diagnose", "Explain why something does not proceed.", _DIAGNOSE),
    (APPS, "app", "Run and check applications of configuration files.", _APP),
    (ACCESS, "identity", "Manage users, roles and the first owner of an installation.", _IDENTITY),
    (ACCESS, "keys", "Manage API keys of programs and workers.", _KEYS),
    (ACCESS, "companies", "Manage companies, the highest level of the hierarchy.", _COMPANIES),
    (ACCESS, "organizations", "Manage organizations of companies.", _ORGANIZATIONS),
    (ACCESS, "projects", "Manage projects of organizations, each with its namespace.", _PROJECTS),
    (ACCESS, "files", "Manage workspace files of projects.", _FILES),
    (ACCESS, "quota", "Manage quotas of projects.", _QUOTA),
    (ACCESS, "certs", "Issue and renew certificates of the suite.", _CERTS),
    (ACCESS, "audit", "Read and check the log of changes and refusals.", _AUDIT),
    (ACCESS, "secrets", "Manage values that tasks use and no call reads back.", _SECRETS),
    (SUITE, "service", "Manage the instances of services in the registry.", _SERVICE),
    (SUITE, "outbox", "Start workflows inside transactions of your databases.", _OUTBOX),
    (SUITE, "profile", "Manage named addresses, namespaces and TLS files.", _PROFILE),
    (SUITE, "limits", "Manage limits at run time.", _LIMITS),
    (SUITE, "link-keys", "Manage the keys that sign approval links.", _LINK_KEYS),
)


def _make() -> App:
    made = CommandLine(
        name="flowmesh",
        help="Durable workflow orchestration.",
        help_epilogue=EPILOGUE,
        version=_version,
    )
    for group, rows in (
        (DEFINITIONS, _DEFINITIONS),
        (EXECUTIONS, _EXECUTIONS),
        (MESSAGES, _MESSAGES),
        (ACCESS, _ACCESS),
        (SUITE, _SUITE),
    ):
        _add(made, rows, group=group)
    for group, name, text, rows in FAMILIES:
        parent = App(name=name, help=text, group=group)
        _add(parent, rows)
        made.command(parent)
    return made


def _add(parent: App, rows: tuple[Row, ...], **options: Any) -> None:
    """Add the commands. They have no version flag; their `--version` selects a definition."""
    for name, place, text in rows:
        where = f"flowmesh.cli.{place}"
        parent.command(where, name=name, help=text, version_flags=(), **options)


app = _make()
