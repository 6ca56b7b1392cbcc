"""Module types of databases, stores, storage, secrets, caches and schemas."""

from flowmesh.apps.catalog.descriptor import (
    Descriptor,
    Need,
    address,
    anything,
    array,
    choice,
    duration,
    file,
    flag,
    folder,
    group,
    mapping,
    number,
    string,
)

_MIGRATIONS = array(
    "migrations",
    "SQL statements or files, run once each in this order.",
    rules={"*": "migration"},
)

_AWS_KEYS = {"accessKeyId": "${AWS_KEY_ID}", "secretAccessKey": "${AWS_KEY}"}

DATABASE = group(
    "database",
    Descriptor(
        type="database.workflow",
        build="modules.databases:database",
        label="Database",
        text="SQLite or PostgreSQL.",
        fields=(
            choice(
                "driver", "Driver.", "sqlite3", "sqlite", "postgres", "postgresql", required=True
            ),
            string(
                "dsn",
                "File of SQLite, or address of PostgreSQL.",
                required=True,
                sensitive=True,
                rules={"": "dsn"},
            ),
            number("maxOpenConns", "Connections.", default=25, least=1, most=1_000),
            number("maxIdleConns", "Idle connections.", default=5, least=0, most=1_000),
            _MIGRATIONS,
            duration("statementTimeout", "Time of one statement.", default="30s"),
        ),
        offers=("Database",),
        example={"driver": "sqlite3", "dsn": "data/app.db"},
    ),
    Descriptor(
        type="database.modular",
        build="modules.databases:databases",
        label="Databases (modular)",
        text="Several databases by name: `module.connection`.",
        fields=(
            string("default", "Connection that the name of the module means."),
            mapping(
                "connections",
                "Per name: driver, dsn, migrations, …",
                required=True,
                rules={"*.dsn": "dsn", "*.migrations.*": "migration"},
            ),
        ),
        offers=("Database",),
        example={"default": "main", "connections": {"main": {"driver": "sqlite", "dsn": "a.db"}}},
    ),
    Descriptor(
        type="persistence.store",
        build="modules.databases:persistence",
        label="Persistence",
        text="Stores resources, users and instances; answers follow the commit.",
        fields=(
            string("database", "Database of the tables.", default="database", refers="Database"),
            array("encryptFields", "Fields that are stored encrypted."),
        ),
        offers=("Store",),
        needs=(Need(kind="Database", key="database"),),
    ),
)

STORAGE = group(
    "storage",
    Descriptor(
        type="storage.sqlite",
        build="modules.databases:sqlite_storage",
        category="database",
        label="SQLite storage",
        text="A database and an object store in one file.",
        fields=(
            string("dbPath", "File.", default="data/workflow.db", rules={"": "sqlite"}),
            number("maxConnections", "Connections, of which one writes.", default=5, least=2),
            flag("walMode", "Write-ahead log; false for a rollback journal.", default=True),
            _MIGRATIONS,
        ),
        offers=("Database", "ObjectStore"),
    ),
    Descriptor(
        type="storage.local",
        build="modules.outbound.objects:local",
        label="Local storage",
        text="An object store in a folder.",
        fields=(folder("rootDir", "Folder.", required=True),),
        offers=("ObjectStore",),
        example={"rootDir": "./files"},
    ),
    Descriptor(
        type="storage.s3",
        build="modules.outbound.objects:s3",
        label="S3 storage",
        text="An object store in Amazon S3 or a compatible service.",
        fields=(
            string("bucket", "Bucket.", required=True),
            string("region", "Region.", default="us-east-1"),
            address("endpoint", "Address of a compatible service."),
            string("accessKeyId", "Id of the key.", required=True),
            string("secretAccessKey", "Key.", required=True, sensitive=True),
            string("prefix", "Beginning of all keys."),
            flag("pathStyle", "Bucket in the path.", default=True),
        ),
        offers=("ObjectStore",),
        example={"bucket": "files", **_AWS_KEYS},
    ),
    Descriptor(
        type="storage.gcs",
        build="modules.outbound.objects:gcs",
        label="GCS storage",
        text="An object store in Google Cloud Storage.",
        fields=(
            string("bucket", "Bucket.", required=True),
            string("project", "Project that requests are billed to."),
            file("credentialsFile", "File of the service account; needed without endpoint."),
            address("endpoint", "Address of a compatible service."),
            string("prefix", "Beginning of all keys."),
        ),
        offers=("ObjectStore",),
        example={"bucket": "files", "credentialsFile": "account.json"},
    ),
)

SECRETS = group(
    "secrets",
    Descriptor(
        type="secrets.vault",
        build="modules.outbound.secrets:secrets",
        label="Vault secrets",
        text="Secrets of HashiCorp Vault.",
        fields=(
            address("address", "Address.", required=True),
            string("token", "Token.", required=True, sensitive=True),
            string("mountPath", "Mount of the engine.", default="secret"),
            string("namespace", "Namespace."),
            choice("mode", "Mode.", "remote", default="remote"),
            string("roleId", "Id of an AppRole."),
            string("secretId", "Secret of an AppRole.", sensitive=True),
            number("kv", "Version of the engine.", default=2, least=1, most=2),
        ),
        offers=("Secrets",),
        example={"address": "https://vault:8200", "token": "${VAULT_TOKEN}"},
    ),
    Descriptor(
        type="secrets.aws",
        build="modules.outbound.secrets:secrets",
        label="AWS secrets",
        text="Secrets of AWS Secrets Manager.",
        fields=(
            string("region", "Region.", default="us-east-1"),
            string("accessKeyId", "Id of the key.", required=True),
            string("secretAccessKey", "Key.", required=True, sensitive=True),
            address("endpoint", "Address of a compatible service."),
        ),
        offers=("Secrets",),
        example=_AWS_KEYS,
    ),
)

OTHER_DATA = group(
    "data",
    Descriptor(
        type="cache.modular",
        build="modules.outbound.caches:cache",
        label="Cache",
        text="Values with a time to live, in memory or in Redis.",
        fields=(
            choice("engine", "Engine.", "memory", "redis", default="memory", aliases=("backend",)),
            duration("defaultTTL", "Life of a value.", default="300s"),
            duration("cleanupInterval", "Time between clean-ups.", default="60s"),
            number("maxItems", "Values.", default=10_000, least=1, aliases=("maxSize",)),
            address("redisURL", "Address of Redis."),
            string("redisPassword", "Password of Redis.", sensitive=True),
            number("redisDB", "Number of the database.", default=0, least=0),
            number("connectionMaxAge", "Seconds of a connection; 0 keeps it.", default=60, least=0),
        ),
        offers=("Cache",),
    ),
    Descriptor(
        type="jsonschema.modular",
        build="modules.data_services:schemas",
        label="JSON Schemas",
        text="Named schemas for `step.validate` and POST /validate/{name}.",
        fields=(
            mapping("schemas", "Schemas or their files by name.", rules={"*": "schema"}),
            choice(
                "draft",
                "Draft of schemas that name none.",
                *("4", "6", "7", "2019-09", "2020-12"),
                default="2020-12",
            ),
        ),
        offers=("Validator", "Handler"),
    ),
    Descriptor(
        type="data.transformer",
        build="modules.data_services:transformer",
        label="Transformer",
        text="Named pipelines of transform operations.",
        fields=(
            mapping("pipelines", "Lists of operations by name."),
            anything("pipeline", "One pipeline: a list, or its name."),
        ),
        offers=("Transformer", "Handler"),
    ),
    Descriptor(
        type="workflow.registry",
        build="modules.data_services:registry",
        label="Workflow registry",
        text="Lists what the application has loaded.",
        fields=(
            string(
                "storageBackend",
                "Database whose table workflow_registry has the list too.",
                refers="Database",
                default="",
            ),
        ),
        offers=("Registry", "Handler"),
    ),
    Descriptor(
        type="dynamic.component",
        build="modules.outbound.components:dynamic",
        label="Dynamic component",
        text="A Python component in a confined process.",
        fields=(
            string("source", "Path or text of the source.", rules={"": "source"}),
            string("componentId", "Id of the component."),
            mapping("settings", "Values that init(config) gets."),
            array("provides", "Names of services that it offers."),
            array("requires", "Names of services that it uses."),
            mapping("limits", "memory, cpu, timeout."),
            array("capabilities", "http, publish, kv, log, secrets:NAME."),
            string("api", "Middleware of the API of components; none without it."),
        ),
        offers=("Component",),
        example={"source": "def execute(params):\n    return params\n"},
    ),
)
