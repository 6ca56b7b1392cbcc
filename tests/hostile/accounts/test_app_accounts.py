"""Users of applications: strangers cannot set up, guess, or keep what they stole."""

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.apps.modules.passwords import FAILURES_MAX
from tests.features.apps import SECRET, RunningApp, eventually, running, written

pytestmark = pytest.mark.feature("S1-26")
PASSWORD = "correct horse 9"
OWNER = {"email": "ann@a.example", "password": PASSWORD}
TOKEN = re.compile(rb"setupToken ([\w-]+)")


def application(folder: Path, type_: str = "auth.jwt", **config: Any) -> Path:
    """Write an application of users; keys of `config` are those of the module."""
    key = f"secret: {SECRET}" if type_ == "auth.jwt" else f"jwt: {{secret: {SECRET}}}"
    more = "".join(f", {name}: {value}" for name, value in config.items())
    routes = "\n".join(
        f"    - {{method: {method}, path: '/auth/{end}', handler: auth}}"
        for method, end in (
            ("POST", "register"),
            ("POST", "login"),
            ("POST", "refresh"),
            ("POST", "setup"),
            ("GET", "me"),
            ("PUT", "me"),
            ("PUT", "users/{id}/role"),
        )
    )
    return written(
        folder,
        f"""\
name: users
modules:
- {{name: web, type: http.server, config: {{address: ":0"}}}}
- {{name: routes, type: http.router}}
- {{name: db, type: database.workflow, config: {{driver: sqlite, dsn: users.db}}}}
- {{name: store, type: persistence.store, config: {{database: db}}}}
- {{name: logs, type: log.collector}}
- {{name: hooks, type: webhook.sender, config: {{url: "http://127.0.0.1:9/"}}}}
- {{name: auth, type: {type_}, config: {{{key}{more}}}}}
workflows:
  http:
    routes:
{routes}
""",
    )


def bearer(pair: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['token']}"}


async def setup_token(app: RunningApp) -> str:
    async def told() -> str:
        found = TOKEN.search(b"".join(app.lines))
        return found[1].decode() if found else ""

    return str(await eventually(told))


async def logins(
    app: RunningApp, password: str, *, source: str, count: int = 1
) -> list[tuple[int, str]]:
    """Send logins of the owner at once from an address; return status and reason of each."""
    connector = aiohttp.TCPConnector(local_addr=(source, 0), limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def once() -> tuple[int, str]:
            body = {**OWNER, "password": password}
            async with session.post(f"{app.url}/auth/login", json=body) as answer:
                found = await answer.json()
                return answer.status, found.get("code", "")

        return list(await asyncio.gather(*(once() for _ in range(count))))


async def test_one_setup_succeeds_and_only_with_the_token_of_the_log(tmp_path: Path) -> None:
    """Of eight at once; the token is not in `GET /logs`, and registration does not close setup."""
    async with running(application(tmp_path)) as app:
        for wrong in ({}, {"setupToken": "x"}, {"setupToken": 1}):
            assert (await app.call("POST", "/auth/setup", {**OWNER, **wrong})).status == 403
        stranger = {"email": "eve@a.example", "password": PASSWORD}
        assert (await app.call("POST", "/auth/register", stranger)).status == 201
        token = await setup_token(app)
        assert token.encode() not in (await app.call("GET", "/logs?limit=1000")).body
        made = await asyncio.gather(
            *(
                app.call(
                    "POST",
                    "/auth/setup",
                    {**OWNER, "email": f"{number}@a.example", "setupToken": token},
                )
                for number in range(8)
            )
        )
        assert sorted(each.status for each in made) == [201] + [409] * 7


async def test_closed_registration_refuses_the_first_stranger(tmp_path: Path) -> None:
    """Before the setup too."""
    async with running(application(tmp_path, allowRegistration="false")) as app:
        assert (await app.call("POST", "/auth/register", OWNER)).status == 403


async def test_a_new_password_needs_the_old_one_and_ends_all_sessions(tmp_path: Path) -> None:
    """A stolen token sets none; after the change no earlier token of the user is valid."""
    async with running(application(tmp_path)) as app:
        stolen = (await app.call("POST", "/auth/register", OWNER)).body
        other = (await app.call("POST", "/auth/login", OWNER)).body
        new = "battery staple 7"
        for body, status in (
            ({"password": new}, 422),
            ({"password": new, "currentPassword": "a guess"}, 403),
        ):
            answer = await app.call("PUT", "/auth/me", body, bearer(stolen))
            assert answer.status == status, answer.body
        assert (await app.call("POST", "/auth/login", OWNER)).status == 200
        change = {"password": new, "currentPassword": PASSWORD}
        changed = await app.call("PUT", "/auth/me", change, bearer(other))
        assert changed.status == 200, changed.body
        for pair in (stolen, other):
            assert (await app.call("GET", "/auth/me", headers=bearer(pair))).status == 401
            refresh = {"refresh_token": pair["refreshToken"]}
            assert (await app.call("POST", "/auth/refresh", refresh)).status == 401
        assert (await app.call("GET", "/auth/me", headers=bearer(changed.body))).status == 200
        assert (await app.call("POST", "/auth/login", OWNER)).status == 401


async def test_guesses_of_passwords_by_a_stolen_token_are_counted(tmp_path: Path) -> None:
    """Those of `PUT /auth/me`, sent at once; the owner logs in meanwhile."""
    async with running(application(tmp_path)) as app:
        stolen = (await app.call("POST", "/auth/register", OWNER)).body
        body = {"password": "battery staple 7", "currentPassword": "a guess"}
        found = await asyncio.gather(
            *(app.call("PUT", "/auth/me", body, bearer(stolen)) for _ in range(30))
        )
        assert [each.status for each in found].count(403) == FAILURES_MAX
        assert (await app.call("POST", "/auth/login", OWNER)).status == 200


async def test_guesses_are_counted_before_the_hash_and_by_network(tmp_path: Path) -> None:
    """Of 60 at once ten are verified, and the owner logs in from elsewhere meanwhile."""
    async with running(application(tmp_path)) as app:
        assert (await app.call("POST", "/auth/register", OWNER)).status == 201
        found = await logins(app, "a guess", source="127.9.9.9", count=60)
        assert found.count((401, "LOGIN_FAILED")) == FAILURES_MAX
        assert found.count((429, "LOGIN_LIMITED")) == 60 - FAILURES_MAX
        assert await logins(app, PASSWORD, source="127.9.9.9") == [(429, "LOGIN_LIMITED")]
        assert await logins(app, PASSWORD, source="127.0.0.1", count=20) == [(200, "")] * 20


async def test_a_used_refresh_token_is_refused_after_a_restart(tmp_path: Path) -> None:
    """It ends the session; the newest token of another session is valid after the restart."""
    path = application(tmp_path)
    async with running(path) as app:
        first = (await app.call("POST", "/auth/register", OWNER)).body
        kept = (await app.call("POST", "/auth/login", OWNER)).body
        used = {"refresh_token": first["refreshToken"]}
        second = (await app.call("POST", "/auth/refresh", used)).body
    async with running(path) as app:
        assert (await app.call("GET", "/auth/me", headers=bearer(second))).status == 200
        assert (await app.call("POST", "/auth/refresh", used)).status == 401
        assert (await app.call("GET", "/auth/me", headers=bearer(second))).status == 401
        valid = {"refresh_token": kept["refreshToken"]}
        assert (await app.call("POST", "/auth/refresh", valid)).status == 200


async def test_a_demoted_administrator_is_no_operator(tmp_path: Path) -> None:
    """The role of the stored user counts at each request, not that of the token."""
    async with running(application(tmp_path, setupToken=SECRET)) as app:
        root = (await app.call("POST", "/auth/setup", {**OWNER, "setupToken": SECRET})).body
        operators = "/webhooks/dead-letters"
        assert (await app.call("GET", operators, headers=bearer(root))).status == 200
        path = f"/auth/users/{root['user']['id']}/role"
        assert (await app.call("PUT", path, {"role": "user"}, bearer(root))).status == 200
        assert (await app.call("GET", operators, headers=bearer(root))).status == 403


RULES = {"min_length": 12, "require_upper": "true", "require_digit": "true"}
RULES_TEXT = "{" + ", ".join(f"{key}: {value}" for key, value in RULES.items()) + "}"


@pytest.mark.parametrize(
    ("type_", "password"),
    [
        *(("auth.jwt", each) for each in ("123456", "12345678", "password1234", "eve@a.example")),
        *(
            ("auth.modular", each)
            for each in ("Battery 7", "battery staple 7", "BatteryStaple", "Password1234")
        ),
    ],
)
async def test_weak_passwords_are_refused(tmp_path: Path, type_: str, password: str) -> None:
    """Short and common ones, the address itself, and those that miss what the rules demand."""
    rules = {"password": RULES_TEXT} if type_ == "auth.modular" else {}
    async with running(application(tmp_path, type_, **rules)) as app:
        body = {"email": "eve@a.example", "password": password}
        answer = await app.call("POST", "/auth/register", body)
        assert (answer.status, answer.body["code"]) == (422, "VALIDATION_FAILED")
        good = {"email": "eve@a.example", "password": "Battery staple 7!"}
        assert (await app.call("POST", "/auth/register", good)).status == 201


@pytest.mark.parametrize(
    "rules",
    [
        "{min_lenght: 9}",
        "{min_length: 3}",
        "{require_upper: 1}",
        "{algorithm: md5}",
        "{algorithm: argon2id, bcrypt_cost: 12}",
        "{bcrypt_cost: 31}",
    ],
)
async def test_a_rule_of_passwords_that_is_not_followed_is_refused(
    tmp_path: Path, rules: str
) -> None:
    """Misspelled, out of range or in conflict: the application does not start."""
    with pytest.raises(Exception, match=r": password\."):
        async with running(application(tmp_path, "auth.modular", password=rules)):
            pass


async def test_bcrypt_is_used_if_it_is_asked_for(tmp_path: Path) -> None:
    """A user logs in with a password of the 72 bytes that bcrypt takes, and one more is refused."""
    long = "correct horse battery staple " * 3
    async with running(application(tmp_path, "auth.modular", password="{bcrypt_cost: 10}")) as app:
        body = {"email": "eve@a.example", "password": long[:72]}
        assert (await app.call("POST", "/auth/register", body)).status == 201
        assert (await app.call("POST", "/auth/login", body)).status == 200
        other = {"email": "bob@a.example", "password": long[:73]}
        assert (await app.call("POST", "/auth/register", other)).status == 422
