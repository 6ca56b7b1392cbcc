"""`login`, `logout`, `whoami`, `identity bootstrap` and `identity register`: sessions of a user."""

import asyncio
import getpass
import sys
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.errors import Unauthenticated, WrongState

if TYPE_CHECKING:
    from flowmesh.cli.access.sessions import Place
    from flowmesh.sdk import Client

PASSWORD_CHARS_MAX = 1_024
Token = Annotated[str, Parameter(allow_leading_hyphen=True)]
Flag = Annotated[bool, Parameter(negative="")]


@command
async def login(
    *, email: str = "", device: Flag = False, no_browser: Flag = False, common: Common = COMMON
) -> int:
    """Log in with a password, asked for or read from standard input, and keep the session.

    Args:
        email: Email address of the user; asked for if it is not given.
        device: Log in by a page of the console, at an identity provider too, instead.
        no_browser: Print the address of that page only.
    """
    async with connected(common, anonymous=True) as client:
        if device:
            return _opened(common, await _by_device(client, browser=not no_browser))
        from flowmesh.api.identity.v1.auth_service_pb2 import LoginRequest

        user = email or _asked("email: ", "--email")
        request = LoginRequest(email=user, password=_password(client, repeated=False))
        answer = await client.caller.call(_auth(client).Login, request)
        return _opened(common, answer)


async def _by_device(client: "Client", *, browser: bool) -> Any:
    """Return the session that a user approves in the console."""
    from flowmesh.api.identity.v1 import login_service_pb2 as pb
    from flowmesh.api.identity.v1.login_service_pb2_grpc import LoginServiceStub

    client.caller.endpoint.check_credential("the session")
    stub: Any = LoginServiceStub(client.caller.channel)
    started = await client.caller.call(stub.StartDeviceLogin, pb.StartDeviceLoginRequest())
    page = f"{started.verification_url}?code={started.user_code}"
    where = page if started.verification_url else "the page /device of the console"
    output.problem(f"open {where} and enter the code {started.user_code}")
    if browser and started.verification_url:
        webbrowser.open(page)
    request = pb.CompleteDeviceLoginRequest(device_code=started.device_code)
    while True:
        try:
            return await client.caller.call(stub.CompleteDeviceLogin, request)
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
