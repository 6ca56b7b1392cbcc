"""Commands on applications of configuration files."""

from flowmesh.cli.commands.entries import Command, Entry, Group

_APP: tuple[Entry, ...] = (
    Command("run", "apps.running:run", "Run applications of configuration files."),
    Command(
        "validate",
        "apps.checking:validate",
        "Check applications; every finding with its place.",
    ),
    Command(
        "inspect",
        "apps.checking:inspect",
        "Show modules, partners, routes and the order of starts.",
    ),
    Command("modules", "apps.checking:modules", "List the module types, or show one."),
    Command("schema", "apps.checking:schema", "Print the JSON Schema of applications."),
    Command("init", "apps.documents:init", "Write the file of a new application."),
    Command("openapi", "apps.documents:openapi", "Print the OpenAPI document of an application."),
    Command("diff", "apps.documents:diff", "Compare two applications."),
    Command("test", "apps.documents:run_tests", "Run tests of applications."),
    Command("call", "apps.running:call", "Send a request to an application without a socket."),
    Command("lint", "apps.checking:lint", "Report likely mistakes of valid applications."),
    Command("run-pipeline", "apps.running:run_pipeline", "Run a pipeline of an application once."),
    Command("deploy", "apps.hosting:deploy", "Deploy a release of an application to the host."),
    Command("list", "apps.hosting:list_apps", "List the hosted applications."),
    Command("status", "apps.hosting:status", "Show a hosted application."),
    Command("releases", "apps.hosting:releases", "List the releases of an application."),
    Command("rollback", "apps.hosting:rollback", "Return to a release that served before."),
    Command("logs", "apps.hosting:logs", "Print the log of a hosted application."),
    Command("stop", "apps.hosting:stop", "Stop a hosted application."),
    Command("start", "apps.hosting:start", "Start a stopped application."),
    Command("delete", "apps.hosting:delete", "Delete a hosted application with its data."),
)
APPLICATIONS: tuple[Entry, ...] = (
    Group("app", "Run and check applications of configuration files.", _APP),
)
