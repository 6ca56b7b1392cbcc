"""Sessions over REST: register, login, refresh, logout, and the end of a session everywhere."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from statistics import median
from typing import Any

import aiohttp
import grpc.aio
import pytest

from flowmesh.api.event.v1 import event_service_pb2, event_service_pb2_grpc
from flowmesh.api.identity.v1 import auth_service_pb2
from tests.features.closed import PASSWORD, Caller, Closed, closed_suite

AUTH = "/api/v1/auth"
EMAIL = "owner@example.com"
LOGIN = {"email": EMAIL, "password": PASSWORD}
INVALID = (401, "CREDENTIALS_INVALID")
REVOKED_WITHIN_S = 1.0


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    folder = tmp_path_factory.mktemp("sessions")
    async with closed_suite(folder, FLOWMESH_REGISTRATION="open") as made:
        yield made


async def posted(caller: Caller, name: str, body: Any = None) -> tuple[int, Any]:
    return await caller.rest("POST", f"{AUTH}/{name}", body)


async def refused(caller: Caller, name: str, body: Any = None) -> tuple[int, str]:
    status, answer = await posted(caller, name, body)
    assert status >= 400, answer
    return status, answer["error"]["reason"]


async def logged_in(closed: Closed) -> tuple[Caller, dict[str, Any]]:
    status, answer = await posted(closed.caller(""), "login", LOGIN)
    assert status == 200, answer
    return closed.caller(answer["accessToken"]), answer


async def registered(closed: Closed, email: str) -> dict[str, Any]:
    body = {"email": email, "password": PASSWORD}
    status, answer = await posted(closed.caller(""), "register", body)
    assert status == 201, answer
    return dict(answer)


@pytest.mark.long
@pytest.mark.feature("S1-112")
async def test_register_login_refresh_logout(closed: Closed) -> None:
    """Four endpoints; each successor of a token works, and none after the logout."""
    anyone = closed.caller("")
    opened = await registered(closed, "new@example.com")
    assert opened["user"]["email"] == "new@example.com"
    status, session = await posted(
        anyone, "login", {"email": "New@Example.com ", "password": PASSWORD}
    )
    assert (status, session["user"]["id"]) == (200, opened["user"]["id"])
    status, refreshed = await posted(anyone, "refresh", {"refreshToken": session["refreshToken"]})
    assert status == 200
    caller = closed.caller(refreshed["accessToken"])
    status, me = await caller.rest("GET", f"{AUTH}/me")
    assert (status, me["kind"], me["user"]["email"]) == (200, "user", "new@example.com")
    assert (await posted(caller, "logout"))[0] == 204
    assert (await caller.rest("GET", f"{AUTH}/me"))[0] == 401
    last = {"refreshToken": refreshed["refreshToken"]}
    assert await refused(anyone, "refresh", last) == INVALID


@pytest.mark.feature("S1-112")
async def test_a_logout_ends_every_kind_of_call_within_a_second(closed: Closed) -> None:
    """REST, gRPC, Server-Sent Events and WebSocket; the streams end, new calls are refused."""
    caller, _ = await logged_in(closed)
    bearer = {"authorization": f"Bearer {caller.credential}"}
    url = closed.suite.http_url
    watch = event_service_pb2_grpc.EventServiceStub(caller.channel).WatchEvents(
        event_service_pb2.WatchEventsRequest()
    )
    await watch.read()
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}/api/v1/events", headers=bearer) as stream,
        http.ws_connect(f"{url}/api/v1/events/ws", headers=bearer) as socket,
    ):
        assert stream.status == 200
        await stream.content.readline()
        assert (await posted(caller, "logout"))[0] == 204
        ended = time.monotonic()
        async with asyncio.timeout(REVOKED_WITHIN_S):
            with pytest.raises(grpc.aio.AioRpcError) as revoked:
                await anext(aiter(watch))
            assert revoked.value.code() is grpc.StatusCode.UNAUTHENTICATED
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert (socket.close_code, message.extra) == (1008, "CREDENTIALS_REVOKED")
            text = await stream.content.read()
            assert b"CREDENTIALS_REVOKED" in text
        assert (await caller.rest("GET", "/api/v1/executions"))[0] == 401
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await caller.auth.GetMe(auth_service_pb2.GetMeRequest())
        assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
        async with http.get(f"{url}/api/v1/events", headers=bearer) as again:
            assert again.status == 401
        with pytest.raises(aiohttp.WSServerHandshakeError) as shaken:
            await http.ws_connect(f"{url}/api/v1/events/ws", headers=bearer)
        assert shaken.value.status == 401
        assert time.monotonic() - ended < REVOKED_WITHIN_S


async def test_a_reused_refresh_token_ends_its_session(closed: Closed) -> None:
    """Reuse after its successor was used revokes the whole family of tokens."""
    anyone = closed.caller("")
    _, opened = await logged_in(closed)
    tokens = [opened["refreshToken"]]
    for _ in range(2):
        status, answer = await posted(anyone, "refresh", {"refreshToken": tokens[-1]})
        assert status == 200
        tokens.append(answer["refreshToken"])
    assert len(set(tokens)) == 3
    assert await refused(anyone, "refresh", {"refreshToken": tokens[0]}) == INVALID
    assert await refused(anyone, "refresh", {"refreshToken": tokens[-1]}) == INVALID
    assert (await closed.caller(answer["accessToken"]).rest("GET", f"{AUTH}/me"))[0] == 401


async def test_two_refreshes_at_once_have_one_successor(closed: Closed) -> None:
    """Two tabs of a browser, or a repeated request, continue the same session."""
    anyone = closed.caller("")
    _, opened = await logged_in(closed)
    body = {"refreshToken": opened["refreshToken"]}
    answers = await asyncio.gather(*(posted(anyone, "refresh", body) for _ in range(4)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["refreshToken"] for _, answer in answers}) == 1


async def test_a_disabled_user_cannot_refresh(closed: Closed) -> None:
    """Its refresh token is refused like any invalid one."""
    opened = await registered(closed, "disabled@example.com")
    path = f"/api/v1/users/{opened['user']['id']}:disable"
    assert (await closed.owner.rest("POST", path))[0] == 204
    body = {"refreshToken": opened["refreshToken"]}
    assert await refused(closed.caller(""), "refresh", body) == INVALID


@pytest.mark.long
async def test_a_new_password_ends_the_other_sessions(closed: Closed) -> None:
    """The session of the change remains valid; the former password is refused."""
    opened = await registered(closed, "changer@example.com")
    anyone, caller = closed.caller(""), closed.caller(opened["accessToken"])
    login = {"email": "changer@example.com", "password": PASSWORD}
    other = (await posted(anyone, "login", login))[1]
    new = "a rather different passphrase"
    body = {"currentPassword": PASSWORD, "newPassword": new}
    wrong = body | {"currentPassword": "wrong"}
    assert await refused(caller, "password", wrong) == INVALID
    weak = await refused(caller, "password", body | {"newPassword": "password1234"})
    assert weak == (400, "PASSWORD_WEAK")
    assert (await posted(caller, "password", body))[0] == 204
    assert (await caller.rest("GET", f"{AUTH}/me"))[0] == 200
    assert (await closed.caller(other["accessToken"]).rest("GET", f"{AUTH}/me"))[0] == 401
    assert await refused(anyone, "login", login) == INVALID
    assert (await posted(anyone, "login", login | {"password": new}))[0] == 200


async def test_access_tokens_verify_with_the_published_keys(closed: Closed) -> None:
    """A service outside verifies a token with the JWK Set alone; no private part is in it."""
    import jwt

    status, keys = await closed.caller("").rest("GET", "/.well-known/jwks.json")
    assert status == 200
    assert all(set(key) == {"kty", "crv", "use", "alg", "kid", "x"} for key in keys["keys"])
    kid = jwt.get_unverified_header(closed.owner.credential)["kid"]
    key = next(jwt.PyJWK(each) for each in keys["keys"] if each["kid"] == kid)
    claims = jwt.decode(
        closed.owner.credential, key, algorithms=["EdDSA"], options={"verify_aud": False}
    )
    assert claims["sub"].startswith("usr_")


async def test_a_huge_password_is_refused(closed: Closed) -> None:
    """1 MiB is not read to its end; a password over 1,024 bytes is wrong without a hash."""
    anyone = closed.caller("")
    huge = LOGIN | {"password": "x" * 2**20}
    assert await refused(anyone, "login", huge) == (413, "BODY_TOO_LARGE")
    fresh = {"email": "huge@example.com", "password": "x" * 1_025}
    assert await refused(anyone, "login", fresh) == INVALID
    assert await refused(anyone, "register", fresh) == (400, "PASSWORD_WEAK")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"email": EMAIL},
        {"email": EMAIL, "password": None},
        {"email": EMAIL, "password": ["x"]},
        {"email": {"$ne": ""}, "password": PASSWORD},
        LOGIN | {"role": "owner"},
    ],
)
async def test_a_malformed_login_is_no_login(closed: Closed, body: Any) -> None:
    """Missing, unknown and mistyped members are named."""
    assert (await refused(closed.caller(""), "login", body))[0] == 400


@pytest.mark.long
async def test_look_alike_addresses_are_other_users(closed: Closed) -> None:
    """A Cyrillic letter, a full-width one and a combining accent are refused at login."""
    for email in ("\u043ewner@example.com", "\uff4fwner@example.com", "o\u0301wner@example.com"):
        body = {"email": email, "password": PASSWORD}
        assert await refused(closed.caller(""), "login", body) == INVALID


@pytest.mark.long
async def test_guesses_are_delayed_and_tell_nothing(closed: Closed) -> None:
    """After five failures an account waits, known or not, with the same answers."""
    await registered(closed, "guessed@example.com")
    found = []
    for email in ("guessed@example.com", "unknown@example.com"):
        body = {"email": email, "password": "wrong wrong wrong"}
        found.append([await refused(closed.caller(""), "login", body) for _ in range(8)])
        assert found[-1][0] == INVALID or found[-1][0] == (429, "LOGIN_DELAYED")
        assert found[-1][-1] == (429, "LOGIN_DELAYED")


async def test_tokens_that_are_none_are_refused(closed: Closed) -> None:
    """Cut, foreign, unsigned and over-long tokens have one answer."""
    token = closed.owner.credential
    head, claims, signature = token.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    for bad in (
        token[:-10],
        f"{head}.{claims}.{'A' * len(signature)}",
        f"{none}.{claims}.",
        "x" * 9_000,
        "fm_abcdefghijkl_notakey",
        "é",
    ):
        status, _ = await closed.caller(bad).rest("GET", f"{AUTH}/me")
        assert status == 401, bad[:50]


async def test_a_credential_in_a_url_is_refused(closed: Closed) -> None:
    """Logs keep URLs, so the answer asks for a rotation; a valid header does not help."""
    project = await closed.project("in-url")
    key = await closed.key(project.id, "viewer")
    for query in (
        f"access_token={closed.owner.credential}",
        f"token={closed.owner.credential}",
        f"api_key={key.credential}",
        f"pageSize=1&anything={key.credential}",
    ):
        for caller in (closed.caller(""), closed.owner):
            status, answer = await caller.rest("GET", f"/api/v1/executions?{query}")
            assert (status, answer["error"]["reason"]) == (400, "CREDENTIAL_IN_URL")
            assert "rotate" in answer["error"]["message"]
            assert closed.owner.credential not in str(answer)
    status, _ = await closed.owner.rest("GET", "/api/v1/executions?pageToken=token")
    assert status == 400


async def test_a_caller_cannot_choose_its_address(closed: Closed) -> None:
    """`X-Forwarded-For` counts from a trusted proxy only, so a key stays in its networks."""
    project = await closed.project("networked")
    inside = await closed.key(project.id, "viewer", networks=["127.0.0.0/8"])
    outside = await closed.key(project.id, "viewer", networks=["10.0.0.0/8"])
    forged = {"x_forwarded_for": "10.1.2.3"}
    path = f"{AUTH}/me"
    assert (await inside.rest("GET", path, **forged))[0] == 200
    for headers in ({}, forged):
        status, answer = await outside.rest("GET", path, **headers)
        assert (status, answer["error"]["reason"]) == INVALID


@pytest.mark.long
async def test_an_unknown_user_takes_as_long_as_a_known_one(closed: Closed) -> None:
    """The medians of wrong logins differ by less than a fifth; each has its own account."""
    for number in range(12):
        await registered(closed, f"timed-{number}@example.com")
    times: dict[str, list[float]] = {"timed": [], "missing": []}
    for number in range(12):
        for kind, taken in times.items():
            body = {"email": f"{kind}-{number}@example.com", "password": "wrong wrong wrong"}
            begun = time.perf_counter()
            await posted(closed.caller(""), "login", body)
            taken.append(time.perf_counter() - begun)
    known, unknown = median(times["timed"]), median(times["missing"])
    assert abs(known - unknown) < 0.2 * max(known, unknown)
