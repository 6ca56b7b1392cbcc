"""The port of an application is its own until it is deleted."""

import contextlib
import socket

import aiohttp

from flowmesh.access import Role
from tests.hostile.conftest import Company


def document(word: str, port: int = 0) -> str:
    """Return an application that answers with a word."""
    return f"""\
name: words
modules:
- {{name: web, type: http.server, config: {{address: ":{port}"}}}}
- {{name: routes, type: http.router}}
- name: word
  type: http.handler
  config: {{path: /, method: GET, contentType: text/plain, body: {word}}}
"""


async def word_at(address: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}/") as answer:
        return await answer.text()


async def test_nobody_takes_the_port_of_a_stopped_application(
    attacker: Company, victim: Company
) -> None:
    """A foreign release that wants it is refused, and the owner starts at its address again."""
    status, body = await victim.deploy("words", document("OWNER"))
    assert status == 201, body
    address = await victim.address("words")
    port = int(address.rpartition(":")[2])
    await victim.rest("POST", "/api/v1/apps/words:stop", {}, role=Role.ADMIN)
    status, body = await attacker.deploy("words", document("THIEF", port))
    assert status == 409, body
    assert f"{port}, which is reserved for another application" in str(body)
    status, body = await victim.rest("POST", "/api/v1/apps/words:start", {}, role=Role.ADMIN)
    assert (status, await victim.address("words")) == (200, address), body
    assert await word_at(address) == "OWNER"
    await victim.delete("words")
    status, body = await attacker.deploy("words", document("NEXT", port))
    assert status == 201, body
    assert await word_at(address) == "NEXT"
    await attacker.delete("words")


async def test_a_port_in_use_by_another_program_is_told(victim: Company) -> None:
    """The application gets another port, and its problem names both."""
    status, body = await victim.deploy("moves", document("OWNER"))
    assert status == 201, body
    before = await victim.address("moves")
    host, _, port = before.rpartition(":")
    await victim.rest("POST", "/api/v1/apps/moves:stop", {}, role=Role.ADMIN)
    with contextlib.closing(socket.create_server((host, int(port)))):
        status, body = await victim.rest("POST", "/api/v1/apps/moves:start", {}, role=Role.ADMIN)
        assert status == 200, body
    _, app = await victim.rest("GET", "/api/v1/apps/moves")
    after = app["addresses"]["web"]
    assert after != before
    assert f"{port} is in use by another program" in app["problem"]
    assert await word_at(after) == "OWNER"
    await victim.delete("moves")
