"""Commands on users, projects, keys, secrets and certificates."""

from flowmesh.cli.commands.entries import Command, Entry, Group

_PLAN: tuple[Entry, ...] = (
    Command("show", "access.plans:show_plan", "Show the plan of a company and its use."),
    Command("set", "access.plans:set_plan", "Set the plan of a company."),
)
_COMPANY: tuple[Entry, ...] = (
    Command("list", "access.tenants:list_companies", "List companies."),
    Command("create", "access.tenants:create_company", "Create a company."),
    Command("delete", "access.tenants:delete_company", "Delete a company."),
    Group("plan", "Manage plans of companies: limits of a month, and bills.", _PLAN),
)
_ORGANIZATION: tuple[Entry, ...] = (
    Command("list", "access.tenants:list_organizations", "List organizations."),
    Command("create", "access.tenants:create_organization", "Create an organization."),
    Command("delete", "access.tenants:delete_organization", "Delete an organization."),
)
_PROVIDER: tuple[Entry, ...] = (
    Command("list", "access.providers:list_providers", "List the identity providers of a company."),
    Command("create", "access.providers:create_provider", "Create an identity provider."),
    Command("update", "access.providers:update_provider", "Change settings of a provider."),
    Command("test", "access.providers:check_provider", "Show what a login would map to."),
    Command("delete", "access.providers:delete_provider", "Delete an identity provider."),
)
_IDENTITY: tuple[Entry, ...] = (
    Command("init", "access.installation:init", "Create the key file of an installation."),
    Command("token", "access.installation:token", "Print a token for the first owner."),
    Command("bootstrap", "access.login:bootstrap", "Make the first owner, and log in."),
    Command("register", "access.login:register", "Register a user, and log in."),
    Command("logout", "access.login:logout", "End the session."),
    Command("whoami", "access.login:whoami", "Show the caller and its permissions."),
    Command("users", "access.members:list_users", "List the users of a company."),
    Command("members", "access.members:list_members", "List the users with a role on a level."),
    Command("invite", "access.members:invite", "Invite a person."),
    Command("set-role", "access.members:set_role", "Set the role of a user on a level."),
    Group("provider", "Manage identity providers of companies.", _PROVIDER),
    Group("company", "Manage companies, the highest level of the hierarchy.", _COMPANY),
    Group("organization", "Manage organizations of companies.", _ORGANIZATION),
)
_FILE: tuple[Entry, ...] = (
    Command("put", "access.files:put_file", "Upload a file."),
    Command("get", "access.files:get_file", "Download a file."),
    Command("list", "access.files:list_files", "List the files of a project."),
    Command("rm", "access.files:remove_file", "Delete a file with all its versions."),
)
_QUOTA: tuple[Entry, ...] = (
    Command("show", "access.quotas:show_quota", "Show the quota of a project and its use."),
    Command("set", "access.quotas:set_quota", "Set the quota of a project."),
)
_ENCRYPTION: tuple[Entry, ...] = (
    Command("show", "access.encryption:show", "Show the encryption of a namespace."),
    Command("require", "access.encryption:require", "Encrypt the values of executions."),
    Command("rotate", "access.encryption:rotate", "Encrypt new values with a new key."),
    Command("destroy", "access.encryption:destroy", "Destroy all keys, and so what they encrypt."),
    Command("wrapping", "access.encryption:wrapping", "Show the key that wraps all data keys."),
)
_METER: tuple[Entry, ...] = (
    Command("list", "access.meters:list_meters", "Show the metered use of the namespace."),
    Command("export", "access.meters:export_meters", "Write it as CSV or OpenMetrics."),
)
_PROJECT: tuple[Entry, ...] = (
    Command("list", "access.tenants:list_projects", "List projects and their namespaces."),
    Command("create", "access.tenants:create_project", "Create a project and its namespace."),
    Command("delete", "access.tenants:delete_project", "Delete a project."),
    Group("file", "Manage workspace files of projects.", _FILE),
    Group("quota", "Manage quotas of projects.", _QUOTA),
    Group("meter", "Show metered use: executions, tasks, tokens, bytes, agents.", _METER),
    Group("encryption", "Encrypt values of a namespace at rest.", _ENCRYPTION),
    Command("usage", "access.quotas:usage", "Show the executions of a project per hour."),
)
_KEY: tuple[Entry, ...] = (
    Command("create", "access.keys:create_key", "Create an API key."),
    Command("list", "access.keys:list_keys", "List the API keys of a project."),
    Command("rotate", "access.keys:rotate_key", "Add a secret to an API key."),
    Command("delete", "access.keys:delete_key", "Delete an API key."),
)
_SECRET: tuple[Entry, ...] = (
    Command(
        "set", "access.secrets:set_secret", "Store a secret; its value comes from standard input."
    ),
    Command("list", "access.secrets:list_secrets", "List the names of secrets."),
    Command("delete", "access.secrets:delete_secret", "Delete a secret with all its versions."),
)
_AUDIT: tuple[Entry, ...] = (
    Command("search", "access.audit:search", "Show changes and refusals, newest first."),
    Command("verify", "access.audit:verify", "Check that no entry was changed or removed."),
    Command("export", "access.audit:export", "Write all entries as JSON lines."),
    Command("evidence", "access.evidence:export", "Write the evidence for an audit into a folder."),
)
_CERT: tuple[Entry, ...] = (
    Command("init", "access.certificates:init", "Create a certificate authority."),
    Command("issue", "access.certificates:issue", "Issue a certificate."),
    Command("renew", "access.certificates:renew", "Renew certificates at half of their life."),
    Command("show", "access.certificates:show", "Show certificates, their names and expiry."),
)
ACCESS: tuple[Entry, ...] = (
    Command("login", "access.login:login", "Log in by the browser or with a password."),
    Group("identity", "Manage users, roles, organizations and companies.", _IDENTITY),
    Group("project", "Manage projects, their files and quotas.", _PROJECT),
    Group("key", "Manage API keys of programs and workers.", _KEY),
    Group("secret", "Manage values that tasks use and no call reads back.", _SECRET),
    Group("audit", "Read and check the log of changes and refusals.", _AUDIT),
    Group("cert", "Issue and renew certificates of the suite.", _CERT),
)
