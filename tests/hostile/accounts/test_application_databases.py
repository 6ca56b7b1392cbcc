"""No statement of an application reaches a database, a file or a program that is not its own."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from flowmesh.apps.data.postgres import PostgresDatabase
from flowmesh.errors import Forbidden
from tests.features.closed import Closed
from tests.hostile.conftest import Company

CANARY = "CANARY-OF-THE-VICTIM"


def document(*migrations: str) -> str:
    """Return an application with a SQLite database and its migrations."""
    listed = ", ".join(f'"{each}"' for each in migrations)
    return f"""\
name: notes
modules:
- {{name: web, type: http.server, config: {{address: ":0"}}}}
- {{name: routes, type: http.router}}
- {{name: ok, type: http.handler, config: {{path: /ok, method: GET, body: ok}}}}
- name: db
  type: database.workflow
  config: {{driver: sqlite, dsn: notes.db, migrations: [{listed}]}}
"""


def attacks(victim: Path, planted: Path) -> Mapping[str, str]:
    """Return statements that read the victim's file, or make a file elsewhere."""
    return {
        "attach": f"CREATE TABLE l (t TEXT); ATTACH '{victim}' AS v; "
        "INSERT INTO l SELECT t FROM v.n; INSERT INTO v.n VALUES ('WRITTEN')",
        "attach a new file": f"ATTACH DATABASE '{planted}' AS v; CREATE TABLE v.x (t)",
        "attach by URI": f"ATTACH 'file:{victim}?mode=rw' AS v; DELETE FROM v.n",
        "attach after a commit": f"COMMIT; ATTACH '{victim}' AS v; DELETE FROM v.n",
        "vacuum into": f"COMMIT; VACUUM INTO '{planted}'",
        "extension": "SELECT load_extension('/lib/x86_64-linux-gnu/libm.so.6')",
        "temporary files": f"PRAGMA temp_store_directory = '{planted.parent}'",
        "schema": "PRAGMA writable_schema = ON",
        "trust": "PRAGMA trusted_schema = ON",
        "place of the file": "CREATE TABLE f AS SELECT file FROM pragma_database_list",
    }


async def test_migrations_of_sqlite_stay_in_their_file(
    attacker: Company, victim: Company, installation: Closed, tmp_path: Path
) -> None:
    """Each is refused; the file of another tenant is as before, and none is made elsewhere."""
    seeded = document("CREATE TABLE n (t TEXT)", f"INSERT INTO n VALUES ('{CANARY}')")
    status, body = await victim.deploy("notes", seeded)
    assert status == 201, body
    folder = installation.suite.data_dir / "apps"
    (file,) = await asyncio.to_thread(lambda: list(folder.glob("*/notes/data/notes.db")))
    planted = tmp_path / "planted.db"
    served = []
    for name, statements in attacks(file, planted).items():
        status, body = await attacker.deploy("thief", document(statements))
        if status != 409:
            served.append((name, status, body))
    with closing(sqlite3.connect(file)) as opened:
        rows = opened.execute("SELECT t FROM n").fetchall()
    assert (served, rows, planted.exists()) == ([], [(CANARY,)], False)
    await victim.delete("notes")
    await attacker.delete("thief")


POWERS = {
    "a superuser": "alter role {role} superuser",
    "programs": "grant pg_execute_server_program to {role}",
    "reads files": "grant pg_read_server_files to {role}",
    "writes files": "grant pg_write_server_files to {role}",
    "a member of one": "create role {role}_g nologin; grant pg_write_server_files to {role}_g;"
    " grant {role}_g to {role}",
}


@pytest.mark.parametrize("power", POWERS)
async def test_no_role_that_reaches_the_server_is_taken(database: str, power: str) -> None:
    """A hosted application does not start with it; a plain role is taken."""
    role = f"r{abs(hash(database)) % 10**9}"
    owner = await asyncpg.connect(database)
    await owner.execute(f"create role {role} login password 'p'")
    before, _, rest = database.partition("//")
    dsn = f"{before}//{role}:p@{rest.rpartition('@')[2]}"

    async def opened() -> None:
        made = PostgresDatabase(
            name="db",
            dsn=dsn,
            connections_max=2,
            connections_idle=0,
            statement_timeout_s=5.0,
            confined=True,
        )
        try:
            await made.start()
        finally:
            await made.stop()

    try:
        await opened()
        await owner.execute(POWERS[power].format(role=role))
        with pytest.raises(Forbidden, match="rights of"):
            await opened()
    finally:
        await owner.execute(f"drop role if exists {role}_g; drop role {role}")
        await owner.close()
