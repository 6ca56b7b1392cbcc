"""`login`, `logout`, `whoami`, `identity bootstrap` and `identity register`: sessions of a user."""

import asyncio
import getpass
import sys
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.errors import Unauthenticated, WrongState

if TYPE_CHECKING:
    from flowmesh.cli.access.sessions import Place
    from flowmesh.sdk import Client

PASSWORD_CHARS_MAX = 1_024
# For a user who logs in at a provider first; the login there may take ten minutes.
BROWSER_S = 300
BROWSER_S_MAX = 900
Token = Annotated[str, Parameter(allow_leading_hyphen=True)]
Flag = Annotated[bool, Parameter(negative="")]


@command
async def login(
    *,
    email: str = "",
    device: Flag = False,
    no_browser: Flag = False,
    deadline: Annotated[int, Parameter(validator=Number(gte=1, lte=BROWSER_S_MAX))] = BROWSER_S,
    common: Common = COMMON,
) -> int:
    """Log in by the browser, or with a password that is asked for, and keep the session.

    The browser opens where the installation states its public address; a user logs in there with a
    password or at an identity provider. Without a browser on this machine it is as with `--device`.

    Args:
        email: Log in with the password of this user, asked for or read from standard input.
        device: Print a code, which a user enters in the console on any machine.
        no_browser: Open no browser: print the code and the address.
        deadline: Seconds to wait for the browser.
    """
    async with connected(common, anonymous=True) as client:
        if not email:
            from flowmesh.api.identity.v1 import login_service_pb2 as pb

            started = await client.caller.call(
                _logins(client).StartDeviceLogin, pb.StartDeviceLoginRequest()
            )
            if started.authorization_url and not (device or no_browser):
                answer = await _by_browser(client, started.authorization_url, deadline)
                return _opened(common, answer or await _by_device(client, started, browser=False))
            if device or no_browser:
                answer = await _by_device(client, started, browser=not no_browser)
                return _opened(common, answer)
        from flowmesh.api.identity.v1.auth_service_pb2 import LoginRequest

        user = email or _asked("email: ", "--email")
        request = LoginRequest(email=user, password=_password(client, repeated=False))
        answer = await client.caller.call(_auth(client).Login, request)
        return _opened(common, answer)


async def _by_browser(client: "Client", authorization_url: str, deadline_s: int) -> Any:
    """Return the session that a user approves in the browser of this machine; None without one."""
    from flowmesh.api.identity.v1 import login_service_pb2 as pb
    from flowmesh.cli.access.loopback import CLIENT, listening

    client.caller.endpoint.check_credential("the session")
    async with listening() as listener:
        page = listener.page(authorization_url)
        if not await asyncio.to_thread(webbrowser.open, page):
            output.problem("flowmesh: no browser was found")
            return None
        output.problem(f"the browser shows {page}")
        code = await listener.code(deadline_s)
        request = pb.CompleteLoopbackLoginRequest(
            client_id=CLIENT,
            redirect_uri=listener.redirect_uri,
            code=code,
            code_verifier=listener.verifier,
        )
        return await client.caller.call(_logins(client).CompleteLoopbackLogin, request)


async def _by_device(client: "Client", started: Any, *, browser: bool) -> Any:
    """Return the session that a user approves in the console."""
    from flowmesh.api.identity.v1 import login_service_pb2 as pb

    client.caller.endpoint.check_credential("the session")
    page = f"{started.verification_url}?code={started.user_code}"
    where = page if started.verification_url else "the page /device of the console"
    output.problem(f"open {where} and enter the code {started.user_code}")
    if browser and started.verification_url:
        webbrowser.open(page)
    request = pb.CompleteDeviceLoginRequest(device_code=started.device_code)
    while True:
        try:
            return await client.caller.call(_logins(client).CompleteDeviceLogin, request)
        except WrongState:
            await asyncio.sleep(started.interval_seconds)


@command
async def bootstrap(
    *, token: Token, email: str = "", name: str = "", common: Common = COMMON
) -> int:
    """Make the first owner of an installation, and log in.

    The password is asked for, or read from standard input.

    Args:
        token: Token that `flowmesh identity init` or `flowmesh identity token` printed; valid once.
        email: Email address of the owner; asked for if it is not given.
        name: Name of the owner.
    """
    async with connected(common, anonymous=True) as client:
        from flowmesh.api.identity.v1.auth_service_pb2 import BootstrapRequest

        user = email or _asked("email: ", "--email")
        request = BootstrapRequest(
            token=token, email=user, name=name, password=_password(client, repeated=True)
        )
        answer = await client.caller.call(_auth(client).Bootstrap, request)
        return _opened(common, answer)


@command
async def register(
    *, email: str = "", name: str = "", invitation: Token = "", common: Common = COMMON
) -> int:
    """Register a user, and log in.

    The password is asked for, or read from standard input.

    Args:
        email: Email address of the user; asked for if it is not given.
        name: Name of the user.
        invitation: Token of an invitation, which gives the user a role.
    """
    async with connected(common, anonymous=True) as client:
        from flowmesh.api.identity.v1.auth_service_pb2 import RegisterRequest

        user = email or _asked("email: ", "--email")
        request = RegisterRequest(
            email=user, name=name, invitation=invitation, password=_password(client, repeated=True)
        )
        answer = await client.caller.call(_auth(client).Register, request)
        return _opened(common, answer)


@command
async def logout(*, all_sessions: Flag = False, common: Common = COMMON) -> None:
    """End the session of this profile and address.

    Args:
        all_sessions: End all sessions of the user, on other machines too.
    """
    async with connected(common) as client:
        from flowmesh.api.identity.v1.auth_service_pb2 import LogoutRequest
        from flowmesh.cli.access.sessions import delete_session, read_session

        place = _place(common)
        if read_session(place) is None:
            raise Refused(f"there is no session for {place.address}")
        with suppress(Unauthenticated):  # it has ended already
            request = LogoutRequest(all_sessions=all_sessions)
            await client.caller.call(_auth(client).Logout, request)
        delete_session(place)
        output.result(
            {"address": place.address, "loggedOut": True}, f"logged out of {place.address}"
        )


@command
async def whoami(*, common: Common = COMMON) -> None:
    """Show the caller that the credential stands for, and its permissions."""
    async with connected(common) as client:
        from flowmesh.api.identity.v1.auth_service_pb2 import GetMeRequest

        answer = await client.caller.call(_auth(client).GetMe, GetMeRequest())
        principal = answer.principal
        permissions = {name: _names(bits) for name, bits in principal.namespaces.items()}
        everywhere = _names(principal.everywhere)
        if common.structured:
            document = document_of(principal)
            document |= {"everywhere": everywhere, "namespaces": permissions}
            if answer.HasField("user"):
                document["user"] = document_of(answer.user)
            output.document(document)
            return
        rows = [("name", principal.name), ("kind", principal.kind), ("id", principal.id)]
        if everywhere:
            rows.append(("everywhere", ", ".join(everywhere)))
        rows += [(f"in {name}", ", ".join(names)) for name, names in sorted(permissions.items())]
        rows += [("queues", ", ".join(principal.queues))] if principal.queues else []
        rows += [("task types", ", ".join(principal.task_types))] if principal.task_types else []
        output.columns(("address", client.address), rows)


def _names(bits: int) -> list[str]:
    """Return the names of permission bits."""
    from flowmesh.api.common.v1.access_pb2 import AccessGroup

    groups = AccessGroup.DESCRIPTOR.values
    prefix = "ACCESS_GROUP_"
    return [
        g.name.removeprefix(prefix).lower() for g in groups if g.number and bits >> g.number & 1
    ]


def _logins(client: "Client") -> Any:
    from flowmesh.api.identity.v1.login_service_pb2_grpc import LoginServiceStub

    return LoginServiceStub(client.caller.channel)


def _auth(client: "Client") -> Any:
    from flowmesh.api.identity.v1.auth_service_pb2_grpc import AuthServiceStub

    return AuthServiceStub(client.caller.channel)


def _place(common: Common) -> "Place":
    from flowmesh.cli.access.sessions import Place

    where = common.target
    return Place(where.profile, where.address.value)


def _opened(common: Common, answer: Any) -> int:
    """Keep the session of an answer, and print its user."""
    from flowmesh.cli.access.sessions import Session, write_session
    from flowmesh.sdk import Tokens

    user, tokens = answer.user, answer.tokens
    place = _place(common)
    kept = Tokens.received(tokens.access_token, tokens.refresh_token)
    write_session(place, Session(user.email, kept))
    output.result(
        {"address": place.address, "user": document_of(user)},
        f"logged in to {place.address} as {user.email}",
    )
    return exit_codes.DONE


def _asked(prompt: str, option: str) -> str:
    """Return a line from the terminal."""
    if not sys.stdin.isatty():
        raise Refused(f"{option} is missing", "there is no terminal to ask", exit_codes.USAGE)
    return input(prompt).strip()


def _password(client: "Client", *, repeated: bool) -> str:
    """Return a password from the terminal, or from the first line of standard input."""
    client.caller.endpoint.check_credential("the password")
    if not sys.stdin.isatty():
        password = sys.stdin.readline(PASSWORD_CHARS_MAX + 2).rstrip("\r\n")
    else:
        password = getpass.getpass("password: ")
        if repeated and getpass.getpass("the same again: ") != password:
            raise Refused("the two passwords differ", code=exit_codes.USAGE)
    if not 1 <= len(password) <= PASSWORD_CHARS_MAX:
        text = f"a password has 1 to {PASSWORD_CHARS_MAX:,} characters"
        raise Refused(text, "it is read from standard input, or asked for", exit_codes.USAGE)
    return password
