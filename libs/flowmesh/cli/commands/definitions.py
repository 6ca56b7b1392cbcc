"""Commands on workflows, tasks, templates and triggers."""

from flowmesh.cli.commands.entries import Command, Entry, Group

_LABEL: tuple[Entry, ...] = (
    Command("set", "definitions.versions:set_label", "Point a label to a version."),
    Command("list", "definitions.versions:list_labels", "List the labels of a workflow."),
    Command("rm", "definitions.versions:remove_label", "Remove a label."),
)
_LIBRARY: tuple[Entry, ...] = (
    Command("list", "definitions.library:list_library", "List the bundled tasks and workflows."),
    Command(
        "show", "definitions.library:show_library", "Show a bundled task, workflow or template."
    ),
    Command(
        "install", "definitions.library:install_library", "Register bundled tasks and workflows."
    ),
)
_WORKFLOW: tuple[Entry, ...] = (
    Command("list", "definitions.definitions:workflows", "List the registered workflows."),
    Command("show", "definitions.definitions:workflows", "Show a workflow."),
    Command("apply", "definitions.definitions:apply", "Register definitions from files."),
    Command(
        "validate", "definitions.definitions:validate", "Check definitions without storing them."
    ),
    Command("generate", "definitions.generation:generate", "Write a workflow for a prompt."),
    Command("repair", "definitions.generation:repair", "Repair the problems of a definition."),
    Command("describe", "definitions.generation:describe", "Explain a definition in words."),
    Command("lint", "definitions.checking:lint", "Report likely mistakes."),
    Command("dry-run", "definitions.dry_runs:dry_run", "Run a workflow in memory, without calls."),
    Command("test", "definitions.testing:run_tests", "Run workflow tests."),
    Command("start", "executions.executions:start", "Start an execution."),
    Command(
        "diff", "definitions.versions:diff", "Compare two versions of a workflow, or two files."
    ),
    Command("compat", "definitions.versions:compat", "Check the compatibility of two versions."),
    Command("changes", "definitions.versions:changes", "List the changes of a workflow or task."),
    Command("rollback", "definitions.versions:rollback", "Point a label to its previous version."),
    Group("label", "Manage the labels that point to versions of a workflow.", _LABEL),
    Command("stats", "executions.stats:stats", "Show counts and latencies of workflows and tasks."),
    Command(
        "bottlenecks", "executions.insights:bottlenecks", "Rank the tasks of a workflow by time."
    ),
    Command(
        "optimize",
        "definitions.optimizing:optimize",
        "Propose changes of a workflow from its durations.",
    ),
    Command(
        "backfill",
        "executions.triggers:backfill",
        "Start many executions with limited concurrency.",
    ),
    Command("graph", "definitions.formats:graph", "Draw a workflow: SVG, Mermaid, DOT or JSON."),
    Command("convert", "definitions.formats:convert", "Convert definitions to another format."),
    Command("schema", "definitions.checking:schema", "Print a JSON Schema for editors."),
    Command(
        "transform", "definitions.transforms:transform", "Run a pipeline of operations on a value."
    ),
    Command("operations", "definitions.transforms:operations", "List the operations of pipelines."),
    Group("library", "Use the tasks and workflows that are bundled with Flowmesh.", _LIBRARY),
)
_TASK: tuple[Entry, ...] = (
    Command("list", "definitions.definitions:tasks", "List the reusable tasks."),
    Command("show", "definitions.definitions:tasks", "Show a reusable task."),
    Command("users", "definitions.definitions:task_users", "List the workflows that use a task."),
    Command("import", "definitions.tools:import_tools", "Write tasks for tools of an MCP server."),
)
_TEMPLATE: tuple[Entry, ...] = (
    Command("list", "definitions.templates:list_templates", "List the templates."),
    Command("show", "definitions.templates:show_template", "Show a template and its parameters."),
    Command("new", "definitions.templates:new_workflow", "Create a workflow from a template."),
)
_OUTBOX: tuple[Entry, ...] = (
    Command("install", "operations.outboxes:install", "Create the outbox in a database of yours."),
    Command(
        "show", "operations.outboxes:show", "Show the waiting and refused requests of an outbox."
    ),
)
_TRIGGER: tuple[Entry, ...] = (
    Command(
        "list",
        "executions.triggers:list_triggers",
        "List triggers with their next and last firing.",
    ),
    Command("pause", "executions.triggers:pause", "Pause a trigger."),
    Command("resume", "executions.triggers:resume", "Resume a paused trigger."),
    Command("fire", "executions.triggers:fire", "Fire a trigger now."),
    Command("publish", "executions.triggers:publish", "Publish an event."),
    Group("outbox", "Start workflows inside transactions of your databases.", _OUTBOX),
)
DEFINITIONS: tuple[Entry, ...] = (
    Command(
        "validate", "definitions.definitions:validate", "Check definitions without storing them."
    ),
    Command("dry-run", "definitions.dry_runs:dry_run", "Run a workflow in memory, without calls."),
    Command("test", "definitions.testing:run_tests", "Run workflow tests."),
    Group("workflow", "Manage workflows: versions, labels, drawings, statistics.", _WORKFLOW),
    Group("task", "Show the reusable tasks.", _TASK),
    Group("template", "Create workflows from templates.", _TEMPLATE),
    Group("trigger", "Manage triggers: schedules, events and webhooks.", _TRIGGER),
)
