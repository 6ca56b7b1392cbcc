"""Which suite a command talks to, and what to say when nothing answers there.

The first of these that names an address or a namespace decides: a flag, the environment, the
profile, a suite that runs in this folder (`.flowmesh/dev.json`), the default.
"""

import http.client
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from flowmesh.cli import exit_codes
from flowmesh.cli.profile_store import Profile, profiles_path, read_profiles
from flowmesh.cli.refusals import Refused

DEFAULT_ADDRESS = "127.0.0.1:7450"
DEFAULT_NAMESPACE = "default"
HTTP_TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 64 * 1024
GATEWAYS = "/api/v1/services?name=gateway"


@dataclass(frozen=True, slots=True)
class Choice:
    """A value and where it comes from."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Target:
    """The suite and the namespace of a command."""

    address: Choice
    namespace: Choice


def profile_choice(flag: str) -> Choice:
    """The name of the profile in use; empty without one."""
    choice = _given("profile", flag)
    if choice is not None:
        return choice
    current = read_profiles().current
    return Choice(current, f"`profile use` ({profiles_path()})" if current else "default")


def chosen_profile(flag: str) -> Profile:
    """The profile in use; an empty one without any."""
    name = profile_choice(flag).value
    return read_profiles().named_or_refused(name) if name else Profile()


def target(*, address: str, namespace: str, profile: str) -> Target:
    """Where a command goes, given its flags; an empty one was not given."""
    name, chosen = profile_choice(profile).value, chosen_profile(profile)

    def of_profile(value: str) -> Choice | None:
        return Choice(value, f"profile {name} ({profiles_path()})") if value else None

    return Target(
        _given("address", address) or of_profile(chosen.address) or _discovered(),
        _given("namespace", namespace)
        or of_profile(chosen.namespace)
        or Choice(DEFAULT_NAMESPACE, "default"),
    )


def _given(name: str, flag: str) -> Choice | None:
    """What a flag or the environment says."""
    variable = f"FLOWMESH_{name.upper()}"
    if flag:
        return Choice(flag, f"--{name}")
    value = os.environ.get(variable, "")
    return Choice(value, f"environment {variable}") if value else None


def _discovered() -> Choice:
    from flowmesh.sdk.environment import running_suite

    found = running_suite()
    if found is None:
        return Choice(DEFAULT_ADDRESS, "default")
    return Choice(found.address, f"running suite ({found.file})")


def unreachable(address: Choice) -> Refused:
    """Why no suite answers gRPC there: nothing listens, or it is a port of HTTP."""
    text, hint = explained(address)
    return Refused(text, hint, exit_codes.UNREACHABLE)


def explained(address: Choice) -> tuple[str, str]:
    """The same as a text and a hint."""
    grpc = _grpc_behind_http(address.value)
    if grpc is None:
        text = f"nothing answers at {address.value} ({address.source})"
        hint = "`flowmesh dev` starts a suite; --address, FLOWMESH_ADDRESS or a profile name it"
        return text, hint
    where = f"the gRPC address is {grpc}" if grpc else "name the gRPC address instead"
    return f"{address.value} is a REST port (HTTP); {where}", f"it comes from {address.source}"


def _grpc_behind_http(address: str) -> str | None:
    """The gRPC address of the suite whose REST answers there, "" if unknown; None if none does."""
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
