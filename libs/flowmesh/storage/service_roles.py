"""A role for each schema, which owns it and can read no other one.

The superuser of an embedded server makes the roles; their passwords follow from its own. On a
server of yours, the setting `flowmesh.service_roles = 'on'` asks for the same, if services connect
as a superuser; otherwise they stay what they are.
"""

import hmac
from typing import Final
from urllib.parse import quote, urlsplit

import asyncpg

SETTING: Final = "flowmesh.service_roles"
# A random password of 256 bits needs no slow hash, which each connection would pay for.
_PASSWORD_ITERATIONS: Final = 1
# Roles belong to all databases of a server: another process may make the same one meanwhile.
_ATTEMPTS: Final = 20
_RACES: Final = (
    asyncpg.DuplicateObjectError,
    asyncpg.UniqueViolationError,
    asyncpg.InternalServerError,
)
_WANTED: Final = (
    "select current_setting($1, true) = 'on' and rolsuper from pg_roles"
    " where rolname = current_user"
)
_KNOWN: Final = "select shobj_description(oid, 'pg_authid') from pg_roles where rolname = $1"
# Statements that give what an earlier version made as the superuser to the role.
_TAKE_OVER: Final = """
with own as (select oid as role from pg_roles where rolname = $2)
select format('alter table %s owner to %I', oid::regclass, $2::text) from pg_class, own
where relnamespace = $1::regnamespace and relkind in ('r', 'p') and relowner <> role
union all
select format('alter function %s owner to %I', oid::regprocedure, $2::text) from pg_proc, own
where pronamespace = $1::regnamespace and proowner <> role
union all
select format('alter statistics %s.%I owner to %I', $1::regnamespace, stxname, $2::text)
from pg_statistic_ext, own where stxnamespace = $1::regnamespace and stxowner <> role
"""


async def service_address(
    connection: "asyncpg.Connection[asyncpg.Record]", address: str, schema: str
) -> str:
    """Return the address by which a service uses its schema; make its role and the schema.

    It is the given one unless the server asks for roles.
    """
    if not await connection.fetchval(_WANTED, SETTING):
        return address
    role = f"flowmesh_{schema}"
    parts = urlsplit(address)
    password = hmac.digest((parts.password or "").encode(), role.encode(), "sha256").hex()
    for attempt in range(_ATTEMPTS):
        try:
            await _ensure_role(connection, role, password)
            break
        except _RACES:
            if attempt == _ATTEMPTS - 1:
                raise
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", role)
        name = _quoted(schema)
        await connection.execute(f"create schema if not exists {name}")
        await connection.execute(f"alter schema {name} owner to {_quoted(role)}")
        for (statement,) in await connection.fetch(_TAKE_OVER, name, role):
            await connection.execute(statement)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(role)}:{password}@{host}").geturl()


async def _ensure_role(
    connection: "asyncpg.Connection[asyncpg.Record]", role: str, password: str
) -> None:
    """Create the role, or give it its password, which a comment remembers as a digest."""
    digest = hmac.digest(password.encode(), b"digest", "sha256").hex()
    known = await connection.fetch(_KNOWN, role)
    if known and known[0][0] == digest:
        return
    verb, name = "alter" if known else "create", _quoted(role)
    async with connection.transaction():
        await connection.execute(f"set local scram_iterations = {_PASSWORD_ITERATIONS}")
        await connection.execute(f"{verb} role {name} login password '{password}'")
        await connection.execute(f"comment on role {name} is '{digest}'")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
