"""Commands on applications of configuration files."""

from flowmesh.cli.commands.entries import Command, Entry, Group

_APP: tuple[Entry, ...] = (
    Command("run", "apps.running:run", "Run applications of configuration files."),
    Command(
        "validate", "apps.checking:validate", "Check applications; every finding with its place."
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
_SPEC: tuple[Entry, ...] = (
    Command("apply", "agents.specs:apply", "Store a spec, or a new version of it."),
    Command("list", "agents.specs:list_specs", "List the specs of agents."),
    Command("show", "agents.specs:show", "Show a spec of agents."),
    Command("delete", "agents.specs:delete", "Delete a spec of agents."),
)
_POLICY: tuple[Entry, ...] = (
    Command("set", "agents.policies:set_policy", "Store a scaling policy."),
    Command("list", "agents.policies:list_policies", "List the scaling policies."),
    Command("delete", "agents.policies:delete_policy", "Delete a scaling policy."),
)
_QUOTA: tuple[Entry, ...] = (
    Command("show", "agents.policies:quota", "Show the quota of agents and its use."),
    Command("set", "agents.policies:set_quota", "Set the quota of agents of the namespace."),
)
_AGENT: tuple[Entry, ...] = (
    Command("spawn", "agents.agents:spawn", "Start further agents of a spec."),
    Command("list", "agents.agents:list_agents", "List the agents of the namespace."),
    Command("show", "agents.agents:show", "Show an agent."),
    Command("stop", "agents.agents:stop", "Stop an agent after its tasks."),
    Command("restart", "agents.agents:restart", "Replace an agent after its tasks."),
    Command("scale", "agents.agents:scale", "Set the number of agents of a spec."),
    Command("decisions", "agents.policies:decisions", "List the decisions of policies."),
    Command("diagnose", "agents.policies:diagnose", "Explain why there are too few agents."),
    Command("exec", "agents.serving:serve", "Run tasks by a command, as a worker."),
    Group("spec", "Manage the specs of agents.", _SPEC),
    Group("policy", "Manage scaling policies.", _POLICY),
    Group("quota", "Manage the quota of agents.", _QUOTA),
)
_PLUGIN: tuple[Entry, ...] = (
    Command("new", "plugins.projects:new", "Write the project of a new plugin, with tests."),
    Command("build", "plugins.projects:build", "Build the wheel of a project."),
    Command("key", "plugins.projects:key", "Make a key that signs wheels and indexes."),
    Command("sign", "plugins.projects:sign", "Sign the digest of a wheel."),
    Command("verify", "plugins.projects:verify", "Check a wheel and its signature."),
    Command("index", "plugins.projects:index", "Write and sign the index of a catalogue."),
    Command("search", "plugins.installed:search", "Search the catalogue."),
    Command("install", "plugins.installed:install", "Install a plugin from the catalogue."),
    Command("list", "plugins.installed:list_plugins", "List the plugins of the namespace."),
    Command("show", "plugins.installed:show", "Show a plugin."),
    Command("read", "plugins.installed:read_text", "Read native documents by a format."),
    Command("configure", "plugins.installed:configure", "Replace the configuration of a plugin."),
    Command("upgrade", "plugins.installed:upgrade", "Replace the version of a plugin."),
    Command("pin", "plugins.installed:pin", "Refuse upgrades of a plugin."),
    Command("remove", "plugins.installed:remove", "Remove a plugin."),
)
APPLICATIONS: tuple[Entry, ...] = (
    Group("app", "Run and check applications of configuration files.", _APP),
    Group("agent", "Run workers as agents of the fleet: specs, scaling, healing.", _AGENT),
    Group("plugin", "Build, install and manage plugins.", _PLUGIN),
)
