"""Databases and the persistence of resources."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from flowmesh.apps.data.database import Database
from flowmesh.apps.data.statements import Statement, own_statement
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.wiring.ports import DATABASE, Port
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

_SQLITE = frozenset({"sqlite", "sqlite3"})
TABLES = ("resources", "users", "workflow_instances")
_MIGRATIONS = "flowmesh_migrations"


def database(setting: Setting) -> Module:
    """Build database.workflow."""
    config = setting.config
    made = make_database(setting, setting.name, config)
    return _database_module(setting, made, config.get("migrations") or ())


def sqlite_storage(setting: Setting) -> Module:
    """Build storage.sqlite."""
    config = {
        "driver": "sqlite",
        "dsn": setting.config["dbPath"],
        "maxOpenConns": setting.config["maxConnections"],
        "walMode": setting.config["walMode"],
    }
    made = make_database(setting, setting.name, config)
    objects = DatabaseObjects(made)
    module = _database_module(setting, made, setting.config.get("migrations") or ())

    async def start() -> None:
        await module.start()
        await objects.start()

    from flowmesh.apps.modules.outbound.objects import ObjectsComponent

    component = ObjectsComponent(objects)
    services = {**module.services, "ObjectStore": objects, "Component": component}
    return replace(module, services=services, start=start)


def databases(setting: Setting) -> Module:
    """Build database.modular: each connection is `module.name`."""
    connections: Mapping[str, Mapping[str, Json]] = setting.config["connections"]
    if not connections:
        raise setting.invalid("connections is empty")
    made = {
        name: make_database(setting, f"{setting.name}.{name}", config)
        for name, config in connections.items()
    }
    default = str(setting.config.get("default") or next(iter(made)))
    if default not in made:
        raise setting.invalid(f"default is {default!r}; known: {', '.join(made)}")

    async def start() -> None:
        for name, each in made.items():
            await each.start()
            listed = connections[name].get("migrations") or ()
            await migrate(each, [_migration(setting, str(text)) for text in listed])

    async def stop() -> None:
        for each in made.values():
            await each.stop()

    async def health() -> str:
        found = [await each.health() for each in made.values()]
        return "; ".join(filter(None, found))

    return Module(
        name=setting.name,
        services={"Database": made[default]},
        named={("Database", f"{setting.name}.{name}"): each for name, each in made.items()},
        start=start,
        stop=stop,
        health=health,
    )


def make_database(setting: Setting, name: str, config: Mapping[str, Json]) -> Database:
    """Return the database of a configuration. Raises Invalid."""
    driver = str(config.get("driver") or "").lower()
    if not (dsn := str(config.get("dsn") or "")):
        message = f"{name}: dsn is missing; it is a file of SQLite such as data/app.db,"
        message += " or postgresql://user:password@host:port/database"
        raise Invalid("APP_CONFIG_INVALID", message)
    timeout_s = float(config.get("statementTimeout") or 30.0)
    most = int(config.get("maxOpenConns", config.get("max_open_connections", 25)))
    if driver in _SQLITE:
        from flowmesh.apps.data.sqlite import SqliteDatabase

        return SqliteDatabase(
            name=name,
            path=dsn,
            folder=setting.context.folder,
            statement_timeout_s=timeout_s,
            connections_max=most,
            wal=bool(config.get("walMode", True)),
        )
    if driver not in ("postgres", "postgresql", "pgx"):
        text = f"{name}: the driver {driver!r} is not one of sqlite and postgres"
        raise Invalid("APP_CONFIG_INVALID", text)
    from flowmesh.apps.data.postgres import PostgresDatabase

    idle = int(config.get("maxIdleConns", config.get("max_idle_connections", 5)))
    return PostgresDatabase(
        name=name,
        dsn=dsn,
        connections_max=most,
        connections_idle=idle,
        statement_timeout_s=timeout_s,
        confined=setting.context.document.confined,
    )


def _database_module(setting: Setting, made: Database, migrations: Sequence[str]) -> Module:
    async def start() -> None:
        await made.start()
        await migrate(made, [_migration(setting, each) for each in migrations])

    return Module(
        name=setting.name,
        services={"Database": made},
        start=start,
        stop=made.stop,
        health=made.health,
    )


def _migration(setting: Setting, text: str) -> str:
    """Return the SQL of a migration: a text, or a file of it."""
    path = setting.path(text) if text.endswith(".sql") and "\n" not in text else None
    return path.read_text(encoding="utf-8") if path is not None and path.is_file() else text


async def migrate(made: Database, migrations: Sequence[str]) -> None:
    """Run the migrations that have not run, each in a transaction with its record."""
    if not migrations:
        return
    table = f"CREATE TABLE IF NOT EXISTS {_MIGRATIONS} (number INTEGER PRIMARY KEY, digest TEXT)"
    await made.script([table])
    sqlite = made.dialect == "sqlite"
    query = own_statement(f"SELECT number FROM {_MIGRATIONS}", made.dialect)  # noqa: S608
    rows = made.query(query, ())
    done = {each["number"] for each in (rows if isinstance(rows, list) else await rows)}
    for number, text in enumerate(migrations, 1):
        if number in done:
            continue
        record = f"INSERT INTO {_MIGRATIONS} (number) VALUES ({number})"  # noqa: S608 - a number
        parts = split_statements(text) if sqlite else [text]
        await made.script([*parts, record])


def split_statements(text: str) -> list[str]:
    """Return the statements of a script for SQLite, which runs one at a time."""
    import sqlite3

    found, begun = [], 0
    for position, character in enumerate(text):
        if character == ";" and sqlite3.complete_statement(text[begun : position + 1]):
            found.append(text[begun : position + 1].strip())
            begun = position + 1
    rest = text[begun:].strip()
    return [each for each in [*found, rest] if each and each != ";"]


class RecordStore:
    """Records by table, kind and id, written through: a write returns after its commit."""

    def __init__(self, made: Database) -> None:
        self._database = made
        sql = made.dialect
        self._put: dict[str, Statement] = {}
        self._delete: dict[str, Statement] = {}
        self._load: dict[str, Statement] = {}
        self._get: dict[str, Statement] = {}
        for table in TABLES:
            self._put[table] = own_statement(
                f"INSERT INTO {table} (kind, id, body) VALUES (?, ?, ?) "  # noqa: S608 - constants
                "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                sql,
            )
            delete = f"DELETE FROM {table} WHERE kind = ? AND id = ?"  # noqa: S608
            self._delete[table] = own_statement(delete, sql)
            load = f"SELECT id, body FROM {table} WHERE kind = ? ORDER BY id"  # noqa: S608
            self._load[table] = own_statement(load, sql)
            get = f"SELECT body FROM {table} WHERE kind = ? AND id = ?"  # noqa: S608
            self._get[table] = own_statement(get, sql)

    @property
    def database(self) -> Database:
        return self._database

    async def start(self) -> None:
        """Create the tables."""
        columns = (
            "(kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id))"
        )
        await self._database.script(
            [f"CREATE TABLE IF NOT EXISTS {table} {columns}" for table in TABLES]
        )

    async def load(self, table: str, kind: str) -> dict[str, dict[str, Json]]:
        """Return all records of a kind by id."""
        rows = self._database.query(self._load[table], (kind,), 1_000_000)
        found = rows if isinstance(rows, list) else await rows
        return {each["id"]: orjson.loads(each["body"]) for each in found}

    async def get(self, table: str, kind: str, id: str) -> dict[str, Json] | None:
        rows = self._database.query(self._get[table], (kind, id))
        found = rows if isinstance(rows, list) else await rows
        return orjson.loads(found[0]["body"]) if found else None

    async def put(self, table: str, kind: str, id: str, record: Mapping[str, Json]) -> None:
        body = orjson.dumps(record).decode()
        await self._database.execute(self._put[table], (kind, id, body))

    async def delete(self, table: str, kind: str, id: str) -> None:
        await self._database.execute(self._delete[table], (kind, id))


def persistence(setting: Setting) -> Module:
    """Build persistence.store."""
    if setting.config.get("encryptFields"):
        text = f"{setting.name}: this version does not encrypt fields; leave encryptFields out"
        raise Invalid("APP_UNSUPPORTED", text)
    database = setting.partner(DATABASE)
    if database is None:
        raise Invalid("APP_CONFIG_INVALID", f"{setting.name} needs a database")
    store = RecordStore(database)
    return Module(name=setting.name, services={"Store": store}, start=store.start)


class DatabaseObjects:
    """Objects by key in a table of blobs."""

    def __init__(self, made: Database) -> None:
        sql = made.dialect
        self._database = made
        self._put = own_statement(
            "INSERT INTO objects (key, content) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET content = excluded.content",
            sql,
        )
        self._get = own_statement("SELECT hex(content) AS content FROM objects WHERE key = ?", sql)
        self._list = own_statement(
            "SELECT key, length(content) AS size FROM objects "
            "WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key",
            sql,
        )
        self._delete = own_statement("DELETE FROM objects WHERE key = ?", sql)

    async def start(self) -> None:
        """Create the table."""
        columns = "(key TEXT PRIMARY KEY, content BLOB NOT NULL)"
        await self._database.script([f"CREATE TABLE IF NOT EXISTS objects {columns}"])

    async def put(self, key: str, content: bytes) -> None:
        await self._database.execute(self._put, (key, content))

    async def get(self, key: str) -> bytes | None:
        rows = self._database.query(self._get, (key,))
        found = rows if isinstance(rows, list) else await rows
        return bytes.fromhex(found[0]["content"]) if found else None

    async def list(self, prefix: str = "") -> dict[str, int]:
        """Return the sizes of the objects below a prefix by key."""
        rows = self._database.query(self._list, (prefix,))
        found = rows if isinstance(rows, list) else await rows
        return {each["key"]: each["size"] for each in found}

    async def delete(self, key: str) -> bool:
        return (await self._database.execute(self._delete, (key,))).count > 0


STORE: Port[RecordStore] = Port("Store")
