"""`flowmesh login` by a browser of the same machine: PKCE, state, one use, and a deadline."""

import asyncio
import base64
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.embedded.ports import free_port
from flowmesh.testing.suite import Suite
from tests.features.closed import OWNER, PASSWORD, Closed, closed_suite
from tests.features.commands import Outcome, command
from tests.features.security.audited import Audited
from tests.features.security.openid_provider import (
    CLIENT,
    SECRET,
    OpenIdProvider,
    openid_provider,
)

ROOT = Path(__file__).resolve().parents[3]
REDIRECT = "http://127.0.0.1:50000/callback"
VERIFIER = "v" * 43


class _Public(Suite):
    """A suite that states the address of its gateway."""

    def __init__(self, *arguments: Any, environment: dict[str, str]) -> None:
        ports = (free_port(), free_port())
        url = {"FLOWMESH_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}"}
        super().__init__(*arguments, environment={**environment, **url}, ports=ports)


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("loopback"), kind=_Public) as made:
        yield made


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider() as made:
        yield made


@pytest.fixture(scope="module")
async def offered(closed: Closed, provider: OpenIdProvider) -> str:
    """A provider of the default company."""
    settings = {
        "name": "Corp",
        "issuer": provider.issuer,
        "clientId": CLIENT,
        "clientSecret": SECRET,
        "rules": [{"role": "editor"}],
    }
    path = "/api/v1/companies/co_default/identity-providers"
    status, made = await closed.owner.rest("POST", path, settings)
    assert status == 201, made
    return str(made["id"])


async def logged_in(
    closed: Closed, folder: Path, offered: str, twist: str, *options: str
) -> Outcome:
    """Run `flowmesh login` with the browser of a twist."""
    program = f"{sys.executable} -m tests.features.logins.browser_program {offered} {twist} %s"
    return await flowmesh(closed, folder, "login", *options, BROWSER=program)


async def flowmesh(closed: Closed, folder: Path, *tokens: str, **environment: str) -> Outcome:
    own = {
        "XDG_CONFIG_HOME": str(folder),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "PYTHONPATH": str(ROOT),
        "FLOWMESH_ADDRESS": closed.suite.grpc_address,
    }
    return await command(closed.suite, *tokens, addressed=False, environment={**own, **environment})


@pytest.mark.long
@pytest.mark.feature("S1-118")
@pytest.mark.parametrize("twist", ["none", "state", "host"])
async def test_the_command_logs_in_at_a_provider_by_the_browser(
    closed: Closed, offered: str, tmp_path: Path, twist: str
) -> None:
    """Answers with another state, without a code or by another name do not end the wait."""
    outcome = await logged_in(closed, tmp_path, offered, twist, "--deadline", "30")
    assert (outcome.code, outcome.err.count("the browser shows")) == (0, 1), outcome.err
    assert "logged in to" in outcome.out
    outcome = await flowmesh(closed, tmp_path, "whoami")
    assert "ada@corp.example" in outcome.out, outcome.err


@pytest.mark.long
async def test_a_code_that_another_program_tried_is_lost(
    closed: Closed, offered: str, tmp_path: Path
) -> None:
    """Without the verifier it opens no session, and then none for the command either."""
    outcome = await logged_in(closed, tmp_path, offered, "stolen", "--deadline", "30")
    assert (outcome.code, "LOGIN_REFUSED" in outcome.err) == (1, True), outcome.err
    assert (await flowmesh(closed, tmp_path, "whoami")).code != 0


@pytest.mark.long
async def test_a_browser_that_never_comes_ends_the_login_at_its_deadline(
    closed: Closed, offered: str, tmp_path: Path
) -> None:
    """With the way that needs no browser."""
    outcome = await logged_in(closed, tmp_path, offered, "never", "--deadline", "1")
    assert outcome.code == 1
    assert "within 1 s" in outcome.err
    assert "--device" in outcome.err
    outcome = await logged_in(closed, tmp_path, offered, "never", "--deadline", "0")
    assert outcome.code == 2


@pytest.mark.long
async def test_without_a_browser_a_code_is_shown(closed: Closed, tmp_path: Path) -> None:
    """The login is that of a device then, and a user approves the code elsewhere."""
    environment = {
        **os.environ,
        "PATH": str(tmp_path),
        "BROWSER": "",
        "DISPLAY": "",
        "XDG_CONFIG_HOME": str(tmp_path),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flowmesh.suite", "login"),
        *("--address", closed.suite.grpc_address),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert process.stderr is not None
    assert b"no browser" in await process.stderr.readline()
    shown = (await process.stderr.readline()).decode().strip()
    assert f"{closed.suite.http_url}/device" in shown
    approval = {"userCode": shown.rpartition(" ")[2]}
    status, _ = await closed.owner.rest("POST", "/api/v1/auth/device:approve", approval)
    assert status == 204
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, OWNER in out.decode()) == (0, True), err


def challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def approved(closed: Closed, **other: str) -> tuple[int, Any]:
    body = {
        "clientId": "flowmesh-cli",
        "redirectUri": REDIRECT,
        "codeChallenge": challenge(VERIFIER),
        **other,
    }
    return await closed.owner.rest("POST", "/api/v1/auth/loopback:approve", body)


async def completed(closed: Closed, code: str, **other: str) -> tuple[int, Any]:
    body = {
        "clientId": "flowmesh-cli",
        "redirectUri": REDIRECT,
        "code": code,
        "codeVerifier": VERIFIER,
        **other,
    }
    return await closed.caller("").rest("POST", "/api/v1/auth/loopback:complete", body)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:123456/callback",
        "https://127.0.0.1:5000/callback",
        "http://127.0.0.1:5000/elsewhere",
        "http://127.0.0.1:5000/callback?x=1",
        "http://127.0.0.1:5000@evil.example/callback",
        "http://127.0.0.1.evil.example:5000/callback",
        "http://localhost:5000/callback",
        "http://0.0.0.0:5000/callback",
        "https://evil.example/callback",
        "javascript:alert(1)",
        "",
    ],
)
async def test_only_addresses_of_this_machine_get_a_code(closed: Closed, address: str) -> None:
    """No other host, scheme or path, and no name that could be another host."""
    status, answer = await approved(closed, redirectUri=address)
    assert (status, answer["error"]["reason"]) == (400, "REQUEST_INVALID")


async def test_only_the_command_and_only_with_a_challenge(closed: Closed) -> None:
    """Another client has no loopback address, and a key is no user."""
    for other in ({"clientId": "another"}, {"clientId": ""}, {"codeChallenge": "short"}):
        status, answer = await approved(closed, **other)
        assert (status, answer["error"]["reason"]) == (400, "REQUEST_INVALID"), other
    project = await closed.project("loopback")
    key = await closed.key(project.id, "admin")
    body = {"clientId": "flowmesh-cli", "redirectUri": REDIRECT, "codeChallenge": "c" * 43}
    status, answer = await key.rest("POST", "/api/v1/auth/loopback:approve", body)
    assert (status, answer["error"]["reason"]) == (403, "ROLE_REQUIRED")
    status, _ = await closed.caller("").rest("POST", "/api/v1/auth/loopback:approve", body)
    assert status == 401
    for port in ("1", "65535"):
        for host in ("127.0.0.1", "[::1]"):
            status, answer = await approved(closed, redirectUri=f"http://{host}:{port}/callback")
            assert status == 200, answer


async def test_a_code_counts_once_and_with_its_verifier(closed: Closed) -> None:
    """Also a wrong use is its only one."""
    _, answer = await approved(closed)
    status, session = await completed(closed, answer["code"])
    assert (status, session["user"]["email"]) == (200, OWNER)
    for other in (
        {"codeVerifier": "w" * 43},
        {"codeVerifier": ""},
        {"redirectUri": "http://127.0.0.1:50001/callback"},
        {"clientId": "another"},
    ):
        _, answer = await approved(closed)
        assert await refused(closed, answer["code"], **other), other
        assert await refused(closed, answer["code"]), other
    _, answer = await approved(closed)
    for code in (answer["code"][:-4] + "AAAA", "", "x", "ä" * 20):
        assert await refused(closed, code), code
    # A code of a device is none of the command, nor the other way round.
    _, device = await closed.caller("").rest("POST", "/api/v1/auth/device", {})
    assert await refused(closed, device["deviceCode"])


async def test_a_code_that_comes_again_ends_its_session(closed: Closed) -> None:
    """By redirect and by device code; the audit log names the call that ended the session."""
    anyone = closed.caller("")
    _, answer = await approved(closed)
    _, by_redirect = await completed(closed, answer["code"])
    _, begun = await anyone.rest("POST", "/api/v1/auth/device", {})
    approval = {"userCode": begun["userCode"]}
    await closed.owner.rest("POST", "/api/v1/auth/device:approve", approval)
    device = {"deviceCode": begun["deviceCode"]}
    _, by_device = await anyone.rest("POST", "/api/v1/auth/device:complete", device)
    for session in (by_redirect, by_device):
        user = closed.caller(session["accessToken"])
        assert (await user.rest("GET", "/api/v1/auth/me"))[0] == 200
    # Another program that has the code lacks the verifier.
    assert await refused(closed, answer["code"], codeVerifier="w" * 43)
    status, again = await anyone.rest("POST", "/api/v1/auth/device:complete", device)
    assert (status, again["error"]["reason"]) == (401, "LOGIN_REFUSED")
    for session in (by_redirect, by_device):
        user = closed.caller(session["accessToken"])
        assert (await user.rest("GET", "/api/v1/auth/me"))[0] == 401
        body = {"refreshToken": session["refreshToken"]}
        assert (await anyone.rest("POST", "/api/v1/auth/refresh", body))[0] == 401
    assert (await closed.owner.rest("GET", "/api/v1/auth/me"))[0] == 200
    methods = ("CompleteLoopbackLogin", "CompleteDeviceLogin")
    for session, method in zip((by_redirect, by_device), methods, strict=True):
        target = f"{session['user']['id']}/{session_id(session['accessToken'])}"
        ended, opened = await Audited(closed).found(2, company_id="", target=target)
        assert {ended.method, opened.method} == {f"LoginService.{method}"}
        change = json.loads(ended.details)
        assert change["before"]["revoked_at"] is None
        assert change["after"]["revoked_at"]


def session_id(access_token: str) -> str:
    claims = access_token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sid"])


async def refused(closed: Closed, code: str, **other: str) -> bool:
    status, answer = await completed(closed, code, **other)
    return (status, answer["error"]["reason"]) == (401, "LOGIN_REFUSED")


@pytest.mark.long
async def test_the_password_is_still_asked_for_with_an_address(
    closed: Closed, tmp_path: Path
) -> None:
    """`--email` opens no browser."""
    outcome = await command(
        closed.suite,
        *("login", "--email", OWNER),
        addressed=False,
        stdin=f"{PASSWORD}\n",
        environment={
            "XDG_CONFIG_HOME": str(tmp_path),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "FLOWMESH_ADDRESS": closed.suite.grpc_address,
        },
    )
    assert outcome.code == 0, outcome.err
