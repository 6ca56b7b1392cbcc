"""Selection of the suite and namespace of a command, and errors if the suite does not answer.

Address and namespace come from the first of these that sets them: a flag, the environment, the
profile, a running suite of this folder (`.flowmesh/dev.json`), the default.
"""

import http.client
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from flowmesh.cli import exit_codes
from flowmesh.cli.profile_store import Profile, profiles_path, read_profiles
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.cli.access.sessions import StoredLogin
    from flowmesh.sdk import Client, Tls
    from flowmesh.sdk.transport.connection import Connection

DEFAULT_ADDRESS = "127.0.0.1:7450"
DEFAULT_NAMESPACE = "default"
HTTP_TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 64 * 1024
# Variables with a credential; they override a session.
CREDENTIALS = ("FLOWMESH_TOKEN", "FLOWMESH_API_KEY")
GATEWAYS = "/api/v1/services?name=gateway"


@dataclass(frozen=True, slots=True)
class Choice:
    """A value and its origin."""

    value: str
    source: str


DEFAULT_CHOICE = Choice(DEFAULT_NAMESPACE, "default")
CREDENTIAL_CHOICE = Choice("", "the only namespace of the credential, or `default`")


@dataclass(frozen=True, slots=True)
class Target:
    """The suite and the namespace of a command."""

    address: Choice
    namespace: Choice
    profile: str
    # The TLS files of the address, if a profile or a running suite has set it.
    tls_files: Profile

    @property
    def tls(self) -> "Tls | None":
        """The TLS options of the address; None leaves them to the environment."""
        from flowmesh.sdk.transport.endpoint import Tls, tls_of_environment

        found = self.tls_files
        if tls_of_environment() is not None or not (
            found.ca or found.client_cert or found.client_key
        ):
            return None
        return Tls(found.ca, found.client_cert, found.client_key)

    @property
    def login(self) -> "StoredLogin | None":
        """The session of `flowmesh login`; None without one, or if the environment has a token."""
        from flowmesh.cli.access.sessions import Place, StoredLogin, read_session

        if any(os.environ.get(name) for name in CREDENTIALS):
            return None
        place = Place(self.profile, self.address.value)
        session = read_session(place)
        return None if session is None else StoredLogin(place, session)

    def client(self, *, anonymous: bool = False) -> "Client":
        """Return a client of the suite, with its TLS options and credential."""
        from flowmesh.sdk import Client

        token = "" if anonymous else self.login
        return Client(self.address.value, self._wanted, token=token, tls=self.tls)

    def connection(self) -> "Connection":
        """Return the connection of such a client alone, which loads faster."""
        from flowmesh.sdk.transport.connection import Connection
        from flowmesh.sdk.values.ids import new_request_id

        return Connection(
            self.address.value,
            self._wanted,
            token=self.login,
            api_key="",
            tls=self.tls,
            actor="",
            new_id=new_request_id,
        )

    @property
    def _wanted(self) -> str:
        """The namespace; without a choice, the client takes that of the credential."""
        return "" if self.namespace is DEFAULT_CHOICE else self.namespace.value


def profile_choice(flag: str) -> Choice:
    """Return the name of the current profile; "" without one."""
    choice = _configured("profile", flag)
    if choice is not None:
        return choice
    current = read_profiles().current
    return Choice(current, f"`profile use` ({profiles_path()})" if current else "default")


def chosen_profile(flag: str) -> Profile:
    """Return the current profile; an empty one without one."""
    name = profile_choice(flag).value
    return read_profiles().find(name) if name else Profile()


def target(*, address: str, namespace: str, profile: str) -> Target:
    """Return the target of a command with these flags; "" is a flag that was not set."""
    name, chosen = profile_choice(profile).value, chosen_profile(profile)

    def of_profile(value: str) -> Choice | None:
        return Choice(value, f"profile {name} ({profiles_path()})") if value else None

    files = Profile()
    chosen_address = _configured("address", address)
    if chosen_address is None and chosen.address:
        chosen_address, files = of_profile(chosen.address), chosen
    if chosen_address is None:
        chosen_address, files = _discovered()
    return Target(
        chosen_address,
        _configured("namespace", namespace)
        or of_profile(chosen.namespace)
        or (CREDENTIAL_CHOICE if any(map(os.environ.get, CREDENTIALS)) else DEFAULT_CHOICE),
        name,
        files,
    )


def _configured(name: str, flag: str) -> Choice | None:
    """Return the value of the flag or the environment variable; None without one."""
    variable = f"FLOWMESH_{name.upper()}"
    if flag:
        return Choice(flag, f"--{name}")
    value = os.environ.get(variable, "")
    return Choice(value, f"environment {variable}") if value else None


def _discovered() -> tuple[Choice, Profile]:
    """Return the address of a running suite or the default one, and the TLS files."""
    from flowmesh.sdk.transport.environment import running_suite

    found = running_suite()
    if found is None:
        return Choice(DEFAULT_ADDRESS, "default"), Profile()
    return Choice(found.address, f"running suite ({found.file})"), Profile(ca=found.ca)


def unreachable(address: Choice) -> Refused:
    """Return the error for an address at which no suite answers gRPC."""
    text, hint = unreachable_reason(address)
    return Refused(text, hint, exit_codes.UNREACHABLE)


def unreachable_reason(address: Choice) -> tuple[str, str]:
    """Return text and hint: nothing listens at the address, or it is a REST port."""
    grpc = _grpc_behind_http(address.value)
    if grpc is None:
        text = f"no response from {address.value} ({address.source})"
        hint = "start a suite with `flowmesh dev`, or set --address, FLOWMESH_ADDRESS or a profile"
        return text, hint
    remedy = f"the gRPC address is {grpc}" if grpc else "use the gRPC address instead"
    return f"{address.value} is a REST port (HTTP); {remedy}", f"set by {address.source}"


def _grpc_behind_http(address: str) -> str | None:
    """Return the gRPC address of the suite with this REST address.

    "" if it is unknown; None if no REST API answers.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname or "", parts.port
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(host, port, timeout=HTTP_TIMEOUT_S)
        try:
            connection.request("GET", GATEWAYS)
            body = connection.getresponse().read(ANSWER_BYTES_MAX)
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return None
    try:
        return str(orjson.loads(body)["services"][0]["endpoint"])
    except (ValueError, TypeError, LookupError):
        return ""
