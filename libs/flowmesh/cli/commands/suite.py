"""Commands on the suite: servers, settings, services, and the dispatch of tasks."""

from flowmesh.cli.commands.entries import Command, Entry, Group

_PROFILE: tuple[Entry, ...] = (
    Command("list", "operations.profiles:list_profiles", "List the profiles."),
    Command(
        "show", "operations.profiles:show_profile", "Show a profile, by default the one in use."
    ),
    Command(
        "set", "operations.profiles:set_profile", "Create a profile, or change some of its fields."
    ),
    Command(
        "use", "operations.profiles:use_profile", "Set the current profile; without a name, none."
    ),
    Command("delete", "operations.profiles:delete_profile", "Delete a profile."),
)
_SERVICE: tuple[Entry, ...] = (
    Command("list", "operations.services:services", "List service instances and their health."),
    Command("show", "operations.registrations:show", "Show an instance of a service."),
    Command("register", "operations.registrations:register", "Register an instance of a service."),
    Command(
        "drain", "operations.registrations:drain", "Take an instance out of service, or back in."
    ),
    Command("deregister", "operations.registrations:deregister", "Turn an instance OFFLINE."),
    Command("watch", "operations.registrations:watch", "Follow the instances and their health."),
    Command("topology", "operations.registrations:topology", "Show the calls between services."),
)
_LIMITS: tuple[Entry, ...] = (
    Command("set", "operations.limits:set_limit", "Set a limit at run time."),
    Command("list", "operations.limits:list_limits", "List limits, their use, and stops."),
    Command("rm", "operations.limits:remove_limit", "Remove a limit."),
    Command("changes", "operations.limits:limit_changes", "List the changes of limits."),
)
_DISPATCH: tuple[Entry, ...] = (
    Command("workers", "operations.limits:workers", "List attached workers with their tasks."),
    Command("queues", "operations.limits:queues", "Show queues with the reasons for waiting."),
    Group("limits", "Manage limits at run time.", _LIMITS),
    Command("breakers", "operations.limits:breakers", "List circuit breakers that are not closed."),
    Command("stop", "operations.limits:stop_dispatch", "Stop dispatching tasks."),
    Command("start", "operations.limits:start_dispatch", "Start dispatching tasks again."),
    Command(
        "dead-letters", "operations.limits:dead_letters", "List tasks whose last attempt failed."
    ),
    Command("discard", "operations.limits:discard_dead_letters", "Take dead letters off the list."),
    Command(
        "restore", "operations.limits:restore_dead_letters", "Put dead letters back on the list."
    ),
)
_DASHBOARDS: tuple[Entry, ...] = (
    Command("list", "operations.dashboards:list_dashboards", "List the saved dashboards."),
    Command("get", "operations.dashboards:get_dashboard", "Print the document of a dashboard."),
    Command("apply", "operations.dashboards:apply_dashboards", "Save dashboards from files."),
    Command("remove", "operations.dashboards:remove_dashboard", "Delete a dashboard."),
    Command("import", "operations.dashboards:import_dashboard", "Save a dashboard of Grafana."),
)
_OBSERVE: tuple[Entry, ...] = (
    Command("series", "operations.observe:series", "Show a metric of the services over time."),
    Command("logs", "operations.observe:logs", "List and follow log records."),
    Command("calls", "operations.observe:calls", "List slow and failed calls."),
    Command("slo", "operations.objectives:slo", "Show the state of a service level objective."),
    Command("slos", "operations.objectives:slos", "List the stored objectives."),
    Command("set-slo", "operations.objectives:set_slo", "Store the objective of a workflow."),
    Command("delete-slo", "operations.objectives:delete_slo", "Delete a stored objective."),
    Command("request", "operations.objectives:request", "Show a request: spans and log records."),
    Command("why-slow", "operations.questions:why_slow", "Explain why a workflow is slow."),
    Command("queue", "operations.questions:queue", "Show who uses a message queue."),
    Command("workers", "operations.questions:workers", "Compare workers with their peers."),
    Command("map", "operations.questions:map_services", "Show services, rates and calls."),
    Group("dashboards", "Manage saved dashboards.", _DASHBOARDS),
)
_CELLS: tuple[Entry, ...] = (
    Command("list", "flowmesh.suite.cells.commands:list_cells", "List the cells."),
    Command("pin", "flowmesh.suite.cells.commands:pin", "Give a project its cell."),
    Command("unpin", "flowmesh.suite.cells.commands:unpin", "Take a project out of the directory."),
    Command("move", "flowmesh.suite.cells.commands:move", "Move a project to another cell."),
    Command("advise", "flowmesh.suite.cells.commands:advise", "Name moves that even out loads."),
    Command("state", "flowmesh.suite.cells.commands:set_state", "Open, drain or close a cell."),
)
SUITE: tuple[Entry, ...] = (
    Command("serve", "flowmesh.suite.commands:serve", "Run services against given servers."),
    Command(
        "cluster", "flowmesh.suite.commands:cluster", "Start each service as a process of its own."
    ),
    Command(
        "accounts", "flowmesh.suite.commands:accounts", "Write accounts of NATS and Redis to files."
    ),
    Command("mcp", "operations.mcp:mcp", "Serve the Model Context Protocol on standard streams."),
    Command("doctor", "operations.doctor:doctor", "Check this machine and the suite."),
    Command("config", "operations.configuration:config", "Show settings with values and sources."),
    Group("profile", "Manage named addresses, namespaces and TLS files.", _PROFILE),
    Group("service", "Manage the instances of services in the registry.", _SERVICE),
    Group("dispatch", "Manage the dispatch of tasks: workers, limits, dead letters.", _DISPATCH),
    Group("cells", "Manage the directory of cells and the homes of projects.", _CELLS),
    Group("observe", "Read the kept signals: metrics, logs, calls, objectives.", _OBSERVE),
    Command("size", "operations.sizes:size", "Work out what a load needs."),
    Command("errors", "operations.reasons:errors", "Explain an error code or a cause of waiting."),
    Command(
        "completion", "operations.completion:completion", "Print or install a completion script."
    ),
)
