"""Rights of applications and their deployers: variables, keys, routes of operators."""

from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.access import Role
from flowmesh.api.common.v1.access_pb2 import IdKind
from tests.features.apps import eventually
from tests.features.closed import Closed
from tests.features.commands import Outcome, command
from tests.hostile.conftest import Company

_numbers = count(1)
PRINTING = """\
name: printing
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: routes, type: http.router}
- {name: hello, type: http.handler, config: {path: /hello, method: GET, body: "value=${VALUE}"}}
"""
OPERATED = """\
name: operated
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: routes, type: http.router}
- {name: hello, type: http.handler, config: {path: /hello, method: GET, body: hi}}
- {name: logs, type: log.collector}
- {name: metrics, type: metrics.collector}
- {name: hooks, type: webhook.sender}
"""
OPERATORS = ("/logs", "/metrics", "/webhooks/dead-letters")
# Headers by which a request states that it comes from this machine, or from none.
FORGED: tuple[dict[str, str], ...] = (
    {},
    *(
        {name: value}
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Via")
        for value in ("", "127.0.0.1", "for=127.0.0.1")
    ),
    {"Host": "localhost"},
    {"flowmesh-principal": "local"},
    {"Flowmesh-Actor": "owner"},
    {"Flowmesh-Permissions": "*"},
    {"Authorization": "Basic YWRtaW46YWRtaW4="},
    {"Authorization": "Bearer local"},
)


def name() -> str:
    return f"rights{next(_numbers)}"


async def get(address: str, path: str, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_variables_of_an_admin_are_not_kept_by_an_editor(attacker: Company) -> None:
    """A document of the editor over the admin's variables would print them."""
    app = name()
    made = await attacker.deploy(app, PRINTING, role=Role.ADMIN, environment={"VALUE": "secret"})
    assert made[0] == 201, made
    status, body = await attacker.deploy(app, PRINTING.replace("value=", "got="), baseRelease=1)
    assert (status, body["error"]["reason"]) == (403, "ROLE_REQUIRED")
    assert "VALUE" in body["error"]["message"]
    status, body = await attacker.deploy(app, PRINTING, baseRelease=1, environment={"VALUE": "own"})
    assert status == 201, body
    # What the editor set itself, it may keep; so may the admin.
    for role in (Role.EDITOR, Role.ADMIN):
        release = body["release"]
        changed = PRINTING.replace("/hello", f"/{role.value}")
        status, body = await attacker.deploy(app, changed, role=role, baseRelease=release)
        assert status == 201, body
    assert (await get(await attacker.address(app), "/admin"))[1] == "value=own"
    await attacker.delete(app)


@pytest.mark.parametrize("variable", ["FLOWMESH_API_KEY", "FLOWMESH_TOKEN"])
async def test_a_credential_of_the_suite_is_no_text_of_a_document(
    attacker: Company, variable: str
) -> None:
    """Neither the key that the host gives the application nor a given one can be printed."""
    document = PRINTING.replace("VALUE", variable)
    for environment in ({}, {variable: "fm_canary"}):
        status, body = await attacker.deploy(name(), document, environment=environment)
        assert status == 409, body
        assert "fm_canary" not in str(body)


async def test_the_key_of_an_application_has_no_role_above_its_deployer(attacker: Company) -> None:
    """An editor gives `editor` at most, and an unknown role is refused."""
    body: Any = {"document": PRINTING.replace("${VALUE}", "x")}
    reasons = {"admin": (403, "ROLE_REQUIRED"), "owner": (400, "REQUEST_INVALID")}
    for role, reason in reasons.items():
        path = f"/api/v1/apps/{name()}:deploy"
        status, answer = await attacker.rest("POST", path, {**body, "role": role})
        assert (status, answer["error"]["reason"]) == reason, answer


async def test_the_command_gives_an_application_its_role(
    installation: Closed, attacker: Company, tmp_path: Path
) -> None:
    """At most that of the caller; the key of the application has it."""
    app, file = name(), tmp_path / "app.yaml"
    file.write_text(PRINTING.replace("${VALUE}", "x"))
    environment = {
        "FLOWMESH_API_KEY": attacker.caller().credential,
        "FLOWMESH_NAMESPACE": attacker.namespace,
    }

    async def deploy(role: str) -> Outcome:
        words = ("app", "deploy", str(file), "--name", app, "--role", role)
        return await command(installation.suite, *words, environment=environment)

    refused = await deploy("admin")
    assert refused.code == 1
    assert "you may not give an application the role admin" in refused.err
    made = await deploy("viewer")
    assert made.code == 0, made.err
    assert (await keys_of(attacker))[f"application {app}"] == "viewer"
    await attacker.delete(app)


async def test_the_key_of_an_application_ends_with_it(attacker: Company) -> None:
    """It is listed while the application is there, and gone with it."""
    app = name()
    status, body = await attacker.deploy(app, PRINTING.replace("${VALUE}", "x"))
    assert status == 201, body
    assert f"application {app}" in await keys_of(attacker)
    await attacker.delete(app)
    assert await eventually(lambda: gone(attacker, f"application {app}"))


@pytest.fixture(scope="module")
async def operated(attacker: Company) -> str:
    status, body = await attacker.deploy("operated", OPERATED)
    assert status == 201, body
    return await attacker.address("operated")


@pytest.mark.parametrize("path", OPERATORS)
async def test_no_header_opens_a_route_of_operators(operated: str, path: str) -> None:
    """On a shared host the address of the machine is no credential, with any header or none."""
    assert (await get(operated, "/hello"))[1] == "hi"
    for headers in FORGED:
        status, text = await get(operated, path, **headers)
        assert status == 403, (headers, text)
    assert len(FORGED) >= 22


async def keys_of(company: Company) -> dict[str, str]:
    """Return the roles of the keys of the project by name."""
    project = company.tenant.ids[IdKind.ID_KIND_PROJECT]
    status, body = await company.rest(
        "GET", f"/api/v1/projects/{project}/api-keys", role=Role.ADMIN
    )
    assert status == 200, body
    return {each["name"]: each["role"] for each in body["keys"]}


async def gone(company: Company, key: str) -> bool:
    return key not in await keys_of(company)
